"""What every model answers: a predictive distribution, whatever the model.

A family is one file in this package and one registration; it knows the formulas of its kind of
distribution. A :class:`Prediction` is a family's name with its parameters. Known families:
``point``, ``normal``, ``members``, ``mixture`` (of normals, one a member), ``weighted_mixture`` (of normals with
weights), ``bernoulli_gamma`` (dry or a gamma distributed amount), ``bernoulli_gamma_mixture``, ``quantiles`` (of any
distribution, at even levels), ``categorical`` (a probability for each class) and ``categorical_mixture`` (the same of
several members, with what they disagree by).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from array_api_compat import device

from pipeline.backend import array_namespace
from pipeline.errors import ConfigError, DataError
from pipeline.prediction._tail import tail_by_quadrature
from pipeline.registry import Registry
from pipeline.units import of_variance

Array = Any
Parameters = Mapping[str, Array]


class Family(Protocol):
    """Formulas of one kind of distribution over arrays of shape (..., time, target, lat, lon).

    ``leading`` says which parameters have an axis in front of those of the field, and what runs along it. A
    family of classes refuses what has no meaning for them: quantiles, distribution function, exceedance and
    CRPS. NaN in a parameter or an argument gives NaN in the answer, and nothing else does; but of an ensemble of
    values, ``members``, one that is NaN is missing, and the others make the answer. Answers have the dtype of the
    parameters; inside, formulas are worked out in float64.

    Class attributes
    ----------------
    parameters : tuple of str
        Names of the parameters.
    leading : mapping of str to str
        Name of the leading axis of those parameters that have one: ``member``, ``class`` (over which
        probabilities sum to 1) or any other; files have a dim of that name.
    unitless : tuple of str
        Those without units; the others have the units of the field.
    mixture : str
        Name of the family that several answers, each as likely as the others, make together.
    has_likelihood : bool
        Whether ``nll`` is finite at nearly every truth, so that its mean is a score.
    unbounded : bool
        Whether it reaches below any number whatever its parameters, as a normal distribution does: then
        ``at_least`` changes nothing.
    measure : {"variance", "entropy"}
        What :meth:`uncertainties` are: variances, or entropies [nat].
    """

    parameters: ClassVar[tuple[str, ...]]
    leading: ClassVar[Mapping[str, str]]
    unitless: ClassVar[tuple[str, ...]]
    mixture: ClassVar[str]
    has_likelihood: ClassVar[bool]
    unbounded: ClassVar[bool]
    measure: ClassVar[str]

    def mean(self, p: Parameters) -> Array:
        """Return the mean; of classes the number of the most likely one."""

    def variances(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (aleatoric, epistemic) variance; their sum is the total; None where undefined."""

    def uncertainties(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (aleatoric, epistemic) parts in the family's own measure; their sum is the total; None for no part."""

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

    def tail_crps(self, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return the CRPS above ``threshold``, see ``Prediction.tail_crps``.

        A family may leave it out: ``pipeline.prediction._tail.tail_by_quadrature`` then takes its place.
        """

    def nll(self, p: Parameters, truth: Array) -> Array:
        """Return the negative log density at ``truth`` in nats; NaN where there is no density."""

    def affine(self, p: Parameters, scale: Array, shift: Array) -> dict[str, Array]:
        """Return the parameters of ``scale * X + shift`` for positive ``scale``."""

    def at_least(self, p: Parameters, least: Array) -> dict[str, Array]:
        """Return the parameters with what lies below ``least`` moved onto it; as they are where that has no form."""

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
        The family's parameters, each of shape (time, target, lat, lon), those in its ``leading`` with that
        axis in front; float32.

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
        return self.sizes.get("member", 0)

    @property
    def is_categorical(self) -> bool:
        """Whether it is one of classes, whose numbers have no order."""
        return "class" in self.formulas.leading.values()

    @property
    def class_count(self) -> int:
        """How many classes there are; 0 if it is a prediction of numbers."""
        return self.sizes.get("class", 0)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every leading axis by its name.

        Examples
        --------
        >>> import numpy as np
        >>> Prediction("members", {"members": np.zeros((4, 1, 1, 1, 1))}).sizes
        {'member': 4}
        """
        return {dim: int(self.parameters[name].shape[0]) for name, dim in self.formulas.leading.items()}

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

    def uncertainties(self) -> tuple[Array | None, Array | None]:
        """Return the (aleatoric, epistemic) parts of the uncertainty in the family's own measure.

        Of numbers they are variances, see :meth:`variances`. Of classes they are entropies [nat]: what the members
        expect on average is aleatoric, the mutual information of class and member epistemic (Depeweg et al. 2018,
        arXiv:1710.07283).

        Returns
        -------
        tuple of array or None, shape (time, target, lat, lon)
            None for a part that the family does not have: the aleatoric one of members, the epistemic one of a
            single distribution.

        Examples
        --------
        >>> import numpy as np
        >>> p = np.array([0.5, 0.5]).reshape(2, 1, 1, 1, 1)
        >>> aleatoric, epistemic = Prediction("categorical", {"probabilities": p}).uncertainties()
        >>> round(float(aleatoric[0, 0, 0, 0]), 4), epistemic
        (0.6931, None)
        """
        return self.formulas.uncertainties(self.parameters)

    def uncertainty_units(self, units: str) -> str:
        """Return the units of :meth:`uncertainties` for a field in ``units``.

        Examples
        --------
        >>> import numpy as np
        >>> Prediction("point", {"mean": np.zeros((1, 1, 1, 1))}).uncertainty_units("degC")
        'K2'
        """
        return of_variance(units) if self.formulas.measure == "variance" else "1"

    def quantile(self, level: float) -> Array:
        """Return the quantile at ``level`` in (0, 1).

        Raises
        ------
        ConfigError
            If ``level`` is not between 0 and 1.
        DataError
            If it is a prediction of classes; so do ``cdf``, ``exceedance``, ``crps`` and ``tail_crps``.
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

    def tail_crps(self, truth: Array, threshold: float | Array) -> Array:
        """Return the threshold-weighted CRPS of what lies above ``threshold``.

        ``integral over z > t of (F(z) - 1{truth <= z})^2``, the CRPS of ``max(X, t)`` against ``max(truth, t)``: it
        looks at the upper tail alone and, unlike a score of the days on which the truth was high, is proper
        (Gneiting and Ranjan 2011, doi:10.1198/jbes.2010.08110; Allen et al. 2023, doi:10.1137/22M1532184).
        In closed form, or of mixtures to 1e-6 of the widest member's spread.

        Parameters
        ----------
        truth : array
            Of the shape of the field.
        threshold : float or array
            In the units of the field; an array broadcasts with the truth.

        Examples
        --------
        >>> import numpy as np
        >>> p = Prediction("normal", {"mean": np.zeros(2), "sd": np.ones(2)})
        >>> p.tail_crps(np.array([0.5, 3.0]), 1.0).round(4).tolist()
        [0.0072, 1.8414]
        """
        xp = array_namespace(truth)
        level = xp.asarray(threshold, dtype=xp.float64, device=device(truth))
        level, own = xp.broadcast_to(level, truth.shape), getattr(self.formulas, "tail_crps", None)
        if own is None:
            return tail_by_quadrature(self.formulas, self.parameters, truth, level)
        return own(self.parameters, truth, level)

    def nll(self, truth: Array) -> Array:
        """Return the negative log density at ``truth`` [nat]; of classes that of the probability."""
        return self.formulas.nll(self.parameters, truth)

    def affine(self, scale: Array, shift: Array) -> Prediction:
        """Return the distribution of ``scale * X + shift``; both broadcast to (time, target, lat, lon)."""
        return Prediction(self.family, self.formulas.affine(self.parameters, scale, shift))

    def at_least(self, least: Array) -> Prediction:
        """Return the prediction with what lies below ``least`` moved onto it: there is less than no rain nowhere.

        Families that reach below any number, or know no order, stay as they are.

        Parameters
        ----------
        least : array, shape (target, lat, lon)
            Minus infinity where there is none; broadcasts to (time, target, lat, lon).

        Examples
        --------
        >>> import numpy as np
        >>> p = Prediction("members", {"members": np.array([-1.0, 2.0]).reshape(2, 1, 1, 1, 1)})
        >>> p.at_least(np.zeros((1, 1, 1))).members.ravel().tolist()
        [0.0, 2.0]
        """
        return Prediction(self.family, self.formulas.at_least(self.parameters, least))

    def map(self, function: Any) -> Prediction:
        """Return the prediction with ``function`` applied to every parameter (a selection, a move)."""
        return Prediction(self.family, {name: function(array) for name, array in self.parameters.items()})
