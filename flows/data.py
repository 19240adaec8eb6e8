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
from pipeline.data.checks import faults, overlap_remarks
from pipeline.data.contents import Gap, VariableCheck, inspect
from pipeline.data.describe import draft_entry, name_of_run
from pipeline.data.files import locate, resolve
from pipeline.data.load import load
from pipeline.errors import CatalogError, DataError, UserError
from pipeline.files import require_no_folder, write_atomic
from pipeline.progress import terminal

SCHEMA_LINE = "schema_version: 1\n"


@dataclass(frozen=True)
class Checked:
    """What ``finescale data check`` found: a text to print, and faults that fail it."""

    text: str
    faults: tuple[str, ...]


def listed(sources: Sources) -> str:
    """Return one line a dataset below the catalog's path: name, format, variables with units, where the files are."""
    catalog = sources.catalog
    width = max(map(len, catalog), default=0)
    lines: dict[Path, list[str]] = {catalog.path: []}
    for name in catalog:
        lines.setdefault(catalog.origin(name), []).append(f"{name:<{width}}  {_summary(name, sources)}")
    return "\n".join(line for path, block in lines.items() for line in (str(path), *block))


def _summary(name: str, sources: Sources) -> str:
    try:
        entry = sources.catalog[name]
    except UserError as error:
        return f"FAULTY: {error}"
    variables = ", ".join(f"{v} [{spec.units}]" for v, spec in entry.variables.items())
    where = {_place(spec, sources) for spec in entry.files} or {"made on the spot"}
    return f"{entry.format:<9}  {variables}  ({', '.join(sorted(where))})"


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
    lines += overlap_remarks(datasets)
    return Checked("\n".join(lines), tuple(wrong))


def drafted(paths: Sequence[str], name: str | None) -> str:
    """Return an entry for ``paths``; without a name it takes the file's, or what the files' names begin with.

    Raises
    ------
    CatalogError
        If the name is none that a command line takes without quotes.
    DataError
        If the files are not there or cannot be read.
    """
    if name is None:
        name = name_of_run(paths) or _slug(_common(paths)) or "dataset"
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == "schema_version":
        raise CatalogError(
            f"--name: expected letters, digits, '-', '_' and '.', the first a letter or digit, got {name!r}. Take, "
            f"for example, --name {_slug(name) or 'dataset'}"
        )
    return draft_entry(paths, name)


def _common(paths: Sequence[str]) -> str:
    """Return what the names of ``paths`` begin with, without a year or number that is cut in two."""
    stems = [Path(path).name.split(".")[0] for path in paths]
    if len(stems) == 1:
        return stems[0]
    same = [len(set(signs)) == 1 for signs in zip(*stems, strict=False)]
    return stems[0][: [*same, False].index(False)].rstrip("0123456789")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def added(text: str, path: Path) -> str:
    """Append an entry to the catalog at ``path``, which is made if it is not there; say what was done.

    Raises
    ------
    CatalogError
        If the catalog already has an entry of that name, or does not fit its schema.
    ConfigError
        If ``path`` is a folder.
    """
    require_no_folder(path, "--catalog")
    name = next(iter(yaml.safe_load(text)))
    before = path.read_text(encoding="utf-8") if path.is_file() else SCHEMA_LINE
    if path.is_file() and name in Catalog.load(path):
        raise CatalogError(f"{path} already has an entry {name!r}; choose another with --name.")
    with write_atomic(path) as temporary:
        temporary.write_text(f"{before.rstrip()}\n\n{text}", encoding="utf-8")
        Catalog.load(temporary)[name]  # refuses what cannot be used
    remarks = [line.strip(" #") for line in text.splitlines() if line.startswith("  # ")]
    then = f"added {name} to {path}; fill in its licence, then: finescale data check {name} --catalog {path}"
    return "\n".join([*remarks, then])


def _variable(check: VariableCheck) -> str:
    dims = ", ".join(f"{dim}={size}" for dim, size in check.dims.items())
    parts = [f"  {check.name} [{check.units}] ({dims})"]
    if check.start is not None:
        parts.append(f"{check.start} to {check.end}, step {check.step}, {_gaps(check.gaps)}")
    parts.append(f"missing {100 * check.missing:.2f} %, {check.minimum:.4g} to {check.maximum:.4g}")
    return "; ".join(parts) + ("; CONSTANT" if check.constant else "")


def _gaps(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return "no gaps"
    if len(gaps) == 1:
        return f"1 gap, {gaps[0].before} to {gaps[0].after}"
    longest = max(gaps, key=lambda gap: gap.steps)
    return (
        f"{len(gaps)} gaps, the first {gaps[0].before} to {gaps[0].after}, "
        f"the longest {longest.before} to {longest.after}"
    )


def _place(spec: FileSpec, sources: Sources) -> str:
    try:
        found = locate(spec, sources.places)
    except DataError as error:
        return str(error)
    if found is not None:
        return found[0]
    return "to be downloaded" if spec.url else "MISSING"
