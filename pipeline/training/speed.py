"""Ways to make a step faster: memory formats, compiled code, CUDA graphs, TF32; each asked for by name.

What each brings is measured by ``python -m benchmarks.training_step`` and stands in ``docs/training.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.backend.out_of_memory import is_out_of_memory
from pipeline.training.config import TrainingConfig
from pipeline.training.memory import Before
from pipeline.training.ranks import Ranks

log = logging.getLogger(__name__)


class Fast:
    """A network as the steps of its training call it.

    What cannot be had is said once and done without: the network's own forward pass is always there.

    Parameters
    ----------
    network : Module
        On its device.
    config : TrainingConfig
        Says what is wanted.
    device : torch.device
        Where it is trained.
    note : callable
        Told in a sentence what could not be had.
    """

    def __init__(
        self, network: nn.Module, config: TrainingConfig, device: torch.device, note: Callable[[str], None]
    ) -> None:
        self._network, self._device, self._note = network, device, note
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._graphed: Callable[[Tensor], Tensor] | None = None
        self._shape: torch.Size | None = None
        self._last = config.channels_last
        self._wants_graph = config.cuda_graphs
        if config.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.compile:
            self._compiled = torch.compile(network)
        if config.cuda_graphs and device.type != "cuda":
            self._wants_graph = False
            note(
                f"cuda_graphs: true needs a GPU of CUDA, and this is {device.type}; steps are made one call at a time."
            )

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return what the network says of a batch."""
        if self._last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self._wants_graph:
            self._capture(inputs)
        if self._graphed is not None and inputs.shape == self._shape:
            return self._graphed(inputs)
        if self._compiled is not None:
            try:
                return self._compiled(inputs)
            except Exception as error:
                if is_out_of_memory(error) or not type(error).__module__.startswith("torch._"):
                    raise  # the network's own
                self._compiled = None
                self._note(f"the network could not be compiled ({_first(error)}); it runs as it is written.")
        answer: Tensor = self._network(inputs)
        return answer

    def _capture(self, inputs: Tensor) -> None:
        """Record the network's calls, forwards and backwards, for batches of this shape; the last one is smaller."""
        self._wants_graph = False
        before = Before.of(self._network, self._device)
        try:
            # A module of its own takes the recording: the network answers other shapes as before.
            whole = _Whole(self._network).train(self._network.training)
            recorded: Any = torch.cuda.make_graphed_callables(whole, (torch.zeros_like(inputs),))
            self._graphed = recorded
            self._shape = inputs.shape
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._note(f"the network could not be recorded as a CUDA graph ({_first(error)}); it is called as it is.")
        finally:
            before.restore()
            for parameter in self._network.parameters():
                parameter.grad = None


class _Whole(nn.Module):
    """A network inside of another module."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the network says."""
        answer: Tensor = self.network(inputs)
        return answer


def why_not_faster(config: TrainingConfig, ranks: Ranks) -> str | None:
    """Return why a network is neither compiled nor recorded; None: nothing is known against it."""
    if ranks.together and (config.compile or config.cuda_graphs):
        return "its batch norms meet those of other processes in the middle of a step"
    return None


@contextmanager
def tf32(wanted: bool) -> Iterator[None]:
    """Let float32 products and convolutions of a GPU round what they multiply to 11 bits inside; put all back."""
    places: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]  # type: ignore[attr-defined]
    kept = [place.fp32_precision for place in places]
    try:
        if wanted:
            for place in places:
                place.fp32_precision = "tf32"
        yield
    finally:
        for place, before in zip(places, kept, strict=True):
            place.fp32_precision = before


def _first(error: BaseException) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {said}"[:200]
