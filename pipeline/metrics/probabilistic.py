"""Scores of the predictive distribution: CRPS, likelihood, and spread against error.

Source: Gneiting and Raftery (2007), doi:10.1198/016214506000001437.
"""

from __future__ import annotations

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, Metric
from pipeline.metrics.deterministic import error
from pipeline.metrics.pooling import pooled, ratio
from pipeline.prediction._arrays import wide
from pipeline.prediction.members import crps_ensemble


@METRICS.register("crps")
class Crps(Metric):
    """Continuous ranked probability score of the exact distribution; a point forecast's is its MAE."""

    adds_cells = True
    label = "CRPS"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the CRPS."""
        return (case.crps,)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("crps_fair")
class CrpsFair(Metric):
    """CRPS of the members, corrected for their number (Ferro 2014, doi:10.1002/qj.2270).

    Of members alone: those of a mixture are distributions, whose CRPS is exact and has nothing to correct. Where
    members are missing it is of those that are there; not known where a single one is.
    """

    adds_cells = True
    probabilistic = True
    least_members = 2
    label = "fair CRPS"

    def applies(self, case: Case, units: str) -> bool:
        """Say whether the forecast is an ensemble of values."""
        return super().applies(case, units) and case.prediction.family == "members"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the fair CRPS."""
        return (crps_ensemble(case.prediction.members, case.truth, fair=True, skip_missing=True),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("crpss")
class Crpss(Metric):
    """Skill: 1 - CRPS / CRPS of the train split's climatology."""

    adds_cells = True
    perfect = 1.0
    better = "higher"
    units = "1"
    probabilistic = True
    label = "CRPS skill"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return both scores."""
        return case.crps, case.of_truth(("climatology", "crps"), lambda: case.climatology.crps(case.truth))

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the skill; NaN where the climatology has no error."""
        own, usual = (pooled(count, total, weights) for total in sums)
        return 1.0 - ratio(own, usual)


@METRICS.register("nll")
class Nll(Metric):
    """Mean negative log density at the truth [nat]; not for families that have no density everywhere."""

    adds_cells = True
    perfect = None
    units = "1"
    probabilistic = True
    label = "negative log-likelihood"

    def applies(self, case: Case, units: str) -> bool:
        """Whether the family has a density."""
        return super().applies(case, units) and case.prediction.formulas.has_likelihood

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the negative log density."""
        return (case.prediction.nll(case.truth),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the mean."""
        return pooled(count, sums[0], weights)


@METRICS.register("spread_skill")
class SpreadSkill(Metric):
    """Root of the mean predictive variance by the RMSE of the mean; 1 where spread and error agree.

    The part between M members is taken with a divisor of M - 1 and times (M + 1) / M, since the
    mean of a few members errs too (Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1).
    """

    adds_cells = True
    perfect = 1.0
    better = "closer"
    units = "1"
    probabilistic = True
    label = "spread-skill ratio"

    def applies(self, case: Case, units: str) -> bool:
        """Say whether there is a spread: of one member in all there is none."""
        alone = case.prediction.family == "members" and case.prediction.member_count < 2
        return super().applies(case, units) and not alone

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return variance and square error."""
        difference = error(case)
        return corrected_variance(case), difference * difference

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the ratio of the roots of the means."""
        variance, square = (pooled(count, total, weights) for total in sums)
        return array_namespace(count).sqrt(ratio(variance, square))


def corrected_variance(case: Case) -> Array:
    """Return the predictive variance of the truth about the mean, shape (time, cell), float64.

    The aleatoric part as it is; the part between M members times (M + 1) / (M - 1), which turns a
    divisor of M into M - 1 and adds the error of the members' mean. One member has no such part; where an ensemble
    lacks members, M is how many are there, and NaN where a single one is.
    """
    return case.once(("corrected variance",), lambda: _corrected_variance(case))


def _corrected_variance(case: Case) -> Array:
    aleatoric, epistemic = case.prediction.variances()
    size = case.prediction.member_count
    total = None
    if aleatoric is not None:
        (total,) = wide(aleatoric)
    if epistemic is not None:
        (between,) = wide(epistemic)
        if size > 1:
            between = between * _correction(size, case.missing, between)
        total = between if total is None else total + between
    return total


def _correction(size: int, missing: Array | None, like: Array) -> Array:
    """Return (M + 1) / (M - 1) with M members there, NaN for one."""
    if missing is None:
        return (size + 1) / (size - 1)
    xp = array_namespace(like)
    there = size - xp.astype(missing, xp.float64)
    return ratio(there + 1.0, xp.maximum(there - 1.0, xp.zeros_like(there)))
