"""Reader of CORDEX ML-Bench, the benchmark of regional downscaling by machine learning.

An entry names the folder that the archives were unpacked to and, under ``options``, which part of which domain it
is; the files are found by :mod:`pipeline.data._cordex_tree`. What differs between files that belong together
is mended or made harmless here and in ``regular.py``:

- the order of the variables: they are taken by name, in the catalog's order;
- bounds and grid mappings are left out;
- units that a file does not say are those of the benchmark; geopotential is turned into height;
- fields on a projected grid may be stored ``(time, y, x)`` or ``(time, x, y)``;
- static fields without coordinates lie on the grid of the target beside them;
- times may be ``noleap`` in one file and Gregorian dates without 29 February in another.

Source: https://github.com/WCRP-CORDEX/ml-benchmark, data at doi:10.5281/zenodo.17957264.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import xarray as xr
from pydantic import Field, model_validator

from pipeline.backend import Backend
from pipeline.data import READERS, Reader, ReaderOptions
from pipeline.data._combine import combine
from pipeline.data._cordex_tree import EXPERIMENTS, Wanted, find_files
from pipeline.data.axes import coordinate_names
from pipeline.data.catalog import Entry
from pipeline.data.netcdf import open_netcdf
from pipeline.data.records import Repair
from pipeline.data.units import conversion
from pipeline.errors import DataError

UNITS = {"u": "m s-1", "v": "m s-1", "q": "kg kg-1", "t": "K", "z": "m", "tasmax": "K", "pr": "mm d-1", "orog": "m"}
"""Units of the benchmark's variables, by name or by the letter before the level."""

GRAVITY = 9.80665
"""m s-2; geopotential height is geopotential over it."""


@READERS.register("cordex_ml_bench")
class CordexMlBenchReader(Reader):
    """Reads one part of one domain of CORDEX ML-Bench."""

    class Options(ReaderOptions):
        """Keys of an entry of format ``cordex_ml_bench``."""

        domain: Literal["NZ", "SA", "ALPS"] = Field(description="New Zealand, South Africa or the Alps.")
        part: Literal["predictors", "target", "static", "test"] = Field(
            description="Of a training experiment its predictors, target or static fields; or test predictors."
        )
        experiment: Literal["ESD_pseudo_reality", "Emulator_hist_future"] | None = Field(
            default=None, description="Which training experiment; not for part test."
        )
        period: Literal["historical", "mid_century", "end_century"] | None = Field(
            default=None, description="Which test period; for part test alone."
        )
        quality: Literal["perfect", "imperfect"] | None = Field(
            default=None, description="Upscaled from the regional model, or of the global one; for part test alone."
        )
        gcm: str | None = Field(default=None, description="The climate model, where a folder holds several.")

        @model_validator(mode="after")
        def _together(self) -> CordexMlBenchReader.Options:
            test = self.part == "test"
            for name, needed in (("experiment", not test), ("period", test), ("quality", test)):
                if (getattr(self, name) is not None) != needed:
                    word = "a value" if needed else "none"
                    raise ValueError(f"expected {word} for {name} with part {self.part!r}, got {getattr(self, name)!r}")
            return self

    def within(self, entry: Entry, path: Path) -> tuple[Path, ...]:
        """Return the files of ``entry`` in the folder ``path``; a file, such as an archive's member, is itself one."""
        if not path.is_dir():
            return (path,)
        return find_files(path, wanted(self.Options.model_validate(entry.options)), entry.name)

    def layout(self, entry: Entry) -> str:
        """Return the folders of the entry's domain."""
        domain = self.Options.model_validate(entry.options).domain
        return f"{domain}_domain/train and {domain}_domain/test"

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the part's variables, lazily."""
        options = self.Options.model_validate(entry.options)
        chunks: dict[str, int] | None = {} if len(files) > 1 else None
        data = combine([(path, open_netcdf(path, None, chunks)) for path in files], entry.name)
        repairs = list(data.attrs.get("repairs", ()))
        if options.part == "static":
            data, mended = _placed(data, files[0])
            repairs += mended
        data = _rows_first(data)
        _check_layout(data, entry, options, files[0])
        data, mended = _with_units(data, entry)
        return data.assign_attrs(repairs=(*repairs, *mended))


def wanted(options: CordexMlBenchReader.Options) -> Wanted:
    """Return what an entry's options ask of the folder tree."""
    if options.part == "test":
        folders: tuple[tuple[str, ...], ...] = (
            ("test",),
            (str(options.period),),
            ("predictors",),
            (str(options.quality),),
        )
    else:
        usual = str(options.experiment)
        last = "target" if options.part == "target" else "predictors"
        folders = (("train",), (usual, *EXPERIMENTS[usual]), (last,))
    return Wanted(options.domain, folders, "static" if options.part == "static" else "fields", options.gcm)


def _placed(data: xr.Dataset, path: Path) -> tuple[xr.Dataset, list[Repair]]:
    """Give static fields without coordinates those of the target file beside them."""
    if {"latitude", "longitude"} <= _kinds(data):
        return data, []
    targets = [file for file in sorted((path.parent.parent / "target").glob("*.nc")) if file.name[0] != "."]
    if not targets:
        raise DataError(
            f"{path}: expected latitudes and longitudes in the file or a target beside it in "
            f"{path.parent.parent / 'target'}, got neither."
        )
    other = open_netcdf(targets[0], None, None)
    names = [name for name in coordinate_names(other) if "time" not in other[name].dims and other[name].ndim]
    dims = {dim for name in names for dim in other[name].dims}
    short = {dim: (data.sizes.get(dim), other.sizes[dim]) for dim in dims if data.sizes.get(dim) != other.sizes[dim]}
    if short:
        raise DataError(
            f"{path}: expected static fields on the target's grid of {targets[0].name}, got other sizes "
            f"(here, there): {short!r}."
        )
    extra = [str(dim) for dim in dims if dim in other.coords and dim not in names]
    data = data.assign_coords({name: other[name].variable.load() for name in (*names, *extra)})
    other.close()
    return data, [Repair("places", None, 0, f"latitudes and longitudes are those of {targets[0].name}")]


def _kinds(data: xr.Dataset) -> set[str]:
    names = {str(data[name].attrs.get("standard_name", name)).lower() for name in coordinate_names(data)}
    short = {"lat": "latitude", "lon": "longitude"}
    return {short.get(name, name) for name in names}


def _rows_first(data: xr.Dataset) -> xr.Dataset:
    """Put y before x, or the rows of 2-D coordinates would be taken for columns."""
    return data.transpose(..., "y", "x") if {"y", "x"} <= set(data.dims) else data


def _check_layout(data: xr.Dataset, entry: Entry, options: CordexMlBenchReader.Options, path: Path) -> None:
    """Refuse files that are none of the benchmark's: series, single cells, fields with a further dim."""
    for name, spec in entry.variables.items():
        source = spec.source or name
        if source not in data.variables:
            continue  # the message of regularise lists what there is
        sizes = dict(data[source].sizes)
        space = {dim: size for dim, size in sizes.items() if str(dim).lower() not in ("time", "t")}
        if len([size for size in space.values() if size > 1]) != 2:
            raise DataError(
                f"{path}: expected fields of two horizontal dims for {source!r}, got {sizes!r}. A part "
                f"{options.part!r} of the benchmark has 16 x 16 cells (predictors) or 128 x 128 (target and static)."
            )


def _with_units(data: xr.Dataset, entry: Entry) -> tuple[xr.Dataset, list[Repair]]:
    """Say the benchmark's units where a file says none, and turn geopotential into height."""
    repairs = []
    for name, spec in entry.variables.items():
        source = spec.source or name
        usual = UNITS.get(source, UNITS.get(source.partition("_")[0]))
        if source not in data.data_vars or usual is None or spec.source_units is not None:
            continue
        said = data[source].attrs.get("units")
        if said is None:
            data[source] = data[source].assign_attrs(units=usual)
            text = f"the file does not say the units of {source}; the benchmark's are {usual!r}"
            repairs.append(Repair("source units", name, data[source].size, text))
        elif usual == "m" and _is_geopotential(str(said)):
            height = data[source] * (conversion(str(said), "m2 s-2").factor / GRAVITY)
            data[source] = height.assign_attrs(data[source].attrs | {"units": "m"})
            text = f"{source}, a geopotential in {said!r}, is turned into height"
            repairs.append(Repair("geopotential", name, height.size, text))
    return data, repairs


def _is_geopotential(units: str) -> bool:
    try:
        conversion(units, "m2 s-2")
    except DataError:
        return False
    return True
