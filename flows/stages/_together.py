"""Which members are trained as one: what the experiment asks, what was measured on this machine, and the groups."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from flows.plan import PlannedMethod
from flows.planned import PlannedModel
from flows.stages._ranks import workers_of
from flows.workspace import Workspace
from pipeline.backend import get_backend
from pipeline.backend.cluster import ClusterSpec, map_tasks
from pipeline.errors import ConfigError, UserError
from pipeline.files import cache_folder, file_digest, json_digest, write_atomic
from pipeline.model import Timing
from pipeline.prepare.recipe import Recipe
from pipeline.provenance import machine, version

log = logging.getLogger(__name__)

KEPT = "work/together.json"
CLEARLY = 1.3
"""Times by which a step of members as one has to be faster: the two ways differ in the last digits of the weights, so
a second run should not choose otherwise because a clock ticked otherwise."""
FREE = frozenset(
    {"epochs", "lr", "momentum", "weight_decay", "schedule", "warmup", "patience", "checkpoint_every"}
)  # options that leave the cost of a step as it is

Task = TypeVar("Task")
Measure = Callable[[str, str, int], Timing | str]
Found = Timing | str | Exception | None  # a reason why members cannot be one; an error of the trial; not tried


@dataclass(frozen=True)
class Choice:
    """How the members of one model are trained.

    Parameters
    ----------
    size : int
        The most members trained as one; 1: one by one.
    said : str
        The choice and its reason in a line.
    """

    size: int
    said: str


def choose(space: Workspace, spec: ClusterSpec, measure: Measure) -> dict[str, Choice]:
    """Return how members are trained, for every model that an ensemble is made of; a run keeps to it when resumed.

    Parameters
    ----------
    space : Workspace
        The run, prepared.
    spec : ClusterSpec
        Where members will be trained, and so where steps are timed.
    measure : callable
        Importable on the workers; takes the run's path, a model's name and how many members to time as one.

    Raises
    ------
    ConfigError
        If ``stacked: true`` is asked for a model that cannot be trained so.
    Exception
        What ended the trial of a model where it is asked for.
    """
    if (space.run / KEPT).is_file():
        return {name: Choice(**kept) for name, kept in space.run.read_json(KEPT).items()}
    asked = {name: setting for name in space.plan.models if (setting := _asked(space, name)) is not None}
    sizes = {
        name: _size(space.plan.members(name), max(1, spec.workers // workers_of(space, name)), asked[name])
        for name in asked
    }
    open_ = [name for name in asked if sizes[name] > 1 and "stackable" in space.plan.models[name].type.traits]
    found: dict[str, Found] = {
        name: f"each is trained by {workers} workers" for name in asked if (workers := workers_of(space, name)) > 1
    }
    open_ = [name for name in open_ if name not in found]
    if space.prepared.in_memory:
        found |= _measured(space, {name: sizes[name] for name in open_}, spec, measure)
    else:
        found |= dict.fromkeys(open_, "the samples are larger than memory has room for")
    chosen = {}
    for name, setting in asked.items():
        chosen[name] = _choice(space, name, setting, sizes[name], spec.workers, found.get(name))
        log.info(chosen[name].said)
    space.run.write_json(KEPT, {name: asdict(choice) for name, choice in chosen.items()})
    return chosen


def group(tasks: Sequence[Task], key: Callable[[Task], Hashable], sizes: Mapping[Any, int]) -> list[tuple[Task, ...]]:
    """Return the tasks in groups of the same key, each of at most as many as ``sizes`` has for it, 1 if it has none.

    Groups follow from the tasks that are planned, not from those that are left: a run that is resumed trains the same
    members as one.

    Examples
    --------
    >>> group(["a0", "b0", "a1", "a2"], lambda task: task[0], {"a": 2})
    [('a0', 'a1'), ('b0',), ('a2',)]
    """
    groups: list[list[Task]] = []
    filling: dict[Hashable, list[Task]] = {}
    for task in tasks:
        name = key(task)
        if name not in filling or len(filling[name]) >= sizes.get(name, 1):
            filling[name] = []
            groups.append(filling[name])
        filling[name].append(task)
    return [tuple(members) for members in groups]


def told(space: Workspace, method: PlannedMethod) -> dict[str, str]:
    """Return what the summary of an ensemble says of how its members were trained."""
    if not hasattr(method.config, "stacked"):
        return {}
    return {"training": space.run.read_json(KEPT)[method.base]["said"]}


def time_members(space: Workspace, name: str, size: int) -> Timing | str:
    """Time the first ``size`` members of a model as one and one by one; or say why they cannot be one."""
    planned = space.plan.models[name]
    models = [planned.build() for _ in range(size)]
    contexts = [space.context(name, member) for member in range(size)]
    found: Timing | str = planned.type.time_together(models, space.prepared.samples("train"), contexts)
    return found


def _asked(space: Workspace, name: str) -> bool | str | None:
    """Return what the methods on a model ask for, ``True`` before ``auto``; None: nothing that has members."""
    settings = [getattr(method.config, "stacked", None) for method in space.plan.methods if method.base == name]
    return next((setting for setting in (True, "auto", False) if setting in settings), None)


def _size(members: int, workers: int, asked: bool | str) -> int:
    """Return how many members would be one, where every worker has as many; whoever asks for it has at least two."""
    if asked is False:
        return 1
    share = math.ceil(members / workers)
    return max(2, share) if asked is True else share


def _choice(space: Workspace, name: str, asked: bool | str, size: int, workers: int, found: Found) -> Choice:
    planned, members = space.plan.models[name], space.plan.members(name)
    of = f"{name}: {members} members"
    where = f"on {workers} worker{'' if workers == 1 else 's'}"
    if "stackable" not in planned.type.traits:
        found = f"{planned.kind} is no network"
    if asked is True:
        if isinstance(found, Exception):
            raise found
        if isinstance(found, str):
            raise ConfigError(
                f"deep_ensemble: expected a model whose members can be trained as one for stacked: true, got {name!r} "
                f"({planned.kind}): {found}. Take stacked: auto, or name other models."
            )
        return Choice(size, f"{of} stacked{_by(size, members)} {where}, as asked")
    if size == 1:
        reason = "as asked" if asked is False else "as many workers as members"
        return Choice(1, f"{of} one by one {where}, {reason}")
    if isinstance(found, Exception):
        return Choice(1, f"{of} one by one {where} (steps could not be timed, {type(found).__name__}: {found})")
    if not isinstance(found, Timing):
        return Choice(1, f"{of} one by one {where} (cannot be stacked: {found})")
    if found.stacked is None:
        return Choice(
            1, f"{of} one by one {where} (not tried stacked: a step of one member takes {found.single:.2g} s)"
        )
    if found.gain >= CLEARLY:
        return Choice(size, f"{of} stacked{_by(size, members)} {where} ({found.gain:.1f} times faster, measured)")
    slower = f"{1 / found.gain:.1f} times slower" if found.gain < 1 else f"no more than {found.gain:.1f} times faster"
    return Choice(1, f"{of} one by one {where} (stacked {slower}, measured)")


def _by(size: int, members: int) -> str:
    return "" if size >= members else f" {size} at a time"


def _measured(space: Workspace, sizes: Mapping[str, int], spec: ClusterSpec, measure: Measure) -> dict[str, Found]:
    """Return what was timed for every model, on this machine before or now, or what came of trying to."""
    keys = {name: _key(space, space.plan.models[name], size, spec) for name, size in sizes.items()}
    found: dict[str, Found] = {name: kept for name, key in keys.items() if (kept := _remembered(key))}
    left = [name for name in sizes if name not in found]
    if left:
        tasks = [(str(space.run.path.resolve()), name, sizes[name]) for name in left]
        for name, outcome in zip(left, map_tasks(measure, tasks, spec), strict=True):
            if isinstance(outcome, UserError):
                raise outcome
            if isinstance(outcome, Timing):
                _remember(keys[name], outcome)
            found[name] = outcome
    return found


def _key(space: Workspace, planned: PlannedModel, size: int, spec: ClusterSpec) -> dict[str, Any]:
    """Return everything that the cost of a step depends on; no data are read, and no device is asked for."""
    import torch

    schema = Recipe.load(space.run / "work/prepare", get_backend("cpu")).schema
    here, source = machine(), getattr(sys.modules.get(planned.type.__module__), "__file__", None)
    return {
        "kind": planned.kind,
        "source": file_digest(source) if source else None,
        "options": planned.config.model_dump(mode="json", exclude=set(FREE)),
        "shapes": [len(schema.channels), len(schema.targets), len(schema.statics), len(schema.classes)],
        "grids": [schema.input_grid.shape, schema.target_grid.shape, int(schema.mask.sum())],
        "members": size,
        "device": list(space.backend.device_names) or [here.cpu, here.cores],
        "workers": spec.workers,
        "threads": spec.threads or (torch.get_num_threads() if spec.in_process else 1),
        "versions": [torch.__version__, version("finescale")],
    }


def _remembered(key: Mapping[str, Any]) -> Timing | None:
    path = cache_folder() / "timings" / f"{json_digest(key)}.json"
    try:
        return Timing(**json.loads(path.read_text(encoding="utf-8"))["timing"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read (%s); steps are timed anew", path, error)
        return None


def _remember(key: Mapping[str, Any], timing: Timing) -> None:
    path = cache_folder() / "timings" / f"{json_digest(key)}.json"
    try:
        with write_atomic(path) as temporary:
            temporary.write_text(json.dumps({"key": key, "timing": asdict(timing)}, indent=1), encoding="utf-8")
    except OSError as error:
        log.warning("%s cannot be written (%s); the next run times the same steps again", path, error)
