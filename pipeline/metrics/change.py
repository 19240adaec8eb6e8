"""Change signals: by how much an index of the climate differs between two periods, predicted and true.

An index is worked out for every whole year of every draw, and a period's is the mean over years and
draws; see :mod:`pipeline.metrics.indices`. Amounts of precipitation change in per cent of the first
period, cell by cell; everything else in its own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
import xarray as xr

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.metrics.bootstrap import RESAMPLES, percentile_interval, resample
from pipeline.metrics.case import Case
from pipeline.metrics.fields import on_grid
from pipeline.metrics.indices import INDICES, Index, mean_of_years, yearly
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.metrics.sums import chunks
from pipeline.metrics.years import Years, whole, years_of
from pipeline.registry import suggest
from pipeline.units import of_difference, quantity

Array = Any
_VALUES = 2**22  # resamples times cells at a time


@dataclass(frozen=True)
class ChangeRow:
    """One row of ``changes.csv``: the area mean of a change.

    Parameters
    ----------
    model, variable, index : str
        What changed.
    value : float
        Predicted change, the area mean over cells.
    low, high : float
        Its 95 % interval: the years of both periods drawn anew, independently of each other. It tells
        how much of the change may be chance from year to year, and nothing of the model's error.
    truth : float
        True change; NaN where a period has no truth.
    error : float
        Area mean of the absolute difference of both changes; what ``value - truth`` cancels between
        cells does not cancel here. NaN without truth.
    units : str
        Of all five.
    n_years_first, n_years_second : int
        Whole years of both periods.
    """

    model: str
    variable: str
    index: str
    value: float
    low: float
    high: float
    truth: float
    error: float
    units: str
    n_years_first: int
    n_years_second: int


@dataclass(frozen=True, eq=False)
class ChangeFields:
    """Maps of a change, in rows of cells.

    Parameters
    ----------
    prediction : ndarray, shape (cell,)
        Second period less first; NaN where a period has no whole year or no value, such as the mean
        wet day of a cell without any, and where a change in per cent would be a share of nothing.
    truth, error : ndarray, shape (cell,), or None
        True change, and predicted less true; None where a period has no truth.
    units : str
        Of all three.
    """

    prediction: np.ndarray
    truth: np.ndarray | None
    error: np.ndarray | None
    units: str


@dataclass(frozen=True, eq=False)
class Changes:
    """What :func:`change_signals` answers: rows, and maps by index."""

    rows: tuple[ChangeRow, ...]
    fields: Mapping[str, ChangeFields]


@dataclass(frozen=True, eq=False)
class _Yearly:
    """An index of the whole years of a period, on the host, shape (year, cell)."""

    prediction: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True, eq=False)
class _Period:
    """A case with its draws, the days that count, its years and which of them are whole in any cell."""

    case: Case
    valid: Array
    years: Years
    whole: np.ndarray
    judged: bool  # whether there is truth in both periods


def change_signals(
    first: Case,
    second: Case,
    *,
    model: str,
    variable: str,
    weights: np.ndarray,
    seed: int,
    indices: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
) -> Changes:
    """Return the changes of one variable of one model from one period to another.

    Parameters
    ----------
    first, second : Case
        The periods, with their times, on the same cells and in the same units. Without truth all
        days count; where both have some, the days that have it.
    model, variable : str
        For the rows.
    weights : ndarray, shape (cell,)
        Area weights.
    seed : int
        The experiment's seed. All models share their resamples.
    indices : sequence of str, optional
        Names of :data:`~pipeline.metrics.indices.INDICES`, all by default; the variable gets those
        that are of its kind, and where values are not daily those of any kind alone: the mean.
    resamples : int
        Number of bootstrap resamples.

    Raises
    ------
    DataError
        If cells or units of the periods differ, or a period has no times.
    ConfigError
        If there is no index of a name.
    """
    _check(first, second, variable, weights)
    kind = quantity(first.units, first.standard_name)
    chosen = _chosen(kind, indices, daily=first.is_daily and second.is_daily)
    judged = all(bool(array_namespace(case.truth).any(case.valid)) for case in (first, second))
    periods = [_period(case, judged) for case in (first, second)]
    counts = [int(period.whole.sum()) for period in periods]
    drawn = [
        resample(count, seed, f"change:{name}", count=resamples).astype(float)
        for name, count in zip(("first", "second"), counts, strict=True)
    ]
    rows, fields = [], {}
    for index in chosen:
        one, other = (_yearly(index, period) for period in periods)
        field = fields[index.name] = _fields(
            index, one, other, first.units, judged, per_cent=index.units == "target" and kind == "precipitation"
        )
        draws = _resampled((one.prediction, other.prediction), drawn, field.units == "%", weights)
        interval = percentile_interval(draws, min(counts))
        row = ChangeRow(
            model=model,
            variable=variable,
            index=index.name,
            value=float(area_mean(field.prediction, weights)),
            low=float(interval.low),
            high=float(interval.high),
            truth=float("nan") if field.truth is None else float(area_mean(field.truth, weights)),
            error=float("nan") if field.error is None else float(area_mean(np.abs(field.error), weights)),
            units=field.units,
            n_years_first=counts[0],
            n_years_second=counts[1],
        )
        rows.append(row)
    return Changes(tuple(rows), fields)


def _chosen(kind: str, names: Sequence[str] | None, *, daily: bool) -> tuple[Index, ...]:
    for name in names or ():
        if name not in INDICES:
            raise ConfigError(f"unknown index {name!r}.{suggest(name, INDICES)} Known: {', '.join(INDICES)}.")
    found = (INDICES[name] for name in (INDICES if names is None else names))
    return tuple(index for index in found if index.quantity == "any" or (daily and index.quantity == kind))


def _check(first: Case, second: Case, variable: str, weights: np.ndarray) -> None:
    cells = [case.truth.shape[1] for case in (first, second)]
    if cells != [len(weights)] * 2:
        raise DataError(f"expected both periods of {variable} on {len(weights)} cells, got {cells}.")
    if first.units != second.units:
        raise DataError(f"expected both periods of {variable} in {first.units!r}, got {second.units!r} in the second.")
    for case, name in ((first, "first"), (second, "second")):
        times = 0 if case.time is None else len(case.time)
        if times == 0 or times != case.truth.shape[0]:
            raise DataError(
                f"expected the times of {variable} in the {name} period, one for each of its {case.truth.shape[0]} "
                f"values, got {times}."
            )


def _period(case: Case, judged: bool) -> _Period:
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    valid = case.valid if judged else xp.ones(case.truth.shape, dtype=xp.bool, device=device)
    years = years_of(np.asarray(case.time))
    some = np.asarray(to_host(whole(valid, years)).any(axis=1))
    return _Period(case.with_draws(), valid, years, some, judged)


def _yearly(index: Index, period: _Period) -> _Yearly:
    """Return the index of truth and of the draws' mean in every whole year, some cells at a time."""
    parts = [_of_cells(index, period, cells) for cells in chunks(period.case)]
    prediction, truth = (np.concatenate(list(side), axis=1) for side in zip(*parts, strict=True))
    return _Yearly(prediction[period.whole], truth[period.whole])


def _of_cells(index: Index, period: _Period, cells: slice) -> tuple[np.ndarray, np.ndarray]:
    case, valid = period.case.select(cells, -1), period.valid[:, cells]
    xp, draws = array_namespace(valid), case.draws
    drawn = [yearly(index, draws[draw, ...], valid, period.years, case.units) for draw in range(draws.shape[0])]
    # A draw may lack a value that others have, such as the mean wet day of a year without any.
    prediction = to_host(mean_of_years(xp.stack(drawn, axis=-2)))
    if not period.judged:
        return prediction, np.full_like(prediction, np.nan)
    return prediction, to_host(yearly(index, case.truth, valid, period.years, case.units))


def _difference(first: np.ndarray, second: np.ndarray, per_cent: bool) -> np.ndarray:
    return np.asarray(100.0 * ratio(second - first, first) if per_cent else second - first)


def _fields(index: Index, first: _Yearly, second: _Yearly, units: str, judged: bool, *, per_cent: bool) -> ChangeFields:
    own = of_difference(units) if index.units == "target" else index.units
    units = "%" if per_cent else own
    prediction = _difference(mean_of_years(first.prediction), mean_of_years(second.prediction), per_cent)
    if not judged:
        return ChangeFields(prediction, None, None, units)
    truth = _difference(mean_of_years(first.truth), mean_of_years(second.truth), per_cent)
    return ChangeFields(prediction, truth, prediction - truth, units)


def _resampled(
    values: Sequence[np.ndarray], drawn: Sequence[np.ndarray], per_cent: bool, weights: np.ndarray
) -> np.ndarray:
    """Return the area mean of the change in every resample of the years of both periods, shape (resample,)."""
    resamples = len(drawn[0])
    width = max(1, _VALUES // resamples)
    total, area = np.zeros(resamples), np.zeros(resamples)
    for start in range(0, len(weights), width):
        cells = slice(start, start + width)
        first, second = (mean_of_years(part[:, cells], counts) for part, counts in zip(values, drawn, strict=True))
        found = _difference(first, second, per_cent)
        known = np.isfinite(found)
        total += np.where(known, found, 0.0) @ weights[cells]
        area += known @ weights[cells]
    return np.asarray(ratio(total, area))


def to_dataset(
    changes: Mapping[str, Changes], *, model: str, first: str, second: str, grid: Grid, mask: np.ndarray
) -> xr.Dataset:
    """Return the maps of all variables of a model as one CF dataset, ready to be written compressed.

    Parameters
    ----------
    changes : mapping of str to Changes
        By variable.
    model, first, second : str
        The model and the names of both periods, for the attributes.
    grid : Grid
        The target grid.
    mask : ndarray of bool, shape (lat, lon)
        Cells of the rows.
    """
    words = {"prediction": "change of {}", "truth": "true change of {}", "error": "predicted less true change of {}"}
    parts: dict[str, xr.Variable] = {}
    for variable, found in changes.items():
        for name, field in found.fields.items():
            for kind, text in words.items():
                values = getattr(field, kind)
                if values is not None:
                    label = f"{variable}_{name}_change" + ("" if kind == "prediction" else f"_{kind}")
                    attrs = {"long_name": text.format(f"{INDICES[name].label}: {variable}"), "units": field.units}
                    data = grid.to_file(on_grid(values, mask))
                    parts[label] = xr.Variable(grid.file_dims, data, attrs, encoding={"zlib": True, "complevel": 4})
    title = f"Changes of {model} from {first} to {second}"
    attrs = {"Conventions": "CF-1.11", "title": title, "model": model, "first": first, "second": second}
    return xr.Dataset(parts, grid.coords(), attrs)
