"""Reader of ClimateNet: expert-labelled maps of tropical cyclones and atmospheric rivers, one file a time step.

A folder (``train`` or ``test``) holds netCDF files ``data-YYYY-MM-DD-HH-mm_k.nc`` of dims ``(time, lat, lon)`` with
16 channels of a global model and ``LABELS``: 0 background, 1 tropical cyclone, 2 atmospheric river.

Several experts may have labelled the same map; their files differ in ``LABELS`` and in ``k`` alone. Of these the one
of the least ``k`` is taken and the others are left out, which is recorded: a map that stands several times would
weigh more, and could lie on both sides of a split. Times are those of the file, or of its name where it has none.

Source: https://portal.nersc.gov/project/ClimateNet, doi:10.5194/gmd-14-107-2021.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.data import READERS, Reader
from pipeline.data._combine import combine
from pipeline.data.axes import find_time
from pipeline.data.catalog import Entry
from pipeline.data.netcdf import open_netcdf
from pipeline.data.records import Repair
from pipeline.errors import DataError

LABELS = "LABELS"
CLASSES = ("background", "tropical_cyclone", "atmospheric_river")
UNITS = {
    "TMQ": "kg m-2",
    "U850": "m s-1",
    "V850": "m s-1",
    "UBOT": "m s-1",
    "VBOT": "m s-1",
    "QREFHT": "kg kg-1",
    "PS": "Pa",
    "PSL": "Pa",
    "T200": "K",
    "T500": "K",
    "PRECT": "m s-1",
    "TS": "K",
    "TREFHT": "K",
    "Z1000": "m",
    "Z200": "m",
    "ZBOT": "m",
}
"""Units of the 16 channels."""

_NAME = re.compile(r"(?P<stem>data-(\d{4})-(\d{2})-(\d{2})-(\d{1,2})-(\d{1,2}))_(?P<expert>\d+)\.nc")


@dataclass(frozen=True)
class _Map:
    """A file, its name without the expert, and the expert's number."""

    path: Path
    stem: str
    expert: int


@READERS.register("climatenet")
class ClimateNetReader(Reader):
    """Reads a folder of ClimateNet, lazily."""

    def within(self, entry: Entry, path: Path) -> tuple[Path, ...]:
        """Return the netCDF files in the folder ``path``; a file is itself one."""
        if not path.is_dir():
            return (path,)
        found = tuple(sorted(file for file in path.glob("*.nc") if not file.name.startswith(".")))
        if not found:
            raise DataError(f"{entry.name}: expected {self.layout(entry)} in {path}, got none.")
        return found

    def layout(self, entry: Entry) -> str:
        """Return what the files are called."""
        return "files data-YYYY-MM-DD-HH-mm_k.nc"

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the maps in the order of their times, lazily."""
        kept, repairs = _one_expert(files)
        chunks: dict[str, int] | None = {} if len(kept) > 1 else None
        wanted = {spec.source or name for name, spec in entry.variables.items()}
        data = combine([(file.path, _open(file, wanted, chunks)) for file in kept], entry.name)
        repairs += data.attrs.get("repairs", ())
        unsaid = [name for name in data.data_vars if name in UNITS and "units" not in data[name].attrs]
        for name in unsaid:
            data[name] = data[name].assign_attrs(units=UNITS[str(name)])
        if unsaid:
            named = ", ".join(map(str, unsaid))
            text = f"the files do not say the units of {named}; those of ClimateNet are taken"
            repairs.append(Repair("source units", None, 0, text))
        return data.assign_attrs(repairs=tuple(repairs))


def _one_expert(files: Sequence[Path]) -> tuple[list[_Map], list[Repair]]:
    """Return one file a map, that of the least expert's number, in the order of their names."""
    kept: dict[str, _Map] = {}
    left = []
    for path in files:
        match = _NAME.fullmatch(path.name)
        found = _Map(path, match["stem"], int(match["expert"])) if match else _Map(path, path.name, 0)
        other = kept.get(found.stem)
        if other is None:
            kept[found.stem] = found
            continue
        first, second = sorted((found, other), key=lambda file: file.expert)
        kept[found.stem] = first
        left.append(second.path.name)
    text = f"{len(left)} files are left out, since other experts labelled the same maps: {', '.join(left[:3])}"
    text += " and so on" if len(left) > 3 else ""
    return [kept[stem] for stem in sorted(kept)], [Repair("experts", None, len(left), text)] if left else []


def _open(file: _Map, wanted: set[str], chunks: dict[str, int] | None) -> xr.Dataset:
    """Return the wanted variables of one file, which must be one map of dims (time, lat, lon)."""
    data = open_netcdf(file.path, None, chunks)
    lacking = sorted(name for name in wanted if name not in data.data_vars)
    if lacking:
        known = ", ".join(map(str, data.data_vars)) or "none"
        more = " A map without labels can be predicted, and not trained on or scored." if LABELS in lacking else ""
        raise DataError(f"{file.path}: expected the variable {lacking[0]!r}, got {known}.{more}")
    data = data[sorted(wanted)]
    for name, array in data.data_vars.items():
        if (
            sorted(map(str, array.dims)) not in (["lat", "lon"], ["lat", "lon", "time"])
            or array.sizes.get("time", 1) != 1
        ):
            raise DataError(
                f"{file.path}: variable {name!r}: expected one map of dims time, lat, lon, got {dict(array.sizes)!r}."
            )
    if find_time(data) is None:
        data = _dated(data, file)
    # Labels stand without time in some files, and beside fields with it.
    return data.assign(
        {name: array.expand_dims("time") for name, array in data.data_vars.items() if "time" not in array.dims}
    )


def _dated(data: xr.Dataset, file: _Map) -> xr.Dataset:
    """Give a map without a time that of its name."""
    match = _NAME.fullmatch(file.path.name)
    year, month, day, hour, minute = (match[n] for n in range(2, 7)) if match else ("",) * 5
    try:
        time = np.datetime64(f"{year}-{month}-{day}T{int(hour):02d}:{int(minute):02d}", "ns")
    except ValueError as error:
        raise DataError(
            f"{file.path}: expected a time in the file or a name such as data-2000-01-06-18-00_0.nc, got neither."
        ) from error
    if "time" not in data.dims:
        data = data.expand_dims("time")
    return data.assign_coords(time=("time", [time]))
