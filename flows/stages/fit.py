"""Fit: every member of every model, side by side where there are workers, then the uncertainty methods."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from flows.workspace import FAILED, Workspace
from pipeline.backend.cluster import ClusterSpec, cluster_spec, map_tasks
from pipeline.errors import FinescaleError, TrainingError, UserError
from pipeline.files import remove, write_atomic
from pipeline.run_log import log_to
from pipeline.stage import StageOutput

log = logging.getLogger(__name__)


def fit(space: Workspace) -> StageOutput:
    """Write ``models/<model>/member-NN/`` for every member and ``models/<model>+<method>/``."""
    plan = space.plan
    tasks = [(name, member) for name in plan.models for member in range(plan.members(name))]
    missing = [task for task in tasks if not space.member_folder(*task).is_dir()]
    spec = cluster_spec(space.backend.name, plan.experiment.compute)
    failed = _fit_all(space, missing, spec)
    reasons = [{"model": name, "member": member, "error": str(error)} for (name, member), error in failed.items()]
    space.run.write_json(FAILED, reasons)
    if not any(space.fitted(name) for name in plan.models):
        raise TrainingError(f"no model could be fitted. The first reason: {next(iter(failed.values()))}")
    for method in plan.methods:
        _fit_method(space, method.name)
    paths = tuple(sorted((space.run / "models").iterdir()))
    return StageOutput(paths, {"fitted": list(space.predictors()), "failed": reasons})


def _fit_all(space: Workspace, tasks: list[tuple[str, int]], spec: ClusterSpec) -> dict[tuple[str, int], BaseException]:
    """Fit each (model, member); return those that failed. What the user got wrong ends the run."""
    arguments = [(str(space.run.path), name, member) for name, member in tasks]
    with space.progress("fit", len(tasks)) as bar:
        results = map_tasks(
            fit_member, arguments, spec, lambda index, result: bar.advance(note=f"{tasks[index][0]} {tasks[index][1]}")
        )
    failed = {}
    for task, result in zip(tasks, results, strict=True):
        if isinstance(result, UserError):
            raise result
        if isinstance(result, BaseException):
            log.error("%s, member %s failed", *task, exc_info=result)
            failed[task] = result
    return failed


@lru_cache(maxsize=1)
def _open(path: str) -> Workspace:
    """Open a run once a process: members of one run share the prepared data on the device."""
    return Workspace.open(path)


def fit_member(path: str, name: str, member: int) -> str:
    """Fit one member of the run at ``path`` and keep it; return its folder. Runs on a worker."""
    space = _open(path)
    # A worker is a process of its own and logs for itself; here the run's log is already open.
    with nullcontext() if logging.getLogger().hasHandlers() else log_to(space.run):
        return _fit_member(space, name, member)


def _fit_member(space: Workspace, name: str, member: int) -> str:
    folder = space.member_folder(name, member)
    checkpoints = space.run / f"work/checkpoints/{name}/member-{member:02d}"
    checkpoints.mkdir(parents=True, exist_ok=True)
    context = space.context(name, member, checkpoints)
    model = space.plan.models[name].build()
    clock = time.perf_counter()
    model.fit(space.prepared.samples("train"), space.prepared.samples("validation"), context)
    seconds = time.perf_counter() - clock
    with write_atomic(folder) as temporary:
        temporary.mkdir()
        model.save(temporary)
        _write_summary(space, temporary, {"seconds": round(seconds, 3), "member": member, **model.summary()})
    remove(checkpoints)
    log.info("%s, member %d: fitted in %.1f s", name, member, seconds)
    return str(folder)


def _write_summary(space: Workspace, folder: Path, summary: dict[str, Any]) -> None:
    space.run.write_json((folder / "summary.json").relative_to(space.run.path), summary)


def _fit_method(space: Workspace, name: str) -> None:
    """Fit one uncertainty method; a method that cannot be fitted is left out with a warning."""
    planned = next(method for method in space.plan.methods if method.name == name)
    folder = space.run / f"models/{name}"
    if folder.is_dir():
        return
    context = space.context(name)
    method = planned.build()
    train, validation = (space.prepared.samples(split) for split in ("train", "validation"))
    clock = time.perf_counter()
    try:
        method.fit(lambda count: space.members(planned.base, count), train, validation, context)
    except UserError:
        raise
    except FinescaleError as error:
        space.warn(name, f"{name} could not be made: {error}")
        return
    with write_atomic(folder) as temporary:
        temporary.mkdir()
        method.save(temporary)
        seconds = round(time.perf_counter() - clock, 3)
        _write_summary(space, temporary, {"seconds": seconds, **method.summary()})
