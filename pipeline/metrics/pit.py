"""Calibration in one number: how far the probability integral transform (PIT) is from even.

Where a distribution has steps, such as members or the share of dry days, the PIT of a truth lies anywhere on its step,
drawn at random in the histograms of the diagnostics. Here its even spread over the step is added up instead: the mean
over all such draws, the same whatever the order of times (Czado et al. 2009, doi:10.1111/j.1541-0420.2009.01191.x). Of
M members, the step of rank r is [r / (M + 1), (r + 1) / (M + 1)]: ranks are even where truth and members are drawn from
one distribution. Where members are missing, M is how many are there.
"""

from __future__ import annotations

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Array, BinnedMetric, Case
from pipeline.metrics._bins import share
from pipeline.metrics.sums import chunks
from pipeline.prediction._arrays import wide

STEPS = 20  # of the calibration curve; a histogram bin holds two
LEVELS = np.arange(1, STEPS) / STEPS
_VALUES = 2**16  # times times cells worked on at a time, so that they stay in the cache


def steps(case: Case) -> tuple[Array, Array]:
    """Return the lower and upper end of the step that the PIT lies on, float64 (time, cell); NaN without members."""
    if case.prediction.family != "members":
        upper, beyond = wide(case.prediction.cdf(case.truth), case.prediction.exceedance(case.truth))
        return 1.0 - beyond, upper
    members, truth = wide(case.prediction.parameters["members"], case.truth)
    xp, size = array_namespace(members), float(members.shape[0])
    below, equal = (
        xp.sum(xp.astype(found, xp.float64), axis=0)
        for found in (members < truth[None, ...], members == truth[None, ...])
    )
    if case.missing is not None:
        size = size - xp.astype(case.missing, xp.float64)
        size = xp.where(size > 0.0, size, xp.full_like(size, xp.nan))
    return below / (size + 1.0), (below + equal + 1.0) / (size + 1.0)


def pit_sums(case: Case) -> np.ndarray:
    """Return the area whose PIT is at most each level, and last that with truth, shape (time, 20); worked out once."""

    def make() -> np.ndarray:
        return sum((_sums(case.select(cells, -1)) for cells in chunks(case)), np.zeros(()))

    found: np.ndarray = case.once(("pit_sums",), make)
    return found


def _sums(case: Case) -> np.ndarray:
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    weights = np.ones(case.truth.shape[1]) if case.weights is None else case.weights
    area = xp.astype(case.valid, xp.float64) * xp.asarray(weights, dtype=xp.float64, device=device)
    # What stands outside the truth has no weight, but NaN times zero is NaN.
    low, high = (xp.where(case.valid, end, xp.zeros_like(end)) for end in steps(case))
    times, cells = area.shape
    width = max(1, _VALUES // max(1, cells))
    parts = [slice(start, min(start + width, times)) for start in range(0, times, width)]
    found = xp.concat([_below(low[part, :], high[part, :], area[part, :]) for part in parts])
    return np.asarray(to_host(xp.concat([found, xp.sum(area, axis=1, keepdims=True)], axis=1)), float)


def _below(low: Array, high: Array, area: Array) -> Array:
    """Return the area whose PIT is at most each level, shape (time, level)."""
    xp, rows = array_namespace(low), []
    wide_step = high > low
    width = xp.where(wide_step, high - low, xp.ones_like(low))
    ends = low + high
    unknown = xp.isnan(ends)
    for level in LEVELS.tolist():
        within = xp.where(wide_step, (level - low) / width, xp.astype(low <= level, xp.float64))
        # What is not known at a time with truth makes the score unknown: no comparison with NaN is true.
        within = xp.where(unknown, ends, xp.clip(within, 0.0, 1.0))
        rows.append(xp.sum(within * area, axis=1))
    return xp.stack(rows, axis=1)


class _Pit(BinnedMetric):
    units = "1"
    upward = True

    def counts(self, case: Case, times: np.ndarray) -> np.ndarray:
        """Return the area below each level, and all of it."""
        return np.asarray(pit_sums(case)[times])


@METRICS.register("miscalibration_area")
class MiscalibrationArea(_Pit):
    """Area between the calibration curve by PIT and the diagonal (Kuleshov et al. 2018, arXiv:1807.00263).

    Mean over the levels p of 0.05, 0.1, ..., 0.95 of ``|share of truths with a PIT of at most p, less p|``: 0 where
    calibrated, at most 0.5; half the right spread of a normal distribution has 0.10. The curve in the diagnostics is
    that of quantiles, which for few members is off the diagonal although their ranks are even; here it is not.
    """

    label = "miscalibration area"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over levels."""
        observed = share(sums[..., :-1], sums[..., -1:])
        return np.asarray(np.abs(observed - LEVELS).mean(axis=-1))


@METRICS.register("pit_index")
class PitIndex(_Pit):
    """Reliability index: sum over the ten bins of the PIT histogram of ``|share - 0.1|``.

    As of rank histograms (Delle Monache et al. 2006, doi:10.1029/2005JD006917), with ten bins whatever the number of
    members, so that models compare: 0 where flat, 1.8 where all truths are in one bin.
    """

    label = "reliability index of the PIT"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the sum over bins."""
        below = share(sums[..., 1:-1:2], sums[..., -1:])
        ends = np.zeros((*below.shape[:-1], 1))
        shares = np.diff(np.concatenate([ends, below, ends + 1.0], axis=-1), axis=-1)
        return np.asarray(np.abs(shares - 2.0 / STEPS).sum(axis=-1))


@METRICS.register("pit_coverage_90")
class PitCoverage90(_Pit):
    """Share of truths whose PIT lies between 0.05 and 0.95: what ``coverage_90`` is without steps.

    The 90 % interval of a forecast that is dry with a probability of more than 5 % begins at zero and holds every dry
    day, so that the intervals of right forecasts of rain hold more than 90 %. Here a dry day counts by the share of its
    step that lies between the levels: 90 % is right for any distribution.
    """

    label = "truths in the middle 90 % by PIT"
    better = "closer"
    perfect = 0.9
    upward = False

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the share."""
        return np.asarray(share(sums[..., -2] - sums[..., 0], sums[..., -1]))
