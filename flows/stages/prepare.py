"""Prepare: regular datasets to samples of every split; all that is fitted is fitted on train."""

from __future__ import annotations

from functools import partial

import xarray as xr

from flows.assemble import assemble
from flows.plan import split_of
from flows.workspace import Workspace
from pipeline.files import write_atomic
from pipeline.prepare.making import prepare as make_samples
from pipeline.prepare.making import prepare_tiles
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.tiles import cut
from pipeline.split_config import BlockSplitConfig
from pipeline.stage import StageOutput


def _opened(space: Workspace, name: str) -> xr.Dataset:
    return xr.load_dataset(space.run / f"work/ingest/{name}.nc")


def _on_dates(space: Workspace) -> Prepared:
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
        backend=space.backend,
        classes=experiment.task == "segmentation",
        notes=parts.notes,
    )


def _tiles(space: Workspace) -> Prepared:
    experiment = space.plan.experiment
    assert isinstance(experiment.split, BlockSplitConfig)  # the schema holds images to it
    images = [(name, _opened(space, name)) for name in experiment.data.images]
    asked = [name for source in experiment.data.predictors for name in source.variables or ()]
    tiles = cut(images, asked, experiment.data.target.variables or (), experiment.split)
    return prepare_tiles(tiles, config=experiment.prepare, backend=space.backend, classes=True)


def prepare(space: Workspace) -> StageOutput:
    """Write ``work/prepare/``: channels on one grid, the target, and the statistics of the train split."""
    experiment = space.plan.experiment
    data = experiment.data
    with space.progress("prepare"):
        prepared = _tiles(space) if data.images else _on_dates(space)
        folder = space.run / "work/prepare"
        with write_atomic(folder) as temporary:
            prepared.save(temporary)
        space.run.write_json("work/prepare/summary.json", prepared.summary())
    return StageOutput((folder,), prepared.summary())
