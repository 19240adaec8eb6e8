"""Reader of Zarr stores, formats 2 and 3, folders or zip files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import ClassVar

import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data.axes import drop_bounds
from pipeline.data.catalog import Entry
from pipeline.errors import DataError


@READERS.register("zarr")
class ZarrReader(Reader):
    """Reads Zarr stores through dask, one or many."""

    class Options(ReaderOptions):
        """Keys of an entry of format ``zarr``."""

        group: str | None = Field(default=None, description="Group of the store that holds the variables.")

    suffixes: ClassVar[tuple[str, ...]] = (".zarr", ".zarr.zip")

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the stores' variables, lazily."""
        options = self.Options.model_validate(entry.options)
        return combine([(path, _open(path, options.group)) for path in files], entry.name)


def _open(path: Path, group: str | None) -> xr.Dataset:
    import zarr

    try:
        store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
        # Consolidated metadata saves requests to a server; on a disk there is nothing to save.
        data = xr.open_dataset(store, engine="zarr", group=group, decode_times=False, chunks={}, consolidated=False)
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zarr.errors.BaseZarrError) as error:
        raise DataError(f"{path}: expected a Zarr store, got {type(error).__name__}: {error}.") from error
    return drop_bounds(data)
