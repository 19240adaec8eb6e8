"""Whether predicted spread tells the size of errors: sharpness, its variation, ENCE and AUSE.

All take the predictive variance with the correction for few members of
:func:`~pipeline.metrics.probabilistic.corrected_variance`, as the spread-skill ratio does. The spread of M members is
known to a share of 1 / sqrt(2 (M - 1)) only: sorted by it, the errors of a right ensemble differ less from bin to bin
than the spread does, so that few members have a higher ENCE and AUSE, and a flatter slope of error against spread, than
the distribution they are drawn from (Spaeth and Roberts 2026, arXiv:2604.05946). Models with as many members compare.
"""

from __future__ import annotations

import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, BinnedMetric, Case, Metric
from pipeline.metrics._bins import share
from pipeline.metrics._spread import area_under, sparsification, spread_sums
from pipeline.metrics.pooling import pooled, ratio
from pipeline.metrics.probabilistic import corrected_variance

BINS = 10


@METRICS.register("sharpness")
class Sharpness(Metric):
    """Predicted standard deviation, the root of the mean predictive variance; of the forecast alone.

    A smaller one is better between forecasts that are calibrated, and only there (Gneiting et al. 2007,
    doi:10.1111/j.1467-9868.2007.00587.x). Divided by the RMSE it is the spread-skill ratio.
    """

    adds_cells = True
    probabilistic = True
    perfect = None
    label = "predicted standard deviation"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the variance."""
        return (corrected_variance(case),)

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the root of the mean."""
        return array_namespace(count).sqrt(pooled(count, sums[0], weights))


@METRICS.register("cv_spread")
class CvSpread(Metric):
    """Coefficient of variation of the predicted standard deviation over times and cells; of the forecast alone.

    What is needed beside the ENCE: a spread that is everywhere the same has none, and tells no sure day from an unsure
    one, however well it is calibrated (Levi et al. 2022, doi:10.3390/s22155540). More is not better by itself. NaN
    where there is no spread at all.
    """

    adds_cells = True
    probabilistic = True
    perfect = None
    better = "higher"
    units = "1"
    label = "variation of the spread"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the deviation and the variance."""
        variance = corrected_variance(case)
        return array_namespace(variance).sqrt(variance), variance

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the deviation of the deviation by its mean."""
        xp = array_namespace(count)
        mean, square = (pooled(count, total, weights) for total in sums)
        about = square - mean * mean
        return ratio(xp.sqrt(xp.where(about > 0.0, about, xp.zeros_like(about))), mean)


@METRICS.register("ence")
class Ence(BinnedMetric):
    """Expected normalised calibration error: by how much spread and error differ in bins of spread, as a share of it.

    The mean over ten bins of equal counts by predicted variance, by the area that each holds, of ``|RMV - RMSE|`` by
    ``RMV``: root of the mean variance, and of the mean square error (Levi et al. 2022, doi:10.3390/s22155540). A right
    forecast has one above zero, too, the more so the fewer independent times (Pernot 2023, arXiv:2305.11905).
    See :mod:`pipeline.metrics.spread` for few members, and the variation of the spread for what it does not tell.
    NaN where a bin has errors and no spread at all: the share has no value there.
    """

    units = "1"
    upward = True
    label = "calibration error (ENCE)"

    def counts(self, case: Case, times: np.ndarray) -> np.ndarray:
        """Return area, variance and square error by bin."""
        fine, _ = spread_sums(case, times)
        return np.asarray(fine.reshape(len(fine), BINS, -1, 3).sum(axis=2).reshape(len(fine), -1))

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over bins."""
        area, variance, square = np.moveaxis(sums.reshape(*sums.shape[:-1], BINS, 3), -1, 0)
        spread, rmse = np.sqrt(share(variance, area)), np.sqrt(share(square, area))
        held = area > 0.0
        off = np.where((spread == 0.0) & (rmse == 0.0), 0.0, share(np.abs(spread - rmse), spread))
        return np.asarray(share(np.where(held, area * off, 0.0).sum(axis=-1), area.sum(axis=-1)))


@METRICS.register("ause")
class Ause(BinnedMetric):
    """Area under the sparsification error curve: how well the spread says where errors are large.

    The RMSE of what is left when the most uncertain times and cells are left out first, less that when the largest
    errors are, as shares of the RMSE of all, over all shares left out in twenty steps (Ilg et al. 2018,
    arXiv:1802.07095). 0 where the order by spread is that by error, which no distribution has; of a spread that says
    nothing, as of leaving out at random, it is the area between 1 and the curve of the errors themselves, 0.59 for
    normal ones. Multiplying the spread changes nothing: it is no measure of calibration. 0 where nothing errs.
    See :mod:`pipeline.metrics.spread` for few members.
    """

    units = "1"
    label = "sparsification error (AUSE)"

    def counts(self, case: Case, times: np.ndarray) -> np.ndarray:
        """Return area and square error by bin of spread, then by bin of error."""
        by_spread, by_error = spread_sums(case, times)
        return np.stack([by_spread[..., [0, 2]], by_error], axis=1).reshape(len(by_spread), -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the area between both curves."""
        parts = sums.reshape(*sums.shape[:-1], 2, -1, 2)
        under = area_under(*sparsification(parts[..., 0], parts[..., 1]))
        return np.asarray(under[..., 0] - under[..., 1])
