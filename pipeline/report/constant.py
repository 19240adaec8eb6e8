"""Models that answer nearly the same at all times: what their scores hide, and no reader expects."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.report.numbers import label, listing, plural
from pipeline.report.places import kind
from pipeline.report.sections.cell import spot
from pipeline.report.study import Study

_SHARE = 0.01  # of the truth's standard deviation
_LEAST = 8  # times, fewer say nothing of a deviation
_NAMED = 3
_MOST_VALUES = 4_000_000  # that are read of a model: more are thinned in time
_BY_DESIGN = frozenset({"climatology"})


def sentences(study: Study) -> tuple[str, ...]:
    """Return a sentence for models whose predictions do not change in time where the truth does.

    A place counts where the standard deviation in time of the prediction is below a hundredth of that of the truth, at
    every lead. Classes have no deviation, and a climatology may well be constant: neither is told of.
    """
    if study.classes:
        return ()
    entries = study.run.experiment.get("models") or {}
    found: dict[str, list[str]] = defaultdict(list)
    for model in study.models:
        if (entries.get(model.partition("+")[0]) or {}).get("kind") not in _BY_DESIGN:
            for variable in study.variables:
                where = _where(study, model, variable)
                if where:
                    found[where].append(label(model))
    return tuple(
        f"{listing(models)} {'predicts' if len(models) == 1 else 'predict'} nearly the same value at all times{where}: "
        "the standard deviation there is below 1\u00a0% of that of the truth."
        for where, models in found.items()
    )


def flat(data: xr.Dataset, variable: str) -> np.ndarray:
    """Return where predictions do not change in time and the truth does.

    Parameters
    ----------
    data : Dataset
        Predictions of the times that are looked at, dims ``time``, maybe ``lead``, and two of a grid.

    Returns
    -------
    ndarray of bool, shape (lat, lon)
        False where too few times have truth to tell.
    """
    dims = Grid.of(data).dims
    mean, truth = (data[name].transpose("time", ..., *dims).values for name in (variable, f"{variable}_truth"))
    known = np.isfinite(mean) & np.isfinite(truth)
    enough = known.sum(axis=0) >= _LEAST
    own, true = (_deviation(values, known) for values in (mean, truth))
    still = np.where(enough, (true > 0) & (own < _SHARE * true), True).reshape(-1, *enough.shape[-2:])
    found: np.ndarray = still.all(axis=0) & enough.reshape(still.shape).any(axis=0)
    return found


def _deviation(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the standard deviation in time of known values, shape of one time; 0 where there are none."""
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64) / count
    square = np.where(known, values - mean, 0.0) ** 2
    found: np.ndarray = np.sqrt(square.sum(axis=0, dtype=np.float64) / count)
    return found


def _where(study: Study, model: str, variable: str) -> str:
    """Return at which places, in words; empty for none."""
    data = study.run.forecasts(model)
    if data is None:
        return ""
    with data:
        if variable not in data or f"{variable}_truth" not in data:
            return ""
        rows = np.flatnonzero(data["split"].values.astype(str) == study.split)
        size = int(np.prod([data.sizes[dim] for dim in data[variable].dims if dim != "time"]))
        every = max(1, len(rows) * size // _MOST_VALUES)
        test = data[[variable, f"{variable}_truth"]].isel(time=rows[::every]).load()
        grid = Grid.of(data)
    if test.sizes["time"] < _LEAST:
        return ""
    places, scored = flat(test, variable), np.isfinite(test[f"{variable}_truth"].values)
    of = int(scored.reshape(-1, *places.shape).any(axis=0).sum())
    return _words(study, variable, grid, places, of)


def _words(study: Study, variable: str, grid: Grid, places: np.ndarray, of: int) -> str:
    count = int(places.sum())
    whose = f" of {variable}" if len(study.variables) > 1 else ""
    if not count or of <= 1:
        return whose or " of the series" if count else ""
    quantity = study.quantities[variable]
    if count == of:
        return f"{whose} at all {plural(of, kind(grid, quantity))}"
    first = [spot(grid, int(row), int(column), quantity) for row, column in np.argwhere(places)[:_NAMED]]
    names = [name.removeprefix(f"{kind(grid, quantity)} ") for name in first]
    more = [f"{count - _NAMED:,} more"] if count > _NAMED else []
    return f"{whose} at {count:,} of {plural(of, kind(grid, quantity))} ({listing([*names, *more])})"
