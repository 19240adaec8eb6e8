"""Explain: what drives the predictions of each model, with the checks beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flows.header import of_stage
from flows.planned import PlannedExplanation
from flows.stages._workers import Tick, each
from flows.workspace import Workspace
from pipeline.attribution import Attribution, Case, light
from pipeline.attribution.asking import ask, event_cells, with_events
from pipeline.attribution.baseline import make_baseline
from pipeline.attribution.groups import DayGroup, day_groups
from pipeline.attribution.joined import Joined, join
from pipeline.attribution.serial import write_attributions
from pipeline.files import write_atomic
from pipeline.samples import Samples
from pipeline.stage import StageOutput


@dataclass(frozen=True, eq=False)
class Explained:
    """One explanation of one model, and the days that it is of."""

    joined: Joined
    samples: Samples


def explain(space: Workspace) -> StageOutput:
    """Write ``attributions/<model>.nc`` for every model that is explained, one model a worker."""
    folder = space.run / "attributions"
    folder.mkdir(exist_ok=True)
    asked: dict[str, int] = {}
    for explanation in space.plan.explanations:
        if space.fitted(explanation.model):
            asked[explanation.model] = asked.get(explanation.model, 0) + 1
    said = each(space, "explain", _explain, asked)
    return StageOutput((folder,), dict(zip(asked, said, strict=True)))


def _explain(space: Workspace, name: str, tick: Tick) -> list[dict[str, str]]:
    """Write every explanation of one model; return what each came to in words."""
    several = []
    for explanation in space.plan.explanations:
        if explanation.model == name:
            several.append(explained(space, explanation))
            tick(f"{name}: {explanation.method}")
    with write_atomic(space.run / f"attributions/{name}.nc") as temporary:
        joined, samples = [one.joined for one in several], [one.samples for one in several]
        header = {"title": f"What drives the predictions of {name}", **of_stage(space, "explain", name)}
        write_attributions(temporary, joined, samples, space.prepared.schema, header)
    return [_summary(one.joined) for one in several]


def _summary(joined: Joined) -> dict[str, str]:
    return {"name": joined.name, "method": joined.method, "light": light(joined.findings)}


def explained(space: Workspace, planned: PlannedExplanation) -> Explained:
    """Return one explanation by all members that are asked."""
    entry, prepared = planned.entry, space.prepared
    samples = explained_days(space, entry.days)
    train = prepared.samples("train")
    scale = np.concatenate([space.backend.to_host(prepared.transform.scale)] * len(prepared.schema.leads))
    question, place = ask(entry, prepared.schema, scale, train, space.backend)
    members = space.fitted(planned.model)[: entry.members]
    first = space.context(planned.model, members[0])
    if entry.event:
        prediction = space.model(planned.model, members[0]).predict(samples, first)
        events = event_cells(entry, prediction, question, place, space.backend)
        some = np.asarray(events.any(axis=(1, 2)))
        samples, question = samples.take(some), with_events(question, place, events[some])
    baseline = make_baseline(planned.baseline, train, samples, entry.baseline_draws, first)
    groups = day_groups(samples, None, entry.groups, train=train, regimes=entry.regimes, context=first)
    method = planned.type(planned.config)

    def answer(member: int) -> Attribution:
        model, context = space.model(planned.model, member), space.context(planned.model, member)
        # What checks cost is paid once: members differ, methods do not.
        checks = planned.checks if member == members[0] else ()
        return method.explain(
            Case(model, samples, question, context, baseline, checks, entry.check_days, tuple(groups))
        )

    attributions = [answer(member) for member in members]
    joined = join(
        attributions,
        _grouped(groups, samples, attributions, entry.groups),
        prepared.schema,
        first.seed_for("explanation days"),
        name=planned.name,
        title=method.title,
        kind=method.kind,
        label=question.label,
        units=question.units,
        baseline=baseline.words if method.has_baseline else "",
    )
    return Explained(joined, samples)


def _grouped(
    groups: list[DayGroup], samples: Samples, attributions: list[Attribution], by: Sequence[str]
) -> list[DayGroup]:
    """Return the groups, with thirds of the explained number, which the members have said, where they are asked for."""
    numbers = [one.numbers for one in attributions if one.numbers is not None]
    if "third" not in by or not numbers:
        return groups
    return groups + day_groups(samples, np.mean(numbers, axis=0), ["third"])[1:]


def explained_days(space: Workspace, days: int) -> Samples:
    """Return ``days`` evenly spaced samples of the first test set that has truth, else of validation."""
    known = [name for name in space.tests if space.prepared.windows[name].truth]
    samples = space.prepared.samples(known[0] if known else "validation")
    return samples.take(np.unique(np.linspace(0, len(samples) - 1, min(days, len(samples))).round().astype(int))).held()
