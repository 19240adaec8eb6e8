"""The catalog, the mirror, the cache and the folder of runs: are they there, writable, and what the catalog says."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from flows.health import Finding
from flows.sources import Sources, open_sources
from pipeline.data.files import locate, sha256_of
from pipeline.errors import DataError, FinescaleError, UserError

SUBJECT = "data"
LEAST = 2**30


def catalog_findings(catalog: Path | None, mirror: Path | None, deep: bool) -> list[Finding]:
    """Return what is said of the catalog and of the folders that its files are looked for in."""
    try:
        sources = open_sources(catalog, mirror)
    except FinescaleError as error:
        missing = os.environ.get("FINESCALE_DATA") if mirror is None else None
        mend = "unset FINESCALE_DATA" if missing and missing in str(error) else "finescale data list"
        return [Finding(SUBJECT, "catalog", "cannot be opened", "fault", str(error), mend)]
    wrong = {}
    for name in sources.catalog:
        try:
            sources.catalog[name]
        except UserError as error:
            wrong[name] = str(error).splitlines()[0]
    told = f"{sources.catalog.path}, {len(sources.catalog)} datasets"
    if wrong:
        first = next(iter(wrong))
        said = f"{len(wrong)} cannot be used: {', '.join(wrong)}. {wrong[first]}"
        found = [Finding(SUBJECT, "catalog", told, "note", said, f"finescale data show {first}")]
    else:
        found = [Finding(SUBJECT, "catalog", told)]
    return [*found, *_files(sources, deep), folder_finding("cache", sources.places.cache, "FINESCALE_CACHE")]


def _files(sources: Sources, deep: bool) -> list[Finding]:
    """Return how many files of the catalog are here, and, if ``deep``, whether they are those of the catalog."""
    mirror = sources.places.mirror
    told = str(mirror) if mirror else "none; --data DIR or FINESCALE_DATA names one"
    found = [Finding(SUBJECT, "mirror", told)]
    asked = here = 0
    damaged: list[tuple[str, Path]] = []
    checked = 0
    for name in sources.catalog:
        try:
            specs = sources.catalog[name].files
        except UserError:
            continue
        for spec in specs:
            asked += 1
            try:
                place = locate(spec, sources.places)
            except DataError:
                continue
            here += place is not None
            if deep and place is not None and spec.sha256 and len(place[1]) == 1:
                checked += 1
                if sha256_of(place[1][0]) != spec.sha256:
                    damaged.append((name, place[1][0]))
    words = f"{here} of the catalog's {asked} files are here; the others are fetched as they are needed"
    if not deep:
        return [*found, Finding(SUBJECT, "files", f"{words}; finescale doctor --deep checks their bytes")]
    if damaged:
        name, path = damaged[0]
        wrong = f"not the files of the catalog, by their sha256: {', '.join(str(path) for _, path in damaged)}"
        return [*found, Finding(SUBJECT, "files", words, "fault", wrong, f"rm {path} && finescale data fetch {name}")]
    return [*found, Finding(SUBJECT, "files", f"{words}; {checked} checked by their sha256")]


def folder_finding(what: str, path: Path, variable: str) -> Finding:
    """Say whether a folder, or the one it will be made in, can be written to and has room."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    told = f"{path}, {free / 2**30:.1f} GiB free{'' if path.exists() else ', not made yet'}"
    reason = _unwritable(there)
    if reason:
        wrong = f"it cannot be written to: {reason}"
        return Finding(SUBJECT, what, told, "fault", wrong, f"export {variable}=/a/folder/of/your/own")
    if free < LEAST:
        wrong = "a run of real data takes some GiB"
        return Finding(SUBJECT, what, told, "note", wrong, "finescale runs delete --failed --older-than 7d")
    return Finding(SUBJECT, what, told)


def _unwritable(folder: Path) -> str:
    """Return why no file can be made in a folder, empty where one can: a mount may be read-only for root too."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def findings(deep: bool = False) -> list[Finding]:
    """Return everything about data and where they lie."""
    runs = Path(os.environ.get("FINESCALE_RUNS") or "runs")
    return [*catalog_findings(None, None, deep), folder_finding("runs", runs, "FINESCALE_RUNS")]
