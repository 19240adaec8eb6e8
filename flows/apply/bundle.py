"""What prediction needs of a run: a run folder itself, or a small copy of it without the training data."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from flows.apply.exporting import NATIVE, Graphs, read_manifest, write_graphs, write_manifest, zip_folder
from flows.apply.exporting import formats as known_formats
from flows.workspace import Workspace
from pipeline.errors import ConfigError, RunFolderError
from pipeline.export.reading import Given
from pipeline.files import write_atomic
from pipeline.metrics import METRICS
from pipeline.metrics.classes import HEADLINE
from pipeline.novelty.storage import FILES as NOVELTY
from pipeline.prediction import Prediction
from pipeline.prepare.recipe import Recipe
from pipeline.progress import Progress, silent
from pipeline.registry import suggest
from pipeline.run_folder import RunFolder
from pipeline.samples import Samples

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
    engine : str
        ``native``: the model itself answers; else the format of the exported graphs that do.
    """

    space: Workspace
    recipe: Recipe
    name: str
    engine: str = NATIVE

    @classmethod
    def open(
        cls, path: Path, model: str | None = None, progress: Progress = silent, engine: str | None = None
    ) -> Bundle:
        """Open a run folder or a bundle made of one.

        Parameters
        ----------
        path : Path
            The folder.
        model : str, optional
            A model or method; by default the best on the validation split.
        progress : Progress
            Told of what takes time.
        engine : str, optional
            What answers; by default the model itself where it is there, else the first format of its graphs.

        Raises
        ------
        RunFolderError
            If the folder lacks something, or no model in it is fitted; if a bundle is not as it was made.
        ConfigError
            If there is no such model or engine; the message names those that are there.
        """
        if engine is not None and engine not in known_formats():
            known = known_formats()
            raise ConfigError(
                f"--engine {engine!r}: no such engine.{suggest(engine, known)} Known: {', '.join(known)}."
            )
        run = RunFolder(path)
        missing = [name for name in _NEEDED if not (run / name).is_file()]
        if missing:
            raise RunFolderError(
                f"expected a run whose stage prepare is done, or a bundle, got {run.path} without {', '.join(missing)}."
            )
        # It is only read: it may be anyone's, or lie where nobody may write.
        manifest = read_manifest(run.path)
        space = Workspace.open(path, progress, keeps=False)
        graphs = (manifest or {}).get("graphs")
        fitted = space.predictors()
        known = fitted or ((str(manifest["model"]),) if manifest and graphs else ())
        if engine is None:
            engine = NATIVE if fitted or not graphs else str(graphs["formats"][0])
        if not known:
            raise RunFolderError(f"expected a fitted model in {run.path}, got none. Finish it: run --resume {run.path}")
        if model is None:
            model = best_model(space) if fitted else known[0]
        if model not in known:
            raise ConfigError(
                f"no fitted model {model!r} in {run.path}.{suggest(model, known)} Known: {', '.join(known)}."
            )
        if engine == NATIVE and not fitted:
            raise ConfigError(
                f"--engine native: expected a bundle with the model itself, got {run.path} with graphs alone."
            )
        return cls(space, Recipe.load(run / "work/prepare", space.backend), model, engine)

    def export(self, folder: Path, formats: Sequence[str] = (NATIVE,), *, zipped: bool = False) -> Path:
        """Write what prediction needs into ``folder``, which must not be there yet; return it.

        Parameters
        ----------
        folder : Path
            What is made; with ``zipped`` a file, whose name ends in ``.zip``.
        formats : sequence of str
            ``native``: the model as Finescale keeps it; ``torch_export``, ``onnx``: graphs from predictors in units to
            the distribution in units, which other programs can run.
        zipped : bool
            Whether one file is made of it.

        Raises
        ------
        RunFolderError
            If there is something already.
        ConfigError
            If a format is not known.
        TraitError
            If the model cannot be exported as a graph.
        PredictError
            If a graph does not answer what the model does.
        """
        folder = folder.with_name(f"{folder.name.removesuffix('.zip')}.zip") if zipped else folder
        if folder.exists():
            raise RunFolderError(f"expected a new folder for the bundle, got {folder}, which is there. Choose another.")
        for name in formats:
            if name not in known_formats():
                known = known_formats()
                raise ConfigError(
                    f"--format {name!r}: no such format.{suggest(name, known)} Known: {', '.join(known)}."
                )
        if not zipped:
            return self._export(folder, tuple(dict.fromkeys(formats)))
        with tempfile.TemporaryDirectory() as made:
            return zip_folder(self._export(Path(made) / "bundle", tuple(dict.fromkeys(formats))), folder)

    def _export(self, folder: Path, formats: tuple[str, ...]) -> Path:
        source = self.space.run.path
        names = [*_NEEDED, *(name for name in _TOLD if (source / name).is_file())]
        models = [f"models/{name}" for name in dict.fromkeys((self.base, self.name))] if NATIVE in formats else []
        others = [name for name in formats if name != NATIVE]
        with write_atomic(folder) as temporary:
            for name in names:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, temporary / name)
            (temporary / _ORIGIN).write_text(json.dumps({"run": self.origin, "model": self.name}) + "\n")
            for name in models:
                shutil.copytree(source / name, temporary / name)
            graphs = write_graphs(self, temporary, others) if others else None
            write_manifest(self, temporary, formats, graphs)
        return folder

    @property
    def base(self) -> str:
        """The model; of a method, the one that it is of."""
        return self._base(self.name)

    def answerer(self) -> Callable[[Samples, Given | None], Prediction]:
        """Return a function from samples, and what graphs take of them, to the prediction in units."""
        if self.engine != NATIVE:
            graphs = Graphs.load(self.space.run.path, self.recipe, self.engine)

            def ask(samples: Samples, given: Given | None) -> Prediction:
                assert given is not None
                return graphs(given)

            return ask
        predictor, recipe = self.space.predictor(self.name), self.recipe
        return lambda samples, given: recipe.to_units(predictor(samples), samples)

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
