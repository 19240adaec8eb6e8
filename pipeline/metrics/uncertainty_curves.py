"""Curves of what the report draws of error bars: sparsification, and reliability of the upper tenth with its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.metrics import Case
from pipeline.metrics._bins import share
from pipeline.metrics._spread import BINS, sparsification, spread_sums
from pipeline.metrics.bootstrap import percentile_interval
from pipeline.metrics.brier import BrierParts, brier_parts
from pipeline.metrics.exceedance import exceedance_sums
from pipeline.metrics.groups import Group


@dataclass(frozen=True, eq=False)
class Sparsification:
    """RMSE of what is left when a share of times and cells is left out, as a multiple of that of all; shape (share,).

    Parameters
    ----------
    share : ndarray
        By area, 0 to 1 in twenty steps.
    by_spread : ndarray
        The most uncertain first.
    oracle : ndarray
        The largest errors first: no order leaves less.
    random : ndarray
        Any first: on average 1 throughout, what a spread that says nothing leaves.
    """

    share: np.ndarray
    by_spread: np.ndarray
    oracle: np.ndarray
    random: np.ndarray


@dataclass(frozen=True, eq=False)
class Exceedance:
    """Reliability of the probability of more than the climatological 90 % quantile, in ten bins of equal width.

    Parameters
    ----------
    probability, frequency : ndarray, shape (bin,)
        Mean probability, and the share of the area where it happened; NaN where a bin is empty.
    area : ndarray, shape (bin,)
        Share of the area of all times and cells in each bin.
    low, high : ndarray, shape (bin,)
        95 % interval of ``frequency`` by block bootstrap; NaN where most resamples have none, or of too few blocks.
    parts : BrierParts
        Of the Brier score, numbers.
    """

    probability: np.ndarray
    frequency: np.ndarray
    area: np.ndarray
    low: np.ndarray
    high: np.ndarray
    parts: BrierParts


def sparsification_curves(case: Case, group: Group, weights: np.ndarray) -> Sparsification:
    """Return both curves of a distribution over the times of a group; see :class:`~pipeline.metrics.spread.Ause`."""
    by_spread, by_error = spread_sums(replace(case, weights=weights), group.index)
    steps = np.arange(BINS + 1) / BINS
    pairs = (by_spread[..., [0, 2]].sum(axis=0), by_error.sum(axis=0))
    own, oracle = (np.interp(steps, *sparsification(pair[:, 0], pair[:, 1])) for pair in pairs)
    return Sparsification(steps, own, oracle, np.ones(len(steps)))


def exceedance_curve(case: Case, group: Group, weights: np.ndarray) -> Exceedance | None:
    """Return the reliability of the upper tenth over the times of a group; None where the climatology is a point."""
    if case.climatology.family == "point":
        return None
    by_time = exceedance_sums(replace(case, weights=weights), "q90")[group.index]
    blocks = np.add.reduceat(by_time, group.blocks.edges[:, 0], axis=0)
    sums = blocks.sum(axis=0)
    area, chance, event = np.moveaxis(sums[:, :3], -1, 0)
    drawn = np.tensordot(group.counts.astype(float), blocks[..., [0, 2]], axes=1)
    band = percentile_interval(share(drawn[..., 1], drawn[..., 0]), len(group.blocks))
    return Exceedance(
        share(chance, area), share(event, area), share(area, area.sum()), band.low, band.high, brier_parts(sums)
    )
