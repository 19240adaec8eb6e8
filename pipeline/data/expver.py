"""ERA5 and its preliminary last months, ERA5T, which services deliver in one file."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pipeline.data.records import Repair
from pipeline.errors import DataError

NAME = "expver"
FINAL = 1  # of ERA5; 5 is ERA5T


def merge_versions(data: xr.Dataset) -> tuple[xr.Dataset, tuple[Repair, ...]]:
    """Return the dataset with one value a time: that of ERA5, and of ERA5T where ERA5 has none yet.

    Older files have a dim ``expver`` with 1 (ERA5) and 5 (ERA5T), each missing where the other is. Newer ones
    say the version of every time in a coordinate. Either way it is counted how many times are preliminary.

    Raises
    ------
    DataError
        If ``expver`` has values that are neither.

    Examples
    --------
    >>> data = xr.Dataset({"t2m": (("time", "expver"), [[1.0, np.nan], [np.nan, 2.0]])}, {"expver": [1, 5]})
    >>> merged, repairs = merge_versions(data)
    >>> merged["t2m"].values.tolist(), repairs[0].text
    ([1.0, 2.0], '1 of 2 times are preliminary (ERA5T)')
    """
    if NAME not in data.variables:
        return data, ()
    versions = [_number(value) for value in np.atleast_1d(data[NAME].values)]
    unknown = sorted({value for value in versions if value not in (FINAL, 5)})
    if unknown:
        raise DataError(f"expected expver of 1 (ERA5) or 5 (ERA5T), got {unknown!r}.")
    if NAME not in data.dims:
        preliminary = sum(version != FINAL for version in versions)
        return data.drop_vars(NAME), _said(preliminary, len(versions))
    parts = {version: data.isel({NAME: place}, drop=True) for place, version in enumerate(versions)}
    if FINAL not in parts or len(parts) == 1:
        only = next(iter(parts.values()))
        return only, _said(0 if FINAL in parts else _steps(only), _steps(only))
    final, later = parts[FINAL], parts[5]
    merged = final.fillna(later)
    for name, variable in merged.data_vars.items():  # fillna forgets them
        variable.attrs, variable.encoding = data[name].attrs, data[name].encoding
    some = next(variable for name, variable in final.data_vars.items() if NAME in data[name].dims)
    others = [dim for dim in some.dims if dim not in ("time", "valid_time")]
    missing = int(some.isnull().all(others).sum())
    return merged, _said(missing, _steps(merged))


def _steps(data: xr.Dataset) -> int:
    return next((data.sizes[dim] for dim in ("time", "valid_time") if dim in data.sizes), 1)


def _number(value: object) -> int | str:
    text = str(value.decode() if isinstance(value, bytes) else value).strip()
    return int(text) if text.isdigit() else text


def _said(preliminary: int, times: int) -> tuple[Repair, ...]:
    if not preliminary:
        return ()
    return (Repair("preliminary", None, preliminary, f"{preliminary} of {times} times are preliminary (ERA5T)"),)
