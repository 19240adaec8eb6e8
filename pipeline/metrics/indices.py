"""Climate indices: how often, how much, how hot, how long; of truth and of the days a forecast would give.

The definitions are those of ETCCDI (Zhang et al. 2011, doi:10.1002/wcc.147) for daily values: a wet day has
1 mm or more. A year counts where a cell has nine tenths of its days; spells end with their year and at gaps.
Of a distribution the indices are those of draws, see :mod:`pipeline.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.backend import array_namespace
from pipeline.metrics.case import Case
from pipeline.metrics.years import Years, longest_spell, rolling_sum, whole, yearly_max, yearly_mean
from pipeline.units import converted

Array = Any
WET = 1.0  # mm d-1
SUMMER = 25.0  # degC

Formula = Callable[[Array, Array, Years, str], Array]


@dataclass(frozen=True)
class Index:
    """An index of a year.

    Parameters
    ----------
    name, label : str
        ``rx1day``, ``wettest day of the year``.
    quantity : {"precipitation", "temperature", "any"}
        Of which variables.
    units : {"target", "1", "d"}
        Of its values.
    formula : callable
        Takes a series (..., time, cell), which of it is valid (time, cell), the years and the units of
        the series; returns (..., year, cell).
    """

    name: str
    label: str
    quantity: str
    units: str
    formula: Formula


def wet_threshold(units: str) -> float:
    """Return 1 mm a day in ``units``."""
    return converted(WET, "mm d-1", units)


def r01(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the share of wet days."""
    return yearly_mean(_number(series >= wet_threshold(units)), valid, years)


def sdii(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the mean amount of wet days; NaN in a year without any."""
    xp = array_namespace(series)
    wet = series >= wet_threshold(units)
    share = yearly_mean(_number(wet), valid, years)
    amount = yearly_mean(xp.where(wet, series, xp.zeros_like(series)), valid, years)
    return amount / xp.where(share > 0.0, share, xp.full_like(share, xp.nan))


def rx1day(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the highest value of the year."""
    return yearly_max(series, valid, years)


def rx5day(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the highest sum of five consecutive days."""
    xp = array_namespace(series)
    total = rolling_sum(xp.where(valid, series, xp.full_like(series, xp.nan)), 5, years)
    known = xp.isfinite(total)
    filled = xp.where(known, total, xp.full_like(total, -xp.inf))
    return xp.stack([xp.max(filled[..., a:b, :], axis=-2) for a, b in years.edges.tolist()], axis=-2)


def cdd(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the longest run of days that are not wet."""
    return longest_spell((series < wet_threshold(units)) & valid, years)


def cwd(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the longest run of wet days."""
    return longest_spell((series >= wet_threshold(units)) & valid, years)


def lowest(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the lowest value of the year."""
    return -yearly_max(-series, valid, years)


def summer_days(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the share of days above 25 degC."""
    return yearly_mean(_number(series > converted(SUMMER, "degC", units)), valid, years)


def mean(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the mean of the year."""
    return yearly_mean(series, valid, years)


INDICES: dict[str, Index] = {
    index.name: index
    for index in (
        Index("r01", "share of wet days", "precipitation", "1", r01),
        Index("sdii", "mean amount of wet days", "precipitation", "target", sdii),
        Index("rx1day", "wettest day of the year", "precipitation", "target", rx1day),
        Index("rx5day", "wettest five days of the year", "precipitation", "target", rx5day),
        Index("cdd", "longest dry spell of the year", "precipitation", "d", cdd),
        Index("cwd", "longest wet spell of the year", "precipitation", "d", cwd),
        Index("txx", "hottest day of the year", "temperature", "target", rx1day),
        Index("tnn", "coldest day of the year", "temperature", "target", lowest),
        Index("su", "share of days above 25 degC", "temperature", "1", summer_days),
        Index("mean", "mean of the year", "any", "target", mean),
    )
}


def yearly(index: Index, series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return an index of every year, float64, shape (..., year, cell); NaN where the year is not whole."""
    xp = array_namespace(series)
    values = xp.astype(index.formula(series, valid, years, units), xp.float64)
    return xp.where(whole(valid, years) & xp.isfinite(values), values, xp.full_like(values, xp.nan))


def mean_of_years(values: Array, counts: Array | None = None) -> Array:
    """Return the mean over years, shape (..., cell), of those that count; NaN where none does.

    Parameters
    ----------
    values : array of float64, shape (..., year, cell)
        NaN where a year does not count.
    counts : array of float64, shape (resample, year), or None
        How often every year is drawn; the answer then has the shape (..., resample, cell).
    """
    xp = array_namespace(values)
    known = ~xp.isnan(values)
    filled, number = xp.where(known, values, xp.zeros_like(values)), xp.astype(known, xp.float64)
    if counts is None:
        total, days = xp.sum(filled, axis=-2), xp.sum(number, axis=-2)
    else:
        total, days = xp.matmul(counts, filled), xp.matmul(counts, number)
    return total / xp.where(days > 0.0, days, xp.full_like(days, xp.nan))


def climate(index: Index, case: Case, years: Years) -> tuple[Array, Array]:
    """Return the index's mean over years of truth and of the draws' mean, each (cell,)."""
    xp = array_namespace(case.truth)
    truth = mean_of_years(yearly(index, case.truth, case.valid, years, case.units))
    draws = [
        mean_of_years(yearly(index, case.draws[k, ...], case.valid, years, case.units))
        for k in range(case.draws.shape[0])
    ]
    return truth, xp.mean(xp.stack(draws), axis=0)


def _number(condition: Array) -> Array:
    xp = array_namespace(condition)
    return xp.astype(condition, xp.float32)
