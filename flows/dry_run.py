"""The plan of a run in words: what would be done, and what is already there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flows import stages
from flows.augment import OWN
from flows.duration import duration
from flows.extent import Extent, extent_of
from flows.footprint import footprint
from flows.live import clock
from flows.plan import Plan
from flows.sources import Sources, used_entries
from pipeline.backend import Backend, get_backend
from pipeline.backend.memory import budget, said
from pipeline.data.catalog import FileSpec
from pipeline.data.files import Places, locate
from pipeline.errors import UserError
from pipeline.run_folder import STAGES, RunFolder
from pipeline.split_config import AnySplit, BasinSplitConfig, SplitConfig
from pipeline.uncertainty.parts import WHOLE


def describe(plan: Plan, sources: Sources, backend: str, run: RunFolder | None, out: Path | None = None) -> str:
    """Return the plan: question, data and where they are, split, models and fits, memory, time, stages that are done.

    ``out`` is the folder of the runs that tell how long it takes; without it nothing is told of that.
    """
    experiment = plan.experiment
    lines = [f"{experiment.name}: {experiment.question}", f"backend: {backend}", "", "data"]
    for name, entry in used_entries(experiment, sources.catalog).items():
        lines.append(f"  {name} ({entry.format})")
        lines += [f"    {spec.path}: {_where(spec, sources.places)}" for spec in entry.files]
    lines += ["", *_split(experiment.split)]
    for name, test in experiment.data.tests.items():
        own = f"{test.span[0]} to {test.span[1]}" if test.span else "all dates"
        truth = "" if test.target else ", without truth: predicted, not scored"
        lines.append(f"  {name:<12} {own} of {', '.join(source.dataset for source in test.predictors)}{truth}")
    lines += ["", "models"]
    for model in plan.models.values():
        members = plan.members(model.name)
        changed = ", ".join(one["kind"] for one in getattr(model.config, OWN, None) or ())
        apart = sum(count for part, count in plan.wanted(model.name).items() if part != WHOLE)
        more = f", {members} members" if members > 1 else ""
        more += f", {apart} fits on parts of the train years" if apart else ""
        lines.append(f"  {model.name} ({model.kind}){more}{f', train batches: {changed}' if changed else ''}")
    lines += [f"  {method.name}" for method in plan.methods]
    lines += ["", "explanations", *(f"  {e.method} of {e.model}" for e in plan.explanations)]
    try:
        extent: Extent | str = extent_of(experiment, sources, get_backend(backend))
    except UserError as error:  # as the first stages of the run would say
        extent = str(error)
    lines += ["", "memory, about, with the libraries", *_memory(plan, extent, get_backend(backend))]
    time = [] if out is None else _time(plan, extent, backend, run, out)
    lines += ["", *time] if time else []
    lines += ["", "stages", *(f"  {stage.name:<8} {_state(stage.name, run)}" for stage in stages.ALL)]
    return "\n".join(lines)


def _memory(plan: Plan, extent: Extent | str, backend: Backend) -> list[str]:
    """Return a line for every stage, or one that says why it cannot be told."""
    compute = plan.experiment.compute
    # Of the host, also where arrays live on a GPU: what these take there is not told.
    arrays = budget(compute.memory, compute.workers)
    if isinstance(extent, str):
        return [f"  not known: {extent}"]
    found = footprint(plan, extent, arrays)
    lines = [f"  {name:<8} {said(size)}" for name, size in found.stages.items()]
    if found.worker is not None:
        lines.append(f"  and each worker of {compute.scheduler} {said(found.worker)}")
    lines += [f"  without the fit of {name}, which is not known: {why}" for name, why in found.unknown.items()]
    of = "compute.memory" if compute.memory is not None else "half of what is free now; compute.memory sets it"
    each = f" of each of {compute.workers} workers" if compute.workers > 1 else ""
    lines.append(f"  of it arrays{each} at most {said(arrays)} ({of})")
    return [*lines, *(["  and what lies on the GPU beside it"] if backend.name == "gpu" else [])]


def _time(plan: Plan, extent: Extent | str, backend: str, run: RunFolder | None, out: Path) -> list[str]:
    """Return a line for every stage, and one for those together that are not done; nothing where all are."""
    if all(_state(name, run) == "done" for name in STAGES):
        return []
    if isinstance(extent, str):
        return ["time, about", f"  not known: {extent}"]
    found = duration(plan, extent, backend, out)
    if found is None:
        return ["time, about", f"  not known before a run with such models has finished in {out}"]
    how = f"as {found.like} took it" + (", by what there is more or less to do" if found.scaled else "")
    lines = [f"time, about, {how}", *(f"  {name:<8} {clock(seconds)}" for name, seconds in found.stages.items())]
    if found.unknown:
        lines.append(f"  without the fits of {', '.join(found.unknown)}, for that run had none such")
    left = sum(seconds for name, seconds in found.stages.items() if _state(name, run) != "done")
    return [*lines, f"  all that is to do: {clock(left)}"]


def _split(split: AnySplit) -> list[str]:
    """Return a heading and a line for every split: dates, basins, or columns or rows of images."""
    if isinstance(split, BasinSplitConfig):
        basins = {"train": split.train, "validation": split.validation, **split.test}
        dates = f", {split.span[0]} to {split.span[1]}" if split.span else ""
        told = {name: ", ".join(given) or "all others" for name, given in basins.items()}
        return [f"split by basin{dates}", *_aligned(told)]
    if isinstance(split, SplitConfig):
        spans = {"train": split.train, "validation": split.validation, **split.test}
        return ["split", *_aligned({name: f"{first} to {last}" for name, (first, last) in spans.items()})]
    blocks = {"train": split.train, "validation": split.validation, **split.test}
    of = {name: f" of {', '.join(images)}" for name, images in split.images.items()}
    told = {name: f"{split.along} {first} to {last}{of.get(name, '')}" for name, (first, last) in blocks.items()}
    return [f"split by block, tiles of {split.tile[0]} x {split.tile[1]}", *_aligned(told)]


def _aligned(told: Mapping[str, str]) -> list[str]:
    return [f"  {name:<12} {text}" for name, text in told.items()]


def _where(spec: FileSpec, places: Places) -> str:
    """Say where a file would be taken from, without reading or fetching it."""
    found = locate(spec, places)
    if found is not None:
        place, paths = found
        return f"there ({place})" if len(paths) == 1 else f"{len(paths)} files there ({place})"
    return f"would be downloaded from {spec.url}" if spec.url else "MISSING, and the catalog names no URL"


def _state(name: str, run: RunFolder | None) -> str:
    return "done" if run is not None and (run / f"stages/{name}.json").is_file() else "to do"
