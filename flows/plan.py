"""From a checked experiment to a plan: every name resolved, every option checked, bad pairs refused.

Nothing here reads data, so a mistake costs a second and not an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS, AttributionMethod
from pipeline.errors import TraitError
from pipeline.experiment import Experiment, ExplainConfig, UncertaintyConfig
from pipeline.metrics import METRICS
from pipeline.model import Model
from pipeline.model_config import ModelConfig
from pipeline.prepare.splits import TimeSplit
from pipeline.registry import load_plugins
from pipeline.schema import validate
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty import UNCERTAINTY, UncertaintyMethod


@dataclass(frozen=True)
class PlannedModel:
    """A model of the experiment, with its options checked."""

    name: str
    kind: str
    type: type[Model]
    config: ModelConfig

    def build(self) -> Model:
        """Return the model, not fitted."""
        return self.type(self.config)


@dataclass(frozen=True)
class PlannedMethod:
    """An uncertainty method on one model."""

    name: str
    base: str
    type: type[UncertaintyMethod]
    config: ModelConfig

    def build(self) -> UncertaintyMethod:
        """Return the method, not fitted."""
        return self.type(self.config)


@dataclass(frozen=True)
class PlannedExplanation:
    """An explanation of one model."""

    model: str
    method: str
    type: type[AttributionMethod]
    config: ModelConfig
    entry: ExplainConfig


@dataclass(frozen=True)
class Plan:
    """An experiment with every name resolved.

    Parameters
    ----------
    experiment : Experiment
        The question as asked.
    models : mapping of str to PlannedModel
        By the experiment's names, in its order.
    methods : tuple of PlannedMethod
        Named ``unet+deep_ensemble``.
    explanations : tuple of PlannedExplanation
        One a method and model.
    metrics : tuple of str
        Names of the scores.
    plugins : tuple of str
        What was loaded beside the tree.
    """

    experiment: Experiment
    models: Mapping[str, PlannedModel]
    methods: tuple[PlannedMethod, ...]
    explanations: tuple[PlannedExplanation, ...]
    metrics: tuple[str, ...]
    plugins: tuple[str, ...]

    @property
    def predictors(self) -> tuple[str, ...]:
        """Names of everything that predicts: models, then methods."""
        return (*self.models, *(method.name for method in self.methods))

    def members(self, name: str) -> int:
        """Return how many members of model ``name`` are fitted: the most that any method asks for."""
        wanted = [method.build().member_count() for method in self.methods if method.base == name]
        return max([1, *wanted])


def make_plan(experiment: Experiment, *, where: str, base: Path | None = None) -> Plan:
    """Return the plan of ``experiment``.

    Parameters
    ----------
    experiment : Experiment
        Checked against its schema.
    where : str
        File named in messages.
    base : Path, optional
        Folder that relative plug-in files are looked up in.

    Raises
    ------
    UserError
        If a name is unknown, an option does not fit, or a method cannot serve a model.
    """
    TimeSplit.from_config(experiment.split)
    plugins = load_plugins(experiment.plugins, base=base)
    models = {name: _model(experiment, name, where) for name in experiment.models}
    methods = tuple(
        method
        for number, entry in enumerate(experiment.uncertainty)
        for method in _methods(number, entry, models, where)
    )
    explanations = tuple(
        explanation
        for number, entry in enumerate(experiment.explain)
        for explanation in _explanations(number, entry, models, where)
    )
    # The verdict, the best baseline and the maps of skill rest on the RMSE, so it is always there.
    metrics = tuple(dict.fromkeys(("rmse", *(METRICS.names() if experiment.scores is None else experiment.scores))))
    for metric in metrics:
        METRICS.get(metric)
    return Plan(experiment, models, methods, explanations, metrics, plugins)


def _model(experiment: Experiment, name: str, where: str) -> PlannedModel:
    entry = experiment.models[name]
    kind = MODELS.get(entry.kind)
    options: dict[str, Any] = entry.options
    if issubclass(kind.Config, TrainingConfig):
        # The experiment's `training` section fills in what a deep model does not say itself.
        options = {**experiment.training.model_dump(exclude_unset=True), **options}
    config = validate(kind.Config, options, where=where, prefix=f"models.{name}")
    return PlannedModel(name, entry.kind, kind, config)


def _methods(
    number: int, entry: UncertaintyConfig, models: Mapping[str, PlannedModel], where: str
) -> list[PlannedMethod]:
    kind = UNCERTAINTY.get(entry.method)
    config = validate(kind.Config, entry.options, where=where, prefix=f"uncertainty.{number}")
    names = _served(f"uncertainty method {entry.method!r}", kind.needs, entry.models, models)
    return [PlannedMethod(f"{name}+{entry.method}", name, kind, config) for name in names]


def _explanations(
    number: int, entry: ExplainConfig, models: Mapping[str, PlannedModel], where: str
) -> list[PlannedExplanation]:
    kind = ATTRIBUTIONS.get(entry.method)
    config = validate(kind.Config, entry.options, where=where, prefix=f"explain.{number}")
    names = _served(f"attribution method {entry.method!r}", kind.needs, entry.models, models)
    return [PlannedExplanation(name, entry.method, kind, config, entry) for name in names]


def _served(
    what: str, needs: frozenset[str], asked: list[str] | None, models: Mapping[str, PlannedModel]
) -> tuple[str, ...]:
    """Return the models that ``what`` is used on: those asked for, else all that have what it needs."""
    able = tuple(name for name, model in models.items() if needs <= model.type.traits)
    if asked is None:
        return able
    for name in asked:
        if name not in able:
            kind = models[name].type
            missing = ", ".join(sorted(needs - kind.traits))
            others = f"Use it on {', '.join(able)}." if able else "No model of this experiment has it."
            raise TraitError(
                f"{what} needs a model with the trait {missing}, and {name!r} ({models[name].kind}) has "
                f"{', '.join(sorted(kind.traits)) or 'none'}. {others}"
            )
    return tuple(asked)
