"""Randomisation of weights: whether the map has anything to do with what the network learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.checks._cells import cells_read, generator
from pipeline.attribution.likeness import correlations, ranks

if TYPE_CHECKING:
    from torch import nn

LIMIT = 0.5
_DEPTHS = 5
_FURTHER = 3  # times that all layers are shuffled, after the first
_LEAST_CELLS = 8  # ranks of fewer agree by chance


@CHECKS.register("randomisation")
class Randomisation(Check):
    """Cascading randomisation of the weights (Adebayo et al. 2018, arXiv:1810.03292).

    The numbers inside each tensor of weights are shuffled, layer by layer from the output down, at five depths; the
    map of the shuffled network is compared with the map, by Spearman's correlation of the signed values over cells,
    the mean over days. Cells that are zero in both on all days are left out. A map that still looks the same once all
    layers are shuffled does not show what the network learnt. A network of few weights may come out much like the
    trained one, or its opposite, by chance: all layers are shuffled four times, and the mean is held to the limit.
    Weights are put back as they were, and buffers are not touched.

    It costs eight maps a day at most: with integrated gradients of 32 steps 256 passes forward and back and 16
    forward, more where a shuffled network needs more steps.
    """

    essential: ClassVar[bool] = True

    def suits(self, checked: Checked) -> bool:
        """Return whether there are weights to shuffle."""
        network = checked.subject.network
        return network is not None and any(each.numel() > 1 for each in network.parameters())

    def run(self, checked: Checked) -> Finding:
        """Return the absolute correlation with the map of the shuffled network."""
        few = checked.few()
        network = few.subject.network
        assert network is not None  # else it does not suit
        layers = layers_of(network)[::-1]
        every = [each for layer in layers for each in layer]
        ends = np.unique(np.round(np.linspace(0, len(layers), _DEPTHS + 1)[1:]).astype(int))
        values = few.values.detach().float().cpu().numpy()
        random = generator(few.subject, "shuffled weights")
        method = few.method.rough()

        def likeness() -> tuple[float, int]:
            found = method.attribute(few.subject, few.inputs, few.which, few.baseline)
            return _likeness(values, found.detach().float().cpu().numpy())

        falling, last = [], []
        with restored(every):
            done = 0
            for end in ends:
                for layer in layers[done:end]:
                    shuffle(layer, random)
                done = end
                falling.append(likeness())
            last.append(falling[-1])
            for _ in range(_FURTHER):
                shuffle(every, random)
                last.append(likeness())
        told = [rho for rho, _ in last if np.isfinite(rho)]
        if not told:
            return Finding(
                "randomisation", float("nan"), LIMIT, None, self.essential,
                "The map of the trained network and that of shuffled weights have 0 days on which both are numbers "
                "that differ between cells: they cannot be compared.",
            )  # fmt: skip
        rho, cells = float(np.mean(told)), max(count for _, count in last)
        few_cells = cells < _LEAST_CELLS and abs(rho) >= LIMIT
        curves = {
            "x": np.concatenate(([0.0], ends / len(layers))),
            "rho": np.array([1.0, *(each for each, _ in falling[:-1]), rho]),
        }
        return Finding(
            "randomisation", abs(rho), LIMIT, None if few_cells else abs(rho) < LIMIT, self.essential,
            f"With all weights shuffled the map correlates by {rho:.2f} with what it was"
            + (f", but {cells} cells alone decide nothing." if few_cells else "."),
            curves,
        )  # fmt: skip


def layers_of(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of every layer that has its own, in the order of registration, each of them once.

    Examples
    --------
    >>> from torch import nn
    >>> [len(layer) for layer in layers_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False)))]
    [2, 1]
    """
    seen: set[int] = set()
    found = []
    for module in network.modules():
        own = [each for each in module.parameters(recurse=False) if id(each) not in seen]
        seen.update(id(each) for each in own)
        if own:
            found.append(own)
    return found


@contextmanager
def restored(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Give parameters back the values that they have now, whatever happens in between."""
    import torch

    # On the host: a second copy of the weights may not fit on a device.
    kept = [each.detach().cpu().clone() for each in parameters]
    try:
        yield
    finally:
        with torch.no_grad():
            for each, value in zip(parameters, kept, strict=True):
                each.copy_(value)


def shuffle(parameters: Sequence[nn.Parameter], random: np.random.Generator) -> None:
    """Put the numbers of each tensor into another order, in place."""
    import torch

    with torch.no_grad():
        for each in parameters:
            order = torch.as_tensor(random.permutation(each.numel()), device=each.device)
            each.copy_(each.detach().flatten()[order].view_as(each))


def _likeness(first: np.ndarray, second: np.ndarray) -> tuple[float, int]:
    """Return the mean over days of Spearman's correlation of two maps (time, ...), and of how many cells."""
    finite = np.isfinite(second).all(axis=tuple(range(1, second.ndim)))
    if not finite.any():
        return float("nan"), 0
    one, other = cells_read(first[finite], second[finite])
    if not one.size:
        return float("nan"), 0
    daily = correlations(ranks(one), ranks(other))
    daily = daily[np.isfinite(daily)]
    return float(daily.mean()) if len(daily) else float("nan"), one.shape[1]
