"""Prepare: regular datasets to samples of every split; all that is fitted is fitted on train."""

from __future__ import annotations

import xarray as xr

from flows.assemble import assemble
from flows.workspace import Workspace
from pipeline.files import write_atomic
from pipeline.prepare.prepared import prepare as make_samples
from pipeline.prepare.splits import TimeSplit
from pipeline.stage import StageOutput


def prepare(space: Workspace) -> StageOutput:
    """Write ``work/prepare/``: channels on one grid, the target, and the statistics of the train split."""
    experiment = space.plan.experiment
    data = experiment.data
    with space.progress("prepare"):
        parts = assemble(experiment, lambda name: xr.load_dataset(space.run / f"work/ingest/{name}.nc"))
        prepared = make_samples(
            parts.predictors,
            parts.target,
            parts.static,
            parts.forcings,
            tests=parts.tests,
            config=experiment.prepare,
            split=TimeSplit.from_config(experiment.split),
            months=data.months,
            region=data.region.bounds() if data.region else None,
            backend=space.backend,
            notes=parts.notes,
        )
        folder = space.run / "work/prepare"
        with write_atomic(folder) as temporary:
            prepared.save(temporary)
        space.run.write_json("work/prepare/summary.json", prepared.summary())
    return StageOutput((folder,), prepared.summary())
