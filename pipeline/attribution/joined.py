"""What the members of a model say together: means, spreads, shares of variables by groups of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.attribution import Attribution, Curve, Finding
from pipeline.attribution._aggregate import Aggregates
from pipeline.attribution._channels import by_variable
from pipeline.attribution.agreement import agreement
from pipeline.attribution.groups import DayGroup
from pipeline.attribution.maps import bootstrap_interval
from pipeline.samples import Schema


@dataclass(frozen=True, eq=False)
class Shares:
    """How much of the absolute attribution each variable carries, by groups of days.

    Parameters
    ----------
    groups : tuple of str
        Names; ``all`` first.
    kinds : tuple of str
        What each is one of.
    days : tuple of int
        How many days each has.
    variables : tuple of str
        With all their lags.
    share : ndarray of float64, shape (group, variable)
        Mean over the members; sums to 1 in each group, 0 where nothing is attributed.
    low, high : ndarray of float64, shape (group, variable)
        95 % interval over days.
    least, most : ndarray of float64, shape (group, variable)
        The lowest and the highest share that any member gives.
    """

    groups: tuple[str, ...]
    kinds: tuple[str, ...]
    days: tuple[int, ...]
    variables: tuple[str, ...]
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @property
    def order(self) -> list[int]:
        """Variables, that with the largest share of all days first."""
        return ranked(self.share[0])


def ranked(values: np.ndarray) -> list[int]:
    """Return places, that of the largest value first, those of NaN last.

    Examples
    --------
    >>> ranked(np.array([1.0, np.nan, 3.0]))
    [2, 0, 1]
    """
    return [int(place) for place in np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")]


@dataclass(frozen=True, eq=False)
class Joined:
    """One explanation of a model by all of its explained members.

    Parameters
    ----------
    name : str
        What it is called in files.
    method : str
        Name in ``ATTRIBUTIONS``.
    title : str
        The method in words.
    kind : str
        What the numbers are, see :class:`pipeline.attribution.maps.MapMethod`; ``"score"``, ``"effect"`` or
        ``"aggregate"`` for methods without maps.
    label, units : str
        The explained number, and its units.
    baseline : str
        In words; empty where there is none.
    members : int
        How many were explained.
    measure, note : str
        See :class:`pipeline.attribution.Attribution`.
    importance, low, high : ndarray of float64, shape (channel,)
        Mean over members, and the 95 % interval over days or repeats.
    least, most : ndarray of float64, shape (channel,)
        The lowest and highest importance that any member gives.
    groups : tuple of DayGroup
        All days first.
    group_maps : ndarray of float64 or None, shape (group, channel, lat, lon)
        Mean over the group's days and over members.
    spread : ndarray of float64 or None, shape (channel, lat, lon)
        Standard deviation over members of their mean maps; None with a single member.
    daily : ndarray of float64 or None, shape (time, variable)
        Signed attribution of each variable on each day, added up over cells and lags; mean over members.
    shares : Shares or None
        Of methods with maps.
    numbers : ndarray or None, shape (time,)
        The explained number less that at the baseline, mean over members.
    findings : tuple of Finding
        Of the first member, and the agreement of all.
    curves : tuple of Curve
        Of the first member.
    aggregates : Aggregates or None
        Of the first member.
    """

    name: str
    method: str
    title: str
    kind: str
    label: str
    units: str
    baseline: str
    members: int
    measure: str
    note: str
    importance: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    least: np.ndarray
    most: np.ndarray
    groups: tuple[DayGroup, ...]
    group_maps: np.ndarray | None
    spread: np.ndarray | None
    daily: np.ndarray | None
    shares: Shares | None
    numbers: np.ndarray | None
    findings: tuple[Finding, ...]
    curves: tuple[Curve, ...]
    aggregates: Aggregates | None = None


def join(
    attributions: Sequence[Attribution],
    groups: Sequence[DayGroup],
    schema: Schema,
    seed: int,
    *,
    name: str,
    title: str,
    kind: str,
    label: str,
    units: str,
    baseline: str,
) -> Joined:
    """Return what the members say together.

    Parameters
    ----------
    attributions : sequence of Attribution
        One a member, of the same method, question and days.
    groups : sequence of DayGroup
        Of the explained days.
    schema : Schema
        Names of the channels.
    seed : int
        Of the intervals over days.
    name, title, kind, label, units, baseline : str
        As in :class:`Joined`.
    """
    first = attributions[0]
    importances = np.stack([one.importance for one in attributions])
    low, high = first.low, first.high
    findings = list(first.findings)
    group_maps = spread = daily = shares = None
    values = [one.values for one in attributions if one.values is not None]
    if values:
        mean = np.asarray(np.mean(values, axis=0, dtype=np.float64))
        group_maps = np.stack([mean[group.days].mean(axis=0) for group in groups])
        absolute = np.stack([np.abs(each).sum(axis=(2, 3), dtype=np.float64) for each in values])
        low, high = bootstrap_interval(absolute.mean(axis=0), seed)
        variables = by_variable(schema.channels)
        daily = np.stack([mean[:, each.places].sum(axis=(1, 2, 3)) for each in variables], axis=1)
        own = np.stack([absolute[:, :, each.places].sum(axis=2) for each in variables], axis=2)
        shares = shares_of(own, tuple(each.name for each in variables), groups, seed)
        if len(values) > 1:
            spread = np.stack([each.mean(axis=0, dtype=np.float64) for each in values]).std(axis=0, ddof=1)
        findings.append(agreement(values))
    numbers = [one.numbers for one in attributions if one.numbers is not None]
    return Joined(
        name=name, method=first.method, title=title, kind=kind, label=label, units=units, baseline=baseline,
        members=len(attributions), measure=first.measure, note=first.note,
        importance=importances.mean(axis=0), low=low, high=high,
        least=importances.min(axis=0), most=importances.max(axis=0),
        groups=tuple(groups), group_maps=group_maps, spread=spread, daily=daily, shares=shares,
        numbers=np.mean(numbers, axis=0) if numbers else None, findings=tuple(findings), curves=first.curves,
        aggregates=first.aggregates,
    )  # fmt: skip


def shares_of(absolute: np.ndarray, variables: tuple[str, ...], groups: Sequence[DayGroup], seed: int) -> Shares:
    """Return the share of each variable in the absolute attribution of groups of days.

    Parameters
    ----------
    absolute : ndarray of float64, shape (member, time, variable)
        Absolute attribution, added up over cells and lags.
    variables : tuple of str
        Names.
    groups : sequence of DayGroup
        Of the days.
    seed : int
        Of the intervals.

    Examples
    --------
    >>> days = DayGroup("all", "all", np.ones(2, bool))
    >>> found = shares_of(np.array([[[1.0, 3.0], [1.0, 3.0]]]), ("a", "b"), [days], 0)
    >>> found.share.tolist(), found.high.tolist()
    ([[0.25, 0.75]], [[0.25, 0.75]])
    """
    parts: dict[str, list[np.ndarray]] = {key: [] for key in ("share", "low", "high", "least", "most")}
    for group in groups:
        own = absolute[:, group.days]
        by_member = _share(own.mean(axis=1))
        mean = by_member.mean(axis=0)
        low, high = _interval(own, seed)
        for key, value in zip(parts, (mean, low, high, by_member.min(axis=0), by_member.max(axis=0)), strict=True):
            parts[key].append(value)
    return Shares(
        groups=tuple(group.name for group in groups),
        kinds=tuple(group.kind for group in groups),
        days=tuple(int(group.days.sum()) for group in groups),
        variables=variables,
        **{key: np.stack(values) for key, values in parts.items()},
    )


def _share(amounts: np.ndarray) -> np.ndarray:
    total = amounts.sum(axis=-1, keepdims=True)
    share: np.ndarray = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
    return share


def _interval(own: np.ndarray, seed: int, resamples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % bootstrap interval over days of the mean share, NaN of a single day."""
    _, days, variables = own.shape
    if days < 2:
        return np.full(variables, np.nan), np.full(variables, np.nan)
    counts = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=resamples)
    means = np.einsum("rd,mdv->rmv", counts, own)
    low, high = np.quantile(_share(means).mean(axis=1), (0.025, 0.975), axis=0)
    return low, high
