"""The plan of a run in words: what would be done, and what is already there."""

from __future__ import annotations

from flows import stages
from flows.plan import Plan
from flows.sources import Sources, used_entries
from pipeline.data.catalog import FileSpec
from pipeline.data.files import Places, locate
from pipeline.run_folder import RunFolder


def describe(plan: Plan, sources: Sources, backend: str, run: RunFolder | None) -> str:
    """Return the plan: question, data and where they are, split, models and fits, stages and which are done."""
    experiment = plan.experiment
    lines = [f"{experiment.name}: {experiment.question}", f"backend: {backend}", "", "data"]
    for name, entry in used_entries(experiment, sources.catalog).items():
        lines.append(f"  {name} ({entry.format})")
        lines += [f"    {spec.path}: {_where(spec, sources.places)}" for spec in entry.files]
    split = experiment.split
    spans = {"train": split.train, "validation": split.validation, **split.test}
    lines += ["", "split", *(f"  {name:<12} {first} to {last}" for name, (first, last) in spans.items())]
    for name, test in experiment.data.tests.items():
        own = f"{test.span[0]} to {test.span[1]}" if test.span else "all dates"
        truth = "" if test.target else ", without truth: predicted, not scored"
        lines.append(f"  {name:<12} {own} of {', '.join(source.dataset for source in test.predictors)}{truth}")
    lines += ["", "models"]
    for model in plan.models.values():
        members = plan.members(model.name)
        lines.append(f"  {model.name} ({model.kind}){f', {members} members' if members > 1 else ''}")
    lines += [f"  {method.name}" for method in plan.methods]
    lines += ["", "explanations", *(f"  {e.method} of {e.model}" for e in plan.explanations)]
    lines += ["", "stages", *(f"  {stage.name:<8} {_state(stage.name, run)}" for stage in stages.ALL)]
    return "\n".join(lines)


def _where(spec: FileSpec, places: Places) -> str:
    """Say where a file would be taken from, without reading or fetching it."""
    found = locate(spec, places)
    if found is not None:
        place, paths = found
        return f"there ({place})" if len(paths) == 1 else f"{len(paths)} files there ({place})"
    return f"would be downloaded from {spec.url}" if spec.url else "MISSING, and the catalog names no URL"


def _state(name: str, run: RunFolder | None) -> str:
    return "done" if run is not None and (run / f"stages/{name}.json").is_file() else "to do"
