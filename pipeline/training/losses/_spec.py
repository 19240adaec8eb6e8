"""From what stands under ``loss:`` to a loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.model_config import ModelConfig
from pipeline.schema import validate
from pipeline.training.losses._contract import LOSSES, Cells, Loss

if TYPE_CHECKING:
    from torch import Tensor

LossSpec = str | dict[str, Any] | list[dict[str, Any]]
"""A name, a mapping of ``kind`` and options, or a list of such mappings, each with a ``weight``."""


class WeightedLoss(Loss):
    """``sum of weight * loss`` of losses that read the same output in the same way.

    Parameters
    ----------
    parts : sequence of Loss
        All with the same parameters and family; the first one makes the distribution.
    weights : sequence of float
        Positive; one a part.
    """

    def __init__(self, parts: Sequence[Loss], weights: Sequence[float]) -> None:
        super().__init__()
        self.parts, self.weights = tuple(parts), tuple(weights)
        self.parameters, self.family = parts[0].parameters, parts[0].family
        self.locations, self.of_classes = parts[0].locations, parts[0].of_classes

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Let every part learn what it needs."""
        for part in self.parts:
            part.fit(target, cells)

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the weighted sum."""
        first, *others = zip(self.weights, self.parts, strict=True)
        total = first[0] * first[1](output, target, cells)
        for weight, part in others:
            total = total + weight * part(output, target, cells)
        return total

    def distribution(self, output: Tensor) -> dict[str, Tensor]:
        """Return the parameters of the family that all parts share."""
        return self.parts[0].distribution(output)

    def mean(self, output: Tensor) -> Tensor:
        """Return the mean."""
        return self.parts[0].mean(output)

    def explained(self, output: Tensor) -> Tensor:
        """Return what explanations ask about."""
        return self.parts[0].explained(output)


def make_loss(spec: Any, classes: Sequence[str] | int = ()) -> Loss:
    """Return the loss that ``spec`` describes.

    Parameters
    ----------
    spec : str, dict or list of dict
        ``"mse"``, ``{"kind": "huber", "delta": 0.5}``, or
        ``[{"kind": "mae", "weight": 0.5}, {"kind": "mse"}]``, where a weight left out is 1.
    classes : sequence of str or int
        Names of the classes of a segmentation, or how many there are. Without any a loss of classes
        can be made, as a YAML is checked before data are read, but has no parameters and is not to be trained.

    Raises
    ------
    ConfigError
        If a name or an option is not known or does not fit, a weight is not positive, the parts of
        a list want different numbers of the network, or there are classes and the loss is one of numbers.

    Examples
    --------
    >>> make_loss({"kind": "huber", "delta": 0.5}).config.delta
    0.5
    >>> make_loss([{"kind": "mae", "weight": 0.5}, {"kind": "mse"}]).weights
    (0.5, 1.0)
    >>> make_loss("dice", ("sea", "ice")).parameters
    ('logit_00', 'logit_01')
    """
    loss = _made(spec, classes)
    if classes:
        check_task(loss, classes)
    return loss


def default_loss(*, classes: bool) -> Any:
    """Return the loss of a deep model whose experiment names none, as :func:`make_loss` takes it.

    Examples
    --------
    >>> default_loss(classes=False)
    'normal_nll'
    """
    return {"kind": "cross_entropy", "weights": "inverse_sqrt"} if classes else "normal_nll"


def check_task(loss: Loss, classes: Sequence[str] | int) -> None:
    """Refuse a loss of numbers for a segmentation, and one of classes for anything else.

    Parameters
    ----------
    loss : Loss
        Of :func:`make_loss`.
    classes : sequence of str or int
        The classes of a segmentation, or how many; none for a target of numbers.

    Raises
    ------
    ConfigError
        If they do not go together.
    """
    if loss.of_classes == bool(classes):
        return
    ours = loss.parts[0] if isinstance(loss, WeightedLoss) else loss
    name = next((name for name in LOSSES if LOSSES.get(name) is type(ours)), type(ours).__name__)
    fitting = ", ".join(other for other in LOSSES if LOSSES.get(other).of_classes == bool(classes))
    if classes:
        raise ConfigError(f"{name} is a loss of numbers; a segmentation needs one of {fitting}.")
    raise ConfigError(f"{name} is a loss of classes, for a segmentation; a target of numbers needs one of {fitting}.")


def _made(spec: Any, classes: Sequence[str] | int) -> Loss:
    if isinstance(spec, (str, dict)):
        return _single(spec, classes)
    if not isinstance(spec, list) or not spec:
        raise ConfigError(
            "expected the name of a loss, a mapping {kind: name, option: value}, or a list of such mappings "
            f"with a weight each, got {spec!r}."
        )
    weights, parts = [], []
    for number, entry in enumerate(spec):
        if not isinstance(entry, dict):
            raise ConfigError(f"{number}: expected a mapping {{kind: name, weight: 1.0}}, got {entry!r}.")
        weights.append(_weight(number, entry.get("weight", 1.0)))
        parts.append(_single({key: value for key, value in entry.items() if key != "weight"}, classes))
    for number, part in enumerate(parts[1:], start=1):
        for what in ("family", "parameters"):
            mine, first = getattr(part, what), getattr(parts[0], what)
            if mine != first:
                raise ConfigError(
                    f"expected losses of the same family and parameters to mix, got {spec[0]['kind']!r} with the "
                    f"{what} {_shown(first)} and {spec[number]['kind']!r} with {_shown(mine)}. Mix losses of one "
                    "head, with the same number of members."
                )
    return WeightedLoss(parts, weights)


def describe(spec: LossSpec) -> str:
    """Return ``spec`` in one line.

    Examples
    --------
    >>> describe("mse"), describe({"kind": "huber", "delta": 0.5})
    ('mse', 'huber (delta 0.5)')
    >>> describe([{"kind": "mae", "weight": 0.5}, {"kind": "mse"}])
    '0.5 * mae + 1 * mse'
    """
    if isinstance(spec, str):
        return spec
    if isinstance(spec, list):
        return " + ".join(f"{entry.get('weight', 1.0):g} * {describe(entry)}" for entry in spec)
    options = ", ".join(f"{key} {value}" for key, value in spec.items() if key not in ("kind", "weight"))
    return f"{spec['kind']} ({options})" if options else str(spec["kind"])


def _single(spec: str | dict[str, Any], classes: Sequence[str] | int) -> Loss:
    if isinstance(spec, str):
        return _new(LOSSES.get(spec), None, classes)
    kind = spec.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(
            f"expected a loss with its name under the key 'kind', such as {{kind: huber, delta: 0.5}}, got {spec!r}. A "
            f"model has one loss for all of its targets. Known: {', '.join(LOSSES.names())}."
        )
    options = {key: value for key, value in spec.items() if key != "kind"}
    loss = LOSSES.get(kind)
    if options and not loss.Config.model_fields:
        raise ConfigError(f"{kind}: expected no options, got {options!r}; this loss has none.")
    return _new(loss, validate(loss.Config, options, where=f"loss {kind!r}"), classes)


def _new(loss: type[Loss], config: ModelConfig | None, classes: Sequence[str] | int) -> Loss:
    make: Callable[..., Loss] = loss
    return make(config, classes) if loss.of_classes else make(config)


def _weight(number: int, weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
        raise ConfigError(f"{number}.weight: expected a positive number, got {weight!r}.")
    return float(weight)


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return repr(value)
    return repr(list(value)) if len(value) <= 3 else f"{value[0]!r} ... {value[-1]!r}"
