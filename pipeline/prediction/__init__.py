"""What every model answers: a predictive distribution, whatever the model.

A family is one file in this package and one registration; it knows the formulas of its kind of
distribution. A :class:`Prediction` is a family's name with its parameters. Known families:
``point``, ``normal``, ``members``, ``mixture`` (of normals, one a member), ``bernoulli_gamma`` (dry or a
gamma distributed amount), ``bernoulli_gamma_mixture`` and ``categorical`` (a probability for each class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from array_api_compat import device

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError, DataError
from pipeline.registry import Registry

Array = Any
Parameters = Mapping[str, Array]


class Family(Protocol):
    """Formulas of one kind of distribution over arrays of shape (..., time, target, lat, lon).

    Parameters with a leading ``member`` axis are named in ``member_parameters``, those with a leading
    ``class`` axis in ``class_parameters``; the axes behind are those of the field. A family of classes
    refuses what has no meaning for them: quantiles, distribution function, exceedance and CRPS. NaN
    in a parameter or an argument gives NaN in the answer, and nothing else does. Answers have the dtype of the
    parameters; inside, formulas are worked out in float64.

    Class attributes
    ----------------
    parameters : tuple of str
        Names of the parameters.
    member_parameters : tuple of str
        Those with a leading ``member`` axis.
    class_parameters : tuple of str
        Those with a leading ``class`` axis, over which they sum to 1.
    unitless : tuple of str
        Those without units; the others have the units of the field.
    mixture : str
        Name of the family that several answers, each as likely as the others, make together.
    """

    parameters: ClassVar[tuple[str, ...]]
    member_parameters: ClassVar[tuple[str, ...]]
    class_parameters: ClassVar[tuple[str, ...]]
    unitless: ClassVar[tuple[str, ...]]
    mixture: ClassVar[str]

    def mean(self, p: Parameters) -> Array:
        """Return the mean; of classes the number of the most likely one."""

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (aleatoric, epistemic) variance; their sum is the total; None where undefined."""

    def quantile(self, p: Parameters, level: float) -> Array:
        """Return the quantile at ``level`` in (0, 1)."""

    def cdf(self, p: Parameters, value: Array) -> Array:
        """Return the probability of at most ``value``."""

    def exceedance(self, p: Parameters, threshold: Array) -> Array:
        """Return the probability of at least ``threshold``."""

    def sample(self, p: Parameters, count: int, seed: int) -> Array:
        """Return ``count`` draws on a new leading axis."""

    def crps(self, p: Parameters, truth: Array) -> Array:
        """Return the exact CRPS of the distribution, in the units of the field."""

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log density at ``truth`` in nats; NaN where there is no density."""

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift`` for positive ``scale``."""

    def members(self, p: Parameters) -> Array | None:
        """Return the members' means on a leading axis; None where there are no members."""

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the parameters of the family ``mixture`` of the answers, their members pooled."""


FAMILIES: Registry[type[Family]] = Registry("prediction family", "pipeline.prediction")


@dataclass(frozen=True, eq=False)
class Prediction:
    """A predictive distribution for every time, target and cell.

    Parameters
    ----------
    family : str
        A name of ``FAMILIES``.
    parameters : mapping of str to array
        The family's parameters, each of shape (time, target, lat, lon), those in the family's
        ``member_parameters`` with a leading ``member`` axis, those in its ``class_parameters`` with a
        leading ``class`` axis; float32.

    Raises
    ------
    DataError
        If the parameters are not those of the family.

    Examples
    --------
    >>> import numpy as np
    >>> p = Prediction("normal", {"mean": np.zeros((1, 1, 1, 1)), "sd": np.ones((1, 1, 1, 1))})
    >>> round(float(p.quantile(0.975)[0, 0, 0, 0]), 3)
    1.96
    """

    family: str
    parameters: Parameters

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        wanted, got = set(self.formulas.parameters), set(self.parameters)
        if wanted != got:
            raise DataError(f"expected the parameters {sorted(wanted)} of family {self.family!r}, got {sorted(got)}.")

    @property
    def formulas(self) -> Family:
        """The family itself."""
        return FAMILIES.get(self.family)()

    @property
    def members(self) -> Array | None:
        """Means of the members, shape (member, time, target, lat, lon); None if there are none."""
        return self.formulas.members(self.parameters)

    @property
    def member_count(self) -> int:
        """How many members there are; 0 if the family has none."""
        return self._length(self.formulas.member_parameters)

    @property
    def is_categorical(self) -> bool:
        """Whether it is one of classes, whose numbers have no order."""
        return bool(self.formulas.class_parameters)

    @property
    def class_count(self) -> int:
        """How many classes there are; 0 if it is a prediction of numbers."""
        return self._length(self.formulas.class_parameters)

    def _length(self, names: tuple[str, ...]) -> int:
        return int(self.parameters[names[0]].shape[0]) if names else 0

    def mean(self) -> Array:
        """Return the mean, shape (time, target, lat, lon); of classes the number of the most likely one."""
        return self.formulas.mean(self.parameters)

    def variance(self) -> Array | None:
        """Return the total predictive variance; None for a point forecast and for classes."""
        aleatoric, epistemic = self.variances()
        if aleatoric is None or epistemic is None:
            return aleatoric if epistemic is None else epistemic
        return aleatoric + epistemic

    def variances(self) -> tuple[Array | None, Array | None]:
        """Return (aleatoric, epistemic) variance by the law of total variance; None where undefined."""
        return self.formulas.variances(self.parameters)

    def quantile(self, level: float) -> Array:
        """Return the quantile at ``level`` in (0, 1).

        Raises
        ------
        ConfigError
            If ``level`` is not between 0 and 1.
        DataError
            If it is a prediction of classes; so do ``cdf``, ``exceedance`` and ``crps``.
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"expected a quantile level between 0 and 1, both left out, got {level!r}.")
        return self.formulas.quantile(self.parameters, level)

    def cdf(self, value: Array) -> Array:
        """Return the probability of at most ``value``, in [0, 1]."""
        return self.formulas.cdf(self.parameters, value)

    def exceedance(self, threshold: float | Array) -> Array:
        """Return the probability of at least ``threshold``, in [0, 1].

        Unlike ``1 - cdf`` it counts what lies on the threshold itself: members, and dry days at 0.

        Parameters
        ----------
        threshold : float or array
            In the units of the field; an array broadcasts with (time, target, lat, lon).

        Examples
        --------
        >>> import numpy as np
        >>> members = np.array([0.0, 1.0, 2.0, 5.0]).reshape(4, 1, 1, 1, 1)
        >>> float(Prediction("members", {"members": members}).exceedance(1.0)[0, 0, 0, 0])
        0.75
        """
        if isinstance(threshold, int | float):
            like = next(iter(self.parameters.values()))
            xp = array_namespace(like)
            threshold = xp.asarray(float(threshold), dtype=xp.float64, device=device(like))
        return self.formulas.exceedance(self.parameters, threshold)

    def sample(self, count: int, *, seed: int) -> Array:
        """Return ``count`` draws on a new leading axis, the same for the same seed.

        Draws are independent between times, targets and cells: no family knows of correlations.
        """
        return self.formulas.sample(self.parameters, count, seed)

    def crps(self, truth: Array) -> Array:
        """Return the exact CRPS against ``truth``; a point forecast's is its absolute error."""
        return self.formulas.crps(self.parameters, truth)

    def nll(self, truth: Array) -> Array:
        """Return the negative log density at ``truth`` [nat]; of classes that of the probability."""
        return self.formulas.nll(self.parameters, truth)

    def affine(self, scale: Array, shift: Array) -> Prediction:
        """Return the distribution of ``scale * X + shift``; both broadcast to (time, target, lat, lon)."""
        return Prediction(self.family, self.formulas.affine(self.parameters, scale, shift))

    def map(self, function: Any) -> Prediction:
        """Return the prediction with ``function`` applied to every parameter (a selection, a move)."""
        return Prediction(self.family, {name: function(array) for name, array in self.parameters.items()})
