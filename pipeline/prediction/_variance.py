"""What families of numbers share: uncertainty in variances, and a score above a threshold where no formula is known."""

from __future__ import annotations

from typing import ClassVar

from pipeline.prediction import Array, Family, Parameters
from pipeline.prediction._tail import tail_by_quadrature


class InVariances:
    """Aleatoric and epistemic parts are variances, which add up to that of the prediction."""

    measure: ClassVar[str] = "variance"

    def uncertainties(self: Family, p: Parameters) -> tuple[Array | None, Array | None]:
        """Return both variances."""
        return self.variances(p)

    def tail_crps(self: Family, p: Parameters, truth: Array, threshold: Array) -> Array:
        """Return the CRPS above ``threshold`` by quadrature; families with a closed form have one of their own."""
        return tail_by_quadrature(self, p, truth, threshold)
