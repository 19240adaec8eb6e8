"""From a name in the catalog to a regular dataset in one file, read and written some times at a time if it is large."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import xarray as xr
from xarray.backends.netCDF4_ import NETCDF4_PYTHON_LOCK

from pipeline.backend import Backend
from pipeline.backend.memory import fits, said
from pipeline.backend.threads import read_ahead
from pipeline.data.axes import find_time
from pipeline.data.blocks import Blocks
from pipeline.data.catalog import Catalog, Entry
from pipeline.data.checks import check as check_whole
from pipeline.data.checks import check_ranges
from pipeline.data.contents import Range, VariableCheck, inspect
from pipeline.data.files import Places
from pipeline.data.load import Opened, opened
from pipeline.data.lows import Lows
from pipeline.data.records import Found, Repair
from pipeline.data.regular import regularise
from pipeline.progress import Progress, silent

if TYPE_CHECKING:
    import netCDF4

log = logging.getLogger(__name__)

PARTS = 8  # a block of times takes at most this part of it: beside it lie what it is made of and the next one


@dataclass(frozen=True, eq=False)
class Regular:
    """A dataset in a file: what it holds, what was mended, and what it was read from.

    Parameters
    ----------
    checks : tuple of VariableCheck
        Of every variable.
    repairs : tuple of Repair
        What was mended.
    files : tuple of Found
        What it was read from.
    """

    checks: tuple[VariableCheck, ...]
    repairs: tuple[Repair, ...]
    files: tuple[Found, ...]


def write_regular(
    path: Path,
    entry: Entry | str,
    catalog: Catalog,
    places: Places,
    backend: Backend,
    variables: Sequence[str] | None = None,
    progress: Progress = silent,
    *,
    budget: int | None = None,
) -> Regular:
    """Write a dataset of the catalog as :func:`~pipeline.data.load.load` returns it to one netCDF-4 file.

    Parameters
    ----------
    path : Path
        The file.
    entry, catalog, places, backend, variables, progress
        As :func:`~pipeline.data.load.load` takes them.
    budget : int, optional
        Bytes that values may take on their way. What is larger goes through memory some times at a time, and is
        written as it is, time by time: packing it would take longer than reading it, for every stage anew.

    Raises
    ------
    DataError
        As :func:`~pipeline.data.load.load` does; and if a dataset that is too large for memory has no times in order.
    """
    with opened(entry, catalog, places, backend, variables, progress) as source:
        if budget is None or not _is_large(source, budget):
            data, repairs = regularise(source.raw, source.entry, source.names, progress)
            check_whole(data, source.entry.name)
            packed = {name: {"zlib": True, "complevel": 1} for name in data.data_vars}
            data.to_netcdf(path, engine="netcdf4", encoding=packed)
            return Regular(inspect(data), repairs, source.files)
        blocks = Blocks.of(source.raw, source.entry, source.names)
        step = max(1, budget // PARTS // blocks.bytes_per_step())
        log.info(
            "%s: %s in memory, read %d of %d times at a time",
            source.entry.name,
            said(blocks.bytes_per_step() * len(blocks.time)),
            step,
            len(blocks.time),
        )
        return _streamed(path, blocks, step, source.files, progress)


def _is_large(source: Opened, budget: int) -> bool:
    """Return whether values change with time and, in float64, have no room in memory."""
    named = (source.entry.variables[name].source or name for name in source.names)
    arrays = [
        source.raw[name] for name in named if name in source.raw.variables
    ]  # what lacks is told of by the reading
    time = find_time(source.raw)
    timed = any(time in array.dims or time in array.coords for array in arrays)
    return timed and not fits(sum(8 * array.size for array in arrays), budget)


def _streamed(path: Path, blocks: Blocks, step: int, files: tuple[Found, ...], progress: Progress) -> Regular:
    count = len(blocks.time)
    ranges: dict[str, Range] = {}
    repairs: list[Repair] = list(blocks.repairs)
    last: xr.Dataset | None = None
    lows = Lows()
    steps = (np.arange(first, min(first + step, count)) for first in range(0, count, step))
    with (
        _Growing(path, blocks.time) as file,
        progress(f"read {blocks.name}", count) as bar,
        closing(read_ahead(partial(blocks.mended, empty=True, lows=lows), steps, ahead=1)) as parts,
    ):
        for data, mended in parts:
            for name, array in data.data_vars.items():
                found = Range.of(array.values)
                ranges[str(name)] = found if str(name) not in ranges else ranges[str(name)].and_of(found)
            repairs = _joined(repairs, mended)
            file.add(data)
            bar.advance(data.sizes["time"])
            last = data
    assert last is not None  # a time axis has a time
    blocks.judge(lows)
    check_ranges(last, ranges, blocks.name)
    with xr.open_dataset(path, engine="netcdf4", cache=False) as written:
        return Regular(inspect(written, ranges), tuple(repairs), files)


def _joined(known: Sequence[Repair], more: Sequence[Repair]) -> list[Repair]:
    """Return what was mended in all: what is said of several parts is said once."""
    found = list(known)
    for repair in more:
        place = next((place for place, other in enumerate(found) if other.like(repair)), None)
        if place is None:
            found.append(repair)
        else:
            found[place] = found[place].and_of(repair)
    return found


class _Growing:
    """A netCDF-4 file that regular data are added to, time by time, not packed; a context manager.

    Values of a variable lie one time behind the other, so that a stretch of times is one read.
    """

    def __init__(self, path: Path, time: np.ndarray) -> None:
        self._path, self._time, self._done = path, time, 0
        self._file: netCDF4.Dataset | None = None

    def add(self, data: xr.Dataset) -> None:
        """Write the next times."""
        if self._file is None:
            self._file = self._begin(data)
        count = data.sizes["time"]
        with NETCDF4_PYTHON_LOCK:  # the library serves one thread at a time, and the next times are being read
            for name, array in data.data_vars.items():
                if "time" in array.dims:
                    place = tuple(
                        slice(self._done, self._done + count) if dim == "time" else slice(None) for dim in array.dims
                    )
                    self._file[str(name)][place] = array.values
                elif not self._done:
                    self._file[str(name)][...] = array.values
        self._done += count

    def _begin(self, data: xr.Dataset) -> netCDF4.Dataset:
        import netCDF4

        # Laid out by xarray with all its coordinates, of one time; the variables are made anew for all times.
        bare = data.drop_vars(list(data.data_vars)).reset_coords()
        attrs, encoding = data["time"].attrs, data["time"].encoding
        whole = bare.drop_vars("time").assign_coords(time=xr.Variable("time", self._time, attrs, encoding))
        whole.to_netcdf(self._path, engine="netcdf4", format="NETCDF4")
        with NETCDF4_PYTHON_LOCK:
            file = netCDF4.Dataset(self._path, "a")
            file.set_fill_off()
            file.set_auto_mask(False)
            for name, array in data.data_vars.items():
                dims = tuple(map(str, array.dims))
                made = file.createVariable(str(name), array.dtype, dims, contiguous=True, fill_value=np.nan)
                made.setncatts(array.attrs)
                beside = [str(coord) for coord in array.coords if coord not in array.dims]
                if beside:
                    made.coordinates = " ".join(beside)
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with NETCDF4_PYTHON_LOCK:
                self._file.close()
