"""Maps of single cells made comparable and added up; on the device, with all days of a block at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pipeline.attribution._rows import CellGradients
from pipeline.backend.passes import Passes
from pipeline.sphere import great_circles

LEAST = 0.1  # of a map's maximum, below which values count as nothing
_FEWEST = 8  # days that are worth a thread
_BELOW = float(np.nextafter(np.float32(LEAST), np.float32(0)))


@dataclass(frozen=True, eq=False)
class Places:
    """What is known of channels and cells.

    Parameters
    ----------
    placed : Tensor of float32, shape (channel,)
        1 for channels whose cells lie somewhere, 0 for scalars.
    target, source : Tensor of float64, shape (cell, 3) and (lat * lon, 3)
        Ways from the centre of the globe to target and input cells.
    weights : Tensor of float32, shape (cell,)
        Of the cell in means over cells.
    """

    placed: Tensor
    target: Tensor
    source: Tensor
    weights: Tensor


@dataclass(eq=False)
class Sums:
    """What is added up over maps; float64.

    Parameters
    ----------
    maps : Tensor, shape (group, channel, lat * lon)
        Weighted sum of the maps of a group's days.
    far, count : Tensor, shape (group, cell)
        Sum of the cell's distances [km], and the number of maps that have one.
    daily : list of Tensor, shape (row, 4 + channel)
        Of every day sums over cells: number of maps, their weights, weights of those with a distance, weighted
        distances [km], weighted shares of every channel. NaN where a gradient is not finite.
    """

    maps: Tensor
    far: Tensor
    count: Tensor
    daily: list[Tensor] = field(default_factory=list)

    def add(self, other: Sums) -> None:
        """Add those of other days."""
        self.maps += other.maps
        self.far += other.far
        self.count += other.count
        self.daily += other.daily


def in_threads(days: int, device: torch.device, work: Callable[[slice], Sums]) -> list[Sums]:
    """Return ``work`` of all days; on a CPU each of torch's threads does its own share of them.

    Layers of these networks are small: threads that meet after every one of them wait more than they work.

    Parameters
    ----------
    days : int
        In all.
    device : torch.device
        Where they are.
    work : callable
        From a slice of days to what they add up to.
    """
    threads = torch.get_num_threads()
    shares = min(threads, days // _FEWEST) if device.type == "cpu" else 1
    if shares <= 1:
        return [work(slice(0, days))]
    ends = [days * share // shares for share in range(shares + 1)]
    try:
        with ThreadPoolExecutor(shares, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, [slice(*pair) for pair in pairwise(ends)]))
    finally:
        torch.set_num_threads(threads)


def block_sums(
    rows: CellGradients,
    inputs: Tensor,
    departure: Tensor | None,
    groups: Tensor,
    places: Places,
    passes: Passes,
    done: Callable[[int], None],
) -> Sums:
    """Return what the maps of a block of days add up to.

    Parameters
    ----------
    rows : CellGradients
        Of the sampled cells.
    inputs : Tensor, shape (row, channel, lat, lon)
        The days of the block.
    departure : Tensor or None, shape (row, channel, lat, lon)
        What gradients are multiplied by.
    groups : Tensor of float32, shape (group, row)
        1 for days of the group.
    places : Places
        Distances and weights.
    passes : Passes
        How many cells go through one backward pass.
    done : callable
        Told how many maps are done.
    """
    days, channels = inputs.shape[:2]
    maps = torch.zeros(len(groups), channels, inputs[0, 0].numel(), dtype=torch.float64, device=inputs.device)
    daily = torch.zeros(days, 4 + channels, dtype=torch.float64, device=inputs.device)

    def some(part: slice) -> Tensor:
        values = graph.of(part)
        values = (values if departure is None else values * departure).abs().flatten(3)
        distance = great_circles(places.target[part], places.source).to(values)
        inside, far = normalise(values, distance)
        total, placed = inside.sum(-1), inside @ places.placed
        there, lies = total > 0, placed > 0
        shares = inside / torch.where(total == 0, 1.0, total)[..., None]
        km = (far @ places.placed) / torch.where(lies, placed, 1.0)
        own = places.weights[part, None]
        weight = groups[:, None, :] * (own * there / torch.where(there, total, 1.0))
        # All is worked out before anything is added: where memory is short, the same cells are asked again.
        more = (weight.flatten(1) @ values.flatten(0, 1).flatten(1)).view(maps.shape)
        today = torch.stack([there.sum(0), (own * there).sum(0), (own * lies).sum(0), (own * km).sum(0)], 1)
        today = torch.cat([today, (own[..., None] * shares).sum(0)], 1)
        cells = torch.stack([km @ groups.T, lies.to(km.dtype) @ groups.T], 2)
        maps.add_(more)
        daily.add_(today)
        done(there.numel())
        return cells

    graph = rows.prepare(inputs)
    cells = passes.over(len(rows.cells), some).double()
    return Sums(maps, cells[..., 0].T, cells[..., 1].T, [daily])


def normalise(values: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Divide every map by its maximum and set what is below a tenth of it to zero, in place.

    A map that is zero everywhere stays so.

    Parameters
    ----------
    values : Tensor, shape (cell, row, channel, lat * lon)
        Not negative.
    distance : Tensor, shape (cell, lat * lon)
        Of input cells from the target cell [km].

    Returns
    -------
    inside, far : Tensor, shape (cell, row, channel)
        Sums over cells of the map, and of the map times the distance [km].
    """
    peak = values.amax((2, 3), keepdim=True)
    values.div_(torch.where(peak == 0, 1.0, peak))
    # Keeps what is above: the number just below a tenth, so that a tenth counts. Many times as fast as a mask.
    torch.threshold_(values, _BELOW, 0.0)
    both = torch.stack([torch.ones_like(distance), distance], 2)
    sums = (values.flatten(1, 2) @ both).view(*values.shape[:3], 2)
    return sums[..., 0], sums[..., 1]
