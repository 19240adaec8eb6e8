"""Brier scores of high values by their parts: days of 1, 10 and 20 mm, and more than the usual 90 % quantile.

The 90 % quantile is that of the train split's climatology of the day of the year, so that warm winter days count as
warm summer days do, and the event is as likely in every season where the climate has not changed.

Source: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; the parts, Murphy (1973),
doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2.
"""

from __future__ import annotations

from typing import ClassVar

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import METRICS, Array, BinnedMetric, Case
from pipeline.metrics._bins import share
from pipeline.metrics.brier import BINS, BrierParts, brier_parts, probability_sums
from pipeline.metrics.sums import chunks
from pipeline.metrics.wet_days import wet_chance
from pipeline.prediction._arrays import wide

LEVEL = 0.9
MILLIMETRES = {"r01": 1.0, "r10": 10.0, "r20": 20.0}


def chance_and_event(case: Case, event: str) -> tuple[Array, Array]:
    """Return the probability of an event, and 1 where it happened, both float64 of shape (time, cell).

    Parameters
    ----------
    event : str
        ``r01``, ``r10`` or ``r20``: at least so many mm a day; ``q90``: more than the climatological 90 % quantile,
        strictly, since that of a dry season is zero.
    """
    if event == "q90":
        usual = case.of_truth(("climatology", LEVEL), lambda: case.climatology.quantile(LEVEL))
        at_most, truth, threshold = wide(case.prediction.cdf(usual), case.truth, usual)
        return 1.0 - at_most, array_namespace(truth).astype(truth > threshold, at_most.dtype)
    return wet_chance(case, MILLIMETRES[event])


def exceedance_sums(case: Case, event: str) -> np.ndarray:
    """Return the sums that the parts of a Brier score are made of, shape (time, bin, 5); worked out once."""

    def make() -> np.ndarray:
        return sum((_sums(case.select(cells, -1), event) for cells in chunks(case)), np.zeros(()))

    found: np.ndarray = case.once(("exceedance_sums", event), make)
    return found


def _sums(case: Case, event: str) -> np.ndarray:
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    weights = np.ones(case.truth.shape[1]) if case.weights is None else case.weights
    area = xp.astype(case.valid, xp.float64) * xp.asarray(weights, dtype=xp.float64, device=device)
    return probability_sums(*chance_and_event(case, event), area)


class _Exceedance(BinnedMetric):
    event: ClassVar[str] = "q90"
    units: ClassVar[str] = "1"

    def applies(self, case: Case, units: str) -> bool:
        """Whether the score means something, and the climatology of the case has quantiles where it is of one."""
        return super().applies(case, units) and (self.event != "q90" or case.climatology.family != "point")

    def counts(self, case: Case, times: np.ndarray) -> np.ndarray:
        """Return area, probability, event and their products by bin of probability."""
        found = exceedance_sums(case, self.event)[times]
        return np.asarray(found.reshape(len(found), -1))

    def parts(self, sums: np.ndarray) -> BrierParts:
        """Return the parts of the score."""
        return brier_parts(sums.reshape(*sums.shape[:-1], BINS, 5))


@METRICS.register("brier_q90")
class BrierQ90(_Exceedance):
    """Brier score of more than the climatological 90 % quantile of the day of the year, by the exact probability."""

    probabilistic = False
    label = "Brier score of the upper tenth"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean squared error of the probability."""
        area, _, event, square, both = np.moveaxis(sums.reshape(*sums.shape[:-1], BINS, 5).sum(axis=-2), -1, 0)
        return share(square - 2.0 * both + event, area)


class _Reliability(_Exceedance):
    upward = True

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean square distance of probability and frequency over ten bins of probability."""
        return self.parts(sums).reliability


class _Resolution(_Exceedance):
    perfect = None
    better = "higher"

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return by how much the score is lower than uncertainty and reliability together."""
        return self.parts(sums).generalised_resolution


@METRICS.register("brier_r01_reliability")
class BrierR01Reliability(_Reliability):
    """Reliability of the probability of 1 mm a day, a part of its Brier score: how far it is from the frequency."""

    event, quantity, daily = "r01", "precipitation", True
    label = "reliability of 1 mm a day"


@METRICS.register("brier_r01_resolution")
class BrierR01Resolution(_Resolution):
    """Resolution of the probability of 1 mm a day, a part of its Brier score: how far frequencies differ with it."""

    event, quantity, daily = "r01", "precipitation", True
    label = "resolution of 1 mm a day"


@METRICS.register("brier_r10_reliability")
class BrierR10Reliability(_Reliability):
    """Reliability of the probability of 10 mm a day, a part of its Brier score: how far it is from the frequency."""

    event, quantity, daily = "r10", "precipitation", True
    label = "reliability of 10 mm a day"


@METRICS.register("brier_r10_resolution")
class BrierR10Resolution(_Resolution):
    """Resolution of the probability of 10 mm a day, a part of its Brier score: how far frequencies differ with it."""

    event, quantity, daily = "r10", "precipitation", True
    label = "resolution of 10 mm a day"


@METRICS.register("brier_r20_reliability")
class BrierR20Reliability(_Reliability):
    """Reliability of the probability of 20 mm a day, a part of its Brier score: how far it is from the frequency."""

    event, quantity, daily = "r20", "precipitation", True
    label = "reliability of 20 mm a day"


@METRICS.register("brier_r20_resolution")
class BrierR20Resolution(_Resolution):
    """Resolution of the probability of 20 mm a day, a part of its Brier score: how far frequencies differ with it."""

    event, quantity, daily = "r20", "precipitation", True
    label = "resolution of 20 mm a day"


@METRICS.register("brier_q90_reliability")
class BrierQ90Reliability(_Reliability):
    """Reliability of the probability of the upper tenth, a part of its Brier score: how far frequencies are from it."""

    label = "reliability of the upper tenth"


@METRICS.register("brier_q90_resolution")
class BrierQ90Resolution(_Resolution):
    """Resolution of the probability of the upper tenth, a part of its Brier score: how frequencies differ with it."""

    label = "resolution of the upper tenth"
