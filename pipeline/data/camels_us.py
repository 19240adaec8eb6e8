"""Reader of CAMELS-US: daily forcing and streamflow of basins, and what does not change about them.

Files are found by their names, in a folder or one by one:

- forcing ``<basin>_lump_..._forcing_leap.txt``: three lines (latitude, elevation [m], area [m2]), then a table;
- streamflow ``<basin>_streamflow_qc.txt``: basin, year, month, day, flow [cubic feet a second], flag; no header;
- attributes ``camels_*.txt``: tables separated by semicolons, a row a basin.

References
----------
Newman et al. (2015), doi:10.5194/hess-19-209-2015; Addor et al. (2017), doi:10.5194/hess-21-5293-2017.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data.catalog import Entry
from pipeline.data.records import Repair
from pipeline.errors import DataError, LackingVariableError

CUBIC_FOOT = 0.3048**3
"""m3; exact."""

_FORCING = re.compile(r"(\d{8})_lump_.*forcing.*\.txt")
_FLOW = re.compile(r"(\d{8})_streamflow_qc\.txt")
_TABLE = re.compile(r"camels_(\w+)\.txt")
_PLACES = "camels_topo.txt"
_MISSING_FLOW = -999.0
_UNITS = {
    "dayl": "s",
    "prcp": "mm d-1",
    "srad": "W m-2",
    "swe": "mm",
    "tmax": "degC",
    "tmin": "degC",
    "vp": "Pa",
    "pet": "mm d-1",
}
_NAMES = {
    "prcp": "lwe_precipitation_rate",
    "pet": "water_potential_evaporation_flux",
    "streamflow": "runoff_flux",  # in mm d-1 its units are those of rain
}


@READERS.register("camels_us")
class CamelsUsReader(Reader):
    """Reads forcing with streamflow, or attributes, of the basins of CAMELS-US."""

    class Options(ReaderOptions):
        """Keys of an entry of format ``camels_us``."""

        part: Literal["series", "attributes"] = Field(description="Forcing and streamflow, or the attribute tables.")
        basins: list[str] = Field(
            default_factory=list, description="Which basins, such as '01022500'; by default all of the files."
        )
        flow: Literal["depth", "volume"] = Field(
            default="depth", description="Streamflow as mm d-1 over the area that the forcing file says, or as m3 s-1."
        )

    def within(self, entry: Entry, path: Path) -> tuple[Path, ...]:
        """Return the files of the entry's part in the folder ``path``, at any depth; a file is itself one."""
        if not path.is_dir():
            return (path,)
        options = self.Options.model_validate(entry.options)
        found = [file for file in sorted(path.rglob("*.txt")) if _is_wanted(file.name, options)]
        if not found:
            raise DataError(f"{entry.name}: expected {self.layout(entry)} in {path}, got none.")
        return tuple(found)

    def layout(self, entry: Entry) -> str:
        """Return what the files are called."""
        series = self.Options.model_validate(entry.options).part == "series"
        return "files *_forcing_leap.txt and *_streamflow_qc.txt" if series else "files camels_*.txt"

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return series of dims ``(time, station)``, NaN where a basin has none, or attributes, ``(station,)``."""
        options = self.Options.model_validate(entry.options)
        return _series(files, options, entry) if options.part == "series" else _attributes(files, options, entry)


def _is_wanted(name: str, options: CamelsUsReader.Options) -> bool:
    if options.part == "attributes":
        return _TABLE.fullmatch(name) is not None
    found = _FORCING.fullmatch(name) or _FLOW.fullmatch(name)
    return name == _PLACES or (found is not None and (not options.basins or found[1] in options.basins))


@dataclass(frozen=True)
class _Forcing:
    area: float
    table: pd.DataFrame


def _series(files: tuple[Path, ...], options: CamelsUsReader.Options, entry: Entry) -> xr.Dataset:
    forcing = _by_basin(files, _FORCING, options.basins, entry.name)
    # Who asks for the forcing alone may have no streamflow, as of days to come.
    wanted = any((spec.source or name) == "streamflow" for name, spec in entry.variables.items())
    flow = _by_basin(files, _FLOW, options.basins, entry.name) if wanted else {}
    basins = options.basins or sorted(forcing)
    if not basins:
        got = ", ".join(path.name for path in files[:3])
        raise DataError(f"{entry.name}: expected forcing files such as 01022500_lump_cida_forcing_leap.txt, got {got}.")
    for found, other, what in ((forcing, flow, "forcing"), (flow, forcing, "streamflow"))[: 1 + wanted]:
        if lacking := sorted((set(other) | set(options.basins)) - set(found)):
            kind = DataError if found else LackingVariableError
            raise kind(f"{entry.name}: basin {lacking[0]}: expected a file of its {what}, got none.")
    parts = []
    for basin in basins:
        read = _read_forcing(forcing[basin])
        table = read.table
        if wanted:
            streamflow = _read_flow(flow[basin], basin) * CUBIC_FOOT
            if options.flow == "depth":
                streamflow = streamflow * (86400.0 * 1000.0 / read.area)
            table = table.join(streamflow.rename("streamflow"), how="outer")
        parts.append(table.to_xarray())
    data = xr.concat(parts, dim="station", join="outer", data_vars="all").sortby("time")
    data = data.assign_coords(station=("station", np.asarray(basins, dtype=str)))
    units = _UNITS | {"streamflow": "mm d-1" if options.flow == "depth" else "m3 s-1"}
    names = _NAMES if options.flow == "depth" else _NAMES | {"streamflow": "water_volume_transport_in_river_channel"}
    for key, array in data.data_vars.items():
        name = str(key)
        array.attrs = {"units": units[name]} if name in units else {}
        array.attrs |= {"standard_name": names[name]} if name in names else {}
    return _placed(data.transpose("time", "station"), files, entry.name)


def _by_basin(files: tuple[Path, ...], pattern: re.Pattern[str], basins: list[str], name: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        match = pattern.fullmatch(path.name)
        if match is None or (basins and match[1] not in basins):
            continue
        if match[1] in found:
            raise DataError(f"{name}: basin {match[1]}: expected one file, got {found[match[1]]} and {path}.")
        found[match[1]] = path
    return found


def _read_forcing(path: Path) -> _Forcing:
    lines = _lines(path)
    try:
        _, _, area = (float(line) for line in lines[:3])
        table = pd.read_csv(io.StringIO("\n".join(lines[3:])), sep=r"\s+")
        table.index = _dates(table["Year"], table["Mnth"], table["Day"])
        values = table.drop(columns=["Year", "Mnth", "Day", "Hr"]).astype(np.float64)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected three lines with latitude, elevation and area, and a table with Year, Mnth, Day and Hr, "
            f"got {type(error).__name__}: {error}."
        ) from error
    if not area > 0:
        raise DataError(f"{path}: expected the basin's area in m2 in the third line, got {area:g}.")
    values.columns = [str(column).partition("(")[0].lower() for column in values.columns]
    return _Forcing(area, _once(values, path))


def _read_flow(path: Path, basin: str) -> pd.Series:
    """Return streamflow in cubic feet a second by day, -999 as missing."""
    rows = [line.split() for line in _lines(path) if line.strip()]
    try:
        ids = {row[0] for row in rows}
        table = pd.DataFrame([row[1:5] for row in rows], columns=["year", "month", "day", "flow"]).astype(np.float64)
        table.index = _dates(table["year"], table["month"], table["day"])
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{path}: expected rows of basin, year, month, day, flow and flag, got {type(error).__name__}: {error}."
        ) from error
    if ids != {basin}:
        raise DataError(f"{path}: expected rows of basin {basin}, got {', '.join(sorted(ids)[:3]) or 'none'}.")
    return _once(table, path)["flow"].replace(_MISSING_FLOW, np.nan)


def _dates(year: pd.Series, month: pd.Series, day: pd.Series) -> pd.DatetimeIndex:
    index = pd.DatetimeIndex(pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day})))
    return index.as_unit("ns").rename("time")


def _once(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if table.index.has_duplicates:
        raise DataError(
            f"{path}: expected every day once, got {table.index[table.index.duplicated()][0]:%Y-%m-%d} twice."
        )
    return table


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected a text file of CAMELS-US, got bytes that are no text.") from error


def _attributes(files: tuple[Path, ...], options: CamelsUsReader.Options, entry: Entry) -> xr.Dataset:
    joined = _read_table(files[0])
    for path in files[1:]:
        table = _read_table(path)
        if doubled := sorted(set(joined.columns) & set(table.columns)):
            raise DataError(f"{path}: expected attributes that no other table has, got {doubled[0]!r} again.")
        joined = joined.join(table, how="outer")
    lacking = [basin for basin in options.basins if basin not in joined.index]
    if lacking:
        raise DataError(
            f"{entry.name}: no attributes of basin {', '.join(lacking[:5])}; the tables have {len(joined)} basins, "
            f"such as {', '.join(joined.index[:3])}."
        )
    joined = joined.loc[options.basins] if options.basins else joined.sort_index()
    joined = joined.drop(columns=["gauge_lat", "gauge_lon"], errors="ignore")  # they become coordinates
    text = [str(column) for column in joined.columns if joined[column].dtype.kind not in "iuf"]
    wanted = {spec.source or name for name, spec in entry.variables.items()}
    if asked := sorted(wanted & set(text)):
        raise DataError(f"{entry.name}: attribute {asked[0]!r} is text and cannot be used as a number. Leave it out.")
    stations = np.asarray(joined.index, dtype=str)
    numbers = {str(name): ("station", joined[name].to_numpy(np.float64)) for name in joined.columns if name not in text}
    data = xr.Dataset(numbers, coords={"station": stations})
    repairs = [Repair("text", None, 0, f"attributes that are text are left out: {', '.join(text)}")] if text else []
    return _placed(data, files, entry.name).assign_attrs(repairs=tuple(repairs))


def _read_table(path: Path) -> pd.DataFrame:
    """Return an attribute table by basin; ids stay text, with their leading zeros."""
    try:
        table = pd.read_csv(io.StringIO("\n".join(_lines(path))), sep=";", dtype={"gauge_id": str})
        table["gauge_id"] = table["gauge_id"].str.strip()
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}: expected a table separated by semicolons with one row a gauge_id, got {type(error).__name__}: "
            f"{error}."
        ) from error
    table = table.set_index("gauge_id")
    if table.index.has_duplicates:
        raise DataError(f"{path}: expected one row a gauge_id, got {table.index[table.index.duplicated()][0]} twice.")
    return table


def _placed(data: xr.Dataset, files: tuple[Path, ...], name: str) -> xr.Dataset:
    """Give the basins the places of their gauges, NaN where the table of them is not among the files."""
    tables = [path for path in files if path.name == _PLACES]
    count = data.sizes["station"]
    lat, lon = np.full(count, np.nan), np.full(count, np.nan)
    if tables:
        table = _read_table(tables[0])
        ids = [str(basin) for basin in data["station"].values]
        lacking = [basin for basin in ids if basin not in table.index]
        if lacking or not {"gauge_lat", "gauge_lon"} <= set(table.columns):
            what = f"basin {lacking[0]}" if lacking else "columns gauge_lat and gauge_lon"
            raise DataError(f"{name}: {tables[0]}: expected a place of every basin, got none for {what}.")
        lat, lon = (table.loc[ids, column].to_numpy(np.float64) for column in ("gauge_lat", "gauge_lon"))
    return data.assign_coords(lat=("station", lat), lon=("station", lon))
