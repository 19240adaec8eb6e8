"""Scores of parts of the cells, such as quarters of a grid or its mountains, over all times and by season."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS
from pipeline.metrics.groups import Group, group_name
from pipeline.metrics.resampled import score_sums
from pipeline.metrics.rows import Part
from pipeline.metrics.sums import BlockSums, Resampled, centred

REGIONAL = ("rmse", "bias", "crps", "coverage_90", "interval_score_90", "width_90", "spread_skill")
"""Scores that regions have: those of all for every region in every season would be many."""


@dataclass(frozen=True, eq=False)
class CellRegions:
    """Which cells of a row belong together.

    Parameters
    ----------
    names : tuple of str
        Of the regions; they become part of the names of groups and hold neither ``=`` nor ``;``.
    of_cell : ndarray of int, shape (cell,)
        The number of each cell's region, -1 outside of all.
    """

    names: tuple[str, ...]
    of_cell: np.ndarray

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name of every region that has cells, and their positions."""
        for number, name in enumerate(self.names):
            cells = np.flatnonzero(self.of_cell == number)
            if cells.size:
                yield name, cells


@dataclass(frozen=True, eq=False)
class RegionTimes:
    """A region at a group of times.

    Parameters
    ----------
    names : tuple of str
        As groups of scores: ``region=north-west;season=DJF``.
    at : int
        The number of the group of times.
    cells : ndarray of int, shape (chosen,)
        The region's cells.
    times, blocks : int
        Number of times, and of blocks of the bootstrap, that have truth in any of them.
    """

    names: tuple[str, ...]
    at: int
    cells: np.ndarray
    times: int
    blocks: int


def regions_with_truth(regions: CellRegions | None, groups: Sequence[Group], valid: np.ndarray) -> list[RegionTimes]:
    """Return every region at every group of times, without those that have no truth, and without months.

    Parameters
    ----------
    regions : CellRegions, optional
        None of them without.
    groups : sequence of Group
        Groups of times; their blocks and resamples are those of the whole area, so that scores of a region are
        resampled with it. A region that has truth in few of the blocks has as few.
    valid : ndarray of bool, shape (time, cell)
        Where there is truth.
    """
    found = []
    for name, cells in regions or ():
        there = np.asarray(valid[:, cells].any(axis=1))
        for at, group in enumerate(groups):
            known = there[group.index]
            if group.of_month or not known.any():
                continue
            blocks = int((np.add.reduceat(known, group.blocks.edges[:, 0]) > 0).sum())
            names = tuple(group_name(f"region={name}", "" if label == "all" else label) for label in group.names)
            found.append(RegionTimes(names, at, cells, int(known.sum()), blocks))
    return found


def score_regions(
    wanted: Sequence[str],
    sums: Sequence[BlockSums],
    parts: Sequence[RegionTimes],
    groups: Sequence[Group],
    weights: np.ndarray,
    resamples: int,
    *,
    task: str = "downscaling",
    leads: int = 1,
) -> list[dict[str, Resampled]]:
    """Return the scores of a model by region and metric, for those of ``wanted`` that are :data:`REGIONAL`.

    They are made of sums that are there: no pass over the data is made.

    Parameters
    ----------
    wanted : sequence of str
        Names of metrics.
    sums : sequence of BlockSums
        Of all cells, one record a group.
    parts : sequence of RegionTimes
        See :func:`regions_with_truth`.
    groups, weights, resamples, task, leads
        As :func:`~pipeline.metrics.resampled.score_sums` takes them.
    """
    found: list[dict[str, Resampled]] = []
    for part in parts:
        whole = sums[part.at]
        names = [name for name in REGIONAL if name in wanted and name in whole.terms]
        own, area = _cells_of(whole, part.cells, names), weights[part.cells]
        scores = score_sums(names, own, groups[part.at], area, resamples, task=task, leads=leads)
        found.append({name: centred(one) if METRICS.get(name).upward else one for name, one in scores.items()})
    return found


def region_parts(parts: Sequence[RegionTimes], found: dict[str, list[dict[str, Resampled]]]) -> list[Part]:
    """Return what rows are made of, from the scores of every model by region."""
    return [
        Part(part.names, part.blocks, part.times, {model: by[at] for model, by in found.items()})
        for at, part in enumerate(parts)
    ]


def _cells_of(sums: BlockSums, cells: np.ndarray, names: Sequence[str]) -> BlockSums:
    """Return the sums of some cells, of the metrics ``names``."""
    xp, device = array_namespace(sums.count), array_api_compat.device(sums.count)
    index = xp.asarray(cells, device=device)
    terms = {name: tuple(xp.take(term, index, axis=1) for term in sums.terms[name]) for name in names}
    return BlockSums(xp.take(sums.count, index, axis=1), terms)
