"""About how much memory the stages of a run will take, told before any is done.

Sizes of the data come from the heads of their files (:mod:`flows.extent`), what a fit takes from the models
(:meth:`pipeline.model.Model.expected_memory`). What a stage makes of its data on the way is counted in copies that
were measured; so were the libraries. Within 30 % is what is aimed at, docs/memory.md tells of which runs it holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from flows.extent import Extent
from flows.plan import Plan
from pipeline.backend import get_backend
from pipeline.backend.cluster import cluster_spec
from pipeline.backend.memory import fits
from pipeline.errors import UserError
from pipeline.model import Context, samples_bytes

MIB = 2**20
LIBRARIES = {"ingest": 400, "prepare": 420, "fit": 420, "predict": 420, "score": 430, "explain": 430, "report": 530}
"""MiB of a process that has imported what a stage needs."""
TORCH = 100  # MiB of it beside these
WORKER = 380  # MiB of a worker, without torch
MADE = 140  # MiB that making data takes, where they are made
WORKED = ("fit", "predict", "score", "explain")  # stages whose work goes to workers
RESAMPLES = 27 * 8 * 1000  # bytes a cell: of the resamples of the scores that have them cell by cell,
BLOCKS = 600 * MIB  # of which as many are in work at a time
FURTHER = 13.0  # fields of the truth's size that one more model takes: its prediction, and what is made of it
PARTS = 2**31  # bytes that predicting takes at most, as it goes part by part


@dataclass(frozen=True)
class Footprint:
    """What the stages of a run will take on this machine.

    Parameters
    ----------
    stages : mapping of str to int
        Bytes of each stage, of this process and the workers that it starts together.
    worker : int or None
        Bytes of a worker of a scheduler that runs already, at the stage that takes most; None without one.
    unknown : mapping of str to str
        By model why it cannot be told what its fit takes, which is then counted as nothing.
    """

    stages: Mapping[str, int]
    worker: int | None
    unknown: Mapping[str, str]


def footprint(plan: Plan, extent: Extent, budget: int) -> Footprint:
    """Return what the stages of a run will take of the host's memory.

    Parameters
    ----------
    plan : Plan
        What is done.
    extent : Extent
        How large its data are.
    budget : int
        Bytes that the arrays of each process may take, ``compute.memory``.
    """
    known = _Known(plan, extent, budget)
    stages = {stage: round(known.of(stage)) for stage in LIBRARIES}
    return Footprint(stages, round(known.worker()) if known.elsewhere else None, known.unknown)


class _Known:
    def __init__(self, plan: Plan, extent: Extent, budget: int) -> None:
        self._plan, self._extent, self._budget = plan, extent, budget
        workers = cluster_spec("cpu", plan.experiment.compute)
        self.elsewhere = workers.address is not None
        self._workers = 0 if workers.in_process or self.elsewhere else workers.workers
        few, train, other = extent.few, extent.train, extent.samples["validation"]
        self._samples = samples_bytes(few, train + other)
        self._needs: dict[str, int] = {}
        self.unknown: dict[str, str] = {}
        for name, model in plan.models.items():
            context = Context(get_backend("cpu"), name=name)
            try:
                self._needs[name] = model.build().expected_memory(few, train, other, context)
            except UserError as error:  # only prepared data can tell whether the model would refuse them too
                self._needs[name], self.unknown[name] = 0, str(error)
        self._torch = TORCH * MIB * any("differentiable" in model.type.traits for model in plan.models.values())

    def of(self, stage: str) -> float:
        """Return the bytes of a stage, all its processes on this machine together."""
        here = LIBRARIES[stage] * MIB
        if stage in ("ingest", "prepare"):
            return here + self._arrays(getattr(self, f"_{stage}")())
        tasks = sorted(getattr(self, f"_{stage}")(), reverse=True)
        given = stage in WORKED and (self.elsewhere or self._workers > 0)
        own = 0 if given else self._torch + self._held() + sum(map(self._arrays, tasks[:1]))
        # Workers stay for the stages after theirs, with their libraries and the data that they have mapped.
        each = WORKER * MIB + self._torch + self._held()
        return here + own + self._workers * each + sum(map(self._arrays, tasks[: self._workers] if given else ()))

    def worker(self) -> float:
        """Return the most bytes of a single worker."""
        tasks = [task for stage in WORKED for task in getattr(self, f"_{stage}")()]
        return WORKER * MIB + self._torch + self._held() + self._arrays(max(tasks, default=0))

    def _arrays(self, size: float) -> float:
        """Return what is held of arrays: what is more than they may take stays in files."""
        return min(size, self._budget)

    def _held(self) -> float:
        """Return the bytes of prepared data that have room in memory."""
        extent = self._extent
        parts = (extent.steps * extent.inputs, extent.steps * extent.truth)
        return sum(part for part in parts if fits(part, self._budget))

    def _ingest(self) -> float:
        found = self._extent.datasets.values()
        made = MADE * MIB * any(each.made for each in found)
        return made + max((each.nbytes + 4.2 * each.largest for each in found), default=0)

    def _prepare(self) -> float:
        return self._extent.steps * (3.5 * self._extent.inputs + 4.8 * self._extent.truth)

    def _fit(self) -> list[float]:
        # Members that turn out to be quicker as one network take more than one of them, and share their samples.
        members = {name: sum(self._plan.wanted(name).values()) for name in self._needs}
        return [need for name, need in self._needs.items() for _ in range(members[name])]

    def _predict(self) -> list[float]:
        extent = self._extent
        one = min(extent.tested * (8.0 * extent.inputs + 45.0 * extent.truth), PARTS)
        return [one for _ in self._plan.predictors]

    def _score(self) -> list[float]:
        extent = self._extent
        models = len(self._plan.predictors)
        # Models are scored together: all of them, or a worker's share with what these are compared with.
        in_process = not (self.elsewhere or self._workers)
        groups = 1 if in_process else min(max(2, self._plan.experiment.compute.workers), models)
        together = models if groups == 1 else math.ceil(models / groups) + 1
        fields = 63 + FURTHER * (together - 1)
        one = extent.tested * fields * extent.truth + min(RESAMPLES * extent.truth / 4, BLOCKS)
        return [one for _ in range(groups)]

    def _explain(self) -> list[float]:
        # Explanations of one model are made one after another.
        explained = {each.model for each in self._plan.explanations}
        return [0.65 * self._needs[name] + 0.55 * self._samples for name in explained]

    def _report(self) -> list[float]:
        return [self._extent.tested * 36.0 * self._extent.truth]
