"""Forecasts to disk, a block of times at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pipeline.cf import CONVENTIONS, leap_seconds, names_aside
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction.serial.axes import coordinate, counted
from pipeline.prediction.serial.fields import Field, fields
from pipeline.prediction.serial.records import Forecast, Origin, Variable
from pipeline.prediction.serial.stamps import UNITS, Stamps

if TYPE_CHECKING:
    import netCDF4

_BLOCK = 2**21  # values of one parameter worked on at a time: 16 MiB in float64, ten times that with all that is made
AXES = ("time", "tile")  # along which files grow
_CHUNK = 2**16  # values of one chunk on disk


def write_forecasts(
    path: Path,
    forecasts: Iterable[Forecast],
    *,
    model: str,
    variables: Sequence[Variable],
    grid: Grid,
    splits: bool = True,
    attrs: Mapping[str, str] | None = None,
    leads: Sequence[int] | None = None,
    origins: Sequence[Origin] = (),
) -> None:
    """Write the forecasts of one model to ``path`` as compressed netCDF-4.

    Forecasts are taken from ``forecasts`` one by one, and none is kept: from a generator, one is in
    memory at a time, and beside it one block of its times. Parameters may live on any device. A split
    may come in several parts, one after another. Chunks hold whole fields of a few days of one member,
    so that reading a day opens little else.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    forecasts : iterable of Forecast
        One a split, all of the same family, with the same numbers of members, classes and whatever else it has.
    model : str
        The experiment's name for the model, for the title.
    variables : sequence of Variable
        The targets, in array order.
    grid : Grid
        The target grid.
    splits : bool
        Whether a coordinate names the split of every time; without it all belong together.
    attrs : mapping of str to str, optional
        Further global attributes, such as ``history``.
    leads : sequence of int, optional
        Steps ahead that are answered; variables then have the dims (time, lead, ...), where ``time`` is when the
        forecast was made, and the coordinate ``valid_time`` has ``Forecast.valid``.
    origins : sequence of Tile, optional
        Of tiles of images, whose numbers stand in ``Forecast.time``: where each was cut. Files then have the dim
        ``tile`` in place of ``time``.

    Raises
    ------
    DataError
        If there is no forecast, if families, numbers of members (or classes) or calendars do not go together,
        or if a shape does not fit.
    """
    writer = _Writer(path, model, tuple(variables), grid, splits, dict(attrs or {}), leads, origins)
    try:
        for forecast in forecasts:
            writer.add(forecast)
            del forecast  # else it would live on while the next one is made
        writer.finish()
    finally:
        writer.close()


@dataclass(frozen=True)
class _Kind:
    """What all forecasts of a file have in common."""

    family: str
    sizes: Mapping[str, int]  # length of each leading axis


class _Writer:
    """A file that grows with every forecast."""

    def __init__(
        self,
        path: Path,
        model: str,
        variables: tuple[Variable, ...],
        grid: Grid,
        splits: bool,
        attrs: dict[str, str],
        leads: Sequence[int] | None,
        origins: Sequence[Origin],
    ) -> None:
        self._path, self._model, self._variables, self._grid = path, model, variables, grid
        self._splits, self._attrs, self._leads, self._origins = splits, attrs, leads, origins
        self._stamps = Stamps()
        self._count = 0
        self._axis = "time"  # of tiles of images, which have no time: "tile"
        self._kind: _Kind | None = None
        self._file: netCDF4.Dataset | None = None

    def add(self, forecast: Forecast) -> None:
        """Append a forecast, block by block; nothing of one without times."""
        targets = len(self._variables) * (1 if self._leads is None else len(self._leads))
        _check_shape(forecast, (len(forecast.time), targets, *self._grid.shape), self._model)
        _check_valid(forecast, self._leads, self._model)
        if not len(forecast.time):
            return
        said = forecast.prediction
        kind = _Kind(said.family, said.sizes)
        if self._file is None or self._kind is None:
            self._axis = "tile" if forecast.time.dtype.kind in "iu" else "time"
            self._kind, self._file = kind, self._begin(kind)
        _check_kind(self._kind, kind, self._model)
        self._stamps.add(forecast.split, forecast.time, forecast.valid)
        for block in _blocks(forecast):
            for target, variable in enumerate(self._variables):
                columns = slice(target, None, len(self._variables))  # all variables of a lead stand together
                parts = fields(block, columns, variable, self._grid, splits=self._splits, leads=self._leads is not None)
                if block.truth is None:  # left to the fill value, or out of a file that has none at all
                    del parts[f"{variable.name}_truth"]
                self._append(self._file, parts, len(forecast.time))
            self._count += len(block.time)

    def finish(self) -> None:
        """Write the times and names of the splits, which are known once all have come."""
        if self._file is None:
            raise DataError(f"expected predictions of {self._model!r} for at least one split, got none.")
        if self._axis == "tile":
            self._number(self._file)
        else:
            self._date(self._file)
        for variable in self._variables:
            _keep_what_is_there(self._file, variable.name)
        if not self._splits:
            return
        split = self._file.createVariable("split", str, (self._axis,), chunksizes=(_CHUNK // 16,))
        split.setncatts({"long_name": "name of the split"})
        if self._stamps.others():
            split.setncatts({"calendars": json.dumps(self._stamps.others(), sort_keys=True)})
        split[:] = self._stamps.names()

    def _number(self, file: netCDF4.Dataset) -> None:
        """Write the numbers of the tiles, and where each was cut."""
        number = file.createVariable("tile", "i8", ("tile",))
        number.setncatts({"long_name": "number of the tile", "units": "1"})
        number[:] = numbers = np.concatenate(self._stamps.times)
        if not self._origins:
            return
        cut = [self._origins[place] for place in numbers]
        image = file.createVariable("image", str, ("tile",))
        image.setncatts({"long_name": "image that the tile was cut from"})
        image[:] = np.array([tile.image for tile in cut], dtype=object)
        for name, words in (("y", "row"), ("x", "column")):
            first = file.createVariable(f"first_{name}", "i4", ("tile",))
            first.setncatts({"long_name": f"{words} of the image that the tile begins with", "units": "1"})
            first[:] = [getattr(tile, name) for tile in cut]

    def _date(self, file: netCDF4.Dataset) -> None:
        """Write the times, and what times are forecast."""
        calendar = self._stamps.calendar
        attrs = {"standard_name": "time", "long_name": "time", "units": UNITS, "calendar": calendar}
        attrs |= leap_seconds(calendar)
        time = file.createVariable("time", "i8", ("time",), chunksizes=(_CHUNK // 16,))
        time.setncatts({**attrs, "axis": "T"})
        time[:] = self._stamps.seconds()
        if self._leads is not None:
            time.setncatts({"standard_name": "forecast_reference_time", "long_name": "time of the forecast"})
            valid = file.createVariable("valid_time", "i8", ("time", "lead"))
            valid.setncatts({**attrs, "long_name": "time that is forecast"})
            valid[:] = self._stamps.valid_seconds()

    def close(self) -> None:
        """Close the file, if one was begun."""
        if self._file is not None:
            self._file.close()

    def _append(self, file: netCDF4.Dataset, parts: Mapping[str, Field], times: int) -> None:
        for name, part in parts.items():
            axis = part.dims.index("time")
            if name not in file.variables:
                _define(file, name, replace(part, dims=(*part.dims[:axis], self._axis, *part.dims[axis + 1 :])), times)
            place: list[slice] = [slice(None)] * len(part.dims)
            place[axis] = slice(self._count, self._count + part.values.shape[axis])
            file[name][tuple(place)] = part.values

    def _begin(self, kind: _Kind) -> netCDF4.Dataset:
        """Return the file with its places and leading axes, open for more."""
        import netCDF4

        coords: dict[str, Any] = dict(self._grid.coords())
        coords |= {dim: coordinate(dim, count, self._variables) for dim, count in kind.sizes.items()}
        if self._leads is not None:
            coords["lead"] = ("lead", np.asarray(self._leads, np.int32), {"long_name": "steps ahead", "units": "1"})
        header = {"title": f"Predictions of {self._model}", "model": self._model, "family": kind.family, **self._attrs}
        if self._grid.stations:
            header["featureType"] = "timeSeries"
        dataset = names_aside(xr.Dataset(coords=coords, attrs={"Conventions": CONVENTIONS, **header}))
        for axis in dataset.dims:  # a number on an axis is never missing
            dataset[axis].encoding["_FillValue"] = None
        # As plain variables: fields name their coordinates themselves, a global list of them would be a second one.
        dataset.reset_coords().to_netcdf(self._path, engine="netcdf4", format="NETCDF4")
        file = netCDF4.Dataset(self._path, "a")
        # Values go in as they are, NaN too.
        file.set_auto_mask(False)
        file.createDimension(self._axis, None)
        return file


def _keep_what_is_there(file: netCDF4.Dataset, name: str) -> None:
    """Leave out of ``ancillary_variables`` what was not written, as the truth where no split has any."""
    beside = [other for other in file[name].ancillary_variables.split() if other in file.variables]
    if beside:
        file[name].ancillary_variables = " ".join(beside)
    else:
        file[name].delncattr("ancillary_variables")


def _define(file: netCDF4.Dataset, name: str, part: Field, times: int) -> None:
    """Make a variable that more times can be appended to."""
    axis = next(place for place, dim in enumerate(part.dims) if dim in AXES)
    sizes = [1 if place <= axis else len(file.dimensions[dim]) for place, dim in enumerate(part.dims)]
    sizes[axis] = max(1, min(times, _CHUNK // max(1, int(np.prod(sizes)))))
    variable = file.createVariable(
        name, part.values.dtype, part.dims, zlib=True, complevel=1, shuffle=True, chunksizes=sizes, fill_value=np.nan
    )
    variable.setncatts(part.attrs)
    # Room for the chunks that a block leaves half full, one a member (or class); the default is 16 MiB a variable.
    slabs = part.values.shape[0] if axis else 1
    variable.set_var_chunk_cache(size=2 * slabs * int(np.prod(sizes)) * part.values.itemsize, nelems=20 * slabs + 1)


def _blocks(forecast: Forecast) -> Iterator[Forecast]:
    """Yield the forecast in parts that are cheap to work on."""
    times = len(forecast.time)
    # A block holds all targets, but one is worked on at a time.
    sizes = [int(np.prod(array.shape)) // array.shape[-3] for array in forecast.prediction.parameters.values()]
    step = max(1, _BLOCK * times // max(1, *sizes))
    for start in range(0, times, step):
        yield forecast.rows(start, start + step)


def _check_kind(first: _Kind, kind: _Kind, model: str) -> None:
    if kind.family != first.family:
        families = sorted({first.family, kind.family})
        raise DataError(f"expected one family of predictions of {model!r} in all splits, got {families}.")
    for dim, mine in first.sizes.items():
        if kind.sizes[dim] != mine:
            raise DataError(f"expected {mine} {counted(dim)} of {model!r} in all splits, got {kind.sizes[dim]} in one.")


def _check_valid(forecast: Forecast, leads: Sequence[int] | None, model: str) -> None:
    expected = None if leads is None else (len(forecast.time), len(leads))
    got = None if forecast.valid is None else forecast.valid.shape
    if got != expected:
        raise DataError(
            f"expected the times that {model!r} answers on {forecast.split!r} in shape (time, lead) = {expected}, "
            f"got {got}."
        )


def _check_shape(forecast: Forecast, shape: tuple[int, ...], model: str) -> None:
    leading = forecast.prediction.formulas.leading
    shapes = {
        name: tuple(array.shape[1:] if name in leading else array.shape)
        for name, array in forecast.prediction.parameters.items()
    }
    if forecast.truth is not None:
        shapes["truth"] = tuple(forecast.truth.shape)
    for name, got in shapes.items():
        if got != shape:
            raise DataError(
                f"expected {name} of {model!r} on {forecast.split!r} in shape (time, target, lat, lon) = {shape}, "
                f"got {got}."
            )
