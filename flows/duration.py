"""About how long the stages of a run will take, told before any is done: by what they took in an earlier run.

How fast a machine is at all that a run does, nothing but a run tells. What an earlier one took is scaled by how much
more there is to do now: samples, cells, epochs, members, models. So it holds where runs are alike, and is a rough guess
where they are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.extent import Extent, extent_of
from flows.plan import Plan
from flows.sources import sources_of
from flows.workspace import Workspace
from pipeline.errors import FinescaleError
from pipeline.run_folder import STAGES, RunFolder, list_runs
from pipeline.stage import StageRecord

_LOOKED_AT = 40  # of the newest runs: opening one takes some tenths of a second


@dataclass(frozen=True)
class Duration:
    """What the stages will take.

    Parameters
    ----------
    stages : mapping of str to float
        Seconds of each.
    like : str
        Name of the run that it is told from.
    scaled : bool
        Whether that run had other work to do.
    unknown : tuple of str
        Models whose kind that run had none of; their fits are counted as nothing.
    """

    stages: Mapping[str, float]
    like: str
    scaled: bool
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Work:
    """How much there is to do: by stage in units of its own, and by model what its fits come to."""

    stages: Mapping[str, float]
    fits: Mapping[str, float]
    workers: int


def duration(plan: Plan, extent: Extent, backend: str, out: Path) -> Duration | None:
    """Return what the stages will take, from the newest finished run in ``out`` that is most like it.

    Parameters
    ----------
    plan, extent : Plan, Extent
        What is done, and how large its data are.
    backend : str
        Where it computes; runs on another tell nothing.
    out : Path
        Folder of runs.

    Returns
    -------
    Duration or None
        None where there is no finished run with one of the kinds of models.
    """
    best: tuple[int, RunFolder, Plan] | None = None
    for run in _finished(out, backend):
        try:
            other = Workspace.open(run.path).plan
        except FinescaleError:
            continue  # of another version, or its plug-in is gone
        kinds = {model.kind for model in other.models.values()}
        likeness = 2 * sum(model.kind in kinds for model in plan.models.values())
        likeness += other.experiment.name == plan.experiment.name
        if likeness > 1 and (best is None or likeness > best[0]):
            best = (likeness, run, other)
    return None if best is None else _told(plan, extent, best[1], best[2])


def _finished(out: Path, backend: str) -> list[RunFolder]:
    found = []
    for record in list_runs(out)[:_LOOKED_AT]:
        try:
            settings = json.loads((record.run / "work/settings.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if record.state == "finished" and settings.get("backend") == backend:
            found.append(record.run)
    return found


def _told(plan: Plan, extent: Extent, run: RunFolder, other: Plan) -> Duration | None:
    try:
        theirs = (
            extent
            if _same_data(plan, other)
            else extent_of(other.experiment, sources_of(run), Workspace.open(run.path).backend)
        )
        took = {name: StageRecord.read(run, name) for name in STAGES}
    except FinescaleError:
        return None  # its data are no longer there
    seconds = {name: float(value) for name, value in took["fit"].summary.get("seconds", {}).items()}
    old, new = _work(other, theirs), _work(plan, extent)
    fits, unknown = _fits(plan, new, other, old, seconds)
    whole = sum(seconds.get(name, 0.0) * fits_of(other, name) for name in other.models)
    ratio = {name: new.stages[name] / old.stages[name] if old.stages[name] else 1.0 for name in STAGES if name != "fit"}
    ratio["fit"] = (fits / whole if whole else 1.0) * old.workers / new.workers
    stages = {name: took[name].seconds * ratio[name] for name in STAGES}
    scaled = bool(unknown) or any(abs(share - 1) > 0.01 for share in ratio.values())
    return Duration(stages, run.name, scaled, unknown)


def fits_of(plan: Plan, name: str) -> int:
    """Return how often a model is fitted: members, on all samples and on parts."""
    return sum(plan.wanted(name).values())


def _fits(
    plan: Plan, new: _Work, other: Plan, old: _Work, seconds: Mapping[str, float]
) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of all fits one after another, and the models of which nothing tells."""
    total, unknown = 0.0, []
    for name, model in plan.models.items():
        alike = [one for one in other.models.values() if one.kind == model.kind and seconds.get(one.name)]
        like = next((one for one in alike if one.name == name), alike[0] if alike else None)
        if like is None:
            unknown.append(name)
        else:
            total += fits_of(plan, name) * seconds[like.name] * new.fits[name] / old.fits[like.name]
    return total, tuple(unknown)


def _same_data(plan: Plan, other: Plan) -> bool:
    mine, theirs = plan.experiment, other.experiment
    return all(getattr(mine, part) == getattr(theirs, part) for part in ("data", "split", "prepare", "plugins"))


def _work(plan: Plan, extent: Extent) -> _Work:
    step, truth = extent.inputs + extent.truth, extent.tested * extent.truth
    answers = len(plan.predictors)
    stages = {
        "ingest": sum(each.nbytes for each in extent.datasets.values()),
        "prepare": extent.steps * step,
        "predict": answers * truth,
        "score": answers * truth,
        "explain": float(len(plan.explanations)),
        "report": 1.0,
    }
    epochs = {name: float(getattr(model.config, "epochs", 1)) for name, model in plan.models.items()}
    fits = {name: epochs[name] * extent.train * step for name in plan.models}
    return _Work(stages, fits, min(plan.experiment.compute.workers, max(1, sum(fits_of(plan, n) for n in fits))))
