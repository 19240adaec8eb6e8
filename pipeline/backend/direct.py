# ruff: noqa: TID251 - one of the doors that the rule names
"""Files read straight into a device's memory by kvikIO, where it is installed; by GPUDirect Storage where there is any.

Without it rows go through the host: a read, and a copy to the device. With it and no GPUDirect they do so too, in
kvikIO's own threads and pinned memory.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DataError

Array = Any


def can_read(device: str) -> bool:
    """Return whether files can be read straight into the memory of a torch device."""
    return device != "cpu" and _installed()


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("kvikio") is not None


def read_into(path: Path, target: Array, pieces: Sequence[tuple[int, int, int]]) -> None:
    """Read pieces of a file into an array of the device, all at once.

    Parameters
    ----------
    path : Path
        The file.
    target : array of uint8, shape (byte,)
        Where they go.
    pieces : sequence of (int, int, int)
        Of each its place in ``target``, its place in the file, and its bytes.

    Raises
    ------
    DataError
        If the file ends before.
    """
    import kvikio

    with kvikio.CuFile(str(path), "r") as file:
        waiting = [
            (offset, size, file.pread(target[place : place + size], size, offset)) for place, offset, size in pieces
        ]
        for offset, size, future in waiting:
            done = int(future.get())
            if done != size:
                raise DataError(f"{path}: expected {size} bytes at {offset}, got {done}; it was cut short.")
