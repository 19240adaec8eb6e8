"""A catalog entry drafted from a look at a file: ``finescale data add``."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.backend import Backend, get_backend
from pipeline.data import READERS
from pipeline.data._guess import marked_columns, table_options
from pipeline.data._table import TableReader
from pipeline.data.axes import coordinate_names, drop_bounds
from pipeline.data.catalog import Entry, make_entry
from pipeline.data.files import sha256_of
from pipeline.data.regular import regularise
from pipeline.data.units import is_unit
from pipeline.errors import DataError

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
_MAGIC = {b"CDF": "netcdf", b"\x89HDF": "netcdf", b"PAR1": "parquet", b"RDX2": "rda", b"RDX3": "rda"}


@dataclass
class _Draft:
    format: str
    options: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str | None] = field(default_factory=dict)
    standard_names: dict[str, str] = field(default_factory=dict)


def draft_entry(path: str | Path | Sequence[str | Path], name: str, backend: Backend | None = None) -> str:
    """Return the YAML text of an entry for the files ``path``, ready to be appended to a catalog.

    The format is told from the suffix or the first bytes. Every variable that can be loaded is in
    it, with the units that the file says; others are named in comments with the reason. The licence
    is left to fill in.

    Parameters
    ----------
    path : str or Path, or a sequence of them
        Files, Zarr stores or globs of one dataset.
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
    paths = [hit for word in words for hit in _hits(word)]
    backend = backend or get_backend("cpu")
    draft = _look(paths, name, backend)
    files = [_file(word) for word in words]
    kept, refused = _loadable(draft, name, files, paths, backend)
    entry: dict[str, Any] = {"format": draft.format}
    entry |= {"options": draft.options} if draft.options else {}
    entry |= {"files": files, "variables": kept, "licence": "unknown"}
    lines = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=120).splitlines()
    comments = [f"  # {variable} is left out: {reason}" for variable, reason in refused.items()]
    unsaid = [key for key, spec in kept.items() if "source_units" in spec]
    comments += [f"  # The file does not say the units of {', '.join(unsaid)}: correct them."] if unsaid else []
    licence = lines.index("  licence: unknown")
    lines[licence] = "  licence: unknown  # fill in: the terms of use, and a citation below"
    return "\n".join([*lines[:licence], *comments, *lines[licence:]]) + "\n"


def _hits(word: str | Path) -> list[Path]:
    """Return the files that one word stands for."""
    hits = [Path(word)] if Path(word).exists() else [Path(hit) for hit in sorted(glob.glob(str(word)))]
    if not hits:
        raise DataError(f"expected a file or a glob that matches some, got {str(word)!r}, which matches none.")
    for hit in hits:
        if hit.is_file() and not hit.stat().st_size:
            raise DataError(f"{hit}: expected data, got an empty file of 0 bytes. Copy or download it again.")
    return hits


def _file(word: str | Path) -> dict[str, str]:
    """Return the catalog's record of one word; a glob may come to match other files, so it has no digest."""
    text = str(Path(word).absolute())
    if not any(sign in text for sign in "*?["):
        return {"path": text, "sha256": sha256_of(Path(word))}
    return {"path": glob.escape(text) if Path(word).exists() else text}


def _look(paths: list[Path], name: str, backend: Backend) -> _Draft:
    """Open the files and list the variables with their units."""
    draft = _Draft(_format(paths[0]))
    reader = READERS.get(draft.format)()
    if isinstance(reader, TableReader):
        draft.options = table_options(paths, reader, backend)
        if "wide" not in draft.options:
            marked = marked_columns(paths[0], reader, draft.options, backend)
            draft.sources |= dict.fromkeys(marked)
    probe = make_entry(name, {"format": draft.format, "options": draft.options, "files": [{"path": "x"}],
                                 "variables": {"probe": {"units": "1"}}, "licence": "unknown"}, "draft")  # fmt: skip
    data = drop_bounds(reader.read(probe, tuple(paths), backend))
    where = coordinate_names(data)
    for source, array in data.data_vars.items():
        if str(source) not in where and array.dtype.kind in "fiub" and array.ndim:
            units = array.attrs.get("units")
            draft.sources[str(source)] = str(units) if units is not None and is_unit(str(units)) else None
            if "standard_name" in array.attrs:
                draft.standard_names[str(source)] = str(array.attrs["standard_name"])
    data.close()
    return draft


def _loadable(
    draft: _Draft, name: str, files: list[dict[str, str]], paths: list[Path], backend: Backend
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Try every variable by itself; return what loads, and why the rest does not."""
    kept: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    reader = READERS.get(draft.format)()
    for source, units in draft.sources.items():
        key = _identifier(source)
        spec: dict[str, Any] = {"units": units if units is not None else "1"}
        spec |= {"source_units": "1"} if units is None else {}
        spec |= {"standard_name": draft.standard_names[source]} if source in draft.standard_names else {}
        spec |= {"from": source} if source != key else {}
        raw = {
            "format": draft.format,
            "options": draft.options,
            "files": files,
            "variables": {key: spec},
            "licence": "unknown",
        }
        try:
            entry: Entry = make_entry(name, raw, "draft")
            with reader.read(entry, tuple(paths), backend) as data:
                loaded, _ = regularise(data, entry, [key])
            if not bool(loaded[key].notnull().any()):
                raise DataError("it has no value at all.")
        except (DataError, OSError, RuntimeError) as error:
            refused[source] = " ".join(str(error).removeprefix(f"{name}: ").split())
        else:
            kept[key] = spec
    if not kept:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in refused.items()) or "it holds no numbers"
        raise DataError(f"{paths[0]}: expected at least one variable that can be loaded, got none: {reasons}")
    return kept, refused


def _format(path: Path) -> str:
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
