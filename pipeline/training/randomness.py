"""Random numbers of a training, without a trace in the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from pipeline.seeding import derive_seed


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """Return the order of ``count`` samples in an epoch; torch's generators go on from there for the rest of it.

    Examples
    --------
    >>> bool((shuffled(5, 1, 2) == shuffled(5, 1, 2)).all()), bool((shuffled(50, 1, 2) == shuffled(50, 1, 3)).all())
    (True, False)
    """
    torch.manual_seed(derive_seed(seed, "epoch", epoch))
    return torch.randperm(count)


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Draw from ``seed`` inside and prefer deterministic kernels; put everything back on the way out.

    Parameters
    ----------
    seed : int
        Starts torch's generators of the host and of ``device``.
    device : str
        Torch device whose generator is kept and put back beside the host's.

    Examples
    --------
    >>> with seeded(1):
    ...     first = torch.rand(3)
    >>> with seeded(1):
    ...     second = torch.rand(3)
    >>> bool((first == second).all())
    True
    """
    kind = torch.device(device).type
    kept = torch.get_deterministic_debug_mode()
    # Without `devices`, fork_rng would read the state of every GPU of the machine.
    accelerator = {} if kind == "cpu" else {"device_type": kind}
    with torch.random.fork_rng(devices=[] if kind == "cpu" else [torch.device(device)], **accelerator):
        torch.manual_seed(seed)
        # Warn only: some CUDA kernels have no deterministic twin, and a result is worth more than none. Not by
        # use_deterministic_algorithms, which for that imports torch's compiler: seconds, and nothing here is compiled.
        torch.set_deterministic_debug_mode("warn")
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(kept)
