"""Scores of some models on one split: what a worker is asked, what it answers, and the answers put together."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from flows.stages._cases import folder_of
from flows.stages._novelty import Seen, Watch
from flows.stages._workers import on_workers, spec_of
from flows.workspace import Workspace
from pipeline.metrics.evaluate import Evaluation
from pipeline.metrics.tables import Comparison, Score
from pipeline.prediction.serial import read

log = logging.getLogger(__name__)

BESIDE = 8  # fields beside the predictions: truth, climatology, and what is made of them
OF_A_MODEL = 4  # fields that are made of a prediction and kept while it is scored: mean, draws


@dataclass(frozen=True)
class Asked:
    """What is to be scored.

    Parameters
    ----------
    split : str
        ``validation`` or a test set with truth.
    models : tuple of str
        Models whose scores are wanted; others are scored only as what these are compared with.
    reference : str or None
        Model that all are compared with.
    best : mapping of str to str
        By variable the model of further comparisons, where it is another.
    test : str or None
        The test set that maps, curves and novelty are made of.
    """

    split: str
    models: tuple[str, ...]
    reference: str | None
    best: Mapping[str, str]
    test: str | None

    @property
    def needed(self) -> tuple[str, ...]:
        """All models that have to be read."""
        others = (self.reference, *self.best.values())
        return tuple(dict.fromkeys((*self.models, *(name for name in others if name is not None))))


@dataclass(frozen=True, eq=False)
class Part:
    """Scores, without their maps, which lie in files by now; further comparisons; what is kept of novelty."""

    evaluation: Evaluation
    comparisons: tuple[Comparison, ...]
    seen: Seen


def score_parts(space: Workspace, asked: Asked, function: Callable[..., Part], watch: Watch) -> Part:
    """Return what ``function`` finds of all models: here at once, or as many groups of models as there are workers.

    Every group reads and scores the models that it is compared with anew: the price of not sending fields about.

    Parameters
    ----------
    space : Workspace
        The run.
    asked : Asked
        All models.
    function : callable
        Of a module; takes the run, what is asked, and a ``Watch`` where there is one in this process.
    watch : Watch
        Told what was seen.
    """
    spec = spec_of(space)
    if spec.in_process or len(asked.models) < 2:
        groups = _groups_that_fit(space, asked)
        if len(groups) == 1:
            return function(space, asked, watch=watch)
        log.info("%s: %d models scored in %d groups, for want of memory", asked.split, len(asked.models), len(groups))
        part = _together(space, asked, groups, [function(space, group) for group in groups])
    else:
        # Dealt out like cards: the models of many members stand together at the end.
        count = min(max(2, spec.workers), len(asked.models))
        groups = [replace(asked, models=asked.models[first::count]) for first in range(count)]
        part = _together(space, asked, groups, on_workers(space, "score", function, groups))
    watch.add(part.seen)
    return part


def _groups_that_fit(space: Workspace, asked: Asked) -> list[Asked]:
    """Return groups of models whose predictions of the split lie in memory together, of one at least."""
    fields = {name: _fields(space, asked.split, name) for name in asked.needed}
    schema, times = space.prepared.schema, len(space.prepared.windows[asked.split].now)
    field = 4 * times * len(schema.targets) * int(schema.mask.sum())
    always = field * (BESIDE + sum(fields[name] for name in asked.needed if name not in asked.models))
    left, groups = 0, list[tuple[str, ...]]()
    for name in asked.models:
        needed = field * (fields[name] + OF_A_MODEL)
        if groups and needed <= left:
            groups[-1], left = (*groups[-1], name), left - needed
        else:
            groups, left = [*groups, (name,)], space.budget - always - needed
    return [replace(asked, models=models) for models in groups]


def _fields(space: Workspace, split: str, name: str) -> int:
    """Return how many fields a model's prediction consists of: parameters, members, probabilities of classes."""
    with read(space.run / folder_of(split) / f"{name}.nc", split) as dataset:
        times = max(1, next(dataset.sizes[axis] for axis in ("time", "tile") if axis in dataset.sizes))
        each = math.prod(space.prepared.schema.target_grid.shape) * times
        return max(1, sum(variable.size for variable in dataset.data_vars.values()) // each)


def _together(space: Workspace, asked: Asked, groups: Sequence[Asked], parts: Sequence[Part]) -> Part:
    """Return the parts as one, in the order that it would have had as one."""
    place = {name: at for at, name in enumerate(asked.models)}
    variables = list(asked.best)
    leads = {f"lead={lead}": at for at, lead in enumerate(space.prepared.schema.leads)}

    def order(row: Score | Comparison) -> tuple[int, int]:
        """Rows of all leads come first, then those of each, and there model by model."""
        lead = next((at for name, at in leads.items() if name in row.group.split(";")), -1)
        return lead, place[row.model]

    evaluations = [part.evaluation for part in parts]
    own = [frozenset(group.models) for group in groups]
    scores = [row for mine, one in zip(own, evaluations, strict=True) for row in one.scores if row.model in mine]
    compared = [row for mine, one in zip(own, evaluations, strict=True) for row in one.comparisons if row.model in mine]
    further = [row for mine, part in zip(own, parts, strict=True) for row in part.comparisons if row.model in mine]
    missing = [row for mine, one in zip(own, evaluations, strict=True) for row in one.missing if row.model in mine]
    return Part(
        replace(
            evaluations[0],
            scores=tuple(sorted(scores, key=order)),
            comparisons=tuple(sorted(compared, key=order)),
            missing=tuple(sorted(missing, key=lambda row: place[row.model])),
        ),
        tuple(sorted(further, key=lambda row: (variables.index(row.variable), *order(row)))),
        Seen.of(asked.models, [part.seen.only(mine) for mine, part in zip(own, parts, strict=True)]),
    )
