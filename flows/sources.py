"""Where an experiment's data come from: the catalog, and which of its entries are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.assemble import ALTITUDE
from pipeline.data.catalog import Catalog, Entry, open_catalog
from pipeline.data.files import Places
from pipeline.errors import ConfigError
from pipeline.experiment import Experiment, Source
from pipeline.experiment_checks import IMAGES
from pipeline.registry import suggest
from pipeline.run_folder import RunFolder


@dataclass(frozen=True)
class Sources:
    """A catalog with the places where its files are looked for."""

    catalog: Catalog
    places: Places


def open_sources(catalog: Path | None = None, mirror: Path | None = None, below: Path | None = None) -> Sources:
    """Return the catalog and the places; ``mirror`` is a local folder that is looked at first.

    ``below`` is a catalog for the names that ``catalog`` lacks; without either, that is the shipped one.

    Raises
    ------
    UserError
        If the catalog or the mirror is not there.
    """
    opened = open_catalog(catalog, below)
    places = Places.of(opened, mirror)
    if places.mirror is not None and not places.mirror.is_dir():
        raise ConfigError(
            f"expected a folder that mirrors the catalog's files, got {str(places.mirror)!r} "
            "(from --data or FINESCALE_DATA), which is not there."
        )
    return Sources(opened, places)


def sources_of(run: RunFolder, mirror: Path | None = None) -> Sources:
    """Return the catalog and the places of a run that was made, with another mirror if one is given.

    Raises
    ------
    UserError
        If the catalog is no longer there.
    """
    settings = run.read_json("work/settings.json")
    catalog, data, below = (
        Path(settings[key]) if settings.get(key) else None for key in ("catalog", "data", "catalog_below")
    )
    return open_sources(catalog, mirror or data, below)


def used_sources(experiment: Experiment) -> list[Source]:
    """Return every source that ``experiment`` names."""
    data = experiment.data
    variables = [name for source in (*data.predictors, data.target) for name in source.variables or ()]
    if data.images:  # every image has the variables of all sources
        return [Source(dataset=name, variables=variables or None) for name in data.images]
    sources = [*data.predictors, data.target, *data.static, *data.forcings]
    for test in data.tests.values():
        sources += [*test.predictors, *([test.target] if test.target else []), *(test.forcings or [])]
    return sources


def used_entries(experiment: Experiment, catalog: Catalog) -> dict[str, Entry]:
    """Return the catalog entries that ``experiment`` uses, by name.

    Raises
    ------
    UserError
        If an entry, or a variable asked of it, is not in the catalog.
    """
    used: dict[str, Entry] = {}
    for source in used_sources(experiment):
        used[source.dataset] = entry = catalog[source.dataset]
        for name in source.variables or ():
            if name not in entry.variables and name != ALTITUDE:
                raise ConfigError(
                    f"data: dataset {source.dataset!r} has no variable {name!r} in {catalog.origin(source.dataset)}."
                    f"{suggest(name, entry.variables)} Known: {', '.join(entry.variables)}."
                )
    if experiment.data.images:
        used |= {IMAGES: used[experiment.data.images[0]]}
    _refuse_the_answer(experiment, used)
    experiment.prepare.target.require(_names(experiment.data.target, used))
    _check_regridding(experiment, used)
    used.pop(IMAGES, None)
    return used


def _names(source: Source, used: dict[str, Entry]) -> list[str]:
    if source.name is not None:  # the mean over a region of one variable
        return [source.name]
    return list(used[source.dataset].variables) if source.variables is None else source.variables


def _refuse_the_answer(experiment: Experiment, used: dict[str, Entry]) -> None:
    """Refuse a predictor that is the target of the same day: every score would be perfect and mean nothing."""
    data = experiment.data
    if 0 not in experiment.prepare.inputs.steps_back or min(experiment.prepare.target.leads) > 0:
        return
    asked = [("data", data.predictors, data.target)]
    asked += [(f"data.tests.{name}", test.predictors, test.target) for name, test in data.tests.items() if test.target]
    for where, predictors, target in asked:
        for source in predictors:
            if (source.coarsen or 1) > (target.coarsen or 1):  # a super-resolution: its block means are what is known
                continue
            if source.mean_over is not None and target.mean_over is None:  # one number for a whole region
                continue
            same = set(_names(source, used)) & set(_names(target, used)) if source.dataset == target.dataset else set()
            if same:
                ways = {
                    "series": "ask for what comes later (prepare.target.leads: [1]), or give earlier steps only "
                    "(prepare.inputs.lags without 0)",
                    "segmentation": "or give earlier times only: prepare.inputs.lags without 0",
                }
                other = "coarsen it (coarsen: 4), or give earlier days only: prepare.inputs.lags without 0"
                raise ConfigError(
                    f"{where}.predictors: {source.dataset!r} gives {', '.join(sorted(same))} of the same time, which "
                    f"is the target itself. Leave it out, {ways.get(experiment.task, other)}."
                )


def _check_regridding(experiment: Experiment, used: dict[str, Entry]) -> None:
    to = experiment.prepare.regrid.to
    known = [f"{s.dataset}/{name}" for s in experiment.data.predictors for name in _names(s, used)]
    if to is not None and to not in ("target", *known):
        raise ConfigError(
            f"prepare.regrid.to: expected 'target' or a predictor as dataset/variable, got {to!r}."
            f"{suggest(to, known)} Known: target, {', '.join(known)}."
        )


def used_variables(experiment: Experiment, dataset: str) -> list[str] | None:
    """Return the variables of ``dataset`` that any part of ``experiment`` uses; None for all."""
    parts = [source.variables for source in used_sources(experiment) if source.dataset == dataset]
    if any(part is None for part in parts):
        return None
    # The altitude is a coordinate of whatever variable is read; alone it needs one.
    return list(dict.fromkeys(name for part in parts for name in part or () if name != ALTITUDE)) or None
