"""What a table's columns mean, told from its header: the options of a drafted entry."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.backend import Backend
from pipeline.data._table import TableReader
from pipeline.data.axes import LAT_NAMES, LON_NAMES
from pipeline.data.csv import not_utf8
from pipeline.errors import DataError

_TIME_COLUMNS = ("time", "date", "datetime", "timestamp", "valid_time", "day", "t")
_STATION_COLUMNS = ("station", "station_id", "site", "location", "basin", "gauge_id", "id")
_ALTITUDE_COLUMNS = ("altitude", "alt", "elevation", "elev", "height")
_CLASSES = 20  # distinct whole numbers of an image that may be those of classes
_SEPARATORS = (",", ";", "\t", "blank")


def table_options(paths: list[Path], reader: TableReader, backend: Backend) -> dict[str, Any]:
    """Return the options of an entry for tables like the first of ``paths``, guessed from its columns' names.

    A table without a time and with a row a station is one of attributes.

    Raises
    ------
    DataError
        If no column has a time's name and none names the rows, or the file is no such table.
    """
    path = paths[0]
    columns, options = _columns(path, reader, backend)
    times, stations = (_named(columns, names) for names in (_TIME_COLUMNS, _STATION_COLUMNS))
    if not times:
        key = _key(path, reader, options, stations, backend)
        if key is None:
            raise DataError(
                f"{path}: expected a column called {', '.join(_TIME_COLUMNS)}, got {', '.join(columns[:20])}. Write "
                "the entry by hand: options: time names the column, start and step replace it; a table of attributes, "
                "a row a station, has time: null and station: COLUMN."
            )
        times, stations = [], [key]
    options |= {"time": times[0] if times else None} if times != ["time"] else {}
    options |= {"station": stations[0]} if stations else {}
    lat, lon, altitude = (_named(columns, names) for names in (LAT_NAMES, LON_NAMES, _ALTITUDE_COLUMNS))
    if stations and lat and lon:
        options["stations"] = {"id": stations[0], "lat": lat[0], "lon": lon[0]}
        options["stations"] |= {"altitude": altitude[0]} if altitude else {}
    rest = [column for column in columns if column not in {*times, *stations}]
    if not stations and len(rest) > 1 and all(column.isdigit() for column in rest):
        options["wide"] = {"value": path.name if len(paths) == 1 else "*"}
    return options


def _key(path: Path, reader: TableReader, options: dict[str, Any], stations: list[str], backend: Backend) -> str | None:
    """Return the column that names the rows of a table without times, each once: a station's, or the first of text."""
    read = reader.Options.model_validate(options | {"time": None})
    frame = backend.to_host_frame(reader.frame(path, read, stations, backend))
    column = stations[0] if stations else str(frame.columns[0])
    names = frame[column]
    if names.isna().any() or names.duplicated().any() or (not stations and pd.api.types.is_numeric_dtype(names)):
        return None
    # A column of dates under another name is a time, and no key.
    dates = not stations and pd.to_datetime(names.astype(str), errors="coerce", format="mixed").notna().all()
    return None if dates else column


def class_numbers(array: np.ndarray) -> list[int] | None:
    """Return the few whole numbers that an array of an image holds, which may be those of classes; None of others.

    Examples
    --------
    >>> class_numbers(np.array([[0, 255], [255, 0]], "uint8")), class_numbers(np.array([[0.5]])) is None
    ([0, 255], True)
    """
    if array.dtype.kind not in "iub":
        return None
    found = np.unique(array)
    return [int(number) for number in found] if 2 <= len(found) <= _CLASSES else None


def marked_columns(path: Path, reader: TableReader, options: dict[str, Any], backend: Backend) -> list[str]:
    """Return the columns of a long table that would be numbers but for a few cells, such as ``M`` for none."""
    read = reader.Options.model_validate(options)
    frame = backend.to_host_frame(reader.frame(path, read, [], backend))
    skip = {*_as_list(options.get("time", "time")), options.get("station"), *options.get("stations", {}).values()}
    found = []
    for column in frame.columns:
        cells = frame[column].dropna()
        if str(column) in skip or cells.dtype.kind in "iufbM" or not len(cells):
            continue
        if float(pd.to_numeric(cells.astype(str), errors="coerce").notna().mean()) >= 0.5:
            found.append(str(column))
    return found


def _columns(path: Path, reader: TableReader, backend: Backend) -> tuple[list[str], dict[str, Any]]:
    """Return the columns' names and, for text, the separator that gives a time among most columns."""
    if "separator" not in reader.Options.model_fields:
        frame = backend.to_host_frame(reader.frame(path, reader.Options(), [], backend))
        return [str(column) for column in frame.columns], {}
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    ways = {sign: _split(first, sign) for sign in _SEPARATORS}
    best = max(ways, key=lambda sign: (bool(_named(ways[sign], _TIME_COLUMNS)), len(ways[sign]), sign != "blank"))
    return ways[best], ({} if best == "," else {"separator": best})


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == "blank" else next(csv.reader([line.strip("\r\n")], delimiter=separator), [])


def _named(columns: list[str], names: tuple[str, ...]) -> list[str]:
    return [column for column in columns if column.lower() in names]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
