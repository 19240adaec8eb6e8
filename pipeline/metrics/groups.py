"""Which times are scored together, and how they are resampled."""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import ConfigError
from pipeline.metrics import Case
from pipeline.metrics.blocks import ENOUGH_SAMPLES, SEASONS, Blocks, has_dates, make_blocks, strip_blocks
from pipeline.metrics.blocks import months as month_of
from pipeline.metrics.blocks import seasons as season_of
from pipeline.metrics.bootstrap import resample
from pipeline.metrics.pooling import pooled
from pipeline.prediction._arrays import wide

_MONTHS = tuple(f"{month:02d}" for month in range(1, 13))


@dataclass(frozen=True, eq=False)
class Group:
    """Times that are scored together, and their resamples.

    Parameters
    ----------
    names : tuple of str
        ``all``, ``season=DJF``, ``lead=3;month=04``; several where they hold the same times.
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

    @property
    def of_month(self) -> bool:
        """Whether it is a month of the year."""
        return is_month(self.names[0])


def is_month(group: str) -> bool:
    """Return whether a group's name is that of a month of the year.

    Examples
    --------
    >>> is_month("lead=3;month=04"), is_month("lead=3")
    (True, False)
    """
    return any(pair.startswith("month=") for pair in group.split(";"))


def group_name(*pairs: str) -> str:
    """Return the name of a group from its ``key=value`` pairs, sorted; ``all`` for none.

    Examples
    --------
    >>> group_name("season=DJF", "lead=3"), group_name("lead=3", ""), group_name("")
    ('lead=3;season=DJF', 'lead=3', 'all')
    """
    return ";".join(sorted(pair for part in pairs for pair in part.split(";") if pair)) or "all"


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
        What the blocks are: ``years``, ``seasons``, ``runs``, ``strips`` or ``samples``.
    decorrelation : float
        Decorrelation time of the area-mean anomaly of the truth, in time steps; of images its length, in strips.
    independent : float
        Number of independent samples: times by the decorrelation time, of images strips by their length.
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
    def _counted(self) -> str:
        if self.kind == "samples":
            return f"{self.times} that have no dates, each taken as one"
        if self.kind == "strips":
            return (
                f"{self.times} tiles of images, whose neighbours are alike over {self.decorrelation:.1f} strips; "
                f"{self.blocks} blocks"
            )
        return f"{self.times} time steps, decorrelation time {self.decorrelation:.1f} steps"

    @property
    def warning(self) -> str | None:
        """A sentence for the report where fewer than 30 samples are independent, else None."""
        if self.independent >= ENOUGH_SAMPLES:
            return None
        part = "" if self.group == "all" else f" ({self.group})"
        return (
            f"The split {self.split!r}{part} holds about {self.independent:.0f} independent samples of {self.variable} "
            f"({self._counted}), fewer than {ENOUGH_SAMPLES}: read its scores as an indication, not as a claim."
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


def make_groups(
    time: np.ndarray,
    series: np.ndarray,
    *,
    seed: int,
    purpose: str,
    resamples: int,
    months: bool = False,
    seasons: bool = True,
    prefix: str = "",
    strip: np.ndarray | None = None,
) -> tuple[Group, ...]:
    """Return the group of all times, those of the seasons and those of the months that have truth.

    Every group has blocks and resamples of its own; seasons of the same times as all are one record with
    both names. Months come last.

    Parameters
    ----------
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects, or whole numbers, which have no seasons and months.
    series : ndarray, shape (time,)
        See :func:`area_series`.
    seed : int
        The experiment's seed.
    purpose : str
        Split and variable, for the seed. The prefix is no part of it: leads with the same blocks share their
        resamples.
    resamples : int
        Number of resamples.
    months, seasons : bool
        Whether calendar months, whether seasons are groups too.
    prefix : str
        What all times have in common, ``key=value`` pairs joined by ``;`` such as ``lead=3``: part of every name.
    strip : ndarray of int, shape (time,), optional
        Of tiles of images, which have no dates: the strip that each is in, as
        :func:`~pipeline.metrics.blocks.strip_blocks` counts them, in any order.

    Raises
    ------
    ConfigError
        If the prefix is not made of such pairs, or one of them is a season or month.

    Examples
    --------
    >>> time = np.arange("1990-12-01", "1991-03-01", dtype="datetime64[D]")
    >>> groups = make_groups(time, np.ones(len(time)), seed=0, purpose="test", resamples=10)
    >>> [group.names for group in groups]
    [('all', 'season=DJF')]
    """
    _check_prefix(prefix)
    if strip is not None:
        order = np.argsort(strip, kind="stable")
        blocks = strip_blocks(strip[order], series[order])
        counts = resample(len(blocks), seed, f"{purpose}:all", count=resamples)
        return (Group((group_name(prefix),), order, blocks, counts),)
    every = np.arange(len(time))
    parts: list[tuple[tuple[str, ...], np.ndarray]] = []
    same: tuple[str, ...] = ("",)
    for name, index in _chosen(time, series, months=months, seasons=seasons).items():
        if len(index) == len(every) and not is_month(name):
            same += (name,)
        else:
            parts.append(((name,), index))
    groups = []
    for names, index in [(same, every), *parts]:
        blocks = make_blocks(time[index], series[index], one_month=is_month(names[0]))
        counts = resample(len(blocks), seed, f"{purpose}:{group_name(names[0])}", count=resamples)
        groups.append(Group(tuple(group_name(prefix, name) for name in names), index, blocks, counts))
    return tuple(groups)


def _chosen(time: np.ndarray, series: np.ndarray, *, months: bool, seasons: bool) -> dict[str, np.ndarray]:
    """Return the times of every season and month that has truth, by its pair of key and value."""
    labels: list[tuple[str, tuple[str, ...], np.ndarray]] = []
    if has_dates(time) and seasons:
        labels.append(("season", SEASONS, season_of(time)))
    if has_dates(time) and months:
        labels.append(("month", _MONTHS, np.array(_MONTHS)[month_of(time) - 1]))
    found = {f"{key}={value}": np.flatnonzero(label == value) for key, values, label in labels for value in values}
    return {name: index for name, index in found.items() if np.isfinite(series[index]).any()}


def _check_prefix(prefix: str) -> None:
    pairs = [pair.partition("=") for pair in prefix.split(";")] if prefix else []
    if not all(key and value and key not in ("season", "month") for key, _, value in pairs):
        raise ConfigError(
            f"expected as prefix of groups key=value pairs joined by ';' such as 'lead=3', none of them a season or "
            f"month, got {prefix!r}."
        )
