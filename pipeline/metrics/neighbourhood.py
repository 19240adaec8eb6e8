"""Whether rain falls near enough to where it should: the fractions skill score.

Source: Roberts and Lean (2008), doi:10.1175/2007MWR2123.1.
"""

from __future__ import annotations

from typing import ClassVar

from array_api_compat import device

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, Case, FieldMetric
from pipeline.metrics._parts import area_of, day_slices, zero_for_nan
from pipeline.metrics._windows import Window
from pipeline.metrics.indices import wet_threshold
from pipeline.metrics.pooling import ratio


def fraction_errors(forecast: Array, events: Array, known: Array, area: Array, width: int) -> tuple[Array, Array]:
    """Return what the fractions skill score is made of, summed over cells by area, each of shape (time,).

    Parameters
    ----------
    forecast, events : array, shape (time, lat, lon)
        Predicted probability, and what came true as 1 and 0.
    known : array of bool, shape (time, lat, lon)
        Cells that count.
    area : array of float64, shape (lat, lon)
        Area weights.
    width : int
        Side of the neighbourhood, an odd number of cells.

    Returns
    -------
    tuple of array of float64
        Squared differences of fractions, and the largest they could be: both squares added.
    """
    xp = array_namespace(forecast)
    window = Window(known, (1.0,) * (width // 2 + 1))
    zero = xp.zeros(known.shape, dtype=xp.float64, device=device(known))

    def share(values: Array) -> Array:
        """Return the mean over the known cells of the square round every cell."""
        return window.mean(xp.where(known, xp.astype(values, xp.float64), zero))

    f, o = share(forecast), share(events)

    def added(values: Array) -> Array:
        return xp.sum(xp.where(known, values, zero) * area, axis=(-2, -1))

    return added((f - o) ** 2), added(f * f + o * o)


def fractions_skill_score(errors: Array, largest: Array) -> Array:
    """Return ``1 - errors / largest`` (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1); NaN without any event.

    Examples
    --------
    >>> import numpy as np
    >>> float(fractions_skill_score(np.array(1.0), np.array(4.0)))
    0.75
    """
    return 1.0 - ratio(errors, largest)


class _Fss(FieldMetric):
    threshold: ClassVar[float]  # mm in a day; at least as much is an event
    width: ClassVar[int] = 3  # cells
    perfect = 1.0
    better = "higher"
    units = "1"
    quantity = "precipitation"
    daily = True
    uses_draws = False

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the errors of the predicted probabilities of every day, and the largest they could be."""
        xp = array_namespace(case.truth)
        area, threshold = area_of(case), wet_threshold(case.units, self.threshold)
        found = []
        for days in day_slices(case):
            part = case.select(days, -2)
            chance, truth = case.on_grid(part.prediction.exceedance(threshold)), case.on_grid(part.truth)
            found.append(fraction_errors(chance, truth >= threshold, xp.isfinite(truth), area, self.width))
        return tuple(zero_for_nan(xp.concat(list(parts)))[:, None] for parts in zip(*found, strict=True))

    def value(self, count: Array, sums: tuple[Array, ...]) -> Array:
        """Return the score; NaN where there was no event and none was predicted."""
        return fractions_skill_score(sums[0], sums[1])[..., 0]


@METRICS.register("fss_r01")
class FssR01(_Fss):
    """Fractions skill score of wet days, 1 mm or more, in squares of 3 x 3 cells.

    A distribution is scored by its probability of a wet day, a point forecast by yes and no.
    """

    threshold = 1.0
    label = "FSS of 1 mm in 3 x 3 cells"


@METRICS.register("fss_r10")
class FssR10(_Fss):
    """Fractions skill score of days with heavy precipitation, 10 mm or more, in squares of 3 x 3 cells.

    A distribution is scored by its probability of such a day, a point forecast by yes and no.
    """

    threshold = 10.0
    label = "FSS of 10 mm in 3 x 3 cells"
