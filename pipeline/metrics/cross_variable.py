"""How two variables vary together, such as temperature and precipitation, in the prediction and in the truth.

Source: the VALUE framework, Maraun et al. (2015), doi:10.1002/2014EF000259.
"""

from __future__ import annotations

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, PairMetric
from pipeline.metrics.pooling import area_mean, ratio
from pipeline.prediction._arrays import wide

_ROUNDING = 1e-12  # a variance below this share of the mean square is rounding, not variation


def correlation(count: Array, sums: tuple[Array, ...], *, constant: float) -> Array:
    """Return Pearson's r from sums of x, y, x^2, y^2 and xy over ``count`` values.

    Parameters
    ----------
    count : array of float64, shape (..., cell)
        Number of values.
    sums : tuple of array of float64, shape (..., cell)
        The five sums, of values less a constant near their mean: it keeps the digits of the squares.
    constant : float
        The answer where one of the two does not vary.

    Returns
    -------
    array, shape (..., cell)
        NaN where there are fewer than two values.
    """
    xp = array_namespace(count)
    some = xp.where(count >= 2.0, count, xp.full_like(count, xp.nan))
    x, y, xx, yy, xy = (total / some for total in sums)

    def variation(square: Array, mean: Array) -> Array:
        variance = square - mean * mean
        return xp.where(variance <= _ROUNDING * square, xp.zeros_like(variance), variance)

    r = ratio(xy - x * y, xp.sqrt(variation(xx, x) * variation(yy, y)), otherwise=constant)
    r = xp.minimum(xp.maximum(r, -xp.ones_like(r)), xp.ones_like(r))
    return xp.where(xp.isnan(some), some, r)


def _products(x: Array, y: Array) -> tuple[Array, ...]:
    return x, y, x * x, y * y, x * y


def _usual(case: Case, both: Array) -> Array:
    """Return the mean of the truth over the times that count, shape (cell,); 0 where there are none."""
    (truth,) = wide(case.truth)
    xp = array_namespace(truth)
    total = xp.sum(xp.where(both, truth, xp.zeros_like(truth)), axis=0)
    return ratio(total, xp.sum(xp.astype(both, xp.float64), axis=0), otherwise=0.0)


def _drawn(first: Array, second: Array, shifts: tuple[Array, Array]) -> tuple[Array, ...]:
    """Return the means over draws of the products, one draw in memory at a time."""
    size = first.shape[0]
    total: tuple[Array, ...] = ()
    for draw in range(size):
        x, y = wide(first[draw, ...], second[draw, ...])
        found = _products(x - shifts[0], y - shifts[1])
        total = tuple(a + b for a, b in zip(total, found, strict=True)) if total else found
    return tuple(part / size for part in total)


class _CrossCorrelation(PairMetric):
    units = "1"

    def terms(self, first: Case, second: Case) -> tuple[Array, ...]:
        """Return first and second moments of the draws, then of the truth."""
        both = first.valid & second.valid
        shifts = _usual(first, both), _usual(second, both)
        x, y = wide(first.truth, second.truth)
        return (*_drawn(first.draws, second.draws, shifts), *_products(x - shifts[0], y - shifts[1]))


def _difference(count: Array, sums: tuple[Array, ...]) -> Array:
    """Return the correlation of the draws minus that of the truth, cell by cell."""
    xp = array_namespace(count)
    return correlation(count, sums[:5], constant=0.0) - correlation(count, sums[5:], constant=xp.nan)


@METRICS.register("bias_cross_correlation")
class BiasCrossCorrelation(_CrossCorrelation):
    """Correlation over time of two variables in the draws minus that in the truth, the area mean over cells.

    Members keep what they know of both: draw by draw the two variables are of one member, and the
    days of all members are one sample. Draws of parametric distributions are independent between
    variables, so that theirs is only what the two distributions' changes from day to day have in
    common. A prediction that does not vary has a correlation of 0; cells whose truth does not are left out.
    """

    perfect = 0.0
    better = "closer"
    label = "bias of the correlation between variables"

    def value(self, count: Array, sums: tuple[Array, ...], weights: Array | None) -> Array:
        """Return the difference."""
        found = _difference(count, sums)
        return found if weights is None else area_mean(found, weights)
