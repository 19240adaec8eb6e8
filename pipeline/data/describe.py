"""A catalog entry drafted from a look at a file: ``finescale data add``."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr
import yaml

from pipeline.backend import Backend, get_backend
from pipeline.data import READERS
from pipeline.data._drs import one_run
from pipeline.data._guess import class_numbers, marked_columns, table_options
from pipeline.data._levels import Source, sources_of
from pipeline.data._sentinels import stand_ins
from pipeline.data._table import TableReader
from pipeline.data.axes import PLACES, drop_bounds, time_dim
from pipeline.data.catalog import Entry, make_entry
from pipeline.data.regular import regularise
from pipeline.errors import DataError

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_MAGIC = {b"GRIB": "grib", b"CDF": "netcdf", b"\x89HDF": "netcdf", b"PAR1": "parquet", b"RDX2": "rda", b"RDX3": "rda"}


_SAMPLE = 2**26  # values of a variable that are tried on drafting; of more, an even choice of times


@dataclass
class _Draft:
    format: str
    options: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def draft_entry(path: str | Path | Sequence[str | Path], name: str, backend: Backend | None = None) -> str:
    """Return the YAML text of an entry for the files ``path``, ready to be appended to a catalog.

    The format is told from the suffix or the first bytes. Every variable that can be loaded is in
    it, with the units that the file says, one for each of its levels; others are named in comments
    with the reason. So are numbers that seem to stand for none, and images that seem to be of classes: what is
    drafted for them is to be looked over. Files of CMIP and CORDEX archives must be of one model run, which the
    description says. The licence is left to fill in.

    Parameters
    ----------
    path : str or Path, or a sequence of them
        Files, folders of files, Zarr stores or globs of one dataset.
    name : str
        The entry's key.
    backend : Backend, optional
        Reads tables; the cpu by default.

    Raises
    ------
    DataError
        If nothing is there, the format is not known, or no variable can be loaded.
    """
    words = [path] if isinstance(path, str | Path) else list(path)
    words = [_folder(word) for word in words]
    paths = [hit for word in words for hit in _hits(word)]
    backend = backend or get_backend("cpu")
    run = one_run(paths)
    draft, data = _look(paths, name, backend)
    with data:
        files = [_file(word) for word in words]
        kept, refused = _loadable(draft, data, name, files, paths, backend)
    entry: dict[str, Any] = {"description": run[1]} if run else {}
    entry |= {"format": draft.format}
    entry |= {"options": draft.options} if draft.options else {}
    entry |= {"files": files, "variables": kept, "licence": "unknown"}
    lines = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=120).splitlines()
    comments = [f"  # {variable} is left out: {reason}" for variable, reason in refused.items()]
    unsaid = [key for key, spec in kept.items() if "source_units" in spec]
    comments += [f"  # The file does not say the units of {', '.join(unsaid)}: correct them."] if unsaid else []
    comments += [f"  # {remark}" for remark in draft.remarks]
    licence = lines.index("  licence: unknown")
    lines[licence] = "  licence: unknown  # fill in: the terms of use, and a citation below"
    return "\n".join([*lines[:licence], *comments, *lines[licence:]]) + "\n"


def name_of_run(words: Sequence[str | Path]) -> str | None:
    """Return a name for files of one model run of CMIP or CORDEX, None if they are not of such an archive."""
    run = one_run([hit for word in words for hit in files_of(word)])
    return None if run is None else run[0]


def files_of(word: str | Path) -> list[Path]:
    """Return the files that a path, a folder or a glob stands for.

    Raises
    ------
    DataError
        If there are none, or a folder holds several formats.
    """
    return _hits(_folder(word))


def _folder(word: str | Path) -> str | Path:
    """Return the glob of the files in a folder that is no Zarr store, those of its folders where it has none itself."""
    path = Path(word)
    if not path.is_dir() or any((path / name).is_file() for name in _ZARR_FILES):
        return word
    endings = [suffix for name in READERS for suffix in READERS.get(name).suffixes if suffix != ".zarr"]
    for deep in ("*", "**/*"):
        there = {suffix for suffix in endings for file in path.glob(deep) if file.name.lower().endswith(suffix)}
        if len(there) > 1:
            raise DataError(
                f"{path}: expected files of one format in the folder, got {', '.join(sorted(there))}. Pass those of "
                f"one, in quotes: '{path}/*{min(there)}'"
            )
        if there:
            return f"{glob.escape(str(path))}/{deep}{there.pop()}"
    return word


def _hits(word: str | Path) -> list[Path]:
    """Return the files that one word stands for."""
    hits = [Path(word)] if Path(word).exists() else [Path(hit) for hit in sorted(glob.glob(str(word), recursive=True))]
    if not hits:
        raise DataError(f"expected a file or a glob that matches some, got {str(word)!r}, which matches none.")
    for hit in hits:
        if hit.is_file() and not hit.stat().st_size:
            raise DataError(f"{hit}: expected data, got an empty file of 0 bytes. Copy or download it again.")
    return hits


def _file(word: str | Path) -> dict[str, str]:
    """Return the catalog's record of one word; a file of one's own may change, so its digest is none of the record."""
    text = os.path.normpath(Path(word).absolute())
    return {"path": glob.escape(text) if Path(word).exists() else text}


def _look(paths: list[Path], name: str, backend: Backend) -> tuple[_Draft, xr.Dataset]:
    """Open the files and list the variables with their units; return the files as well, open."""
    draft = _Draft(format_of(paths[0]))
    reader = READERS.get(draft.format)()
    if isinstance(reader, TableReader):
        draft.options = table_options(paths, reader, backend)
        if "wide" not in draft.options:
            marked = marked_columns(paths[0], reader, draft.options, backend)
            draft.sources |= {_identifier(column): Source(column, None, None) for column in marked}
    probe = make_entry(name, {"format": draft.format, "options": draft.options, "files": [{"path": "x"}],
                                 "variables": {"probe": {"units": "1"}}, "licence": "unknown"}, "draft")  # fmt: skip
    data = reader.read(probe, tuple(paths), backend)
    draft.sources |= {_identifier(source.key): source for source in sources_of(drop_bounds(data))}
    if "station" in data.dims and "time" in data.dims and "lat" not in data.coords:
        draft.remarks.append(f"The stations have no latitude and longitude: {PLACES}.")
    if numbered := [name for name in map(str, data.data_vars) if draft.format == "npz" and name.endswith("_0")]:
        arrays = ", ".join(f"{name.removesuffix('_0')}: [first, second]" for name in numbered)
        draft.remarks.append(f"Channels are called by their numbers; name them with options: channels: {{{arrays}}}.")
    return draft, data


def _loadable(
    draft: _Draft, data: xr.Dataset, name: str, files: list[dict[str, str]], paths: list[Path], backend: Backend
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Try every variable by itself; return what loads, and why the rest does not."""
    kept: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    reader = READERS.get(draft.format)()
    for key, source in draft.sources.items():
        spec: dict[str, Any] = {"units": source.units if source.units is not None else "1"}
        spec |= {"source_units": "1"} if source.units is None else {}
        spec |= {"standard_name": source.standard_name} if source.standard_name else {}
        spec |= {"from": source.name} if source.name != key else {}
        spec |= {"select": {source.level.dim: source.level.value}} if source.level else {}
        raw = {
            "format": draft.format,
            "options": draft.options,
            "files": files,
            "variables": {key: spec},
            "licence": "unknown",
        }
        try:
            entry: Entry = make_entry(name, raw, "draft")
            # Of a table only the columns asked for are read; to open grids anew costs a pass over each file.
            there = reader.read(entry, tuple(paths), backend) if reader.tabular else data
            loaded, _ = regularise(_sample(there, source.name), entry, [key])
            if not bool(loaded[key].notnull().any()):
                raise DataError("it has no value at all.")
        except (DataError, OSError, RuntimeError) as error:
            refused[source.key] = " ".join(str(error).removeprefix(f"{name}: ").split())
        else:
            kept[key] = _seen(key, source, spec, draft, there, loaded)
    if not kept:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in refused.items()) or "it holds no numbers"
        raise DataError(f"{paths[0]}: expected at least one variable that can be loaded, got none: {reasons}")
    return kept, refused


def _seen(
    key: str, source: Source, spec: dict[str, Any], draft: _Draft, raw: xr.Dataset, loaded: xr.Dataset
) -> dict[str, Any]:
    """Return what is drafted of a variable by a look at its values: names for classes, numbers that stand for none."""
    numbers = class_numbers(raw[source.name].values) if draft.format == "npz" and "time" not in loaded.dims else None
    if numbers is None:
        marks = stand_ins(loaded[key].values)
        if marks:
            shown = ", ".join(f"{mark:g}" for mark in marks)
            draft.remarks.append(
                f"{shown} of {key} is taken for a missing value: take it out of missing if it is none."
            )
        return spec | ({"missing": [int(mark) if mark.is_integer() else mark for mark in marks]} if marks else {})
    if numbers != list(range(len(numbers))):
        draft.options.setdefault("remap", {})[source.name] = {number: place for place, number in enumerate(numbers)}
    draft.remarks.append(
        f"{key} holds the numbers {', '.join(map(str, numbers))} alone: name their classes, in this order, in place of "
        "class_0 and so on; if they are no classes, write source_units in place of classes."
    )
    named: dict[str, Any] = {name: spec[name] for name in ("from", "select") if name in spec}
    return {"units": "1", **named, "classes": [f"class_{place}" for place in range(len(numbers))]}


def _sample(data: xr.Dataset, name: str) -> xr.Dataset:
    """Return an even choice of the times where the variable is too large to be read for a look."""
    axis = time_dim(data)
    if axis is None or data[name].size <= _SAMPLE or axis not in data[name].dims:
        return data
    return data.isel({axis: slice(None, None, -(-data[name].size // _SAMPLE))})


def format_of(path: Path) -> str:
    """Return the name of the reader for a file, told from its suffix or its first bytes.

    Raises
    ------
    DataError
        If neither tells one.
    """
    if path.is_dir():
        if any((path / name).is_file() for name in _ZARR_FILES):
            return "zarr"
        raise DataError(
            f"{path}: expected a file or a Zarr store, got a folder without {', '.join(_ZARR_FILES)}. For the files in "
            f"it, pass them all: {path}/*.nc"
        )
    lowered = path.name.lower()
    for name in READERS:
        if any(lowered.endswith(suffix) for suffix in READERS.get(name).suffixes):
            return name
    if path.is_file():
        head = path.open("rb").read(8)
        for magic, name in _MAGIC.items():
            if head.startswith(magic):
                return name
    suffixes = ", ".join(suffix for name in READERS for suffix in READERS.get(name).suffixes)
    raise DataError(
        f"{path}: expected a file of a known format ({suffixes}), got {path.suffix!r}. Write the entry by hand."
    )


def _identifier(source: str) -> str:
    """Return a variable name made of letters, digits and _, such as ``ta850`` of ``ta@850``."""
    short = source.replace("@", "").split("(")[0]
    plain = "".join(sign if sign.isalnum() else "_" for sign in short).strip("_")
    return plain if plain.isidentifier() and plain not in {"time", "lat", "lon", "station", "x", "y"} else f"v_{plain}"
