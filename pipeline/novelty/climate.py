"""The train climate as a mean annual cycle and principal components, and how far samples lie from it.

Two distances tell different things: the Mahalanobis distance inside the leading components says how unusual a mixture
of usual patterns is, the residual how much of a sample no usual pattern explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.prepare.arrays import beside
from pipeline.prepare.climatology import harmonics_of

Array = Any

EXPLAINED = 0.95
"""Share of the variance that the leading components hold."""
_NOTHING = 1e-12  # share of the variance below which a component, or a whole group, is rounding


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over samples that a climate is fitted from; those of a block are left out by subtracting them.

    Parameters
    ----------
    count : int
        How many samples.
    design, cross, square : array of float64, shapes (wave, wave), (wave, feature), (feature, feature)
        Sums of products of harmonics, of harmonics and features, and of features.
    """

    count: int
    design: Array
    cross: Array
    square: Array

    @classmethod
    def of(cls, rows: Array, phase: np.ndarray, harmonics: int) -> Moments:
        """Return the sums of ``rows``, float64 of shape (sample, feature), at ``phase`` of the year."""
        xp = array_namespace(rows)
        waves = beside(harmonics_of(phase, harmonics), rows)
        turned = xp.matrix_transpose(waves)
        return cls(len(phase), turned @ waves, turned @ rows, xp.matrix_transpose(rows) @ rows)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count, self.design + other.design, self.cross + other.cross, self.square + other.square
        )

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.count - other.count, self.design - other.design, self.cross - other.cross, self.square - other.square
        )


@dataclass(frozen=True, eq=False)
class Climate:
    """A mean annual cycle, and the leading principal components of what departs from it.

    Parameters
    ----------
    harmonics : int
        Waves of the annual cycle; 0: a mean alone.
    centre : array of float64, shape (wave, feature)
        Their coefficients.
    scale : array of float64, shape (feature,)
        What departures are divided by: one number for all features of a group, which then has a variance of one.
    components : array of float64, shape (feature, component)
        Orthonormal patterns of scaled departures.
    variance : array of float64, shape (component,)
        Along each of them.
    total : float
        Variance of all scaled departures: the number of groups that vary.

    References
    ----------
    De Maesschalck et al. (2000), doi:10.1016/S0169-7439(99)00047-7: the Mahalanobis distance by components.
    Jackson and Mudholkar (1979), doi:10.1080/00401706.1979.10489779: the residual, the root of their Q.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(4000, 2)) * [1.0, 3.0]
    >>> climate = Climate.fit(Moments.of(rows, np.zeros(4000), 0), np.array([0, 1]), most=2)
    >>> distance, residual = climate.distances(np.array([[0.0, 6.0]]), np.zeros(1))
    >>> round(float(distance[0]), 1), round(float(residual[0]), 6)
    (2.0, 0.0)
    """

    harmonics: int
    centre: Array
    scale: Array
    components: Array
    variance: Array
    total: float

    @classmethod
    def fit(
        cls,
        moments: Moments,
        groups: np.ndarray,
        *,
        most: int,
        explained: float = EXPLAINED,
        scale: Array | None = None,
        count: int | None = None,
    ) -> Climate:
        """Return the climate of the samples whose sums are given.

        Parameters
        ----------
        moments : Moments
            Of the samples.
        groups : ndarray of int, shape (feature,)
            Which features are of one group, such as the cells of a channel. A group that never varies has a scale of 1.
        most : int
            Components there are at most.
        explained : float
            Share of the variance they hold, if ``most`` are enough.
        scale : array, shape (feature,), optional
            That of another climate, for distances that compare with its.
        count : int, optional
            Just so many components, or as many as there are.
        """
        xp = array_namespace(moments.square)
        waves = moments.design.shape[0]
        centre = xp.linalg.pinv(moments.design) @ moments.cross
        spread = moments.square - xp.matrix_transpose(moments.cross) @ centre
        spread = spread / max(moments.count - waves, 1)
        if scale is None:
            scale = beside(_scale(to_host(xp.linalg.diagonal(spread)), groups), spread)
        found, patterns = xp.linalg.eigh(spread / (scale[:, None] * scale[None, :]))
        variance = np.maximum(to_host(found)[::-1], 0.0)
        kept = min(_real(variance), most if count is None else count)
        kept = min(kept, _enough(variance, explained)) if count is None else kept
        order = beside(np.arange(len(variance))[::-1][:kept].copy(), spread)
        return cls(
            harmonics=(waves - 1) // 2,
            centre=centre,
            scale=scale,
            components=xp.take(patterns, order, axis=1),
            variance=xp.take(found, order, axis=0),
            total=float(variance.sum()),
        )

    @property
    def count(self) -> int:
        """How many components there are."""
        return int(self.variance.shape[0])

    @property
    def explained(self) -> float:
        """Share of the variance that the components hold."""
        return float(to_host(self.variance).sum()) / self.total if self.total > 0.0 else 1.0

    def distances(self, rows: Array, phase: np.ndarray) -> tuple[Array, Array]:
        """Return Mahalanobis distance and residual of every sample, each float64 of shape (sample,).

        Parameters
        ----------
        rows : array of float64, shape (sample, feature)
            The samples; NaN in one gives NaN.
        phase : ndarray, shape (sample,)
            Phase of the year of each.
        """
        xp = array_namespace(rows)
        waves = beside(harmonics_of(phase, self.harmonics), rows)
        departure = (rows - waves @ self.centre) / self.scale
        scores = departure @ self.components
        rest = departure - scores @ xp.matrix_transpose(self.components)
        distance = xp.sqrt(xp.sum(scores * scores / self.variance, axis=1))
        # Without a component the sum is empty, and says nothing of what is missing.
        return distance + 0.0 * xp.sum(rows, axis=1), xp.sqrt(xp.sum(rest * rest, axis=1))


def _scale(variance: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return for every feature the root of its group's variance, 1 for a group that does not vary."""
    of_group = np.bincount(groups, weights=np.maximum(variance, 0.0))
    varies = of_group > _NOTHING * max(1.0, float(of_group.max(initial=0.0)))
    return np.asarray(np.where(varies, np.sqrt(np.where(varies, of_group, 1.0)), 1.0)[groups])


def _real(variance: np.ndarray) -> int:
    """Return how many components are more than rounding."""
    return int((variance > _NOTHING * max(float(variance.sum()), _NOTHING)).sum())


def _enough(variance: np.ndarray, explained: float) -> int:
    """Return how many components hold the share ``explained``."""
    return int((np.cumsum(variance) < (explained - _NOTHING) * variance.sum()).sum()) + 1
