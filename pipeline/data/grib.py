"""Reader of GRIB files, editions 1 and 2, through cfgrib and ecCodes."""

from __future__ import annotations

import warnings
from collections.abc import Set
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data.catalog import Entry
from pipeline.errors import DataError

_LEVELS = ("surface", "heightAboveGround", "meanSea", "number", "depthBelowLandLayer", "entireAtmosphere")
"""Scalar coordinates that differ from variable to variable and place none of them."""

_TIMES = ("dataDate", "dataTime", "validityDate", "validityTime")


@READERS.register("grib")
class GribReader(Reader):
    """Reads GRIB files as services deliver them: one or many, variables on different kinds of levels together.

    Forecast steps are laid along the time at which they are valid. Needs the extra ``grib``.
    """

    class Options(ReaderOptions):
        """Keys of an entry of format ``grib``."""

        filter_by_keys: dict[str, str | int] = Field(
            default_factory=dict,
            description="GRIB keys and the values that messages must have, such as {typeOfLevel: surface}; for files "
            "that hold one name on several kinds of levels.",
        )

    suffixes: ClassVar[tuple[str, ...]] = (".grib", ".grb", ".grib2", ".grb2")

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the files' variables, lazily."""
        options = self.Options.model_validate(entry.options)
        return combine([(path, _open(path, options.filter_by_keys)) for path in files], entry.name)


def _open(path: Path, keys: dict[str, str | int]) -> xr.Dataset:
    try:
        import cfgrib
        import eccodes
    except (ImportError, RuntimeError) as error:  # ecCodes' library may be missing below a package that is there
        raise DataError(
            f"{path}: GRIB files are read through cfgrib and ecCodes, which are not usable here ({error}). "
            "Install them: pip install 'finescale[grib]'"
        ) from error
    if path.open("rb").read(4) != b"GRIB":
        raise DataError(f"{path}: expected a GRIB file, which begins with the letters GRIB. Is it another format?")
    # No index file: the folder may be read-only, and a stale one hides that a file has changed.
    arguments = {"indexpath": "", "filter_by_keys": keys, "errors": "raise"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of xarray, to cfgrib
            parts = cfgrib.open_datasets(str(path), backend_kwargs=arguments, chunks={})
    except KeyError as error:  # cfgrib's, where no message is left
        raise DataError(f"{path}: no message has {keys!r}; see what there is with grib_ls.") from error
    except (cfgrib.DatasetBuildError, eccodes.CodesInternalError, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected whole GRIB messages, got {type(error).__name__}: {error}. Is it cut off?"
        ) from error
    # The headers are read again only where starts and steps span a table that may have holes.
    there = _starts_and_ends(path) if any({"time", "step"} <= set(part.dims) for part in parts) else set()
    return _joined([_by_valid_time(_plain(part), there) for part in parts], path)


def _plain(data: xr.Dataset) -> xr.Dataset:
    """Drop coordinates of one value that only say on which level a variable was taken."""
    return data.drop_vars([name for name in _LEVELS if name in data.coords and data.coords[name].ndim == 0])


def _by_valid_time(data: xr.Dataset, there: Set[tuple[int, int]]) -> xr.Dataset:
    """Lay forecasts of several steps along the time at which they are valid, those alone that are ``there``."""
    if "step" in data.dims and "time" in data.dims:
        # Accumulations start twice a day and run for twelve steps: (time, step) is one row of hours. A file of
        # one day has only some steps of its first and last start; the others would be hours without a value.
        data = data.stack(valid=("time", "step"))
        pairs = zip(*(_minutes(data[name].values) for name in ("time", "valid_time")), strict=True)
        data = data.isel(valid=[row for row, pair in enumerate(pairs) if pair in there])
        valid = data["valid_time"].values
        data = data.drop_vars(["valid", "time", "step", "valid_time"], errors="ignore")
        data = data.assign_coords(valid=("valid", valid, {"standard_name": "time"})).rename(valid="valid_time")
        data = data.transpose("valid_time", ...)
        order = np.argsort(valid, kind="stable")
        return data.isel(valid_time=order)
    if "valid_time" in data.coords:
        along = next((dim for dim in ("time", "step") if dim in data.dims), None)
        valid = data.coords["valid_time"].values
        data = data.drop_vars([name for name in ("time", "step", "valid_time") if name in data.coords])
        if along is None:
            return data.assign_coords(valid_time=((), valid, {"standard_name": "time"}))
        data = data.assign_coords({along: (along, valid, {"standard_name": "time"})})
        return data.rename({along: "valid_time"})
    return data


def _starts_and_ends(path: Path) -> set[tuple[int, int]]:
    """Return when the forecasts in a file start and for when they hold, by the headers alone."""
    import eccodes

    found = []
    with path.open("rb") as stream:
        while (message := eccodes.codes_grib_new_from_file(stream, headers_only=True)) is not None:
            try:
                found.append([eccodes.codes_get_long(message, key) for key in _TIMES])
            finally:
                eccodes.codes_release(message)
    return {(_minute(*row[:2]), _minute(*row[2:])) for row in found}


def _minute(day: int, clock: int) -> int:
    """Return minutes since 1970 of a date such as 20200131 and a time of day such as 630."""
    stamp = f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}T{clock // 100:02}:{clock % 100:02}"
    return int(np.datetime64(stamp, "m").astype(np.int64))


def _minutes(time: np.ndarray) -> list[int]:
    counted: list[int] = time.astype("datetime64[m]").astype(np.int64).tolist()
    return counted


def _joined(parts: list[xr.Dataset], path: Path) -> xr.Dataset:
    """Return the variables of all kinds of levels side by side."""
    names = [str(name) for part in parts for name in part.data_vars]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(
            f"{path}: {', '.join(doubled)} stands on several kinds of levels. Choose one in the catalog, such as "
            "options: {filter_by_keys: {typeOfLevel: isobaricInhPa}}."
        )
    try:
        return xr.merge(parts, join="exact", compat="no_conflicts", combine_attrs="override")
    except (ValueError, xr.MergeError) as error:
        raise DataError(
            f"{path}: expected variables on one grid and with the same times, got {', '.join(names)} on others "
            f"({' '.join(str(error).split())[:200]}). Make an entry of each with options: filter_by_keys."
        ) from error
