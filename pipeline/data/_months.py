"""Tables of a row a year and a column a month, as indices such as the SOI are written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.errors import DataError

MONTHS = 12


def by_month(years: np.ndarray, tables: Mapping[str, np.ndarray], path: Path) -> xr.Dataset:
    """Return series of dims ``(time,)``, stamped on the first of each month.

    Parameters
    ----------
    years : ndarray, shape (row,)
        Whole numbers, each once.
    tables : mapping of str to ndarray, shape (row, 12)
        Values of January to December by variable.
    path : Path
        The file, for messages.

    Raises
    ------
    DataError
        If a year is no whole number or stands twice.

    Examples
    --------
    >>> data = by_month(np.array([1999.0, 2000.0]), {"soi": np.arange(24.0).reshape(2, 12)}, Path("soi.dat"))
    >>> str(data["time"].values[13])[:10], float(data["soi"][13])
    ('2000-02-01', 13.0)
    """
    odd = years[~(np.isfinite(years) & (years == np.round(years)) & (np.abs(years) < 1e4))]
    if odd.size:
        raise DataError(f"{path}: expected years in the column of the time, got {odd[0]:g}. Is it the right column?")
    different, counts = np.unique(years, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{path}: expected one row a year, got {different[counts > 1][0]:g} twice.")
    first = (years.astype(np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[M]")
    time = (first[:, None] + np.arange(MONTHS)).astype("datetime64[ns]").ravel()
    return xr.Dataset({name: ("time", table.ravel()) for name, table in tables.items()}, coords={"time": time})
