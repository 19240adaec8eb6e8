"""Tensors that go to a device while it works on those before them."""

from __future__ import annotations

import torch
from torch import Tensor


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
