"""Predictions beside the truth, as scores take them: cells of the mask in one row, one lead or all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from flows.workspace import Workspace
from pipeline.metrics import Case, Place
from pipeline.metrics.regions import CellRegions
from pipeline.prediction.serial import Forecast, from_dataset, read
from pipeline.seeding import derive_seed

Cases = Mapping[str, Mapping[str, Case]]


def cases_of(
    space: Workspace, split: str, models: Sequence[str] | None = None, lead: int | None = None
) -> dict[str, dict[str, Case]]:
    """Return predictions of one split beside the truth, on the device, by model and variable.

    Parameters
    ----------
    space : Workspace
        The run.
    split : str
        ``validation`` or a test set; without truth all of it is NaN.
    models : sequence of str, optional
        All that were fitted by default.
    lead : int, optional
        One of the leads; all of them by default, one behind the other in the row of cells.
    """
    schema, backend = space.prepared.schema, space.backend
    samples = space.prepared.samples(split)
    climatology = space.prepared.climatology(samples).map(backend.to_host)
    leads = schema.leads if lead is None else (lead,)

    def rows(field: np.ndarray, variable: str) -> Any:
        columns = [schema.column(variable, each) for each in leads]
        part = field[..., columns, :, :][..., schema.mask]
        return backend.asarray(part.reshape(*part.shape[:-2], -1))

    truth = space.prepared.truth(split)
    if truth is None:
        truth = np.full(climatology.mean().shape, np.nan, np.float32)
    # Cells of several leads are no field.
    place = Place(schema.target_grid, schema.mask) if len(leads) == 1 else None
    # Once for all models: each is a copy to the device.
    known = {name: (rows(truth, name), climatology.map(partial(rows, variable=name))) for name in schema.variables}
    names = dict(zip(schema.variables, schema.target_standard_names, strict=False))
    cases = {}
    for model in space.predictors() if models is None else models:
        forecast = _forecast(space, model, split)
        cases[model] = {
            variable: Case(
                forecast.prediction.map(partial(rows, variable=variable)),
                *known[variable],
                units=schema.target_units[schema.column(variable, leads[0])],
                standard_name=names.get(variable, ""),
                time=samples.valid_time(leads[0]) if len(leads) == 1 else forecast.time,
                place=place,
                # Those of the scores: a spectrum that is drawn is of the days that were scored.
                seed=derive_seed(space.plan.experiment.seed, f"draws:{variable}"),
            )
            for variable in schema.variables
        }
    return cases


def weights_of(space: Workspace, leads: int) -> np.ndarray:
    """Return the area weights of the cells of :func:`cases_of`, of ``leads`` leads behind one another."""
    schema = space.prepared.schema
    return np.tile(schema.target_grid.area[schema.mask], leads)


def regions_of(space: Workspace, leads: int) -> CellRegions | None:
    """Return the regions of the cells of :func:`cases_of`, of ``leads`` leads behind one another; None without any."""
    schema = space.prepared.schema
    if schema.region is None:
        return None
    return CellRegions(schema.regions, np.tile(schema.region[schema.mask], leads))


def folder_of(split: str) -> str:
    """Return where in a run the predictions of a split lie."""
    return "work/validation" if split == "validation" else "predictions"


def _forecast(space: Workspace, name: str, split: str) -> Forecast:
    with read(space.run / folder_of(split) / f"{name}.nc", split) as dataset:
        return from_dataset(dataset)[0]
