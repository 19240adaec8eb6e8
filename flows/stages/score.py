"""Score: every model on validation and on every test set that has truth, with intervals, maps and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from flows.stages._changes import changes
from flows.workspace import Workspace
from pipeline.files import write_atomic
from pipeline.metrics import Case, Place
from pipeline.metrics.diagnostics import diagnose
from pipeline.metrics.evaluate import Evaluation, evaluate
from pipeline.metrics.fields import to_dataset
from pipeline.metrics.structure_fields import spectra
from pipeline.metrics.tables import Comparison, write_comparisons, write_scores
from pipeline.prediction.serial import Forecast, from_dataset, read
from pipeline.seeding import derive_seed
from pipeline.stage import StageOutput
from pipeline.units import headline_metric

Cases = Mapping[str, Mapping[str, Case]]


def score(space: Workspace) -> StageOutput:
    """Write ``scores.csv``, ``comparisons.csv``, ``diagnostics/<model>.nc`` and, if asked, ``changes.csv``."""
    run = space.run
    known = [name for name in ("validation", *space.tests) if space.prepared.windows[name].truth]
    with space.progress("score", len(known)) as bar:
        evaluations: dict[str, Evaluation] = {}
        comparisons: list[Comparison] = []
        best: dict[str, str] = {}
        reference: str | None = None
        for split in known:
            cases = cases_of(space, split)
            evaluations[split] = _evaluate(space, split, cases, reference)
            comparisons += [*evaluations[split].comparisons, *_further(space, split, cases, best)]
            if split == "validation":
                # The best baselines are chosen here, so that the test set cannot choose its own opponent.
                best = _best_baselines(space, evaluations[split])
                reference = best.pop(space.prepared.schema.targets[0], None)
                best = {variable: model for variable, model in best.items() if model != reference}
            elif split == known[1]:
                _write_diagnostics(space, split, cases, evaluations[split], reference)
            bar.advance(note=split)
    with write_atomic(run / "scores.csv") as temporary:
        write_scores(temporary, [row for evaluation in evaluations.values() for row in evaluation.scores])
    with write_atomic(run / "comparisons.csv") as temporary:
        write_comparisons(temporary, comparisons)
    summary = {
        "reference": reference,
        "n_effective": {
            split: {row.variable: row.independent for row in evaluation.samplings if row.group == "all"}
            for split, evaluation in evaluations.items()
        },
    }
    outputs = [run / "scores.csv", run / "comparisons.csv"]
    outputs += changes(space, cases_of)
    outputs += [run / "diagnostics"] if (run / "diagnostics").is_dir() else []
    return StageOutput(tuple(outputs), summary)


def cases_of(space: Workspace, split: str, models: Sequence[str] | None = None) -> dict[str, dict[str, Case]]:
    """Return predictions of one split beside the truth, on the device, cells of the mask in one row.

    Parameters
    ----------
    space : Workspace
        The run.
    split : str
        ``validation`` or a test set; without truth all of it is NaN.
    models : sequence of str, optional
        All that were fitted by default.
    """
    schema, backend = space.prepared.schema, space.backend
    climatology = space.prepared.climatology(space.prepared.samples(split)).map(backend.to_host)

    def rows(field: np.ndarray, target: int) -> Any:
        return backend.asarray(field[..., target, :, :][..., schema.mask])

    truth = space.prepared.truth(split)
    if truth is None:
        truth = np.full(climatology.mean().shape, np.nan, np.float32)
    place = Place(schema.target_grid, schema.mask)
    # Once for all models: each is a copy to the device.
    known = [
        (rows(truth, target), climatology.map(partial(rows, target=target))) for target in range(len(schema.targets))
    ]

    cases = {}
    for name in space.predictors() if models is None else models:
        forecast = _forecast(space, name, split)
        cases[name] = {
            variable: Case(
                forecast.prediction.map(partial(rows, target=target)),
                *known[target],
                units=schema.target_units[target],
                time=forecast.time,
                place=place,
                # Those of the scores: a spectrum that is drawn is of the days that were scored.
                seed=derive_seed(space.plan.experiment.seed, f"draws:{variable}"),
            )
            for target, variable in enumerate(schema.targets)
        }
    return cases


def _forecast(space: Workspace, name: str, split: str) -> Forecast:
    folder = "work/validation" if split == "validation" else "predictions"
    with read(space.run / f"{folder}/{name}.nc", split) as dataset:
        return from_dataset(dataset)[0]


def _evaluate(
    space: Workspace, split: str, cases: Cases, reference: str | None, metrics: Sequence[str] | None = None
) -> Evaluation:
    schema = space.prepared.schema
    return evaluate(
        cases,
        split=split,
        time=space.prepared.samples(split).time,
        weights=schema.target_grid.area[schema.mask],
        units=dict(zip(schema.targets, schema.target_units, strict=True)),
        seed=space.plan.experiment.seed,
        metrics=space.plan.metrics if metrics is None else metrics,
        reference=reference,
    )


def _best_baselines(space: Workspace, validation: Evaluation) -> dict[str, str]:
    """Return the baseline that did best on validation by target; empty without baselines.

    By its RMSE, or for precipitation by its CRPS, where that is scored.
    """
    baselines = {name for name, model in space.plan.models.items() if "baseline" in model.type.traits}
    found: dict[str, str] = {}
    for variable, metric in _headlines(space).items():
        errors = {
            row.model: row.value
            for row in validation.scores
            if (row.metric, row.group, row.variable) == (metric, "all", variable) and row.model in baselines
        }
        found |= {variable: min(errors, key=errors.__getitem__)} if errors else {}
    return found


def _headlines(space: Workspace) -> dict[str, str]:
    """Return the score that models of each target are compared by."""
    schema = space.prepared.schema
    return {
        variable: headline_metric(units, space.plan.metrics)
        for variable, units in zip(schema.targets, schema.target_units, strict=True)
    }


def _further(space: Workspace, split: str, cases: Cases, best: Mapping[str, str]) -> list[Comparison]:
    """Return differences to the best baseline of a target, by its own score, where another is that of the first."""
    rows: list[Comparison] = []
    for variable, reference in best.items():
        part = {model: {variable: by_variable[variable]} for model, by_variable in cases.items()}
        rows += _evaluate(space, split, part, reference, (_headlines(space)[variable],)).comparisons
    return rows


def _write_diagnostics(
    space: Workspace, split: str, cases: Cases, evaluation: Evaluation, reference: str | None
) -> None:
    """Write the maps and curves of every model on one test set, which the report draws."""
    schema = space.prepared.schema
    time, weights = space.prepared.samples(split).time, schema.target_grid.area[schema.mask]
    seed = space.plan.experiment.seed
    for name, by_variable in cases.items():
        found = {
            variable: diagnose(case, split=split, variable=variable, time=time, weights=weights, seed=seed)
            for variable, case in by_variable.items()
        }
        dataset = to_dataset(
            found,
            evaluation.maps[name],
            model=name,
            split=split,
            reference=reference,
            units=dict(zip(schema.targets, schema.target_units, strict=True)),
            grid=schema.target_grid,
            mask=schema.mask,
            spectra={variable: spectra(case) for variable, case in by_variable.items()},
        )
        with write_atomic(space.run / f"diagnostics/{name}.nc") as temporary:
            dataset.to_netcdf(temporary, engine="netcdf4")
