"""Which times are scored together, and how they are resampled."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Case
from pipeline.metrics.blocks import ENOUGH_SAMPLES, SEASONS, Blocks, make_blocks, seasons
from pipeline.metrics.bootstrap import resample
from pipeline.metrics.pooling import pooled
from pipeline.prediction._arrays import wide


@dataclass(frozen=True, eq=False)
class Group:
    """Times that are scored together, and their resamples.

    Parameters
    ----------
    names : tuple of str
        ``all``, ``season=DJF``; several where they hold the same times.
    index : ndarray of int, shape (chosen,)
        The chosen times.
    blocks : Blocks
        Edges count among the chosen times.
    counts : ndarray of int32, shape (resample, block)
        How often every block is drawn.
    """

    names: tuple[str, ...]
    index: np.ndarray
    blocks: Blocks
    counts: np.ndarray


@dataclass(frozen=True)
class Sampling:
    """How much a split, or a group of its times, can tell about one variable.

    Parameters
    ----------
    split, variable, group : str
        Of what.
    times, blocks : int
        Number of times with truth, and of bootstrap blocks.
    kind : str
        What the blocks are: ``years``, ``seasons`` or ``runs``.
    decorrelation : float
        Decorrelation time of the area-mean anomaly of the truth, in time steps.
    independent : float
        Number of independent samples: times by the decorrelation time.
    """

    split: str
    variable: str
    group: str
    times: int
    blocks: int
    kind: str
    decorrelation: float
    independent: float

    @property
    def warning(self) -> str | None:
        """A sentence for the report where fewer than 30 samples are independent, else None."""
        if self.independent >= ENOUGH_SAMPLES:
            return None
        part = "" if self.group == "all" else f" ({self.group})"
        return (
            f"The split {self.split!r}{part} holds about {self.independent:.0f} independent samples of {self.variable} "
            f"({self.times} time steps, decorrelation time {self.decorrelation:.1f} steps), fewer than "
            f"{ENOUGH_SAMPLES}: read its scores as an indication, not as a claim."
        )


def area_series(case: Case, weights: np.ndarray) -> np.ndarray:
    """Return the area mean of the truth's anomaly from the climatology, shape (time,), on the host.

    Cells without truth are left out, time by time; NaN where there is none at all. The series is
    what decorrelation times are estimated from.
    """
    truth, usual = wide(case.truth, case.climatology.mean())
    xp = array_namespace(truth)
    anomaly = xp.where(case.valid, truth - usual, xp.zeros_like(truth))
    area = xp.asarray(weights, dtype=xp.float64, device=array_api_compat.device(truth))
    return to_host(pooled(xp.astype(case.valid, xp.float64), anomaly, area))


def make_groups(time: np.ndarray, series: np.ndarray, *, seed: int, purpose: str, resamples: int) -> tuple[Group, ...]:
    """Return the group of all times and those of the seasons that have truth.

    Every group has blocks and resamples of its own; groups of the same times are one record with
    both names.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects.
    series : ndarray, shape (time,)
        See :func:`area_series`.
    seed : int
        The experiment's seed.
    purpose : str
        Split and variable, for the seed.
    resamples : int
        Number of resamples.

    Examples
    --------
    >>> time = np.arange("1990-12-01", "1991-03-01", dtype="datetime64[D]")
    >>> groups = make_groups(time, np.ones(len(time)), seed=0, purpose="test", resamples=10)
    >>> [group.names for group in groups]
    [('all', 'season=DJF')]
    """
    every = np.arange(len(time))
    season = seasons(time)
    chosen: dict[str, np.ndarray] = {"all": every}
    for name in SEASONS:
        index = np.flatnonzero(season == name)
        if np.isfinite(series[index]).any():
            chosen[f"season={name}"] = index
    groups = []
    same = [name for name, index in chosen.items() if len(index) == len(every)]
    for names, index in [(tuple(same), every)] + [((name,), chosen[name]) for name in chosen if name not in same]:
        blocks = make_blocks(time[index], series[index])
        counts = resample(len(blocks), seed, f"{purpose}:{names[0]}", count=resamples)
        groups.append(Group(names, index, blocks, counts))
    return tuple(groups)
