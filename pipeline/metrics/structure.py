"""Whether fields look alike, day by day: pattern correlation and structural similarity.

Source of the similarity: Wang et al. (2004), doi:10.1109/TIP.2003.819861.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import array_api_compat

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, FieldMetric
from pipeline.metrics._parts import FieldPart, area_of, day_slices, field_parts, zero_for_nan
from pipeline.metrics._windows import Window
from pipeline.metrics.pooling import ratio

_WINDOW, _SIGMA = 11, 1.5  # cells; of Wang et al.
_K1, _K2 = 0.01, 0.03
_ROUNDING = 1e-24  # of the mean square: two passes leave no more of a field that does not vary


def pattern_correlation(truth: Array, draws: Array, known: Array, area: Array) -> Array:
    """Return the area-weighted correlation over cells of every field with its truth, the mean over draws.

    Parameters
    ----------
    truth : array, shape (time, lat, lon)
        Anything where ``known`` is false.
    draws : array, shape (draw, time, lat, lon)
        Predicted fields.
    known : array of bool, shape (time, lat, lon)
        Cells that count.
    area : array of float64, shape (lat, lon)
        Area weights.

    Returns
    -------
    array of float64, shape (time,)
        0 for a field without any pattern; NaN where the truth has none.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> known, area = np.ones((1, 2, 2), bool), np.ones((2, 2))
    >>> pattern_correlation(truth, np.stack([3.0 * truth, -truth]), known, area)
    array([0.])
    """
    xp = array_namespace(truth)
    weights = area_shares(known, area)
    o, oo = _centred(truth, known, weights)
    total = xp.zeros_like(oo)
    for draw in range(draws.shape[0]):
        f, ff = _centred(draws[draw, ...], known, weights)
        r = ratio(xp.sum(weights * f * o, axis=(-2, -1)), xp.sqrt(ff * oo), otherwise=0.0)
        total = total + xp.minimum(xp.maximum(r, -xp.ones_like(r)), xp.ones_like(r))
    return xp.where(oo > 0.0, total / draws.shape[0], xp.full_like(total, xp.nan))


def _centred(fields: Array, known: Array, weights: Array) -> tuple[Array, Array]:
    """Return the deviations from the area mean, 0 where not known, and their mean square."""
    xp = array_namespace(fields)
    wide = xp.astype(fields, xp.float64)
    wide = xp.where(known, wide, xp.zeros_like(wide))
    mean = xp.sum(weights * wide, axis=(-2, -1), keepdims=True)
    deviation = xp.where(known, wide - mean, xp.zeros_like(wide))
    variance = xp.sum(weights * deviation * deviation, axis=(-2, -1))
    square = variance + mean[..., 0, 0] ** 2
    return deviation, xp.where(variance <= _ROUNDING * square, xp.zeros_like(variance), variance)


def structural_similarity(truth: Array, draws: Array, known: Array, area: Array, ends: tuple[float, float]) -> Array:
    """Return the mean structural similarity (SSIM) of every field to its truth, the mean over draws.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861: local means, variances and the covariance under a
    Gaussian window, with K1 = 0.01 and K2 = 0.03. Fields are counted from the lower of ``ends``, as
    pixels are from black, so that the score is the same in K and in degC. Near edges and gaps the
    window keeps the cells that are known, their weights made to add up to 1.

    Parameters
    ----------
    truth : array, shape (time, lat, lon)
        Anything where ``known`` is false.
    draws : array, shape (draw, time, lat, lon)
        Predicted fields.
    known : array of bool, shape (time, lat, lon)
        Cells that count.
    area : array of float64, shape (lat, lon)
        Area weights of the mean over cells.
    ends : tuple of float
        Least and largest value that the variable takes, the same for all times and models.

    Returns
    -------
    array of float64, shape (time,)
        1 for the truth itself; NaN without a known cell, and where the ends are the same.
    """
    xp = array_namespace(truth)
    low, span = ends[0], ends[1] - ends[0]
    zero = xp.zeros(known.shape, dtype=xp.float64, device=_device(truth))
    weights = area_shares(known, area)
    local = Window(known, _gaussian(known.shape[-2:])).mean

    def lifted(fields: Array) -> Array:
        return xp.where(known, xp.astype(fields, xp.float64) - low, zero)

    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    o = lifted(truth)
    mean_o = local(o)
    total = zero
    for draw in range(draws.shape[0]):
        f = lifted(draws[draw, ...])
        mean_f = local(f)
        both, means = mean_o * mean_f, mean_o * mean_o + mean_f * mean_f
        similar = (2.0 * both + c1) * (2.0 * (local(o * f) - both) + c2)
        # One window for both squares: only the sum of the variances is asked for.
        total = total + ratio(similar, (means + c1) * (local(o * o + f * f) - means + c2))
    return xp.sum(xp.where(known, total, zero) * weights, axis=(-2, -1)) / draws.shape[0]


def _gaussian(shape: tuple[int, ...]) -> list[float]:
    """Return weights by distance: 11 cells and a deviation of 1.5, in proportion smaller on a smaller grid."""
    shorter = min(shape)
    size = min(_WINDOW, shorter - 1 + shorter % 2)  # the window is odd
    sigma = _SIGMA * size / _WINDOW
    return [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(size // 2 + 1)]


def area_shares(known: Array, area: Array) -> Array:
    """Return the area weights of the known cells of every field, adding up to 1; NaN where none is known.

    Parameters
    ----------
    known : array of bool, shape (time, lat, lon)
        Cells that count.
    area : array of float64, shape (lat, lon)
        Area weights.
    """
    xp = array_namespace(known)
    zero = xp.zeros(known.shape, dtype=xp.float64, device=_device(known))
    weights = xp.where(known, zero + area, zero)
    return ratio(weights, xp.sum(weights, axis=(-2, -1), keepdims=True))


def _device(array: Array) -> Array:
    return array_api_compat.device(array)


class _MeanOverTime(FieldMetric):
    """Mean of a score of every day over the days that have one."""

    perfect = 1.0
    better = "higher"
    units = "1"

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the score of every day, the mean over draws, and whether there is one."""
        xp = array_namespace(case.truth)
        area, ends = area_of(case), truth_ends(case)
        found = xp.concat([self.scored(part, area, ends) for part in field_parts(case)])[:, None]
        return zero_for_nan(found), xp.astype(~xp.isnan(found), xp.float64)

    @abstractmethod
    def scored(self, part: FieldPart, area: Array, ends: tuple[float, float]) -> Array:
        """Return the score of every day, shape (time,), NaN where there is none."""

    def value(self, count: Array, sums: tuple[Array, ...]) -> Array:
        """Return the mean; NaN without any such day."""
        return ratio(sums[0], sums[1])[..., 0]


def truth_ends(case: Case) -> tuple[float, float]:
    """Return the least and the largest truth over all times and cells; NaN where there is none."""
    xp = array_namespace(case.truth)
    lows, highs = [], []
    for days in day_slices(case):
        truth = case.truth[days, :]
        far = xp.full_like(truth, xp.inf)
        known = xp.isfinite(truth)
        lows.append(float(xp.min(xp.where(known, truth, far))))
        highs.append(float(xp.max(xp.where(known, truth, -far))))
    low, high = min(lows), max(highs)
    return (low, high) if low <= high else (math.nan, math.nan)


@METRICS.register("spatial_correlation")
class SpatialCorrelation(_MeanOverTime):
    """Correlation of the draws with the truth over cells, by area, the mean over days and draws.

    Days without any pattern in the truth, such as those dry everywhere, are left out.
    """

    label = "pattern correlation"

    def scored(self, part: FieldPart, area: Array, ends: tuple[float, float]) -> Array:
        """Return the correlation of every day."""
        return pattern_correlation(part.truth, part.draws, part.known, area)


@METRICS.register("ssim")
class Ssim(_MeanOverTime):
    """Structural similarity of the draws to the truth, the area mean over cells, the mean over days and draws.

    The range that its constants are a share of is that of the truth over all times and cells.
    """

    label = "SSIM"

    def scored(self, part: FieldPart, area: Array, ends: tuple[float, float]) -> Array:
        """Return the similarity of every day."""
        return structural_similarity(part.truth, part.draws, part.known, area, ends)
