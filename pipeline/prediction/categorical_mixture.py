"""What members that answer classes make together: their mean probabilities, and how far they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pipeline.backend import array_namespace
from pipeline.prediction import FAMILIES, Array, Parameters
from pipeline.prediction._arrays import member_mean, narrow, stacked, wide
from pipeline.prediction.categorical import Categorical, entropy


@FAMILIES.register("categorical_mixture")
class CategoricalMixture(Categorical):
    """Mean of the members' ``probabilities``, and the mean of their entropies, ``expected_entropy`` [nat].

    The mixture of categorical distributions is one, of the mean probabilities. Its entropy is the expected entropy of
    the members and the mutual information of class and member together: the first is aleatoric, the second, zero
    where all members agree, epistemic (Depeweg et al. 2018, arXiv:1710.07283). The members themselves are not kept.
    """

    parameters: ClassVar[tuple[str, ...]] = ("probabilities", "expected_entropy")
    unitless: ClassVar[tuple[str, ...]] = ("probabilities", "expected_entropy")

    def uncertainties(self, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return (expected entropy, mutual information) [nat], the latter at least 0."""
        expected = p["expected_entropy"]
        (own,) = wide(expected)
        xp = array_namespace(own)
        # Entropy is concave: less than nothing is rounding alone.
        information = xp.maximum(entropy(p["probabilities"]) - own, xp.zeros_like(own))
        return expected, narrow(information, expected)

    def mix(self, answers: Sequence[Parameters]) -> dict[str, Array]:
        """Return the means of both parameters: each answer counts once, however many members it is made of."""
        return {name: narrow(member_mean(values), values) for name, values in stacked(answers).items()}
