"""Score: every model on validation and on every test set that has truth, with intervals, maps and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from flows.header import of_stage
from flows.stages import _classes
from flows.stages._cases import Cases, cases_of, regions_of, weights_of
from flows.stages._changes import changes
from flows.stages._novelty import Watch
from flows.stages._parts import Asked, Part, score_parts
from flows.stages._workers import Tick
from flows.workspace import Workspace
from pipeline.cf import conforming
from pipeline.files import write_atomic
from pipeline.metrics import Case
from pipeline.metrics.classes import HEADLINE
from pipeline.metrics.diagnostics import diagnose
from pipeline.metrics.evaluate import Evaluation, evaluate
from pipeline.metrics.fields import to_dataset
from pipeline.metrics.structure_fields import spectra
from pipeline.metrics.tables import Comparison, write_comparisons, write_scores
from pipeline.metrics.uncertainty import uncertainty_series
from pipeline.stage import StageOutput
from pipeline.units import headline_metric


def score(space: Workspace) -> StageOutput:
    """Write ``scores.csv``, ``comparisons.csv``, ``diagnostics/`` by model and of novelty, if asked ``changes.csv``."""
    run = space.run
    known = [name for name in ("validation", *space.tests) if space.prepared.windows[name].truth]
    with space.progress("score", len(known)) as bar:
        evaluations: dict[str, Evaluation] = {}
        comparisons: list[Comparison] = []
        best: dict[str, str] = {}
        reference: str | None = None
        watch = Watch(space, known[1] if len(known) > 1 else None)
        for split in known:
            part = score_parts(space, Asked(split, space.predictors(), reference, best, watch.test), _part, watch)
            evaluations[split] = part.evaluation
            for lacking in part.evaluation.missing:
                space.warn(lacking.model, lacking.warning)
            comparisons += [*part.evaluation.comparisons, *part.comparisons]
            if split == "validation":
                # The best baselines are chosen here, so that the test set cannot choose its own opponent.
                best = _best_baselines(space, evaluations[split])
                reference = best.pop(space.prepared.schema.variables[0], None)
                best = {variable: model for variable, model in best.items() if model != reference}
            bar.advance(note=split)
    watch.write()
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


def _part(space: Workspace, asked: Asked, tick: Tick = lambda note: None, watch: Watch | None = None) -> Part:
    """Score some models on a split, and write their maps and curves if it is the test set; here or on a worker."""
    watch = Watch(space, asked.test) if watch is None else watch
    split, reference = asked.split, asked.reference
    cases = cases_of(space, split, asked.needed)
    evaluation = _evaluate(space, split, cases, reference)
    further = _further(space, split, cases, asked.best)
    own = {name: cases[name] for name in asked.models}
    if split == asked.test:
        _write_diagnostics(space, split, own, evaluation, reference)
    watch.see(split, own)
    return Part(replace(evaluation, maps={}), tuple(further), watch.seen)


def _evaluate(
    space: Workspace, split: str, cases: Cases, reference: str | None, metrics: Sequence[str] | None = None
) -> Evaluation:
    """Return the scores of a split: of classes, or of all leads together, then of every lead and its seasons."""
    schema = space.prepared.schema
    if schema.classes:
        return _classes.evaluate(space, split, cases, reference, metrics)
    samples, leads = space.prepared.samples(split), schema.leads
    ask = partial(
        evaluate,
        split=split,
        units=dict(zip(schema.variables, schema.target_units, strict=False)),
        seed=space.plan.experiment.seed,
        metrics=space.plan.metrics if metrics is None else metrics,
        reference=reference,
        task=space.plan.experiment.task,
    )
    # Where scores are asked for by name, for further comparisons, those of regions are there already.
    regions = regions_of(space, len(leads)) if metrics is None else None
    if len(leads) == 1:
        at, weights = samples.valid_time(leads[0]), weights_of(space, 1)
        return ask(cases, time=at, weights=weights, ahead=leads[0], regions=regions)
    over: dict[str, Any] = {"seasons": False, "leads": len(leads), "ahead": max(leads), "regions": regions}
    whole = ask(cases, time=samples.time, weights=weights_of(space, len(leads)), **over)
    parts = [
        ask(
            _at_lead(cases, number, len(leads), samples.valid_time(lead)),
            time=samples.valid_time(lead),
            weights=weights_of(space, 1),
            prefix=f"lead={lead}",
            ahead=lead,
            months=schema.step_word == "month",
        )
        for number, lead in enumerate(leads)
    ]
    return replace(
        whole,
        scores=tuple(row for part in (whole, *parts) for row in part.scores),
        comparisons=tuple(row for part in (whole, *parts) for row in part.comparisons),
        samplings=tuple(row for part in (whole, *parts) for row in part.samplings),
    )


def _at_lead(cases: Cases, number: int, leads: int, time: np.ndarray) -> dict[str, dict[str, Case]]:
    """Return the cells of one lead, with the times that it is valid for."""

    def part(case: Case) -> Case:
        cells = case.truth.shape[1] // leads
        return replace(case.select(slice(number * cells, (number + 1) * cells), -1), time=time)

    return {model: {name: part(case) for name, case in by.items()} for model, by in cases.items()}


def _best_baselines(space: Workspace, validation: Evaluation) -> dict[str, str]:
    """Return the baseline that did best on validation by target; empty without baselines.

    By its RMSE, or for precipitation by its CRPS, where that is scored; of classes by its mean IoU.
    """
    best = max if space.prepared.schema.classes else min
    baselines = {name for name, model in space.plan.models.items() if "baseline" in model.type.traits}
    found: dict[str, str] = {}
    for variable, metric in _headlines(space).items():
        errors = {
            row.model: row.value
            for row in validation.scores
            if (row.metric, row.group, row.variable) == (metric, "all", variable) and row.model in baselines
        }
        found |= {variable: best(errors, key=errors.__getitem__)} if errors else {}
    return found


def _headlines(space: Workspace) -> dict[str, str]:
    """Return the score that models of each target are compared by."""
    schema = space.prepared.schema
    if schema.classes:
        return dict.fromkeys(schema.variables, HEADLINE)
    names = schema.target_standard_names or ("",) * len(schema.variables)
    return {
        variable: headline_metric(units, space.plan.metrics, name)
        for variable, units, name in zip(schema.variables, schema.target_units, names, strict=False)
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
    if schema.classes:
        _classes.write_diagnostics(space, split, cases, reference)
        return
    samples, weights = space.prepared.samples(split), weights_of(space, len(schema.leads))
    time, seed = samples.time, space.plan.experiment.seed
    valid = [samples.valid_time(lead) for lead in schema.leads]
    when = (valid[0], None) if len(valid) == 1 else (time, np.stack(valid, axis=1))
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
            units=dict(zip(schema.variables, schema.target_units, strict=False)),
            grid=schema.target_grid,
            mask=schema.mask,
            leads=schema.leads,
            spectra={variable: spectra(case) for variable, case in by_variable.items()},
            series={variable: uncertainty_series(case, weights, *when) for variable, case in by_variable.items()},
        )
        dataset = dataset.assign_attrs(of_stage(space, "score", name))
        with write_atomic(space.run / f"diagnostics/{name}.nc") as temporary:
            conforming(dataset).to_netcdf(temporary, engine="netcdf4")
