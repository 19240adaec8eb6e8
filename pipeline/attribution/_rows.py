"""Gradients of single cells of a network's answer by all inputs, of all days of a block at once."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pipeline.attribution.subject import gradients_of
from pipeline.backend.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

_FORWARD = threading.Lock()  # a forward pass puts other weights into the network for a while

_FEW = 4  # a product takes single columns where at most a fourth of them are not zero
_CPU_ROWS = 8  # days times cells in one backward pass that are worth its start
_GRAPH_BYTES = 4 * 2**30  # of what a forward pass keeps, times the cells of one backward pass, on an accelerator


class CellGradients:
    """Gradients of cells by inputs, all days together: one forward pass, then one backward pass for some cells.

    Days do not see each other in eval mode. The gradient of a cell's sum over days is therefore every day's own
    gradient, and one backward pass serves all days. Several cells go through one pass under ``vmap`` where that is
    worth it; a network that cannot go through it is asked cell by cell, on the same graph.

    Parameters
    ----------
    network : Module
        Maps (row, channel, lat, lon) to (row, answer, lat, lon), rows apart, in eval mode.
    answer : int
        Which answer is asked about.
    cells : Tensor of int64, shape (cell,)
        Numbers in the flattened target grid.
    name : str
        Of the network, for the log.

    Examples
    --------
    >>> network = nn.Conv2d(1, 1, 1, bias=False).eval()
    >>> asked = CellGradients(network, 0, torch.tensor([3]))
    >>> found = asked.prepare(torch.ones(2, 1, 2, 2)).of(slice(0, 1))
    >>> bool((found[0, :, 0, 1, 1] == network.weight.flatten()).all()), tuple(found.shape)
    (True, (1, 2, 1, 2, 2))
    """

    def __init__(self, network: nn.Module, answer: int, cells: Tensor, name: str = "model") -> None:
        self.network, self.answer, self.cells, self.name = network, answer, cells, name
        self.batched = True

    def prepare(self, inputs: Tensor) -> DayGraph:
        """Do the forward pass of some days, shape (row, channel, lat, lon), and keep its graph."""
        single, own = _Single(), inputs.detach().clone().requires_grad_()
        return DayGraph(self, own, self._answered(own, single).sum(0), single)

    def together(self, inputs: Tensor) -> int:
        """Return how many cells should go through one backward pass with the days of ``inputs``."""
        if inputs.device.type == "cpu":
            return max(1, _CPU_ROWS // len(inputs))
        return max(1, _GRAPH_BYTES // max(1, self.day_bytes(inputs[:1]) * len(inputs)))

    def day_bytes(self, day: Tensor) -> int:
        """Return what a forward pass keeps of every day more for the backward pass [byte]; of a single day's inputs."""
        one, two = (self._kept(torch.cat([day] * count)) for count in (1, 2))
        return two - one  # less the weights, which are kept once

    def flags(self, inputs: Tensor) -> AbstractContextManager[None]:
        """Hold what must hold while gradients are taken."""
        # These flags belong to the process, not to a thread, and are of no use on a CPU, where there are threads.
        return nullcontext() if inputs.device.type == "cpu" else gradients_of(self.network)

    def _kept(self, inputs: Tensor) -> int:
        kept = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            self._answered(inputs.detach().clone().requires_grad_(), _Single())
        return kept

    def _answered(self, inputs: Tensor, single: _Single) -> Tensor:
        """Return the asked cells, shape (row, cell)."""
        weights = {name: _laid_out(one.detach()) for name, one in self.network.named_parameters()}
        with _FORWARD, torch.enable_grad(), self.flags(inputs), _Linears(single):
            field: Tensor = torch.func.functional_call(self.network, weights, (inputs,))
            return field[:, self.answer].flatten(1).index_select(1, self.cells)


class DayGraph:
    """The graph of a forward pass of some days, which tells of one cell after the other.

    Parameters
    ----------
    asked : CellGradients
        Network and cells.
    inputs : Tensor, shape (row, channel, lat, lon)
        Of the days.
    sums : Tensor, shape (cell,)
        The cells' answers, added up over days.
    single : _Single
        What linear layers look at.
    """

    def __init__(self, asked: CellGradients, inputs: Tensor, sums: Tensor, single: _Single) -> None:
        self._asked, self._inputs, self._sums, self._single = asked, inputs, sums, single

    def of(self, part: slice) -> Tensor:
        """Return the gradients of some of the cells, shape (cell, row, channel, lat, lon)."""
        asked, wanted = self._asked, range(len(self._sums))[part]
        if asked.batched and len(wanted) > 1:
            try:
                return self._together(_one_hot(wanted, self._sums))
            except (RuntimeError, UserWarning) as error:
                if is_out_of_memory(error):
                    raise
                asked.batched = False
                reason = str(error).partition("\n")[0]
                log.info("%s: no gradients of several cells at once, on with one by one: %s", asked.name, reason)
        # Rows of zeros of a single cell may be left out; vmap does not let one look at values.
        self._single.now = True
        found = [self._backward(_one_hot([cell], self._sums)[0]) for cell in wanted]
        return found[0][None] if len(found) == 1 else torch.stack(found)

    def _together(self, weights: Tensor) -> Tensor:
        # Not is_grads_batched: it has no rule for convolutions, and goes through them cell by cell without a word.
        self._single.now = False
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "There is a performance drop", UserWarning)
            found: Tensor = torch.func.vmap(self._backward)(weights)
        return found

    def _backward(self, weights: Tensor) -> Tensor:
        with self._asked.flags(self._inputs):
            found = torch.autograd.grad(self._sums, self._inputs, weights, retain_graph=True, materialize_grads=True)
        return found[0].detach()


def _one_hot(wanted: Any, like: Tensor) -> Tensor:
    weights = like.new_zeros(len(wanted), len(like))
    weights[torch.arange(len(wanted)), torch.tensor(list(wanted))] = 1.0
    return weights


def _laid_out(weight: Tensor) -> Tensor:
    """Return the same weights with channels last in memory: on a CPU that halves the time of convolutions."""
    if weight.ndim == 4 and weight.device.type == "cpu":
        return weight.contiguous(memory_format=torch.channels_last)
    return weight


class _Single:
    """Whether the backward pass under way is of a single cell."""

    now = False


class _Linears(TorchFunctionMode):
    """Within, linear layers take only those rows of their weights that a single cell's gradient needs."""

    def __init__(self, single: _Single) -> None:
        super().__init__()
        self._single = single

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do as ``func`` does."""
        kwargs = kwargs or {}
        if func is functional.linear:
            return _linear(self._single, *args, **kwargs)
        return func(*args, **kwargs)


def _linear(single: _Single, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if weight.requires_grad or weight.ndim != 2 or input.dtype != weight.dtype or not input.requires_grad:
        return functional.linear(input, weight, bias)
    found: Tensor = _Rows.apply(input, weight, bias, single)  # type: ignore[no-untyped-call]
    return found


class _Rows(torch.autograd.Function):
    """A linear layer whose weights are fixed."""

    @staticmethod
    def forward(ctx: Any, fields: Tensor, weight: Tensor, bias: Tensor | None, single: _Single) -> Tensor:
        """Return what the layer says."""
        ctx.save_for_backward(weight)
        ctx.single = single
        return functional.linear(fields, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient by its inputs."""
        (weight,), grad = ctx.saved_tensors, grads[0]
        if ctx.single.now:
            rows = (grad != 0).flatten(0, -2).any(0).nonzero()[:, 0]
            if _FEW * len(rows) <= len(weight):
                return grad[..., rows] @ weight[rows], None, None, None
        return grad @ weight, None, None, None
