"""Models and explanations of a plan: what can serve what, decided before data are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.attribution import ATTRIBUTIONS, AttributionMethod
from pipeline.attribution.baseline import BASELINES, DEFAULT
from pipeline.attribution.checks import CHECKS
from pipeline.attribution.quantity import NO_GRADIENT, QUANTITIES, check_quantity, default_quantity
from pipeline.errors import ConfigError, TraitError
from pipeline.experiment import Experiment
from pipeline.explain_config import ExplainConfig
from pipeline.model import Model
from pipeline.model_config import ModelConfig
from pipeline.schema import validate
from pipeline.training.losses import default_loss, make_loss


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
class PlannedExplanation:
    """An explanation of one model.

    Parameters
    ----------
    name : str
        What it is called in files, once a model.
    model, method : str
        Names in the experiment and in the registry.
    type : type of AttributionMethod
        The method.
    config : ModelConfig
        Its options.
    entry : ExplainConfig
        What is asked of it.
    checks : tuple of str
        Names of the checks that are made.
    baseline : str
        Name of the baseline.
    """

    name: str
    model: str
    method: str
    type: type[AttributionMethod]
    config: ModelConfig
    entry: ExplainConfig
    checks: tuple[str, ...]
    baseline: str


def plan_explanations(
    experiment: Experiment, models: Mapping[str, PlannedModel], where: str
) -> tuple[PlannedExplanation, ...]:
    """Return every explanation of every model.

    Raises
    ------
    UserError
        If a method, a baseline, a check or a quantity is not known, an option does not fit, a method cannot serve a
        model or the task, or a model does not answer the quantity.
    """
    found: list[PlannedExplanation] = []
    for number, entry in enumerate(experiment.explain):
        kind = ATTRIBUTIONS.get(entry.method)
        also = [field.alias or name for name, field in ExplainConfig.model_fields.items()]
        config = validate(kind.Config, entry.options, where=where, prefix=f"explain.{number}", also=also)
        entry = _check_entry(entry, kind, experiment)
        baseline = _baseline(entry, kind)
        for model in served(f"attribution method {entry.method!r}", kind.needs, entry.models, models):
            if entry.models is None and kind.unsuited(models[model].config, 0):
                continue
            refuse_unsuited(kind, model, models[model].config, 0)
            _check_answer(entry, models[model], kind, classes=experiment.task == "segmentation")
            taken = [one.name for one in found if one.model == model]
            name = entry.name or _free(entry.method, taken)
            if name in taken:
                raise ConfigError(
                    f"explain.{number}: name: expected a name of its own, got {name!r}, which another explanation of "
                    f"{model!r} has."
                )
            checks = CHECKS.names() if entry.checks is None else tuple(entry.checks)
            found.append(PlannedExplanation(name, model, entry.method, kind, config, entry, checks, baseline))
    return tuple(found)


def _free(method: str, taken: list[str]) -> str:
    names = [method, *(f"{method}_{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _baseline(entry: ExplainConfig, kind: type[AttributionMethod]) -> str:
    name = entry.baseline or (kind.baselines or (DEFAULT,))[0]
    BASELINES.get(name)
    if kind.baselines and name not in kind.baselines:
        raise ConfigError(
            f"explain: {entry.method}: baseline: expected {' or '.join(kind.baselines)}, which is all that the method "
            f"can start from, got {name!r}."
        )
    return name


def refuse_unsuited(kind: type[AttributionMethod], name: str, config: ModelConfig, classes: int) -> None:
    """Refuse a model whose options a method cannot serve.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    why = kind.unsuited(config, classes)
    if why:
        raise ConfigError(
            f"explain: {kind.title}: expected a model that it can serve, got {name!r} {why}. Take kernel_shap, which "
            "asks any model."
        )


def _check_entry(entry: ExplainConfig, kind: type[AttributionMethod], experiment: Experiment) -> ExplainConfig:
    """Return the entry with its quantity by name; refuse what no model of the experiment could answer."""
    if experiment.task not in kind.tasks:
        able = [name for name in ATTRIBUTIONS if experiment.task in ATTRIBUTIONS.get(name).tasks]
        raise ConfigError(
            f"explain: {entry.method}: expected a method for task {experiment.task}, got one for "
            f"{', '.join(sorted(kind.tasks))}. Take {' or '.join(able)}."
        )
    for name in entry.checks or ():
        CHECKS.get(name)
    classes = experiment.task == "segmentation"
    default = default_quantity(classes=classes)
    own = [name for name in sorted(kind.quantities) if QUANTITIES[name].of_classes == classes]
    quantity = entry.of or (default if not own or default in own else own[0])
    check_quantity(quantity, classes=classes)
    if kind.quantities and quantity not in kind.quantities:
        raise ConfigError(
            f"explain: {entry.method}: of: expected {' or '.join(sorted(kind.quantities))}, which is all that the "
            f"method can explain, got {quantity!r}."
        )
    return entry.model_copy(update={"of": quantity})


def _check_answer(entry: ExplainConfig, model: PlannedModel, kind: type[AttributionMethod], *, classes: bool) -> None:
    """Refuse a quantity that a network with such a loss does not answer, or has no gradient of."""
    if entry.of is None or not hasattr(model.config, "loss"):
        return
    family = make_loss(model.config.loss or default_loss(classes=classes)).family
    check_quantity(entry.of, classes=family.startswith("categorical"), family=family)
    if (entry.of, family) in NO_GRADIENT and "differentiable" in kind.needs:
        raise ConfigError(
            f"explain: {entry.method}: of: {entry.of}: expected a prediction with a gradient, got the family {family} "
            f"of {model.name!r}, whose chances are counted. Take of: mean or log_variance."
        )


def served(
    what: str,
    needs: frozenset[str],
    asked: list[str] | None,
    models: Mapping[str, PlannedModel],
    refuses: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Return the models that ``what`` is used on: those asked for, else all that have what it needs."""
    able = tuple(
        name for name, model in models.items() if needs <= model.type.traits and not refuses & model.type.traits
    )
    if asked is None:
        if not able and needs:
            raise TraitError(f"{what} needs a model with the trait {', '.join(sorted(needs))}; no model has it.")
        return able
    for name in asked:
        if name not in able:
            kind = models[name].type
            if refuses & kind.traits:
                raise TraitError(
                    f"{what} cannot serve a model with the trait {', '.join(sorted(refuses & kind.traits))}, which "
                    f"{name!r} ({models[name].kind}) has. Take another method or model."
                )
            missing = ", ".join(sorted(needs - kind.traits))
            others = f"Use it on {', '.join(able)}." if able else "No model of this experiment has it."
            raise TraitError(
                f"{what} needs a model with the trait {missing}, and {name!r} ({models[name].kind}) has "
                f"{', '.join(sorted(kind.traits)) or 'none'}. {others}"
            )
    return tuple(asked)
