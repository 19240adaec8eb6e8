"""Tables of stations as datasets, whichever library read them."""

from __future__ import annotations

import fnmatch
import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, model_validator

from pipeline.backend import Backend
from pipeline.data import Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data._months import MONTHS, by_month
from pipeline.data.axes import LAT_NAMES, LON_NAMES
from pipeline.data.catalog import Entry
from pipeline.errors import DataError
from pipeline.registry import suggest


class Layout(ReaderOptions):
    """How a text table is written."""

    separator: str = Field(default=",", description="Between columns; 'blank' for any number of spaces and tabs.")
    header: bool = Field(default=True, description="Whether its first line names the columns.")
    columns: list[str] | None = Field(default=None, description="Names of the columns where there is no header.")
    comment: str | None = Field(default=None, min_length=1, max_length=1, description="Sign that starts a comment.")
    skip_rows: int = Field(default=0, ge=0, description="Lines before the header or the first row.")

    @model_validator(mode="after")
    def _one_naming(self) -> Layout:
        if self.header and self.columns is not None:
            raise ValueError("expected columns only with header: false, since the header names them")
        return self


class StationPlaces(Layout):
    """Where stations lie: columns of a file of its own, or of the table itself."""

    file: str | None = Field(default=None, description="Name of one of the entry's files; the table itself by default.")
    id: str = Field(default="station_id", description="Column with the stations' ids, in that file.")
    lat: str = Field(default="lat", description="Column of the latitude.")
    lon: str = Field(default="lon", description="Column of the longitude.")
    altitude: str | None = Field(default=None, description="Column of the height, m.")


class TableOptions(ReaderOptions):
    """What the columns of a table mean."""

    time: str | list[str] | None = Field(
        default="time", description="Column with the time, or those with year, month, day, hour; null for none."
    )
    time_format: str | None = Field(default=None, description="Such as %Y%m%d; ISO 8601 by default.")
    start: str | None = Field(default=None, description="Time of the first row where no column says it.")
    step: str = Field(default="1D", description="Time between rows, with `start`.")
    station: str | None = Field(
        default=None, description="Column with the station's id, in tables of a row a station and time."
    )
    wide: dict[str, str] | None = Field(
        default=None, description="Variable by file name (or pattern), in tables of one column a station."
    )
    months: dict[str, list[str]] | None = Field(
        default=None,
        description="Variable by its columns for January to December, in tables of a row a year; `time` is the year.",
    )
    stations: StationPlaces | None = Field(default=None, description="Where the stations stand.")
    missing: list[str] = Field(
        default_factory=list, description="Text that stands for none, beside empty cells and NA."
    )

    @model_validator(mode="after")
    def _one_time(self) -> TableOptions:
        if self.start is not None and self.time not in (None, "time"):
            raise ValueError(f"expected either start or a time column, got both (time: {self.time!r})")
        if self.wide and self.station:
            raise ValueError("expected either wide or station, got both: a wide table has a column a station")
        if self.months is not None:
            if self.wide or self.station or not isinstance(self.time, str) or self.start is not None:
                raise ValueError("expected months with time, the year's column, and without wide, station or start")
            for name, columns in self.months.items():
                if len(columns) != MONTHS:
                    raise ValueError(f"expected 12 columns under months for {name!r}, got {len(columns)}")
        return self


class TableReader(Reader):
    """Reads one table a file; subclasses say how a file becomes a frame."""

    Options = TableOptions
    tabular: ClassVar[bool] = True

    @abstractmethod
    def frame(self, path: Path, options: Any, text: Sequence[str], backend: Backend) -> Any:
        """Return the file as a frame of ``backend.xdf``; the columns ``text`` keep their digits as they are."""

    def unnamed(self, options: Any) -> bool:
        """Whether the columns have no names, so that stations are told by their order alone."""
        return False

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the columns as variables of dims ``(time, station)``, ``(time,)`` or ``(station,)``."""
        options = self.Options.model_validate(entry.options)
        places, data_files = self._split(options, files, backend)
        if options.wide:
            return combine([self._wide(path, options, places, backend) for path in data_files], entry.name)
        if options.months:
            years = [(path, backend.to_host_frame(self.frame(path, options, [], backend))) for path in data_files]
            return combine([(path, self._monthly(frame, options, path)) for path, frame in years], entry.name)
        frames: dict[tuple[str, ...], list[tuple[Path, Any]]] = {}
        text = [options.station] if options.station else []
        for path in data_files:
            frame = self.frame(path, options, text, backend)
            frames.setdefault(tuple(map(str, frame.columns)), []).append((path, frame))
        sources = {spec.source or name for name, spec in entry.variables.items()}
        parts = []
        for group in frames.values():
            joined = group[0][1] if len(group) == 1 else backend.xdf.concat([f for _, f in group], ignore_index=True)
            parts.append((group[0][0], _long(backend.to_host_frame(joined), options, places, sources, group[0][0])))
        return combine(parts, entry.name)

    def _monthly(self, frame: pd.DataFrame, options: TableOptions, path: Path) -> xr.Dataset:
        months = options.months or {}
        _need(frame, [str(options.time), *(column for columns in months.values() for column in columns)], path)
        years = _numbers(frame[str(options.time)], path)
        tables = {
            name: np.column_stack([_numbers(frame[column], path) for column in columns])
            for name, columns in months.items()
        }
        return by_month(years, tables, path)

    def _split(
        self, options: TableOptions, files: tuple[Path, ...], backend: Backend
    ) -> tuple[pd.DataFrame | None, list[Path]]:
        """Read the file with the stations' places, and set it apart from the data."""
        places = options.stations
        if places is None or places.file is None:
            return None, list(files)
        hits = [path for path in files if path.name == places.file]
        if len(hits) != 1:
            names = ", ".join(path.name for path in files)
            raise DataError(
                f"options: stations: expected the file {places.file!r} among the entry's files, got {names}."
            )
        from pipeline.data.csv import read_text

        table = backend.to_host_frame(read_text(hits[0], places, [places.id], [], backend))
        _need(table, [places.id, places.lat, places.lon, *([places.altitude] if places.altitude else [])], hits[0])
        table[places.id] = [_plain_id(value) for value in table[places.id]]
        return table, [path for path in files if path != hits[0]]

    def _wide(
        self, path: Path, options: TableOptions, places: pd.DataFrame | None, backend: Backend
    ) -> tuple[Path, xr.Dataset]:
        wide = options.wide or {}
        names = [name for name, pattern in wide.items() if fnmatch.fnmatch(path.name, pattern)]
        if len(names) != 1:
            known = ", ".join(f"{name}: {pattern}" for name, pattern in wide.items())
            raise DataError(f"{path}: expected one variable of wide for this file, got {names!r} from {known}.")
        frame = backend.to_host_frame(self.frame(path, options, [], backend))
        times, used = _times(frame, options, path)
        if times is None:
            raise DataError(f"{path}: expected a time column or a start for a wide table, got time: null.")
        values = frame[[column for column in frame.columns if column not in used]]
        ids = [_plain_id(column) for column in values.columns]
        if places is not None and options.stations is not None and self.unnamed(options):
            ids = list(places[options.stations.id])
            if len(ids) != values.shape[1]:
                raise DataError(f"{path}: expected a column for each of {len(ids)} stations, got {values.shape[1]}.")
        array = np.column_stack([_numbers(values[column], path) for column in values.columns])
        data = xr.Dataset(
            {names[0]: (("time", "station"), array)}, coords={"time": ("time", np.asarray(times)), "station": ids}
        )
        return path, _place(data, options, places, path)


def _long(
    frame: pd.DataFrame, options: TableOptions, places: pd.DataFrame | None, sources: set[str], path: Path
) -> xr.Dataset:
    index: dict[str, Any] = {}
    times, used = _times(frame, options, path)
    if times is not None:
        index["time"] = times
    if options.station is not None:
        _need(frame, [options.station], path)
        index["station"] = [_plain_id(value) for value in frame[options.station]]
        used = [*used, options.station]
    if options.station is not None and options.stations is None:
        options = options.model_copy(update={"stations": _own_places(frame, options.station, sources)})
    if not index:
        raise DataError(f"{path}: expected a time or a station column in the options, got neither.")
    values = {
        str(column): _numbers(frame[column], path)
        for column in frame.columns
        if column not in used and (frame[column].dtype.kind in "iufb" or column in sources)
    }
    table = pd.DataFrame(values, index=pd.MultiIndex.from_arrays(list(index.values()), names=list(index)))
    if options.station is not None and table.index.has_duplicates:
        first = table.index[table.index.duplicated()][0]
        text = ", ".join(str(part) for part in first)
        raise DataError(f"{path}: expected one row for every {' and '.join(index)}, got {text} twice.")
    if len(index) == 1:
        table.index = table.index.get_level_values(0)
    return _place(xr.Dataset.from_dataframe(table), options, places, path, frame)


def _times(frame: pd.DataFrame, options: TableOptions, path: Path) -> tuple[pd.DatetimeIndex | None, list[str]]:
    """Return the rows' times and the columns that say them."""
    if options.start is not None:
        return pd.date_range(options.start, periods=len(frame), freq=options.step, unit="ns"), []
    if options.time is None:
        return None, []
    columns = [options.time] if isinstance(options.time, str) else options.time
    _need(frame, columns, path)
    try:
        if isinstance(options.time, list):
            parts = dict(zip(("year", "month", "day", "hour"), (frame[column] for column in columns), strict=False))
            parts.setdefault("month", pd.Series(1, frame.index))
            parts.setdefault("day", pd.Series(1, frame.index))
            times = pd.to_datetime(pd.DataFrame(parts))
        else:
            times = _one_column(frame[columns[0]], options, path)
    except ValueError as error:
        reason = str(error).split(". You might")[0]
        raise DataError(f"{path}: column {columns[0]!r}: expected times: {reason}. Set time_format.") from error
    index = pd.DatetimeIndex(times)
    return (index.tz_convert("UTC").tz_localize(None) if index.tz else index).as_unit("ns"), columns


def _one_column(column: pd.Series, options: TableOptions, path: Path) -> pd.Series:
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return column
    if options.time_format is None and column.dtype.kind in "iuf":
        raise DataError(
            f"{path}: column {column.name!r}: expected dates, got numbers such as {column.iloc[0]}. Set time_format."
        )
    return pd.to_datetime(column.astype(str), format=options.time_format or "ISO8601")


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(numbers.isna() & column.notna())
    if len(bad):
        cell = column.iloc[bad[0]]
        raise DataError(
            f"{path}: column {column.name!r}: expected numbers, got {cell!r} in row {bad[0] + 1}. If that stands for a "
            f"missing value, write options: {{missing: [{str(cell)!r}]}} in the catalog."
        )
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def _place(
    data: xr.Dataset, options: TableOptions, places: pd.DataFrame | None, path: Path, frame: pd.DataFrame | None = None
) -> xr.Dataset:
    """Give stations their latitudes, longitudes and altitudes."""
    spec = options.stations
    if spec is None or "station" not in data.dims:
        return data
    column = spec.id
    if places is None:
        if frame is None or options.station is None:
            raise DataError(f"{path}: expected a file under stations: file, since a wide table cannot hold the places.")
        _need(frame, [spec.lat, spec.lon, *([spec.altitude] if spec.altitude else [])], path)
        places, column = (
            frame.assign(**{options.station: [_plain_id(v) for v in frame[options.station]]}),
            options.station,
        )
        _refuse_moves(places, spec, column, path)
    table = places.drop_duplicates(column).set_index(column)
    ids = [str(value) for value in data["station"].values]
    lacking = [name for name in ids if name not in table.index]
    if lacking:
        known = list(map(str, table.index))
        raise DataError(
            f"{path}: no place for {len(lacking)} stations, first {lacking[0]!r}.{suggest(lacking[0], known)} "
            f"Known: {', '.join(known[:10])}."
        )
    rows = table.loc[ids]
    names: dict[str, str | None] = {"lat": spec.lat, "lon": spec.lon, "altitude": spec.altitude}
    coords = {name: ("station", rows[key].to_numpy(float)) for name, key in names.items() if key is not None}
    return data.drop_vars([key for key in (spec.lat, spec.lon, spec.altitude) if key in data]).assign_coords(coords)


def _own_places(frame: pd.DataFrame, station: str, sources: set[str]) -> StationPlaces | None:
    """Return the columns that say where a long table's stations lie, by their usual names."""
    free = [str(column) for column in frame.columns if column not in sources]
    lat = next((name for name in free if name.lower() in LAT_NAMES), None)
    lon = next((name for name in free if name.lower() in LON_NAMES), None)
    return None if lat is None or lon is None else StationPlaces(id=station, lat=lat, lon=lon)


def _refuse_moves(table: pd.DataFrame, spec: StationPlaces, station: str, path: Path) -> None:
    for column in filter(None, (spec.lat, spec.lon, spec.altitude)):
        values = table.groupby(station)[column].unique()
        moved = values[values.map(len) > 1]
        if len(moved):
            raise DataError(
                f"{path}: column {column!r}: expected one value a station, got {moved.iloc[0][0]!s} and "
                f"{moved.iloc[0][1]!s} for station {moved.index[0]!r}. Give stations that moved ids of their own."
            )


def _plain_id(value: object) -> str:
    """Ids as text; 3.804e+03 and 3804.0, as matrices of numbers hold them, become 3804."""
    text = str(value).strip()
    is_number = re.fullmatch(r"\d+\.\d*(e[+-]?\d+)?", text, re.IGNORECASE)
    return str(int(float(text))) if is_number and float(text).is_integer() else text


def _need(frame: pd.DataFrame, columns: Iterable[str], path: Path) -> None:
    known = [str(column) for column in frame.columns]
    for column in columns:
        if column not in known:
            raise DataError(f"{path}: no column {column!r}.{suggest(column, known)} Known: {', '.join(known[:30])}.")
