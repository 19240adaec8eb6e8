"""Which augmentations of an experiment are for which of its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models import MODELS
from pipeline.errors import ConfigError, TraitError
from pipeline.experiment import AugmentConfig, Experiment
from pipeline.model import Model
from pipeline.schema import validate
from pipeline.training.augment import (
    AUGMENTATIONS,
    Augmentation,
    AugmentSpec,
    check_traits,
    make_augmentations,
)

OWN = "augment"
"""The option of a model that can be trained on augmented samples."""


def augment_options(experiment: Experiment, *, where: str) -> Mapping[str, AugmentSpec]:
    """Return for every model that can what the experiment's ``augment`` does to its train split, in its order.

    Parameters
    ----------
    experiment : Experiment
        Models by kind, and augmentations by kind for some or all of them.
    where : str
        File named in messages.

    Raises
    ------
    UnknownNameError, ConfigError
        If a name or an option is not known, augmentations cannot follow each other, or a model says its own.
    TraitError
        If one is asked for a model that cannot, or there is no model that can.
    """
    kinds = {name: MODELS.get(entry.kind) for name, entry in experiment.models.items()}
    found: dict[str, AugmentSpec] = {name: [] for name, kind in kinds.items() if can_augment(kind)}
    for number, entry in enumerate(experiment.augment):
        augmentation = AUGMENTATIONS.get(entry.kind)
        also = AugmentConfig.model_fields
        validate(augmentation.Config, entry.options, where=where, prefix=f"augment.{number}", also=also)
        for name in _served(entry, augmentation, kinds, experiment, f"{where}: augment.{number}"):
            found[name].append({"kind": entry.kind, **entry.options})
    for spec in found.values():
        try:
            make_augmentations(spec)
        except ConfigError as error:
            raise type(error)(f"{where}: augment: {error}") from error
    return found


def can_augment(kind: type[Model]) -> bool:
    """Whether a model takes augmentations at all."""
    return OWN in kind.Config.model_fields


def check_own(options: Mapping[str, Any], kind: type[Model], name: str, called: str) -> None:
    """Refuse a model's own augmentations, checked by its schema, if they need what it has not.

    Raises
    ------
    TraitError
        If there are any.
    """
    if can_augment(kind):
        check_traits(make_augmentations(options.get(OWN, [])), kind.traits, f"{name!r} ({called})")


def _served(
    entry: AugmentConfig,
    augmentation: type[Augmentation],
    kinds: Mapping[str, type[Model]],
    experiment: Experiment,
    path: str,
) -> list[str]:
    """Return the models that one entry is for."""
    able = [name for name, kind in kinds.items() if can_augment(kind) and augmentation.needs <= kind.traits]
    own = [name for name, model in experiment.models.items() if OWN in model.options]
    needs = f"the trait {', '.join(sorted(augmentation.needs))}" if augmentation.needs else "a training loop"
    for name in entry.models or ():
        if name not in able:
            others = f"Use it on {', '.join(able)}." if able else "No model of this experiment has it."
            raise TraitError(
                f"{path}: {entry.kind} needs a model with {needs}, and {name!r} ({experiment.models[name].kind}) "
                f"has it not. {others}"
            )
        if name in own:
            raise ConfigError(
                f"{path}: {entry.kind} names the model {name!r}, which says its own augment. Write it there, or take "
                f"models.{name}.augment out."
            )
    if not able:
        raise TraitError(
            f"{path}: {entry.kind} needs a model with {needs}, and no model of this experiment has it. Take it out of "
            "augment."
        )
    return [name for name in (able if entry.models is None else entry.models) if name not in own]
