"""Reader of NumPy archives: images with channels, and fields whose axes are arrays beside them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data.catalog import Entry
from pipeline.data.records import Repair
from pipeline.errors import DataError
from pipeline.registry import suggest

_USUAL = {2: ["y", "x"], 3: ["y", "x", "channel"]}


@READERS.register("npz")
class NpzReader(Reader):
    """Reads arrays of images (dims ``y, x`` and ``channel``) or of fields whose axes are arrays of their own.

    A channel is a variable by its name under ``channels``, else ``img_0``, ``img_1``, ... of the array ``img``.
    Dims ``y, x`` without an array of their name get pixel numbers from 0.
    """

    class Options(ReaderOptions):
        """Keys of an entry of format ``npz``."""

        arrays: dict[str, list[str]] = Field(
            default_factory=dict,
            description="Dims of each array that is used, such as {img: [y, x, channel]}; an axis is {lat: [lat]}. By "
            "default all arrays of two dims (y, x) or three (y, x, channel).",
        )
        channels: dict[str, list[str]] = Field(
            default_factory=dict, description="Names of the channels of an array, which are the variables."
        )
        remap: dict[str, dict[int, int]] = Field(
            default_factory=dict,
            description="New class number by the one in the file, by variable; others are errors. NaN, unknown, stays.",
        )

        @model_validator(mode="after")
        def _together(self) -> NpzReader.Options:
            for name, dims in self.arrays.items():
                if not dims or len(set(dims)) < len(dims):
                    raise ValueError(f"expected dims with names of their own for the array {name!r}, got {dims!r}")
            for name, labels in self.channels.items():
                if self.arrays and "channel" not in self.arrays.get(name, []):
                    raise ValueError(f"expected a dim channel under arrays for {name!r}, whose channels are named")
                if len(set(labels)) < len(labels):
                    raise ValueError(f"expected channels with names of their own for {name!r}, got {labels!r}")
            return self

    suffixes: ClassVar[tuple[str, ...]] = (".npz",)

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the arrays' variables; the format is never lazy."""
        options = self.Options.model_validate(entry.options)
        data = combine([(path, _read_file(path, options)) for path in files], entry.name)
        repairs = list(data.attrs.get("repairs", ()))
        for name, numbers in options.remap.items():
            if name not in data.data_vars:
                known = ", ".join(map(str, data.data_vars))
                raise DataError(f"{entry.name}: options: remap: no variable {name!r} in the files. Known: {known}.")
            old = data[name]
            data[name] = _remapped(old, numbers, f"{entry.name}: variable {name!r}")
            unknown = np.isnan(old.values)  # NaN is no number of a class, and stays
            changed = int(((data[name].values != old.values) & ~unknown).sum())
            text = f"{changed} class numbers of {name} are others by the catalog's remap"
            repairs.append(Repair("class numbers", name, changed, text))
        return data.assign_attrs(repairs=tuple(repairs))


def _read_file(path: Path, options: NpzReader.Options) -> xr.Dataset:
    arrays = _arrays(path)
    dims = options.arrays or {name: _USUAL[array.ndim] for name, array in arrays.items() if array.ndim in _USUAL}
    if not dims:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise DataError(f"{path}: expected arrays of two or three dims, got {shapes}. Write options: arrays.")
    for name in (*dims, *options.channels):
        if name not in arrays:
            raise DataError(f"{path}: no array {name!r}.{suggest(name, arrays)} Known: {', '.join(arrays)}.")
    parts: dict[str, xr.Variable] = {}
    for name, along in dims.items():
        array = arrays[name]
        if array.ndim != len(along):
            raise DataError(f"{path}: array {name!r}: expected dims {along}, got an array of shape {array.shape}.")
        if "channel" in along and along != ["channel"]:
            named = _channels(path, name, xr.Variable(along, array), options.channels.get(name))
            if doubled := sorted(set(named) & set(parts)):
                raise DataError(f"{path}: expected variables with names of their own, got {doubled[0]!r} twice.")
            parts |= named
        else:
            parts[name] = xr.Variable(along, array)
    return _with_pixels(path, parts)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path}: expected an archive of named arrays (.npz), got one array (.npy).")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole NumPy archive of plain arrays, got {type(error).__name__}: {error}. Is it cut "
            "off?"
        ) from error


def _channels(path: Path, name: str, array: xr.Variable, labels: list[str] | None) -> dict[str, xr.Variable]:
    count = array.sizes["channel"]
    if labels is None:
        labels = [name] if count == 1 else [f"{name}_{number}" for number in range(count)]
    if len(labels) != count:
        raise DataError(
            f"{path}: array {name!r}: expected {len(labels)} channels ({', '.join(labels)}), got {count}. Correct "
            "options: channels."
        )
    return {label: array.isel(channel=number) for number, label in enumerate(labels)}


def _with_pixels(path: Path, parts: dict[str, xr.Variable]) -> xr.Dataset:
    sizes: dict[str, int] = {}
    for name, array in parts.items():
        for dim, size in array.sizes.items():
            if sizes.setdefault(str(dim), size) != size:
                raise DataError(f"{path}: variable {name!r}: expected {dim} of {sizes[str(dim)]}, got {size}.")
    pixels = {dim: (dim, np.arange(size)) for dim, size in sizes.items() if dim in ("y", "x") and dim not in parts}
    axes = {name: array for name, array in parts.items() if array.dims == (name,)}
    fields: dict[str, Any] = {name: array for name, array in parts.items() if name not in axes}
    return xr.Dataset(fields, coords=axes | pixels)


def _remapped(array: xr.DataArray, numbers: dict[int, int], where: str) -> xr.DataArray:
    values = array.values
    unknown = np.isnan(values)
    known = unknown | np.isin(values, list(numbers))
    if not known.all():
        strange = np.unique(values[~known])
        shown = ", ".join(f"{value:g}" for value in strange[:5])
        raise DataError(
            f"{where}: expected the class numbers {', '.join(map(str, numbers))} of remap, got {shown} at "
            f"{int((~known).sum())} places. Say under remap what they become."
        )
    new = np.full(values.shape, np.nan) if unknown.any() else np.zeros(values.shape, np.int64)
    for old, number in numbers.items():
        new[values == old] = number
    return array.copy(data=new)
