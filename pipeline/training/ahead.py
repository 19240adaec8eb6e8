"""Batches that are read while the device works on those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

AHEAD = 2
"""Batches that are read beyond the one in use: more cost memory and hide nothing that two do not."""

One = TypeVar("One")
Other = TypeVar("Other")


def read_ahead(read: Callable[[One], Other], asked: Iterable[One]) -> Generator[Other]:
    """Yield ``read(one)`` of everything asked for, in order; the next two are read in a thread meanwhile.

    What fails in the thread fails here. The thread ends with the generator: close it where it may not be used up.

    Examples
    --------
    >>> list(read_ahead(lambda number: number**2, range(4)))
    [0, 1, 4, 9]
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
    waiting: deque[Future[Other]] = deque()
    try:
        for one in asked:
            waiting.append(pool.submit(read, one))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Carrier:
    """Carries tensors of the host to a device while it computes: from pinned memory, on a stream of its own.

    Parameters
    ----------
    device : torch.device
        Where to. On the host itself nothing is moved.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = None if device.type == "cpu" else torch.Stream(device)

    def send(self, *tensors: Tensor) -> tuple[tuple[Tensor, ...], torch.Event | None]:
        """Start the copies; return the tensors on the device and what tells that they are there."""
        if self._stream is None:
            return tensors, None
        with self._stream:
            sent = tuple(
                tensor if tensor.device.type == self._device.type
                else tensor.pin_memory().to(self._device, non_blocking=True)
                for tensor in tensors
            )  # fmt: skip
            return sent, self._stream.record_event()

    def receive(self, sent: tuple[Tensor, ...], there: torch.Event | None) -> tuple[Tensor, ...]:
        """Let what is computed next wait for the copies."""
        if there is not None:
            now = torch.accelerator.current_stream(self._device)
            now.wait_event(there)
            for tensor in sent:
                tensor.record_stream(now)  # or its memory is given to the next copy while it is still read
        return sent
