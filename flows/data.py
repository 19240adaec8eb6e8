"""What ``finescale data`` does and says; the work is done by ``pipeline.data``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from flows.sources import Sources
from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, FileSpec
from pipeline.data.checks import VariableCheck, faults, inspect, overlap_faults
from pipeline.data.describe import draft_entry
from pipeline.data.files import locate, resolve
from pipeline.data.load import load
from pipeline.errors import CatalogError, DataError
from pipeline.files import write_atomic
from pipeline.progress import terminal

SCHEMA_LINE = "schema_version: 1\n"


@dataclass(frozen=True)
class Checked:
    """What ``finescale data check`` found: a text to print, and faults that fail it."""

    text: str
    faults: tuple[str, ...]


def listed(sources: Sources) -> str:
    """Return one line a dataset: name, format, variables with units, where the files are."""
    catalog = sources.catalog
    width = max(map(len, catalog), default=0)
    lines = [f"{catalog.path}"]
    for name in catalog:
        entry = catalog[name]
        variables = ", ".join(f"{v} [{spec.units}]" for v, spec in entry.variables.items())
        where = {_place(spec, sources) for spec in entry.files} or {"made on the spot"}
        lines.append(f"{name:<{width}}  {entry.format:<9}  {variables}  ({', '.join(sorted(where))})")
    return "\n".join(lines)


def shown(sources: Sources, name: str) -> str:
    """Return an entry whole, and where each of its files is."""
    entry = sources.catalog[name]
    tree = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = yaml.safe_dump({name: tree}, sort_keys=False, allow_unicode=True, width=110)
    places = [f"# {spec.path}: {_place(spec, sources)}" for spec in entry.files]
    return "\n".join([text.rstrip(), *places])


def fetched(sources: Sources, name: str) -> str:
    """Fetch what an entry lacks, check all of its files, and return one line a file."""
    found = resolve(sources.catalog[name], sources.places, terminal)
    if not found:
        return f"{name}: made on the spot, nothing to fetch"
    return "\n".join(f"{name}: {f.path} ({f.place}, {f.bytes} bytes, sha256 {f.sha256})" for f in found)


def checked(sources: Sources, names: Sequence[str]) -> Checked:
    """Load entries and return what every variable holds, the repairs, and what a run would trip over."""
    lines: list[str] = []
    wrong: list[str] = []
    datasets = []
    for name in names:
        loaded = load(name, sources.catalog, sources.places, get_backend("cpu"), progress=terminal, check=False)
        datasets.append((name, loaded.data))
        lines.append(name)
        lines += [_variable(check) for check in inspect(loaded.data)]
        lines += [f"  repaired: {repair.text}" for repair in loaded.repairs]
        wrong += [f"{name}: {fault.text}" for fault in faults(loaded.data)]
    wrong += [fault.text for fault in overlap_faults(datasets)]
    return Checked("\n".join(lines), tuple(wrong))


def drafted(path: str, name: str | None) -> str:
    """Return an entry for ``path``; without a name it takes the file's."""
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "-", Path(path).name.split(".")[0].lower()).strip("-") or "dataset"
    return draft_entry(path, name)


def added(text: str, path: Path) -> str:
    """Append an entry to the catalog at ``path``, which is made if it is not there; say what was done.

    Raises
    ------
    CatalogError
        If the catalog already has an entry of that name, or does not fit its schema.
    """
    name = next(iter(yaml.safe_load(text)))
    before = path.read_text(encoding="utf-8") if path.is_file() else SCHEMA_LINE
    if path.is_file() and name in Catalog.load(path):
        raise CatalogError(f"{path} already has an entry {name!r}; choose another with --name.")
    with write_atomic(path) as temporary:
        temporary.write_text(f"{before.rstrip()}\n\n{text}", encoding="utf-8")
        Catalog.load(temporary)
    return f"added {name} to {path}; fill in its licence, then: finescale data check {name} --catalog {path}"


def _variable(check: VariableCheck) -> str:
    dims = ", ".join(f"{dim}={size}" for dim, size in check.dims.items())
    parts = [f"  {check.name} [{check.units}] ({dims})"]
    if check.start is not None:
        gaps = f", {len(check.gaps)} gaps" if check.gaps else ", no gaps"
        parts.append(f"{check.start} to {check.end}, step {check.step}{gaps}")
    parts.append(f"missing {100 * check.missing:.2f} %, {check.minimum:.4g} to {check.maximum:.4g}")
    return "; ".join(parts) + ("; CONSTANT" if check.constant else "")


def _place(spec: FileSpec, sources: Sources) -> str:
    try:
        found = locate(spec, sources.places)
    except DataError as error:
        return str(error)
    if found is not None:
        return found[0]
    return "to be downloaded" if spec.url else "MISSING"
