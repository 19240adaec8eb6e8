"""One run opened for work: its plan, its backend, its prepared data, its fitted models."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from flows.load import validate_tree
from flows.plan import Plan, PlannedMethod, make_plan
from pipeline.backend import Backend, get_backend
from pipeline.backend.memory import budget, too_large
from pipeline.errors import RunFolderError, require_format
from pipeline.model import Context, Model
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Variable
from pipeline.prepare.prepared import Prepared
from pipeline.progress import Progress, silent
from pipeline.rows import Room
from pipeline.run_folder import RunFolder, json_digest
from pipeline.samples import Samples, Schema
from pipeline.uncertainty import WHOLE, Part, UncertaintyMethod

log = logging.getLogger(__name__)

FAILED = "work/failed_members.json"
FORMAT = 1
"""Of a run folder, in ``work/settings.json``; counted up whenever a stage or report cannot go on from an older one."""


@dataclass
class Workspace:
    """A run folder opened in this process; a worker opens its own from the same path.

    Parameters
    ----------
    run : RunFolder
        The run.
    plan : Plan
        What its ``experiment.yaml`` asks for.
    backend : Backend
        Where it computes.
    progress : Progress
        Told of what takes time.
    keeps : bool
        Whether sentences about models are kept in the run, for its report; else they go to the log alone.
    """

    run: RunFolder
    plan: Plan
    backend: Backend
    progress: Progress = field(default=silent)
    keeps: bool = True
    _logged: set[str] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def open(cls, path: str | Path, progress: Progress = silent, *, keeps: bool = True) -> Workspace:
        """Return the run at ``path``, ready for its next stage.

        Raises
        ------
        RunFolderError
            If it holds no experiment.
        FormatError
            If another version of Finescale made it.
        """
        run = RunFolder(Path(path))
        source = run / "experiment.yaml"
        if not source.is_file():
            raise RunFolderError(
                f"expected the file experiment.yaml in {run.path}, which has none: no run began there."
            )
        settings = run.read_json("work/settings.json")
        require_format(run.path, settings.get("format"), FORMAT)
        experiment = validate_tree(source)
        plan = make_plan(experiment, where=str(source), base=Path(settings["base"]))
        return cls(run, plan, get_backend(settings["backend"]), progress, keeps)

    @cached_property
    def budget(self) -> int:
        """Bytes that arrays of this process may take."""
        compute = self.plan.experiment.compute
        return budget(compute.memory, compute.workers, self.backend.torch_device)

    @cached_property
    def prepared(self) -> Prepared:
        """What the prepare stage left, on the backend's device; what there is no room for stays in its files."""
        folder = self.run / "work/prepare"
        return Prepared.load(folder, self.backend, Room(self.backend, self.budget, folder))

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the test sets, those with data of their own last."""
        return self.plan.experiment.tests

    def context(self, name: str, member: int = 0, folder: Path | None = None, part: Part = WHOLE) -> Context:
        """Return the context of one member of model ``name``, fitted on a part of the samples."""
        experiment = self.plan.experiment
        return Context(
            backend=self.backend,
            seed=experiment.seed,
            name=name,
            member=member,
            part=part.name,
            folder=folder,
            progress=self.progress,
            warn=partial(self._keep, "warnings", name),
            fall_back=partial(self._keep, "fallbacks", name),
            strict=experiment.compute.strict,
            budget=self.budget,
        )

    def held(self, samples: Samples, what: str) -> Samples:
        """Return samples with all their arrays in memory.

        Raises
        ------
        MemoryBudgetError
            If they and what is made of them, as much again, are more than there is room for; it names ``what``.
        """
        if samples.in_memory:
            return samples
        needed = 2 * samples.nbytes
        if needed > self.budget:
            raise too_large(f"{what} with the {len(samples)} samples of {samples.name}", needed, self.budget)
        return samples.held()

    def warn(self, name: str, message: str) -> None:
        """Keep a sentence about model ``name`` for the report's first screen."""
        self._keep("warnings", name, message)

    def said(self, kind: Literal["warnings", "fallbacks"]) -> list[str]:
        """Return every sentence that was kept, by model and then by its words, numbers in them by size.

        Who said what first depends on how fast workers are, so nothing goes by that.
        """
        folder = self.run / "work" / kind
        found = {(path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*/*.json")}
        # Runs that began with an older version have a list a model, too.
        found |= {(path.stem, one) for path in folder.glob("*.json") for one in json.loads(path.read_text("utf-8"))}
        return [message for _, message in sorted(found, key=lambda one: (one[0], _by_words(one[1])))]

    def _keep(self, kind: str, name: str, message: str) -> None:
        """Keep a sentence once, however often it is said.

        A file each, named by what it says: several processes that speak of one model at once lose nothing.
        """
        path = self.run / "work" / kind / name / f"{json_digest(message)[:16]}.json"
        if path.is_file() if self.keeps else message in self._logged:
            return
        log.warning(message)
        if self.keeps:
            self.run.write_json(path.relative_to(self.run.path), message)
        else:
            self._logged.add(message)

    def failed_members(self) -> list[dict[str, Any]]:
        """Return model, member and error of every member that could not be fitted."""
        failed: list[dict[str, Any]] = self.run.read_json(FAILED) if (self.run / FAILED).is_file() else []
        return failed

    def member_folder(self, name: str, member: int, part: Part = WHOLE) -> Path:
        """Return where the member of a model is kept; those of parts of the samples in folders of their own."""
        return self.run / f"models/{name}" / part.name / f"member-{member:02d}"

    def fitted(self, name: str, part: Part = WHOLE) -> list[int]:
        """Return the numbers of the members of model ``name`` that are there."""
        return [n for n in range(self.plan.wanted(name).get(part, 0)) if self.member_folder(name, n, part).is_dir()]

    def model(self, name: str, member: int = 0, part: Part = WHOLE) -> Model:
        """Return a fitted member."""
        kind = self.plan.models[name].type
        return kind.load(self.member_folder(name, member, part), self.context(name, member, part=part))

    def members(self, name: str, count: int, part: Part = WHOLE) -> list[Model]:
        """Return the fitted members among the first ``count`` of model ``name``."""
        return [self.model(name, number, part) for number in self.fitted(name, part) if number < count]

    def planned(self, name: str) -> PlannedMethod:
        """Return what is planned of the uncertainty method called ``unet+deep_ensemble``."""
        return next(method for method in self.plan.methods if method.name == name)

    def method(self, name: str) -> UncertaintyMethod:
        """Return the fitted uncertainty method called ``unet+deep_ensemble``."""
        planned = self.planned(name)
        folder = self.run / f"models/{name}"
        return planned.build().load(folder, partial(self.members, planned.base), self.context(name))

    def predictor(self, name: str) -> Callable[[Samples], Prediction]:
        """Return a fitted model or method as a function from samples to their prediction, loaded once."""
        if name in self.plan.models:
            model, context = self.model(name), self.context(name)
            return lambda samples: model.predict(samples, context)
        base = self.planned(name).base
        method, of_base = self.method(name), self.context(base)
        return lambda samples: method.predict(samples, of_base)

    def predictors(self) -> tuple[str, ...]:
        """Return the models and methods that were fitted, in the experiment's order."""
        models = [name for name in self.plan.models if self.member_folder(name, 0).is_dir()]
        methods = [method.name for method in self.plan.methods if (self.run / f"models/{method.name}").is_dir()]
        return (*models, *methods)


def _by_words(message: str) -> list[str | int]:
    # Words and numbers in turn, beginning with words, be they empty.
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", message))]


def target_variables(schema: Schema) -> list[Variable]:
    """Return name, units and CF name of every target variable, for files that others read."""
    names = schema.target_standard_names or ("",) * len(schema.variables)
    return [
        Variable(variable, units, standard_name=name, classes=schema.classes)
        for variable, units, name in zip(schema.variables, schema.target_units, names, strict=False)
    ]


def leads_of(schema: Schema) -> tuple[int, ...] | None:
    """Return the steps ahead that are answered; None where the answers are for the samples' own time."""
    return None if schema.leads == (0,) else schema.leads
