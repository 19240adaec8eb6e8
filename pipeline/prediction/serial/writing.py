"""Forecasts to disk, a block of times at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.prediction.serial.fields import Field, fields
from pipeline.prediction.serial.records import Forecast, Variable
from pipeline.prediction.serial.stamps import UNITS, Stamps

if TYPE_CHECKING:
    import netCDF4

_BLOCK = 2**21  # values of one parameter worked on at a time: 16 MiB in float64, ten times that with all that is made
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
        One a split, all of the same family and number of members.
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

    Raises
    ------
    DataError
        If there is no forecast, if families, numbers of members or calendars do not go together, or if
        a shape does not fit.
    """
    writer = _Writer(path, model, tuple(variables), grid, splits, dict(attrs or {}))
    try:
        for forecast in forecasts:
            writer.add(forecast)
            del forecast  # else it would live on while the next one is made
        writer.finish()
    finally:
        writer.close()


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
    ) -> None:
        self._path, self._model, self._variables, self._grid = path, model, variables, grid
        self._splits, self._attrs = splits, attrs
        self._stamps = Stamps()
        self._count = 0
        self._kind = ("", 0)
        self._file: netCDF4.Dataset | None = None

    def add(self, forecast: Forecast) -> None:
        """Append a forecast, block by block; nothing of one without times."""
        _check_shape(forecast, (len(forecast.time), len(self._variables), *self._grid.shape), self._model)
        if not len(forecast.time):
            return
        kind = forecast.prediction.family, forecast.prediction.member_count
        if self._file is None:
            self._kind, self._file = kind, self._begin(*kind)
        _check_kind(self._kind, kind, self._model)
        self._stamps.add(forecast.split, forecast.time)
        for block in _blocks(forecast):
            for target, variable in enumerate(self._variables):
                parts = fields(block, target, variable, self._grid, splits=self._splits)
                if block.truth is None:  # left to the fill value, or out of a file that has none at all
                    del parts[f"{variable.name}_truth"]
                self._append(self._file, parts, len(forecast.time))
            self._count += len(block.time)

    def finish(self) -> None:
        """Write the times and names of the splits, which are known once all have come."""
        if self._file is None:
            raise DataError(f"expected predictions of {self._model!r} for at least one split, got none.")
        attrs = {"standard_name": "time", "long_name": "time", "units": UNITS, "calendar": self._stamps.calendar}
        time = self._file.createVariable("time", "i8", ("time",), chunksizes=(_CHUNK // 16,))
        time.setncatts(attrs)
        time[:] = self._stamps.seconds()
        for variable in self._variables:
            _keep_what_is_there(self._file, variable.name)
        if not self._splits:
            return
        split = self._file.createVariable("split", str, ("time",), chunksizes=(_CHUNK // 16,))
        split.setncatts({"long_name": "name of the split"})
        if self._stamps.others():
            split.setncatts({"calendars": json.dumps(self._stamps.others(), sort_keys=True)})
        split[:] = self._stamps.names()

    def close(self) -> None:
        """Close the file, if one was begun."""
        if self._file is not None:
            self._file.close()

    def _append(self, file: netCDF4.Dataset, parts: Mapping[str, Field], times: int) -> None:
        for name, part in parts.items():
            if name not in file.variables:
                _define(file, name, part, times)
            place: list[slice] = [slice(None)] * len(part.dims)
            axis = part.dims.index("time")
            place[axis] = slice(self._count, self._count + part.values.shape[axis])
            file[name][tuple(place)] = part.values

    def _begin(self, family: str, members: int) -> netCDF4.Dataset:
        """Return the file with its places and members, open for more."""
        import netCDF4

        coords: dict[str, Any] = dict(self._grid.coords())
        if members:
            attrs = {"standard_name": "realization", "units": "1"}
            coords["member"] = ("member", np.arange(members, dtype=np.int32), attrs)
        header = {"title": f"Predictions of {self._model}", "model": self._model, "family": family, **self._attrs}
        dataset = xr.Dataset(coords=coords, attrs={"Conventions": "CF-1.11", **header})
        encoding = {name: {"_FillValue": None} for name in ("lat", "lon")}  # a place is never missing
        # As plain variables: fields name their coordinates themselves, a global list of them would be a second one.
        dataset.reset_coords().to_netcdf(self._path, engine="netcdf4", format="NETCDF4", encoding=encoding)
        file = netCDF4.Dataset(self._path, "a")
        # Values go in as they are, NaN too.
        file.set_auto_mask(False)
        file.createDimension("time", None)
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
    sizes = [1 if dim in ("member", "time") else len(file.dimensions[dim]) for dim in part.dims]
    sizes[part.dims.index("time")] = max(1, min(times, _CHUNK // max(1, int(np.prod(sizes)))))
    variable = file.createVariable(
        name, part.values.dtype, part.dims, zlib=True, complevel=1, shuffle=True, chunksizes=sizes, fill_value=np.nan
    )
    variable.setncatts(part.attrs)
    # Room for the chunks that a block leaves half full, one a member; the default is 16 MiB a variable.
    members = part.values.shape[0] if part.dims[0] == "member" else 1
    variable.set_var_chunk_cache(size=2 * members * int(np.prod(sizes)) * part.values.itemsize, nelems=20 * members + 1)


def _blocks(forecast: Forecast) -> Iterator[Forecast]:
    """Yield the forecast in parts that are cheap to work on."""
    times = len(forecast.time)
    # A block holds all targets, but one is worked on at a time.
    sizes = [int(np.prod(array.shape)) // array.shape[-3] for array in forecast.prediction.parameters.values()]
    step = max(1, _BLOCK * times // max(1, *sizes))
    for start in range(0, times, step):
        yield forecast.rows(start, start + step)


def _check_kind(first: tuple[str, int], kind: tuple[str, int], model: str) -> None:
    if kind[0] != first[0]:
        families = sorted({first[0], kind[0]})
        raise DataError(f"expected one family of predictions of {model!r} in all splits, got {families}.")
    if kind[1] != first[1]:
        raise DataError(f"expected {first[1]} members of {model!r} in all splits, got {kind[1]} in one.")


def _check_shape(forecast: Forecast, shape: tuple[int, ...], model: str) -> None:
    members = forecast.prediction.formulas.member_parameters
    shapes = {
        name: tuple(array.shape[1:] if name in members else array.shape)
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
