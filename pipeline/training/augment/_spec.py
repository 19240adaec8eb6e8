"""From what stands under ``augment:`` to what the training loop calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError, TraitError
from pipeline.schema import validate
from pipeline.training.augment._batch import Shares, from_maps, to_maps
from pipeline.training.augment._contract import AUGMENTATIONS, Augmentation, World
from pipeline.training.losses import Place

if TYPE_CHECKING:
    from torch import Tensor

AugmentSpec = list[dict[str, Any]]
"""Mappings of ``kind`` and options, in the order in which they are done."""


class Augmenter:
    """Augmentations of a batch, one after the other.

    Parameters
    ----------
    steps : sequence of Augmentation
        Prepared for the samples.
    spec : list of dict
        What they were made from.
    """

    def __init__(self, steps: Sequence[Augmentation], spec: AugmentSpec) -> None:
        self.steps = tuple(steps)
        self.key = json.dumps(spec, sort_keys=True)

    def __call__(self, inputs: Tensor, target: Tensor, place: Place) -> Shares:
        """Return what the network is given and held to.

        Parameters
        ----------
        inputs : Tensor, shape (time, channel, lat, lon)
            Of one batch; left as they are.
        target : Tensor, shape (time, target, cell)
            NaN where the truth is missing; left as it is.
        place : Place
            Where the cells lie.
        """
        batch = to_maps(inputs, target, place)
        for step in self.steps:
            batch = step(batch)
        return from_maps(batch, place)

    def describe(self) -> list[str]:
        """Return every step in a few words.

        Examples
        --------
        >>> Augmenter(make_augmentations([{"kind": "mixup", "alpha": 0.4}]), []).describe()
        ['mixup (probability 1.0, alpha 0.4)']
        """
        return [f"{_name(step)} ({step.describe()})" for step in self.steps]


def make_augmentations(spec: Any) -> tuple[Augmentation, ...]:
    """Return the augmentations that ``spec`` describes, not prepared for any samples.

    Parameters
    ----------
    spec : list of dict
        ``[{"kind": "noise", "sd": 0.1}, ...]``.

    Raises
    ------
    ConfigError
        If a name or an option is not known or does not fit, two of them mix samples, or one that needs whole maps
        comes behind one that cuts them.

    Examples
    --------
    >>> [type(step).__name__ for step in make_augmentations([{"kind": "noise", "sd": 0.1}])]
    ['Noise']
    """
    if not isinstance(spec, (list, tuple)):
        raise ConfigError(f"expected a list of augmentations such as [{{kind: noise, sd: 0.1}}], got {spec!r}.")
    steps = tuple(_single(number, entry) for number, entry in enumerate(spec))
    mixing = [_name(step) for step in steps if step.mixes]
    if len(mixing) > 1:
        raise ConfigError(f"expected at most one augmentation that mixes samples, got {' and '.join(mixing)}.")
    for number, step in enumerate(steps):
        later = next((_name(other) for other in steps[number + 1 :] if step.cuts and other.whole), None)
        if later is not None:
            raise ConfigError(f"expected {later} before {_name(step)}, got it behind: it needs maps of the whole grid.")
    return steps


def make_augmenter(spec: AugmentSpec, world: World, traits: frozenset[str], model: str) -> Augmenter | None:
    """Return what the loop calls for one model; None where ``spec`` is empty.

    Raises
    ------
    ConfigError
        As :func:`make_augmentations` does, or if one does not suit the samples.
    TraitError
        If one needs a trait that the model has not.
    """
    steps = make_augmentations(spec)
    check_traits(steps, traits, model)
    return Augmenter([step.prepare(world) for step in steps], spec) if steps else None


def check_traits(steps: Sequence[Augmentation], traits: frozenset[str], model: str) -> None:
    """Refuse augmentations that need what ``model`` has not.

    Raises
    ------
    TraitError
        If there are any.
    """
    for step in steps:
        missing = ", ".join(sorted(step.needs - traits))
        if missing:
            raise TraitError(
                f"augmentation {_name(step)!r} needs a model with the trait {missing}, and {model} has "
                f"{', '.join(sorted(traits)) or 'none'}. Take it out of the model's augment."
            )


def _single(number: int, entry: Any) -> Augmentation:
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    if not isinstance(kind, str):
        raise ConfigError(
            f"{number}: expected an augmentation with its name under the key 'kind', such as {{kind: noise, sd: 0.1}}, "
            f"got {entry!r}. Known: {', '.join(AUGMENTATIONS.names())}."
        )
    options = {key: value for key, value in entry.items() if key != "kind"}
    augmentation = AUGMENTATIONS.get(kind)
    return augmentation(validate(augmentation.Config, options, where=f"augmentation {kind!r}"))


def _name(step: Augmentation) -> str:
    return next((name for name in AUGMENTATIONS if AUGMENTATIONS.get(name) is type(step)), type(step).__name__)
