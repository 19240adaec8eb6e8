"""Ingest: files to regular datasets: found, checked, read, mended, and what was mended written down."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from flows.sources import open_sources, used_entries, used_variables
from flows.workspace import Workspace
from pipeline.data.catalog import Entry
from pipeline.data.checks import inspect
from pipeline.data.load import Loaded, load
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
            loaded = load(entry, sources.catalog, sources.places, space.backend, variables, space.progress)
            with write_atomic(space.run / f"work/ingest/{name}.nc") as temporary:
                _write(loaded.data, temporary)
            datasets[name] = _described(entry, loaded)
            read += _read(entry, loaded)
            bar.advance(note=name)
    summary = {"datasets": datasets, "data": [asdict(source) for source in read]}
    space.run.write_json("work/ingest/summary.json", summary)
    return StageOutput((space.run / "work/ingest",), {"datasets": list(datasets)})


def _write(data: xr.Dataset, path: Path) -> None:
    data.to_netcdf(path, engine="netcdf4", encoding={name: {"zlib": True, "complevel": 1} for name in data.data_vars})


def _described(entry: Entry, loaded: Loaded) -> dict[str, Any]:
    return {
        "format": entry.format,
        "description": entry.description,
        "licence": entry.licence,
        "citation": entry.citation,
        "variables": [asdict(check) for check in inspect(loaded.data)],
        "repairs": [asdict(repair) for repair in loaded.repairs],
    }


def _read(entry: Entry, loaded: Loaded) -> list[DataSource]:
    """Return what was read, for the provenance; made data have no file but have a licence."""
    if not loaded.files:
        return [DataSource(entry.name, "", None, "", 0, "synthetic", entry.licence, entry.citation)]
    return [
        DataSource(
            entry.name,
            found.path.name,
            found.url,
            found.sha256,
            found.bytes,
            found.place,
            entry.licence,
            entry.citation,
        )
        for found in loaded.files
    ]
