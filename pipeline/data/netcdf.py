"""Reader of netCDF files, one or many."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._classic import missing_bytes
from pipeline.data._combine import combine
from pipeline.data._inflate import ThreadedStore
from pipeline.data.axes import drop_bounds
from pipeline.data.catalog import Entry
from pipeline.errors import DataError


@READERS.register("netcdf")
class NetcdfReader(Reader):
    """Reads netCDF-3, netCDF-4 and HDF5 files; variables and times may be split over them."""

    class Options(ReaderOptions):
        """Keys of an entry of format ``netcdf``."""

        group: str | None = Field(default=None, description="Group of a netCDF-4 file that holds the variables.")

    suffixes: ClassVar[tuple[str, ...]] = (".nc", ".nc4", ".nc3", ".cdf", ".h5")

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the files' variables, lazily."""
        options = self.Options.model_validate(entry.options)
        # Through dask only where several are joined: one file is lazy without it, and faster.
        chunks: dict[str, int] | None = {} if len(files) > 1 else None
        return combine([(path, open_netcdf(path, options.group, chunks)) for path in files], entry.name)


def open_netcdf(path: Path, group: str | None, chunks: dict[str, int] | None) -> xr.Dataset:
    """Return a file's variables without bounds, lazily, times as numbers.

    Raises
    ------
    DataError
        If it is cut off or no netCDF file.
    """
    short = missing_bytes(path)
    if short:
        raise DataError(
            f"{path}: the file is damaged: its header promises {short} bytes more than it has. Fetch it again."
        )
    try:
        store = ThreadedStore.open(str(path), group=group)  # type: ignore[no-untyped-call]
        data = xr.open_dataset(store, decode_times=False, chunks=chunks)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected a whole netCDF file, got {type(error).__name__}: {error}. Is it cut off?"
        ) from error
    return drop_bounds(data)
