"""Matrices of space and time whose places, times and mask are not in them, as statistics packages keep fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from pipeline.data import ReaderOptions
from pipeline.errors import DataError
from pipeline.registry import suggest


class SpaceTime(ReaderOptions):
    """Which R objects are values, places and mask; rows of each are places in one order."""

    values: str = Field(description="Matrix or data frame, a row a place and a column a time; names the variable.")
    places: str = Field(description="Data frame of the places.")
    lat: str = Field(default="lat", description="Column of the places.")
    lon: str = Field(default="lon", description="Column of the places.")
    mask: str | None = Field(default=None, description="Object of a value a place that says which have no data.")
    masked: float = Field(default=1.0, description="The mask's value at places whose values do not count.")
    start: str = Field(description="First time, such as 1970-01-01.")
    step: str = Field(default="1D", description="Time between columns, such as 1D or MS for the first of each month.")


def space_time(objects: Mapping[str, Any], options: SpaceTime, name: str) -> xr.Dataset:
    """Return the matrix as a field of dims ``(time, lat, lon)`` named as the object; masked places are NaN.

    Parameters
    ----------
    objects : mapping
        Arrays, or dicts of columns, by name.
    options : SpaceTime
        What they are.
    name : str
        The entry, for messages.

    Raises
    ------
    DataError
        If an object or a column is not there, sizes differ, or the places are no whole grid.
    """
    matrix = _matrix(objects, options.values, name)
    places = _get(objects, options.places, name)
    lat, lon = (_column(places, column, options.places, name) for column in (options.lat, options.lon))
    sizes = {options.values: len(matrix), options.places: len(lat)}
    if options.mask is not None:
        mask = _matrix(objects, options.mask, name)
        sizes[options.mask] = len(mask)
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{key} has {size}" for key, size in sizes.items())
        raise DataError(f"{name}: options: matrix: expected objects of as many places, got others: {said}.")
    if options.mask is not None:
        if mask.shape[1] != 1:
            raise DataError(
                f"{name}: options: matrix: expected one value a place in {options.mask!r}, got {mask.shape[1]}."
            )
        matrix = np.where(mask == options.masked, np.nan, matrix)
    rows, columns = np.unique(lat), np.unique(lon)
    row, column = np.searchsorted(rows, lat), np.searchsorted(columns, lon)
    cells = row * len(columns) + column
    if len(cells) != rows.size * columns.size or len(np.unique(cells)) != len(cells):
        raise DataError(
            f"{name}: expected each cell of a regular grid once in {options.places!r}, got {len(cells)} places with "
            f"{len(rows)} latitudes and {len(columns)} longitudes."
        )
    try:
        time = pd.date_range(options.start, periods=matrix.shape[1], freq=options.step, unit="ns")
    except ValueError as error:
        raise DataError(
            f"{name}: options: matrix: expected a date as start and a frequency as step: {error}."
        ) from error
    field = np.empty((matrix.shape[1], rows.size, columns.size))
    field[:, row, column] = matrix.T
    return xr.Dataset(
        {options.values: (("time", "lat", "lon"), field)},
        coords={"time": ("time", np.asarray(time)), "lat": rows, "lon": columns},
    )


def _get(objects: Mapping[str, Any], key: str, name: str) -> Any:
    if key not in objects:
        raise DataError(
            f"{name}: no R object {key!r} in the files.{suggest(key, objects)} Known: {', '.join(objects)}."
        )
    return objects[key]


def _matrix(objects: Mapping[str, Any], key: str, name: str) -> np.ndarray:
    """Return an object as numbers of shape (place, column)."""
    found = _get(objects, key, name)
    try:
        array = np.column_stack(list(found.values())) if isinstance(found, dict) else np.asarray(found)
        array = array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: R object {key!r}: expected a matrix or a data frame of numbers: {error}.") from error
    if array.ndim not in (1, 2):
        raise DataError(f"{name}: R object {key!r}: expected a matrix or a data frame, got shape {array.shape}.")
    return array if array.ndim == 2 else array[:, None]


def _column(places: Any, column: str, key: str, name: str) -> np.ndarray:
    if not isinstance(places, dict) or column not in places:
        known = ", ".join(places) if isinstance(places, dict) else "no columns"
        raise DataError(f"{name}: R object {key!r}: expected a data frame with a column {column!r}, got {known}.")
    return np.asarray(places[column], np.float64)
