"""What prediction needs of a run: a run folder itself, or a small copy of it without the training data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flows.workspace import Workspace
from pipeline.errors import ConfigError, RunFolderError
from pipeline.files import write_atomic
from pipeline.metrics import METRICS
from pipeline.metrics.classes import HEADLINE
from pipeline.novelty.storage import FILES as NOVELTY
from pipeline.prepare.recipe import Recipe
from pipeline.progress import Progress, silent
from pipeline.registry import suggest
from pipeline.run_folder import RunFolder

_NEEDED = ("experiment.yaml", "work/settings.json", "work/prepare/recipe.json", "work/prepare/recipe.safetensors")
_ORIGIN = "work/bundle.json"
_TOLD = ("scores.csv", "provenance.json", *(f"work/prepare/{name}" for name in NOVELTY))
"""Not needed to predict; they say how good the model is, what it was trained on, and how far new data lie from that."""


OWN_PAST = frozenset({"past", "previous"})
"""Traits of models that go on from the target's own past."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A fitted model with all that turns new predictors into predictions in units.

    Parameters
    ----------
    space : Workspace
        The folder, opened.
    recipe : Recipe
        What was fitted to prepare the data.
    name : str
        The model or method: ``unet``, ``unet+deep_ensemble``.
    """

    space: Workspace
    recipe: Recipe
    name: str

    @classmethod
    def open(cls, path: Path, model: str | None = None, progress: Progress = silent) -> Bundle:
        """Open a run folder or a bundle made of one.

        Parameters
        ----------
        path : Path
            The folder.
        model : str, optional
            A model or method; by default the best on the validation split.
        progress : Progress
            Told of what takes time.

        Raises
        ------
        RunFolderError
            If the folder lacks something, or no model in it is fitted.
        ConfigError
            If there is no such model; the message names those that are there.
        """
        run = RunFolder(path)
        missing = [name for name in _NEEDED if not (run / name).is_file()]
        if missing:
            raise RunFolderError(
                f"expected a run whose stage prepare is done, or a bundle, got {run.path} without {', '.join(missing)}."
            )
        # It is only read: it may be anyone's, or lie where nobody may write.
        space = Workspace.open(path, progress, keeps=False)
        known = space.predictors()
        if not known:
            raise RunFolderError(f"expected a fitted model in {run.path}, got none. Finish it: run --resume {run.path}")
        if model is None:
            model = best_model(space)
        if model not in known:
            raise ConfigError(
                f"no fitted model {model!r} in {run.path}.{suggest(model, known)} Known: {', '.join(known)}."
            )
        return cls(space, Recipe.load(run / "work/prepare", space.backend), model)

    def export(self, folder: Path) -> Path:
        """Copy what prediction needs into ``folder``, which must not be there yet; return it.

        Raises
        ------
        RunFolderError
            If there is something already.
        """
        if folder.exists():
            raise RunFolderError(f"expected a new folder for the bundle, got {folder}, which is there. Choose another.")
        source = self.space.run.path
        names = [*_NEEDED, *(name for name in _TOLD if (source / name).is_file())]
        base = self._base(self.name)
        models = [f"models/{name}" for name in dict.fromkeys((base, self.name))]
        with write_atomic(folder) as temporary:
            for name in names:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, temporary / name)
            (temporary / _ORIGIN).write_text(json.dumps({"run": self.origin, "model": self.name}) + "\n")
            for name in models:
                shutil.copytree(source / name, temporary / name)
        return folder

    @property
    def origin(self) -> str:
        """Name of the run that the model was fitted in."""
        run = self.space.run
        return str(run.read_json(_ORIGIN)["run"]) if (run / _ORIGIN).is_file() else run.path.resolve().name

    @property
    def traits(self) -> frozenset[str]:
        """What the model can do and needs; of a method, its model."""
        return self._traits(self.name)

    def models(self, able: Callable[[frozenset[str]], bool]) -> tuple[str, ...]:
        """Return the fitted models and methods whose traits are ``able``."""
        return tuple(name for name in self.space.predictors() if able(self._traits(name)))

    def _traits(self, name: str) -> frozenset[str]:
        return self.space.plan.models[self._base(name)].type.traits

    def _base(self, name: str) -> str:
        return next((method.base for method in self.space.plan.methods if method.name == name), name)


def best_model(space: Workspace) -> str:
    """Return the fitted model that did best on the validation split; the only one where there are no scores.

    By the CRPS where every model has one, which a point forecast has too (its absolute error), else by the RMSE; of
    a segmentation by the mean IoU.

    Raises
    ------
    ConfigError
        If there are several models and no scores to choose by.
    """
    known = space.predictors()
    if len(known) == 1:
        return known[0]
    path = space.run / "scores.csv"
    if path.is_file():
        scores = pd.read_csv(path)
        rows = scores[(scores["split"] == "validation") & (scores["group"] == "all") & scores["model"].isin(known)]
        first = rows["variable"].iloc[0] if len(rows) else None
        for metric in ("crps", "rmse", HEADLINE):
            by = rows[(rows["metric"] == metric) & (rows["variable"] == first)].set_index("model")["value"]
            if len(by) and by.notna().any():
                return str(by.idxmax() if METRICS.get(metric).better == "higher" else by.idxmin())
    raise ConfigError(f"several models are fitted and none is scored; name one with --model: {', '.join(known)}.")
