"""The change of climate between two periods of a prediction that may be larger than memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.cf import conforming, names_back
from pipeline.errors import ConfigError, DataError
from pipeline.files import write_atomic
from pipeline.grid import Grid
from pipeline.metrics import Case
from pipeline.metrics.change import ChangeFields, Changes, change_signals, to_dataset
from pipeline.prediction.serial import from_dataset, names_of_variables, parts_of
from pipeline.prepare.dates import calendar_of, iso, microseconds, parse

_MEMORY = 2**28  # bytes of float32 that a band of cells may take
_SAID = ("source", "history", "license", "references")  # global attributes of the prediction that hold for its changes
Span = tuple[str, str]


def spans_of(words: tuple[str, str]) -> tuple[Span, Span]:
    """Return two periods from ``FIRST/LAST`` each.

    Raises
    ------
    ConfigError
        If one is none.

    Examples
    --------
    >>> spans_of(("1981/2000", "2080-01-01/2099-12-31"))
    (('1981', '2000'), ('2080-01-01', '2099-12-31'))
    """
    found = []
    for word in words:
        first, slash, last = word.partition("/")
        if not slash or not first or not last:
            raise ConfigError(f"--change: expected FIRST/LAST such as 1981/2000, got {word!r}.")
        found.append((first, last))
    return found[0], found[1]


def require_dates(time: np.ndarray, periods: tuple[Span, Span]) -> None:
    """Refuse periods of which a prediction of these dates will have none, before it is made.

    Raises
    ------
    ConfigError
        If a date is none of the calendar.
    DataError
        If a period has no dates.
    """
    for span in periods:
        _steps(time, span)


def write_changes(path: Path, periods: tuple[Span, Span]) -> Path:
    """Write the changes between two periods of the prediction at ``path`` beside it; return where.

    Rows of the grid are read band by band, so that memory holds a part of the cells over all dates.

    Raises
    ------
    DataError
        If a period has no dates in the file.
    """
    target = path.with_name(f"{path.stem}-change.nc")
    with names_back(xr.open_dataset(path, engine="netcdf4", cache=False)) as data:
        steps = [_steps(data["time"].values, span) for span in periods]
        grid, model = Grid.of(data), str(data.attrs.get("model", ""))
        found: dict[str, Changes] = {}
        for variable in names_of_variables(data):
            bands = [
                _fields(data[list(parts_of(data, variable))], grid, rows, steps)
                for rows in _bands(data, variable, grid, steps)
            ]
            found[variable] = Changes((), {name: _beside([band[name] for band in bands]) for name in bands[0]})
        names = ["/".join(span) for span in periods]
        whole = np.ones(grid.shape, bool)
        made = to_dataset(found, model=model, first=names[0], second=names[1], grid=grid, mask=whole)
        made = made.assign_attrs({name: data.attrs[name] for name in _SAID if name in data.attrs})
    with write_atomic(target) as temporary:
        conforming(made).to_netcdf(temporary, engine="netcdf4")
    return target


def _steps(time: np.ndarray, span: Span) -> np.ndarray:
    calendar = calendar_of(time)
    try:
        first, after = parse(span[0], calendar)[0], parse(span[1], calendar)[1]
    except ValueError as error:
        raise ConfigError(f"--change: {error}.") from error
    count = microseconds(time)
    inside = np.flatnonzero((count >= first) & (count < after))
    if not inside.size:
        raise DataError(
            f"--change: expected dates from {span[0]} to {span[1]} in the prediction, got none; it spans "
            f"{iso(time[0])} to {iso(time[-1])}."
        )
    return inside


def _bands(data: xr.Dataset, variable: str, grid: Grid, steps: list[np.ndarray]) -> list[slice]:
    """Return slices of rows (of stations: of them) whose values over both periods fit the memory meant for them."""
    rows = grid.shape[1] if grid.stations else grid.shape[0]
    numbers = sum(int(np.prod(data[name].shape, dtype=np.int64)) for name in parts_of(data, variable))
    each = 4 * numbers * sum(map(len, steps)) // max(1, data.sizes["time"]) // rows
    width = max(1, _MEMORY // max(1, each))
    return [slice(start, min(start + width, rows)) for start in range(0, rows, width)]


def _fields(data: xr.Dataset, grid: Grid, rows: slice, steps: list[np.ndarray]) -> dict[str, ChangeFields]:
    """Return the changes of the cells of some rows, by index; the days are the file's members, else draws."""
    cases = [_case(data.isel({grid.file_dims[0]: rows, "time": chosen})) for chosen in steps]
    cells = cases[0].truth.shape[1]
    made = change_signals(cases[0], cases[1], model="", variable="", weights=np.ones(cells), seed=0, resamples=1)
    return dict(made.fields)


def _case(part: xr.Dataset) -> Case:
    forecast = from_dataset(part.load())[0]
    flat = forecast.prediction.map(lambda field: field.reshape(*field.shape[:-3], -1))
    nothing = np.full(flat.mean().shape, np.nan, np.float32)
    variable = names_of_variables(part)[0]
    said = part[variable].attrs
    units, name = str(said.get("units", "1")), str(said.get("standard_name", ""))
    return Case(flat, nothing, flat, units=units, standard_name=name, time=forecast.time)


def _beside(parts: list[ChangeFields]) -> ChangeFields:
    return ChangeFields(np.concatenate([part.prediction for part in parts]), None, None, parts[0].units)
