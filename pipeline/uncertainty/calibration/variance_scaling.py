"""Variance scaling: one factor for the spread, so that spread and error agree."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pipeline.backend.special import to_host
from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.prediction import Prediction
from pipeline.prediction.members import missing_members
from pipeline.samples import Samples, Schema
from pipeline.uncertainty.calibration import CALIBRATIONS, Calibration, Evidence
from pipeline.uncertainty.calibration._groups import BY, By, filled, groups_of
from pipeline.uncertainty.calibration._numbers import SCALED, middle, moments, of_amounts


class VarianceScalingConfig(ModelConfig):
    """Options of :class:`VarianceScaling`."""

    by: tuple[By, ...] = Field(default=(), description=BY)
    bias: bool = Field(default=False, description="Whether the mean error is taken off too.")
    least: int = Field(default=30, ge=2, description="Fewest values with truth that a group needs.")


@CALIBRATIONS.register("variance_scaling")
class VarianceScaling(Calibration):
    """Deviations from the mean are multiplied so that the mean variance is the mean square error.

    ``X' = m + s (X - m)``, with ``s^2 = mean (y - m)^2 / mean var`` of a group, is a distribution of the same family,
    of members too, and keeps the shares of aleatoric and epistemic variance. It is what temperature scaling is to
    classes (Levi et al. 2022, doi:10.3390/s22155540). A group that the evidence lacks, such as a season, gets the
    factor of all groups together.

    The variance is that of the distribution itself. Members alone are taken for draws of one that has more of them:
    their variance has a divisor of M - 1 and counts (M + 1) / M times, since the mean of a few members errs too
    (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1), so that members which the truth could be one of keep their
    spread.
    """

    Config: ClassVar[type[ModelConfig]] = VarianceScalingConfig

    def why_not(self, prediction: Prediction, schema: Schema) -> str | None:
        """Refuse what has no spread, and amounts, which would be widened to below zero, where none may be."""
        if prediction.family not in SCALED or (not prediction.formulas.unbounded and of_amounts(schema)):
            return (
                "expected a distribution that can be widened about its mean, got the family "
                f"{prediction.family!r} of {', '.join(schema.quantities)}. Take isotonic or conformal, or a loss such "
                "as normal_nll."
            )
        return None

    def learn(self, evidence: Evidence, context: Context) -> dict[str, np.ndarray]:
        """Return a factor, and a bias, for every group.

        Raises
        ------
        CalibrationError
            If a group has too few values, or there is no spread or no error.
        """
        said = evidence.prediction
        found = moments(said, evidence.samples)
        groups = groups_of(evidence.samples, self.config.by)
        groups.enough(found.known, self.config.least)
        error = found.truth - found.mean
        parts = (found.known.astype(float), error, error * error, found.variance * _of_draws(said))
        count, first, square, total = filled(*(groups.sums(part) for part in parts))
        if (total <= 0.0).any():
            raise CalibrationError(
                "expected a spread above zero to scale, got members or networks that all answer the same. Take more "
                "members, another method, or conformal."
            )
        bias = first / count if self.config.bias else np.zeros_like(count)
        rest = square / count - bias * bias
        if (rest <= 1e-12 * square / count).any():
            raise CalibrationError(
                "expected errors to scale the spread to, got a group that is right to the last digit. Calibrate on "
                "samples that the fit has not seen: folds: 5."
            )
        return {"scale": np.sqrt(rest * count / total), "bias": bias}

    def apply(self, prediction: Prediction, inputs: Samples, context: Context) -> Prediction:
        """Return the scaled distribution."""
        groups = groups_of(inputs, self.config.by)
        mean = prediction.mean()
        scale, bias = (groups.spread(self.arrays[name], mean) for name in ("scale", "bias"))
        return prediction.affine(scale, mean * (1.0 - scale) + bias)

    def summary(self) -> dict[str, Any]:
        """Return the factors: the least, the middle one and the largest."""
        learned = {name: middle(self.arrays[name]) for name in ("scale", *(("bias",) if self.config.bias else ()))}
        return {"kind": "variance_scaling", "by": list(self.config.by), **learned, **super().summary()}


def _of_draws(said: Prediction) -> float | np.ndarray:
    """Return what the variance of members is multiplied by, as draws; 1 for what is a distribution itself.

    Of the members that are there; one alone has a variance of zero.
    """
    if said.family != "members" or said.member_count < 2:
        return 1.0
    there = said.member_count - np.asarray(to_host(missing_members(said.parameters["members"])), float)
    return (there + 1.0) / np.maximum(there - 1.0, 1.0)
