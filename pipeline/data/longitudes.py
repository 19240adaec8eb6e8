"""Longitudes that run on: over Greenwich and over the date line alike."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.data.records import Repair


def contiguous(data: xr.Dataset) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    """Return the dataset with longitudes in -180..180, or further east where it crosses the date line.

    A domain from 124 to 290 stays so, one from 350 to 10 becomes -10 to 10, and the whole globe
    runs from -180. Longitudes of a regular grid are sorted; a last column that repeats the first
    one goes.

    Examples
    --------
    >>> found, repairs = contiguous(xr.Dataset(coords={"lon": [350.0, 355.0, 0.0, 5.0]}))
    >>> found["lon"].values.tolist(), repairs[0].text
    ([-10.0, -5.0, 0.0, 5.0], 'longitudes 0 to 355 are -10 to 5 and rise')
    """
    if "lon" not in data.coords:
        return data, ()
    lon = data["lon"]
    old = np.asarray(lon.values, np.float64)
    if not np.isfinite(old).all() or not old.size:
        return data, ()
    repairs = []
    if "lon" in data.dims and old.size > 1 and np.isclose(abs(old[-1] - old[0]), 360.0):
        data, old = data.isel(lon=slice(None, -1)), old[:-1]
        repairs.append(Repair("longitudes", None, 1, "the last column, which repeats the first, is dropped"))
    new = _wrap(old) if "station" in lon.dims or not old.ndim else _run_on(old)
    changed = ~np.isclose(new, old, atol=1e-9)
    order = np.argsort(new) if "lon" in data.dims else None
    moved = order is not None and bool((order != np.arange(len(order))).any())
    if changed.any() or moved:
        data = data.assign_coords(lon=(data["lon"].dims, new, lon.attrs))
        data = data.isel(lon=order) if moved else data
        text = f"longitudes {old.min():g} to {old.max():g} are {new.min():g} to {new.max():g} and rise"
        repairs.append(Repair("longitudes", None, int(max(changed.sum(), moved)), text))
    return data, tuple(repairs)


def _wrap(lon: np.ndarray) -> np.ndarray:
    """Longitudes in [-180, 180); those that are so already keep every bit."""
    return np.where((lon >= -180.0) & (lon < 180.0), lon, (lon + 180.0) % 360.0 - 180.0)


def _run_on(lon: np.ndarray) -> np.ndarray:
    """Longitudes that start behind the widest gap and run on from there; the globe starts at -180."""
    wrapped = _wrap(lon)
    # Rounded, so that a column written twice with other last digits is one.
    around = np.unique(np.round(wrapped, 6))
    gaps = np.diff(np.append(around, around[0] + 360.0))
    widest = int(np.argmax(gaps))
    if len(around) < 2 or gaps[widest] <= 1.5 * float(np.median(gaps)):
        return wrapped
    start = around[(widest + 1) % len(around)]
    return np.where(wrapped < start - 1e-6, wrapped + 360.0, wrapped)
