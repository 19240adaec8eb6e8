"""From a checked experiment to a plan: every name resolved, every option checked, bad pairs refused.

Nothing here reads data, so a mistake costs a second and not an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.augment import OWN, augment_options, check_own
from flows.planned import PlannedExplanation, PlannedModel, plan_explanations, served
from models import MODELS
from pipeline.errors import ConfigError, TraitError
from pipeline.experiment import CalibrationConfig, Experiment, UncertaintyConfig
from pipeline.metrics import METRICS
from pipeline.model import Model
from pipeline.model_config import ModelConfig
from pipeline.prepare.basin_split import BasinSplit
from pipeline.prepare.labels import LABELS
from pipeline.prepare.splits import TimeSplit
from pipeline.registry import load_plugins
from pipeline.schema import validate
from pipeline.split_config import BasinSplitConfig, BlockSplitConfig, SplitConfig
from pipeline.training.augment import AugmentSpec
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import check_task, make_loss
from pipeline.uncertainty import UNCERTAINTY, WHOLE, Part, UncertaintyMethod
from pipeline.uncertainty._own import Own
from pipeline.uncertainty.calibrated import Calibrated, Ground
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration

MAIN_SCORE = {"downscaling": "rmse", "series": "rmse", "segmentation": "iou"}


@dataclass(frozen=True)
class PlannedCalibration:
    """What a method's answers are calibrated by, and on what."""

    type: type[Calibration]
    config: ModelConfig
    ground: Ground


@dataclass(frozen=True)
class PlannedMethod:
    """An uncertainty method on one model."""

    name: str
    base: str
    type: type[UncertaintyMethod]
    config: ModelConfig
    calibration: PlannedCalibration | None = None

    def build(self) -> UncertaintyMethod:
        """Return the method, not fitted, with its calibration."""
        method, after = self.type(self.config), self.calibration
        return method if after is None else Calibrated(method, after.type(after.config), after.ground)

    def is_twin(self, other: PlannedMethod) -> bool:
        """Whether another method is the same without a calibration, so that it need not be fitted twice."""
        mine, theirs = ((one.base, one.type, one.config) for one in (self, other))
        return self.calibration is not None and other.calibration is None and mine == theirs


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

    def wanted(self, name: str) -> dict[Part, int]:
        """Return how many members of model ``name`` are fitted on which parts: the most that any method asks for."""
        most = {WHOLE: 1}
        for method in self.methods:
            for part, count in method.build().wants().items() if method.base == name else ():
                most[part] = max(count, most.get(part, 0))
        return most

    def members(self, name: str) -> int:
        """Return how many members of model ``name`` are fitted on all samples."""
        return self.wanted(name)[WHOLE]


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
    if not isinstance(experiment.split, BlockSplitConfig):
        split_of(experiment)
    label = experiment.prepare.target.label
    if label is not None:
        validate(LABELS.get(label.kind).Config, label.options, where=where, prefix="prepare.target.label")
    plugins = load_plugins(experiment.plugins, base=base)
    augment = augment_options(experiment, where=where)
    models = {name: _model(experiment, name, where, augment.get(name, [])) for name in experiment.models}
    methods = tuple(
        method
        for number, entry in enumerate(experiment.uncertainty)
        for method in _methods(number, entry, models, experiment, where)
    )
    _named_once(methods)
    _require_workers(experiment, models, where)
    explanations = plan_explanations(experiment, models, where)
    metrics = _metrics(experiment)
    return Plan(experiment, models, methods, explanations, metrics, plugins)


def _require_workers(experiment: Experiment, models: Mapping[str, PlannedModel], where: str) -> None:
    """Refuse models that more workers should train together than there are.

    Raises
    ------
    ConfigError
        If there is one.
    """
    there = experiment.compute.workers
    for name, model in models.items():
        wanted = getattr(model.config, "workers", 1)
        if wanted > there and experiment.compute.scheduler is None:
            raise ConfigError(
                f"{where}: models.{name}.workers: expected at most the {there} of compute.workers, got {wanted}. Raise "
                f"compute.workers (--workers {wanted}), or let fewer train it together."
            )


def _metrics(experiment: Experiment) -> tuple[str, ...]:
    """Return the scores of the task; the one that the verdict and the best baseline rest on is always there."""
    first = MAIN_SCORE[experiment.task]
    known = [name for name in METRICS.names() if experiment.task in METRICS.get(name).tasks]
    for name in experiment.scores or ():
        if name not in known:
            METRICS.get(name)  # an unknown name says what is near
            raise ConfigError(
                f"scores: {name!r} is none of the task {experiment.task}. Known for it: {', '.join(known)}."
            )
    return tuple(dict.fromkeys((first, *(known if experiment.scores is None else experiment.scores))))


def _model(experiment: Experiment, name: str, where: str, augment: AugmentSpec) -> PlannedModel:
    entry = experiment.models[name]
    kind = MODELS.get(entry.kind)
    _suits(kind, name, entry.kind, experiment)
    options: dict[str, Any] = entry.options
    if issubclass(kind.Config, TrainingConfig):
        # The experiment's `training` section fills in what a deep model does not say itself.
        options = {**experiment.training.model_dump(exclude_unset=True), **options}
    if augment:
        options = {OWN: augment, **options}
    config = validate(kind.Config, options, where=where, prefix=f"models.{name}", also=["kind"])
    check_own(options, kind, name, entry.kind)
    _suits_loss(config, name, where, experiment)
    return PlannedModel(name, entry.kind, kind, config)


def split_of(experiment: Experiment) -> TimeSplit | BasinSplit:
    """Return the split that ``experiment`` asks for, by dates or by basins.

    Raises
    ------
    SplitError
        If its spans do not fit together.
    ConfigError
        If it is one of images, which are cut by :func:`pipeline.prepare.tiles.cut`.
    """
    split = experiment.split
    if isinstance(split, SplitConfig):
        return TimeSplit.from_config(split)
    if isinstance(split, BasinSplitConfig):
        return BasinSplit.from_config(split)
    raise ConfigError(f"expected a split by time or by basin, got split.by: {split.by}.")


def _suits(kind: type[Model], name: str, called: str, experiment: Experiment) -> None:
    """Refuse a model of another task, or one that knows its own series alone where others are asked for."""
    if experiment.task not in kind.tasks:
        able = [other for other in MODELS.names() if experiment.task in MODELS.get(other).tasks]
        raise TraitError(
            f"models.{name}: {called} is for {' and '.join(sorted(kind.tasks))}, and the task is {experiment.task}. "
            f"Known for it: {', '.join(able)}."
        )
    if experiment.split.by == "basin" and "shared" not in kind.traits:
        able = [
            other
            for other in MODELS.names()
            if experiment.task in MODELS.get(other).tasks and "shared" in MODELS.get(other).traits
        ]
        raise TraitError(
            f"models.{name}: {called} answers only for the basins that it was fitted on, and split.by is basin. Take a "
            f"model that is shared by all: {', '.join(able)}."
        )


def _suits_loss(config: ModelConfig, name: str, where: str, experiment: Experiment) -> None:
    """Refuse a loss of numbers in a segmentation, and one of classes elsewhere."""
    loss = getattr(config, "loss", None)
    if loss is not None:
        try:
            check_task(make_loss(loss), 2 if experiment.task == "segmentation" else ())
        except ConfigError as error:
            raise ConfigError(f"{where}: models.{name}.loss: {error}") from error


def _methods(
    number: int, entry: UncertaintyConfig, models: Mapping[str, PlannedModel], experiment: Experiment, where: str
) -> list[PlannedMethod]:
    kind = Own if entry.method is None else UNCERTAINTY.get(entry.method)
    said = "the calibration" if entry.method is None else f"uncertainty method {entry.method!r}"
    if experiment.task not in kind.tasks:
        raise TraitError(
            f"uncertainty.{number}: {said} is for {' and '.join(sorted(kind.tasks))}, and the task is "
            f"{experiment.task}."
        )
    prefix = f"uncertainty.{number}"
    config = validate(kind.Config, entry.options, where=where, prefix=prefix, also=UncertaintyConfig.model_fields)
    names = served(said, kind.needs, entry.models, models, kind.refuses)
    able = [name for name in names if (why := kind(config).why_not(models[name].config)) is None]
    for name in entry.models or ():
        why = kind(config).why_not(models[name].config)
        if why is not None:
            raise TraitError(f"{said} cannot serve {name!r}: {why}")
    calibration = None if entry.calibration is None else _calibration(number, entry.calibration, experiment, where)
    return [PlannedMethod(f"{name}+{entry.called}", name, kind, config, calibration) for name in able]


def _calibration(number: int, entry: CalibrationConfig, experiment: Experiment, where: str) -> PlannedCalibration:
    kind, split = CALIBRATIONS.get(entry.kind), experiment.split
    if kind.of_classes != (experiment.task == "segmentation"):
        able = [name for name in CALIBRATIONS.names() if CALIBRATIONS.get(name).of_classes != kind.of_classes]
        raise TraitError(
            f"uncertainty.{number}.calibration: {entry.kind} is for {'classes' if kind.of_classes else 'numbers'}, and "
            f"the task is {experiment.task}. Known for it: {', '.join(able)}."
        )
    prefix, also = f"uncertainty.{number}.calibration", CalibrationConfig.model_fields
    config = validate(kind.Config, entry.options, where=where, prefix=prefix, also=also)
    if entry.folds and not isinstance(split, SplitConfig):
        raise ConfigError(
            f"{where}: uncertainty.{number}.calibration.folds: expected none with a split by {split.by}, got "
            f"{entry.folds}: folds are years. Leave it out, for the validation split."
        )
    gap = split.gap if isinstance(split, SplitConfig) else "0D"
    return PlannedCalibration(kind, config, Ground(entry.folds, gap))


def _named_once(methods: Sequence[PlannedMethod]) -> None:
    """Refuse two methods of one name: their files would be the same."""
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"uncertainty: expected methods with names of their own, got {name!r} twice. Give one of them another: "
                "{method: ..., name: ...}."
            )
