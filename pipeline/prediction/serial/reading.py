"""Forecasts from disk, whole or one split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.cf import names_back
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction import Prediction
from pipeline.prediction.serial.records import Forecast
from pipeline.prediction.serial.stamps import back

WHOLE = "input"  # what the forecasts of a file without splits are called


def read(path: Path, split: str | None = None) -> xr.Dataset:
    """Return the dataset at ``path``: all of it in memory, or one split on disk.

    Parameters
    ----------
    path : Path
        A file of :func:`write_forecasts`.
    split : str, optional
        Only this split. Its values are then read when they are asked for; close the dataset, or use
        it in a ``with`` statement.

    Returns
    -------
    Dataset
        Tiles of images stand along ``time`` too, which they have none of.

    Raises
    ------
    DataError
        If there is no such file or split, or the file is not one of :func:`write_forecasts`.
    """
    if not path.is_file():
        raise DataError(f"expected predictions at {str(path)!r}, which is not there. Run the stage predict first.")
    # Without a cache: what was read would stay in memory beside what is made of it.
    opened = xr.open_dataset(path, engine="netcdf4", cache=False)
    dataset = names_back(opened.rename(tile="time") if "tile" in opened.dims else opened)
    try:
        if "family" not in dataset.attrs or "split" not in dataset.coords:
            attrs = dict(dataset.attrs)
            raise DataError(f"expected predictions with a family and splits in {str(path)!r}, got {attrs!r}.")
        if split is None:
            with opened:
                return dataset.load()
        known = _rows(dataset)
        if split not in known:
            raise DataError(f"expected one of the splits {', '.join(known)} in {str(path)!r}, got {split!r}.")
        part = dataset.isel(time=known[split])
    except BaseException:
        opened.close()
        raise
    part.set_close(opened.close)
    return part


def names_of_variables(dataset: xr.Dataset) -> tuple[str, ...]:
    """Return the names of the predicted variables, in array order."""
    return tuple(str(name) for name, field in dataset.data_vars.items() if "parameters" in field.attrs)


def parts_of(dataset: xr.Dataset, name: str) -> tuple[str, ...]:
    """Return the names of what a predicted variable is made of: its mean, and where its parameters stand."""
    stored = [where for places in _places(dataset, [name]).values() for where in places]
    return tuple(dict.fromkeys((name, *stored)))


def from_dataset(dataset: xr.Dataset) -> tuple[Forecast, ...]:
    """Return the forecasts that :func:`write_forecasts` was given, one a split, parameters bit for bit.

    A split whose truth is NaN everywhere has none. A file without splits is one, called ``input``.
    Calendars that numpy knows come back as ``datetime64``.
    """
    dataset = names_back(dataset)
    names, grid = names_of_variables(dataset), Grid.of(dataset)
    calendars = json.loads(dataset["split"].attrs.get("calendars", "{}")) if "split" in dataset.coords else {}
    forecasts = []
    for split, rows in _rows(dataset).items():
        part = dataset.isel(time=rows)
        parameters = {name: _stack(part, places, grid) for name, places in _places(dataset, names).items()}
        there = all(f"{name}_truth" in part for name in names)
        truth = _stack(part, [f"{name}_truth" for name in names], grid) if there else None
        known = truth if truth is not None and bool(np.isfinite(truth).any()) else None
        time = part["time"].to_numpy()
        valid = part["valid_time"].to_numpy() if "valid_time" in part.coords else None
        if split in calendars:
            time = back(time, calendars[split])
            valid = None if valid is None else back(valid.ravel(), calendars[split]).reshape(valid.shape)
        forecasts.append(Forecast(split, time, Prediction(dataset.attrs["family"], parameters), known, valid))
    return tuple(forecasts)


def _rows(dataset: xr.Dataset) -> dict[str, slice]:
    """Return where each split stands: its times lie one after another."""
    if "split" not in dataset.coords:
        return {WHOLE: slice(0, dataset.sizes["time"])}
    splits = dataset["split"].to_numpy()
    found = {}
    for split in dict.fromkeys(splits):
        rows = np.flatnonzero(splits == split)
        found[str(split)] = slice(int(rows[0]), int(rows[-1]) + 1)
    return found


def _stack(part: xr.Dataset, names: Sequence[str], grid: Grid) -> np.ndarray:
    """Return variables side by side on a target axis; one at a time, so that memory holds little more.

    Variables at several leads: all of the first lead before those of the second.
    """
    first = part[names[0]]
    leading = first.shape[: first.ndim - len(grid.file_dims)]
    result = np.empty((*leading, len(names), *grid.shape), first.dtype)
    for target, name in enumerate(names):
        result[..., target, :, :] = grid.from_file(part[name].to_numpy())
    return result.reshape(*leading[:-1], -1, *grid.shape) if "lead" in first.dims else result


def _places(dataset: xr.Dataset, names: Sequence[str]) -> dict[str, list[str]]:
    """Return for every parameter the variables that hold it, one a target."""
    places: dict[str, list[str]] = {}
    for name in names:
        words = str(dataset[name].attrs["parameters"]).split()
        for parameter, where in zip(words[::2], words[1::2], strict=True):
            places.setdefault(parameter.removesuffix(":"), []).append(where)
    return places
