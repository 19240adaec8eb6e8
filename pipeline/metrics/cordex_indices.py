"""The diagnostics of CORDEX ML-Bench by their names and definitions, with their faults mended.

Indices of a cell's series: ``mean``, quantiles, ``su`` (days above 300 K), ``txx``, ``txn``, ``rx1day``, ``sdii``,
``cdd``, ``cwd``, ``lag1_corr``, ``interannual_var``; those of a year are averaged over years. Scores of both series or
fields: ``rmse``, ``ralsd``, ``wasserstein``, ``wasserstein_pooled``, ``correlation``. What is done otherwise than in
the benchmark's own code:

- ``ralsd`` has the square root of its definition (Harris et al. 2022, doi:10.1029/2022MS003120), and is in dB;
- spectra are averaged round the transform's mode zero, not half a cell beside it;
- missing values are left out, and taken neither for zero nor for a break-free spell;
- a spell ends where the next day is another than tomorrow: the first day of one season does not go on with the
  last of the season before, and nothing reaches over the gap between two periods;
- a winter is December with the January and February that follow; ``lag1_corr`` pairs a day with the day before;
- years and seasons with less than nine tenths of the days of the fullest are left out of indices of a year;
- no loop over cells.

Means over cells are unweighted, as theirs are.

Source: https://github.com/WCRP-CORDEX/ml-benchmark, folder ``evaluation``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.metrics._cordex_series import (
    UNITS,
    Series,
    correlation,
    longest_spell,
    mean_of_years,
    nanmean,
    places,
    series_of,
)
from pipeline.metrics.indices import wet_threshold
from pipeline.metrics.spectra import Annuli, annuli, log_spectral_distance, power, spacing
from pipeline.metrics.wasserstein import wasserstein_distance
from pipeline.registry import suggest

HOT = 300.0  # K


@dataclass(frozen=True)
class Index:
    """An index of the series of a cell.

    Parameters
    ----------
    variable : str or None
        The one variable that it is of; None: any.
    units : str or None
        None: those of the variable.
    compute : callable
        From a :class:`Series` to one value a cell.
    """

    variable: str | None
    units: str | None
    compute: Callable[[Series], np.ndarray]


def _mean(series: Series) -> np.ndarray:
    return nanmean(series.values)


def _quantile(series: Series, level: float) -> np.ndarray:
    missing = np.isnan(series.values)
    if not missing.any():
        return np.asarray(np.quantile(np.ascontiguousarray(series.values.T), level, axis=1))
    answer = np.full(series.values.shape[1], np.nan)
    some = ~missing.all(axis=0)
    answer[some] = np.nanquantile(series.values[:, some], level, axis=0)
    return answer


def _hot_days(series: Series) -> np.ndarray:
    return mean_of_years(series, series.yearly(np.add, (series.values > HOT).astype(float)))


def _extreme(series: Series, reduce: np.ufunc) -> np.ndarray:
    return mean_of_years(series, series.yearly(reduce))


def _intensity(series: Series) -> np.ndarray:
    return nanmean(np.where(series.values >= wet_threshold(UNITS["pr"]), series.values, np.nan))


def _dry_spell(series: Series) -> np.ndarray:
    return longest_spell(series, series.values < wet_threshold(UNITS["pr"]))


def _wet_spell(series: Series) -> np.ndarray:
    return longest_spell(series, series.values >= wet_threshold(UNITS["pr"]))


def _lag1(series: Series) -> np.ndarray:
    now, before = series.values[1:][series.follows[1:]], series.values[:-1][series.follows[1:]]
    return correlation(now, before)


def _between_years(series: Series) -> np.ndarray:
    known = np.isfinite(series.values)
    total = series.yearly(np.add, np.where(known, series.values, 0.0))
    count = series.yearly(np.add, known.astype(float))
    years = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return np.asarray(np.sqrt(nanmean((years - nanmean(years)) ** 2)))


INDICES: Mapping[str, Index] = {
    "mean": Index(None, None, _mean),
    "q02": Index(None, None, partial(_quantile, level=0.02)),
    "q98": Index(None, None, partial(_quantile, level=0.98)),
    "q99": Index(None, None, partial(_quantile, level=0.99)),
    "su": Index("tasmax", "d", _hot_days),
    "txx": Index("tasmax", None, partial(_extreme, reduce=np.fmax)),
    "txn": Index("tasmax", None, partial(_extreme, reduce=np.fmin)),
    "rx1day": Index("pr", None, partial(_extreme, reduce=np.fmax)),
    "sdii": Index("pr", None, _intensity),
    "cdd": Index("pr", "d", _dry_spell),
    "cwd": Index("pr", "d", _wet_spell),
    "lag1_corr": Index(None, "1", _lag1),
    "interannual_var": Index(None, None, _between_years),
}


def index(name: str, data: xr.DataArray, season: str | None = None) -> np.ndarray:
    """Return an index at every cell, shape (lat, lon) or (y, x); of members the mean over members.

    Parameters
    ----------
    name : str
        One of :data:`INDICES`.
    data : DataArray
        ``tasmax`` or ``pr``, dims time, two horizontal ones and perhaps member, attribute ``units``.
    season : {"DJF", "MAM", "JJA", "SON"}, optional
        All the year by default.

    Raises
    ------
    ConfigError
        If there is no such index or season.
    DataError
        If the index is none of this variable, or the season has no day.
    """
    if name not in INDICES:
        raise ConfigError(f"unknown index {name!r}.{suggest(name, INDICES)} Known: {', '.join(INDICES)}.")
    wanted = INDICES[name].variable
    if wanted is not None and data.name != wanted:
        raise DataError(f"expected {wanted!r} for the index {name!r}, got {data.name!r}.")
    shape = tuple(data.sizes[dim] for dim in places(data))
    compute = INDICES[name].compute
    found = [np.concatenate([compute(part) for part in series.blocks()]) for series in series_of(data, season)]
    return np.asarray(np.mean(found, axis=0)).reshape(shape)


def summary(truth: xr.Dataset, prediction: xr.Dataset, season: str | None = None) -> pd.DataFrame:
    """Return all diagnostics of a prediction as a table.

    Parameters
    ----------
    truth, prediction : Dataset
        ``tasmax`` and ``pr`` or one of them at the same times and cells; the prediction perhaps with members.
    season : {"DJF", "MAM", "JJA", "SON"}, optional
        All the year by default.

    Returns
    -------
    DataFrame
        A row a diagnostic and variable: ``index, variable, units``, the means over cells ``truth, prediction, bias,
        abs_bias`` (the benchmark's scalar) and ``ratio`` (of the means). Scores of both stand under ``prediction``.

    Raises
    ------
    DataError
        If variables, times or cells differ.
    """
    _check_pair(truth, prediction)
    rows = []
    for variable in map(str, truth.data_vars):
        one, other = truth[variable], prediction[variable]
        for name, spec in INDICES.items():
            if spec.variable in (None, variable):
                units = UNITS[variable] if spec.units is None else spec.units
                values = index(name, one, season), index(name, other, season)
                rows.append({"index": name, "variable": variable, "units": units, **_compared(*values)})
        for name, (value, units) in _scores(one, other, season).items():
            rows.append({"index": name, "variable": variable, "units": units, "prediction": value})
    if set(truth.data_vars) == set(UNITS):
        both = [_joint(data, season) for data in (truth, prediction)]
        rows.append({"index": "correlation", "variable": "tasmax;pr", "units": "1", **_compared(*both)})
    columns = ["index", "variable", "units", "truth", "prediction", "bias", "abs_bias", "ratio"]
    return pd.DataFrame(rows, columns=columns)


def _compared(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Return means over the cells where both are known."""
    known = np.isfinite(truth) & np.isfinite(prediction)
    if not known.any():
        return {}
    one, other = truth[known], prediction[known]
    mean = float(one.mean())
    return {
        "truth": mean,
        "prediction": float(other.mean()),
        "bias": float((other - one).mean()),
        "abs_bias": float(np.abs(other - one).mean()),
        "ratio": float(other.mean()) / mean if mean else float("nan"),
    }


def _scores(truth: xr.DataArray, prediction: xr.DataArray, season: str | None) -> dict[str, tuple[float, str]]:
    """Return scores of the prediction, each with its units; of members the means over members."""
    units = UNITS[str(truth.name)]
    whole = next(series_of(truth, season))
    reference = whole.values
    grid = Grid.of(truth)
    rings = annuli(grid.shape, spacing(grid))
    known = np.isfinite(reference)
    spectrum = _spectrum(reference, known, rings, grid)
    once = np.ones((len(reference), 1), np.int32)
    found: dict[str, list[float]] = {"rmse": [], "ralsd": [], "wasserstein": [], "wasserstein_pooled": []}
    for series in series_of(prediction, season):
        values = np.where(known, series.values, np.nan)
        square, count, apart = 0.0, 0, []
        for one, other in zip(replace(series, values=values).blocks(), whole.blocks(), strict=True):
            error = (one.values - other.values)[np.isfinite(other.values)]
            square, count = square + float(error @ error), count + error.size
            apart.append(wasserstein_distance(one.values[None], other.values, once)[0])
        found["rmse"].append(square / count)
        found["wasserstein"].append(float(np.nanmean(np.concatenate(apart))))
        found["ralsd"].append(float(log_spectral_distance(spectrum, _spectrum(values, known, rings, grid))))
        pooled = np.abs(np.sort(values[known]) - np.sort(reference[known]))
        found["wasserstein_pooled"].append(float(pooled.mean(dtype=np.float64)))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    means["rmse"] = means["rmse"] ** 0.5
    return {name: (value, "dB" if name == "ralsd" else units) for name, value in means.items()}


def _spectrum(values: np.ndarray, known: np.ndarray, rings: Annuli, grid: Grid) -> np.ndarray:
    fields, there = values.reshape(-1, *grid.shape), known.reshape(-1, *grid.shape)
    return nanmean(np.asarray(power(fields, there, rings)))


def _joint(data: xr.Dataset, season: str | None) -> np.ndarray:
    """Return the correlation of both variables at every cell, of members the mean."""
    pairs = zip(series_of(data["tasmax"], season), series_of(data["pr"], season), strict=True)
    found = []
    for pair in pairs:
        blocks = zip(*(series.blocks() for series in pair), strict=True)
        found.append(np.concatenate([correlation(one.values, other.values) for one, other in blocks]))
    return np.asarray(np.mean(found, axis=0))


def _check_pair(truth: xr.Dataset, prediction: xr.Dataset) -> None:
    for name in map(str, truth.data_vars):
        if name not in UNITS:
            raise DataError(f"expected the variables tasmax and pr, got {name!r}.")
        if name not in prediction.data_vars:
            raise DataError(f"expected a prediction of {name!r}, got {', '.join(map(str, prediction.data_vars))}.")
        one, other = truth[name], prediction[name].isel(member=0) if "member" in prediction.dims else prediction[name]
        if dict(one.sizes) != dict(other.sizes) or not np.array_equal(one["time"].values, other["time"].values):
            raise DataError(
                f"{name}: expected truth and prediction at the same times and cells, got {dict(one.sizes)} and "
                f"{dict(other.sizes)}."
            )
