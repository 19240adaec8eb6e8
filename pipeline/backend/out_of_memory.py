"""How the libraries say that the device has no memory left."""

from __future__ import annotations

# Of RMM by way of torch, of torch on either side, of CuPy and of the driver.
SAID = ("out of memory", "out_of_memory", "bad_alloc", "can't allocate memory", "cudaerrormemoryallocation")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that there was no memory, on the host or on a device.

    torch raises its own ``OutOfMemoryError`` only for its own allocator. Where it draws from the shared pool, see
    :func:`pipeline.backend._gpu.share_memory`, what RMM throws in C++ reaches Python as a ``MemoryError`` or a
    ``RuntimeError``, and only the words tell.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("std::bad_alloc: out_of_memory: CUDA error"))
    True
    >>> is_out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SAID)


def first_line(said: str) -> str:
    """Return the first sentence of what a library says, without its full stop.

    Examples
    --------
    >>> first_line("CUDA out of memory. Tried to allocate 2.00 GiB.")
    'CUDA out of memory'
    >>> first_line("CUDA out of memory.")
    'CUDA out of memory'
    """
    return (said.strip().splitlines() or ["no reason given"])[0].split(". ")[0].rstrip(".")
