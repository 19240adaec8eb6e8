"""Work of a stage by model: here, or each on a worker that opens the run from its path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from flows.workspace import Workspace
from pipeline.backend.cluster import ClusterRecord, ClusterSpec, cluster_record, cluster_spec, map_tasks
from pipeline.board import Board
from pipeline.files import file_digest
from pipeline.run_folder import RunFolder
from pipeline.run_log import in_stage, log_to

Done = TypeVar("Done")
Tick = Callable[[str], None]

REACHED = "work/workers.json"


def spec_of(space: Workspace) -> ClusterSpec:
    """Return the cluster that the run's experiment asks for."""
    return cluster_spec(space.backend.name, space.plan.experiment.compute)


def note_workers(run: RunFolder, count: int) -> None:
    """Keep how many workers a scheduler that ran already had as the run began."""
    run.write_json(REACHED, {"workers": count})


def cluster_of(space: Workspace) -> ClusterRecord:
    """Return what the run's tasks went to, for its provenance."""
    reached = space.run.read_json(REACHED)["workers"] if (space.run / REACHED).is_file() else None
    return cluster_record(spec_of(space), reached)


def each(
    space: Workspace, stage: str, function: Callable[[Workspace, Any, Tick], Done], items: Mapping[Any, int]
) -> list[Done]:
    """Return ``function(space, item, tick)`` of every item; the first that fails ends it.

    Parameters
    ----------
    space : Workspace
        The run.
    stage : str
        Name of the stage, beside the bar and in the log.
    function : callable
        Of a module, for workers import it; they get a workspace of their own and hand back small records, and files
        by writing them. ``tick(note)`` says that a step is done.
    items : mapping
        What is worked on, such as the name of a model, and of how many steps each consists.
    """
    names = list(items)
    with space.progress(stage, sum(items.values())) as bar:
        if spec_of(space).in_process:
            return [function(space, item, lambda note: bar.advance(note=note)) for item in items]
        return on_workers(
            space, stage, function, names, lambda index: bar.advance(items[names[index]], str(names[index]))
        )


def on_workers(
    space: Workspace,
    stage: str,
    function: Callable[[Workspace, Any, Tick], Done],
    items: Sequence[Any],
    on_done: Callable[[int], None] = lambda index: None,
) -> list[Done]:
    """Return ``function(space, item, tick)`` of every item, each on a worker; see :func:`each`.

    ``on_done`` is told the number of an item as it ends.
    """
    tasks = [(str(space.run.path.resolve()), stage, function, item) for item in items]
    outcomes = map_tasks(_on_worker, tasks, spec_of(space), lambda index, _: on_done(index))
    space.run.sweep()  # what workers that died left half-written
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def _on_worker(path: str, stage: str, function: Callable[[Workspace, Any, Tick], Done], item: Any) -> Done:
    with at_work(path, stage) as space:
        return function(space, item, lambda note: None)


@contextmanager
def at_work(path: str, stage: str) -> Iterator[Workspace]:
    """Yield the run at ``path``, opened once a process for all that it does with the same prepared data.

    A worker is a process of its own and logs for itself; where the tasks run in the process of the command, the run's
    log is open already.
    """
    run = RunFolder(Path(path))
    space = _opened(path, file_digest(run / "stages/prepare.json"))
    with nullcontext() if logging.getLogger().hasHandlers() else log_to(run), in_stage(stage):
        yield space


@lru_cache(maxsize=1)
def _opened(path: str, prepared: str) -> Workspace:
    """Open a run; workers that outlive it see by the record of the preparation that it was prepared anew."""
    return Workspace.open(path, Board(Path(path)))
