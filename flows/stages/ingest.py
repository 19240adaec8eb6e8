"""Ingest: files to regular datasets: found, checked, read, mended, and what was mended written down."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.sources import open_sources, used_entries, used_variables
from flows.workspace import Workspace
from pipeline.data.catalog import Entry
from pipeline.data.regular_file import Regular, write_regular
from pipeline.files import write_atomic
from pipeline.provenance import DataSource
from pipeline.stage import StageOutput


def ingest(space: Workspace) -> StageOutput:
    """Write ``work/ingest/<dataset>.nc`` for every dataset of the experiment, and ``summary.json``."""
    settings = space.run.read_json("work/settings.json")
    data, below = (Path(path) if path else None for path in (settings["data"], settings.get("catalog_below")))
    sources = open_sources(Path(settings["catalog"]), data, below)
    experiment = space.plan.experiment
    entries = used_entries(experiment, sources.catalog)
    datasets: dict[str, Any] = {}
    read: list[DataSource] = []
    with space.progress("ingest", len(entries)) as bar:
        for name, entry in entries.items():
            variables = used_variables(experiment, name)
            with write_atomic(space.run / f"work/ingest/{name}.nc") as temporary:
                found = write_regular(
                    temporary,
                    entry,
                    sources.catalog,
                    sources.places,
                    space.backend,
                    variables,
                    space.progress,
                    budget=space.budget,
                )
            datasets[name] = _described(entry, found)
            read += _read(entry, found)
            bar.advance(note=name)
    summary = {"datasets": datasets, "data": [asdict(source) for source in read]}
    space.run.write_json("work/ingest/summary.json", summary)
    return StageOutput((space.run / "work/ingest",), {"datasets": list(datasets)})


def _described(entry: Entry, found: Regular) -> dict[str, Any]:
    return {
        "format": entry.format,
        "description": entry.description,
        "licence": entry.licence,
        "citation": entry.citation,
        "variables": [asdict(check) for check in found.checks],
        "repairs": [asdict(repair) for repair in found.repairs],
    }


def _read(entry: Entry, found: Regular) -> list[DataSource]:
    """Return what was read, for the provenance; made data have no file but have a licence."""
    if not found.files:
        return [DataSource(entry.name, "", None, "", 0, "synthetic", entry.licence, entry.citation)]
    return [
        DataSource(
            entry.name,
            file.path.name,
            file.url,
            file.sha256,
            file.bytes,
            file.place,
            entry.licence,
            entry.citation,
        )
        for file in found.files
    ]
