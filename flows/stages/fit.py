"""Fit: every member of every model, side by side where there are workers, then the uncertainty methods."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from flows.plan import PlannedMethod
from flows.stages._ranks import over_workers, workers_of
from flows.stages._together import choose, group, time_members, told
from flows.stages._workers import at_work, spec_of
from flows.workspace import FAILED, Workspace
from pipeline.backend.cluster import ClusterSpec, map_tasks
from pipeline.errors import FinescaleError, TrainingError, UserError
from pipeline.files import remove, write_atomic
from pipeline.model import Context, Model, Timing
from pipeline.samples import Samples
from pipeline.stage import StageOutput
from pipeline.training.ranks import Ranks
from pipeline.uncertainty import WHOLE, Part
from pipeline.uncertainty.calibrated import Calibrated
from pipeline.uncertainty.parts import lesson

log = logging.getLogger(__name__)

SUMMARY = "summary.json"


class Task(NamedTuple):
    """One fit: a member of a model on a part of the samples."""

    model: str
    part: Part
    member: int

    @property
    def title(self) -> str:
        """What a reader of logs calls it."""
        return f"{self.model} {self.part.name} {self.member}".replace("  ", " ")


def fit(space: Workspace) -> StageOutput:
    """Write ``models/<model>/member-NN/`` for every member and ``models/<model>+<method>/``.

    Members that are fitted on parts of the samples lie one folder deeper, ``models/<model>/fold-2-of-5/member-NN/``.
    """
    plan = space.plan
    tasks = [
        Task(name, part, member)
        for name in plan.models
        for part, count in sorted(plan.wanted(name).items())
        for member in range(count)
    ]
    spec = spec_of(space)
    sizes = {name: choice.size for name, choice in choose(space, spec, time_some).items()}
    # Members of drawn blocks learn from other samples each, and are never one.
    together = {task[:2]: sizes.get(task.model, 1) for task in tasks if not task.part.bagged}
    groups = group(tasks, lambda task: task[:2], together)
    missing = [one for one in groups if not all(_folder(space, task).is_dir() for task in one)]
    failed = _fit_all(space, missing, spec)
    reasons = [
        {"model": task.model, "member": task.member, **({"part": task.part.name} if task.part.name else {}),
         "error": str(error)}
        for task, error in failed.items()
    ]  # fmt: skip
    space.run.write_json(FAILED, reasons)
    if not any(space.fitted(name) for name in plan.models):
        raise TrainingError(f"no model could be fitted. The first reason: {next(iter(failed.values()))}")
    # Those without a calibration first: a calibrated one takes its method from there.
    methods = sorted(plan.methods, key=lambda method: method.calibration is not None)
    with space.progress("uncertainty", len(methods)) as bar:
        for method in methods:
            _fit_method(space, method)
            bar.advance(note=method.name)
    paths = tuple(sorted((space.run / "models").iterdir()))
    return StageOutput(paths, {"fitted": list(space.predictors()), "failed": reasons, "seconds": _seconds(space)})


def _seconds(space: Workspace) -> dict[str, float]:
    """Return how long each model and method was fitted: all of its members and folds, one after another."""
    found = {}
    for name in space.predictors():
        planned = next((method for method in space.plan.methods if method.name == name), None)
        wants = {WHOLE: 1} if planned is None else planned.build().wants()
        base = name if planned is None else planned.base
        members = [
            _seconds_of(space, space.member_folder(base, member, part))
            for part, count in wants.items()
            for member in space.fitted(base, part)
            if member < count
        ]
        own = 0.0 if planned is None else _seconds_of(space, space.run / f"models/{name}")
        found[name] = round(sum(members) + own, 3)
    return found


def _seconds_of(space: Workspace, folder: Path) -> float:
    return float(space.run.read_json(str((folder / SUMMARY).relative_to(space.run.path)))["seconds"])


def _fit_all(space: Workspace, groups: list[tuple[Task, ...]], spec: ClusterSpec) -> dict[Task, BaseException]:
    """Fit each group of tasks; return those that failed. What the user got wrong ends the run."""
    path = str(space.run.path.resolve())
    shared = [tasks for tasks in groups if workers_of(space, tasks[0].model) > 1]
    alone = [tasks for tasks in groups if tasks not in shared]
    with space.progress("fit", sum(map(len, groups))) as bar:
        results = map_tasks(
            fit_members,
            [(path, tasks) for tasks in alone],
            spec,
            lambda index, result: bar.advance(len(alone[index]), _note(alone[index])),
        )
        for tasks in shared:  # each on several workers at once, so one after another
            results.append(over_workers(space, spec, fit_rank, tasks[0]))
            bar.advance(1, _note(tasks))
    space.run.sweep()  # what workers that died left half-written
    failed = {}
    for tasks, outcome in zip([*alone, *shared], results, strict=True):
        whole = isinstance(outcome, BaseException)
        for task, result in zip(tasks, [outcome] * len(tasks) if whole else outcome, strict=True):
            if isinstance(result, UserError):
                raise result
            if isinstance(result, BaseException):
                log.error("%s failed", task.title, exc_info=result)
                failed[task] = result
    return failed


def _note(tasks: tuple[Task, ...]) -> str:
    return ", ".join([tasks[0].title, *(str(task.member) for task in tasks[1:])])


def _folder(space: Workspace, task: Task) -> Path:
    return space.member_folder(task.model, task.member, task.part)


def fit_members(path: str, tasks: tuple[Task, ...]) -> list[BaseException | None]:
    """Fit members of one model of the run at ``path``, several as one, and keep them. Runs on a worker.

    Returns
    -------
    list of BaseException or None
        Of each member why it could not be fitted; what ends all of them is raised.
    """
    with at_work(path, "fit") as space:
        if len(tasks) > 1:
            return _fit_together(space, tasks)
        _fit_member(space, tasks[0])
        return [None]


def fit_rank(ranks: Ranks, path: str, task: Task) -> None:
    """Fit a member of the run at ``path`` together with the other ranks. Runs on each of their workers."""
    with at_work(path, "fit") as space:
        _fit_member(space, task, ranks)


def time_some(path: str, name: str, size: int) -> Timing | str:
    """Time ``size`` members of a model of the run at ``path`` as one and one by one. Runs on a worker."""
    with at_work(path, "fit") as space:
        return time_members(space, name, size)


def _fit_member(space: Workspace, task: Task, ranks: Ranks | None = None) -> None:
    if _folder(space, task).is_dir():
        return  # by a worker that died before it could say so
    checkpoints = _checkpoints(space, task, f"member-{task.member:02d}")
    context = replace(space.context(task.model, task.member, checkpoints, task.part), ranks=ranks)
    model = space.plan.models[task.model].build()
    train, validation = _samples(space, task)
    clock = time.perf_counter()
    model.fit(train, validation, context)
    if ranks is not None and ranks.rank:
        return  # all ranks have the same weights, and the first keeps them
    _keep(space, model, task, context, {"seconds": round(time.perf_counter() - clock, 3)})
    remove(checkpoints)


def _fit_together(space: Workspace, tasks: tuple[Task, ...]) -> list[BaseException | None]:
    """Fit members as one, those too that are there already: what one comes to depends on the others in its last digit.

    Each counts an equal share of the seconds.
    """
    first = tasks[0]
    planned = space.plan.models[first.model]
    checkpoints = _checkpoints(space, first, f"members-{first.member:02d}-{tasks[-1].member:02d}")
    contexts = [space.context(task.model, task.member, checkpoints, task.part) for task in tasks]
    models = [planned.build() for _ in tasks]
    train, validation = _samples(space, first)
    clock = time.perf_counter()
    outcomes = planned.type.fit_together(models, train, validation, contexts)
    seconds = round((time.perf_counter() - clock) / len(tasks), 3)
    for task, model, context, outcome in zip(tasks, models, contexts, outcomes, strict=True):
        if outcome is None and not _folder(space, task).is_dir():
            _keep(space, model, task, context, {"seconds": seconds, "stacked": True})
    remove(checkpoints)
    return list(outcomes)


def _samples(space: Workspace, task: Task) -> tuple[Samples, Samples]:
    """Return what a task is fitted on, and what its choices are made on."""
    train, validation = (space.prepared.samples(split) for split in ("train", "validation"))
    streams = "streams" in space.plan.models[task.model].type.traits
    if task.part == WHOLE:
        return (train, validation) if streams else _held(space, task.title, train, validation)
    train, validation = _held(space, task.title, train, validation)  # parts are put together in memory
    experiment = space.plan.experiment
    gap = getattr(experiment.split, "gap", "0D")
    found = lesson(task.part, train, validation, seed=experiment.seed, member=task.member, gap=gap)
    return found.train, found.validation


def _held(space: Workspace, title: str, train: Samples, validation: Samples) -> tuple[Samples, Samples]:
    return space.held(train, title), space.held(validation, title)


def _checkpoints(space: Workspace, task: Task, name: str) -> Path:
    folder = space.run / f"work/checkpoints/{task.model}" / task.part.name / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(space: Workspace, model: Model, task: Task, context: Context, more: dict[str, Any]) -> None:
    """Write a fitted member and its summary, which begins with what ``more`` there is to say."""
    with write_atomic(_folder(space, task)) as temporary:
        temporary.mkdir()
        model.save(temporary)
        _write_summary(space, temporary, {**more, "member": task.member, **model.summary()})
    log.info("%s: fitted in %.1f s", context.title, more["seconds"])


def _write_summary(space: Workspace, folder: Path, summary: dict[str, Any]) -> None:
    space.run.write_json((folder / SUMMARY).relative_to(space.run.path), summary)


def _fit_method(space: Workspace, planned: PlannedMethod) -> None:
    """Fit one uncertainty method; a method that cannot be fitted is left out with a warning."""
    name = planned.name
    folder = space.run / f"models/{name}"
    if folder.is_dir():
        return
    context = space.context(name)
    method = planned.build()
    members = partial(space.members, planned.base)
    train, validation = (space.prepared.samples(split) for split in ("train", "validation"))
    before = 0.0
    clock = time.perf_counter()
    try:
        twin = next((other for other in space.plan.methods if planned.is_twin(other)), None)
        fitted = None if twin is None else space.run / f"models/{twin.name}"
        validation = space.held(validation, name)
        if isinstance(method, Calibrated) and fitted is not None and fitted.is_dir():
            method.method.load(fitted, members, context)
            before = _seconds_of(space, fitted)  # what the method alone took is part of what both take
            method.calibrate(members, train, validation, context)
        else:
            method.fit(members, train, validation, context)
    except UserError:
        raise
    except FinescaleError as error:
        space.warn(name, f"{name} could not be made: {error}")
        return
    with write_atomic(folder) as temporary:
        temporary.mkdir()
        method.save(temporary)
        seconds = round(before + time.perf_counter() - clock, 3)
        _write_summary(space, temporary, {"seconds": seconds, **method.summary(), **told(space, planned)})
