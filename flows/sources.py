"""Where an experiment's data come from: the catalog, and which of its entries are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.data.catalog import Catalog, Entry, find_catalog
from pipeline.data.files import Places
from pipeline.errors import ConfigError
from pipeline.experiment import Experiment, Source
from pipeline.registry import suggest


@dataclass(frozen=True)
class Sources:
    """A catalog with the places where its files are looked for."""

    catalog: Catalog
    places: Places


def open_sources(catalog: Path | None = None, mirror: Path | None = None) -> Sources:
    """Return the catalog and the places; ``mirror`` is a local folder that is looked at first.

    Raises
    ------
    UserError
        If the catalog or the mirror is not there.
    """
    opened = Catalog.load(find_catalog(catalog))
    places = Places.of(opened, mirror)
    if places.mirror is not None and not places.mirror.is_dir():
        raise ConfigError(
            f"expected a folder that mirrors the catalog's files, got {str(places.mirror)!r} "
            "(from --data or FINESCALE_DATA), which is not there."
        )
    return Sources(opened, places)


def used_sources(experiment: Experiment) -> list[Source]:
    """Return every source that ``experiment`` names."""
    data = experiment.data
    return [*data.predictors, data.target, *data.static]


def used_entries(experiment: Experiment, catalog: Catalog) -> dict[str, Entry]:
    """Return the catalog entries that ``experiment`` uses, by name.

    Raises
    ------
    UserError
        If an entry, or a variable asked of it, is not in the catalog.
    """
    used = {}
    for source in used_sources(experiment):
        used[source.dataset] = entry = catalog[source.dataset]
        for name in source.variables or ():
            if name not in entry.variables:
                raise ConfigError(
                    f"data: dataset {source.dataset!r} has no variable {name!r} in {catalog.path}."
                    f"{suggest(name, entry.variables)} Known: {', '.join(entry.variables)}."
                )
    return used


def used_variables(experiment: Experiment, dataset: str) -> list[str] | None:
    """Return the variables of ``dataset`` that any part of ``experiment`` uses; None for all."""
    parts = [source.variables for source in used_sources(experiment) if source.dataset == dataset]
    if any(part is None for part in parts):
        return None
    return list(dict.fromkeys(name for part in parts for name in part or ()))
