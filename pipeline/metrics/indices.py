"""Climate indices: how often, how much, how hot, how long; of truth and of the days a forecast would give.

The definitions are those of ETCCDI (Zhang et al. 2011, doi:10.1002/wcc.147) for daily values: a wet day has
1 mm or more. A year counts where a cell has nine tenths of its days; spells and sums of several days end with
their year and at gaps, and a missing day ends them too. ``txx`` and ``tnn`` are the highest and lowest value of
whatever temperature they are asked of: of daily means, of daily maxima (whose lowest is TXn by the book) or minima.
Of a distribution the indices are those of draws, see :mod:`pipeline.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError
from pipeline.metrics.years import Years, longest_spell, rolling_sum, whole, yearly_max, yearly_mean, years_of
from pipeline.registry import suggest
from pipeline.units import converted

Array = Any
WET = 1.0  # mm d-1
SUMMER, FROST = 25.0, 0.0  # degC
WET_LEVEL = 0.98
_VALUES = 2**22  # of a series worked on at a time: with all on the way some 100 MiB

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


def wet_threshold(units: str, millimetres: float = WET) -> float:
    """Return so many mm a day in ``units``, less a millionth of it.

    Many observed days hold exactly 1 mm, and are wet. In float32, in units of a flux or scaled and back,
    their number lies a few 1e-7 of itself on either side; none of them may turn dry by that.
    """
    return converted(millimetres, "mm d-1", units) * (1.0 - 1e-6)


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


def frost_days(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the share of days below 0 degC."""
    return yearly_mean(_number(series < converted(FROST, "degC", units)), valid, years)


def p98_wet(series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return the 98 % quantile of wet days, linear between values (type 7); NaN in a year without any."""
    xp = array_namespace(series)
    wet = valid & (series >= wet_threshold(units))
    dry = xp.where(wet, series, xp.full_like(series, xp.inf))
    found = []
    for a, b in years.edges.tolist():
        ordered = xp.sort(dry[..., a:b, :], axis=-2)
        count = xp.sum(xp.astype(wet[..., a:b, :], xp.int64), axis=-2, keepdims=True)
        last = xp.maximum(count - 1, xp.zeros_like(count))
        position = WET_LEVEL * xp.astype(last, xp.float64)
        lower = xp.astype(xp.floor(position), xp.int64)
        low, high = (
            xp.astype(xp.take_along_axis(ordered, rank, axis=-2), xp.float64)
            for rank in (lower, xp.minimum(lower + 1, last))
        )
        share = position - xp.astype(lower, xp.float64)
        none = count == 0
        low, high = (xp.where(none, xp.full_like(end, xp.nan), end) for end in (low, high))
        found.append((low + share * (high - low))[..., 0, :])
    return xp.stack(found, axis=-2)


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
        Index("p98_wet_of_year", "98 % quantile of the wet days of a year", "precipitation", "target", p98_wet),
        Index("txx", "hottest day of the year", "temperature", "target", rx1day),
        Index("tnn", "coldest day of the year", "temperature", "target", lowest),
        Index("su", "share of days above 25 degC", "temperature", "1", summer_days),
        Index("fd", "share of days below 0 degC", "temperature", "1", frost_days),
        Index("mean", "mean of the year", "any", "target", mean),
    )
}


def yearly(index: Index, series: Array, valid: Array, years: Years, units: str) -> Array:
    """Return an index of every year, float64, shape (..., year, cell); NaN where the year is not whole.

    Parameters
    ----------
    index : Index
        Which one.
    series : array, shape (..., time, cell)
        Daily values; what stands where ``valid`` is false is not looked at.
    valid : array of bool, shape (time, cell)
        Which of them count.
    years : Years
        Of the same times.
    units : str
        Of the series.
    """
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
    if counts is not None and bool(xp.all(known)):
        days = xp.sum(counts, axis=-1)[:, None]
        return xp.matmul(counts, values) / xp.where(days > 0.0, days, xp.full_like(days, xp.nan))
    filled, number = xp.where(known, values, xp.zeros_like(values)), xp.astype(known, xp.float64)
    if counts is None:
        total, days = xp.sum(filled, axis=-2), xp.sum(number, axis=-2)
    else:
        total, days = xp.matmul(counts, filled), xp.matmul(counts, number)
    return total / xp.where(days > 0.0, days, xp.full_like(days, xp.nan))


def indices_of_years(names: Sequence[str], series: Array, time: np.ndarray, units: str) -> dict[str, Array]:
    """Return several indices of every year, each float64 of shape (year, cell).

    Some cells are worked on at a time, so that beside the series little memory is taken.

    Parameters
    ----------
    names : sequence of str
        Of :data:`INDICES`.
    series : array, shape (time, cell)
        Daily values, NaN where there is none.
    time : ndarray, shape (time,)
        Increasing ``datetime64`` or cftime objects.
    units : str
        Of the series.

    Raises
    ------
    ConfigError
        If there is no index of a name.

    Examples
    --------
    >>> time = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    >>> rain = np.where(np.arange(len(time)) % 5 == 0, 7.0, 0.0)[:, None]
    >>> found = indices_of_years(["r01", "cdd", "rx5day"], rain, time, "mm d-1")
    >>> {name: values[:, 0].tolist() for name, values in found.items()}
    {'r01': [0.2, 0.2], 'cdd': [4.0, 4.0], 'rx5day': [7.0, 7.0]}
    """
    for name in names:
        if name not in INDICES:
            raise ConfigError(f"unknown index {name!r}.{suggest(name, INDICES)} Known: {', '.join(INDICES)}.")
    xp, years = array_namespace(series), years_of(time)
    times, cells = series.shape
    width = max(1, _VALUES // max(1, times))
    found: dict[str, list[Array]] = {name: [] for name in names}
    for start in range(0, cells, width):
        part = series[:, start : min(start + width, cells)]
        valid = xp.isfinite(part)
        for name in names:
            found[name].append(yearly(INDICES[name], part, valid, years, units))
    return {name: xp.concat(parts, axis=-1) for name, parts in found.items()}


def _number(condition: Array) -> Array:
    xp = array_namespace(condition)
    return xp.astype(condition, xp.float32)
