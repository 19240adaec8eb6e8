"""Prepare: regular datasets to samples of every split; all that is fitted is fitted on train."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from flows.assemble import assemble
from flows.plan import split_of
from flows.planned import refuse_unsuited
from flows.workspace import Workspace
from pipeline.attribution.asking import find_place
from pipeline.backend.memory import fits
from pipeline.errors import DataError
from pipeline.files import remove, write_atomic
from pipeline.novelty.fitted import Novelty
from pipeline.novelty.storage import save_novelty
from pipeline.prepare.making import prepare as make_samples
from pipeline.prepare.making import prepare_tiles
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.tiles import cut
from pipeline.rows import Room
from pipeline.split_config import BlockSplitConfig
from pipeline.stage import StageOutput

log = logging.getLogger(__name__)


def _opened(space: Workspace, name: str) -> xr.Dataset:
    """Return an ingested dataset, in memory if there is room for it."""
    path = space.run / f"work/ingest/{name}.nc"
    data = xr.open_dataset(path, engine="netcdf4", cache=False)
    if not fits(data.nbytes, space.budget):
        return data
    with data:
        return data.load()


def _on_dates(space: Workspace, room: Room) -> Prepared:
    experiment = space.plan.experiment
    data, parts = experiment.data, assemble(experiment, partial(_opened, space))
    return make_samples(
        parts.predictors,
        parts.target,
        parts.static,
        parts.forcings,
        tests=parts.tests,
        config=experiment.prepare,
        split=split_of(experiment),
        months=data.months,
        region=data.region.bounds() if data.region else None,
        regions=experiment.regions,
        backend=space.backend,
        classes=experiment.task == "segmentation",
        notes=parts.notes,
        room=room,
    )


@contextmanager
def _scratch(space: Workspace) -> Iterator[Path]:
    """Yield a folder for what there is no room for in memory, on the disk of the run, and remove it."""
    folder = space.run / "work/rows"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        remove(folder)


def _tiles(space: Workspace) -> Prepared:
    experiment = space.plan.experiment
    assert isinstance(experiment.split, BlockSplitConfig)  # the schema holds images to it
    images = [(name, _opened(space, name)) for name in experiment.data.images]
    asked = [name for source in experiment.data.predictors for name in source.variables or ()]
    tiles = cut(images, asked, experiment.data.target.variables or (), experiment.split)
    return prepare_tiles(
        tiles, config=experiment.prepare, backend=space.backend, classes=True, regions=experiment.regions
    )


def _keep_novelty(prepared: Prepared, folder: Path, budget: int) -> dict[str, Any]:
    """Fit what tells unusual samples and keep it in ``folder``; return what is said of it, or why it cannot be."""
    try:
        cells = None if prepared.cells is None else prepared.cells["train"]
        found = Novelty.fit(prepared.inputs("train"), cells, prepared.scalars.forcings, budget=budget)
    except DataError as error:
        log.info("novelty: %s", error)
        return {"reason": str(error)}
    save_novelty(found, folder, prepared.backend)
    return found.facts()


def prepare(space: Workspace) -> StageOutput:
    """Write ``work/prepare/``: channels on one grid, the target, and what was fitted on the train split."""
    experiment = space.plan.experiment
    data = experiment.data
    with space.progress("prepare"):
        folder = space.run / "work/prepare"
        with _scratch(space) as scratch, write_atomic(folder) as temporary:
            room = Room(space.backend, space.budget, scratch)
            prepared = _tiles(space) if data.images else _on_dates(space, room)
            for planned in space.plan.explanations:  # what is not there is refused before any model is fitted
                find_place(planned.entry, prepared.schema)
                config = space.plan.models[planned.model].config
                refuse_unsuited(planned.type, planned.model, config, len(prepared.schema.classes))
            prepared.save(temporary)
            summary = {**prepared.summary(), "novelty": _keep_novelty(prepared, temporary, space.budget)}
        space.run.write_json("work/prepare/summary.json", summary)
    return StageOutput((folder,), summary)
