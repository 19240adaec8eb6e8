"""Losses of a model time by time, over the area, for what compares two models on the same times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host

Array = Any
PAIRED = ("rmse", "mae", "crps")
"""Scores that are means over time (the root of one) of a loss at every time."""
OWN, USUAL = "crps of the skill", "usual crps"
# What is added up: of which score, and which of its terms.
_TERMS = {**{name: (name, 0) for name in PAIRED}, OWN: ("crpss", 0), USUAL: ("crpss", 1)}


@dataclass(frozen=True, eq=False)
class Losses:
    """The area with truth, and losses added up over it, at every time; on the host.

    Parameters
    ----------
    area : ndarray of float64, shape (time,)
        0 at a time without truth.
    sums : mapping of str to ndarray of float64, shape (time,)
        By score; the square error for ``rmse``, and where the skill is asked for the two that it is made of,
        under :data:`OWN` and, of the climatology, :data:`USUAL`.
    """

    area: np.ndarray
    sums: Mapping[str, np.ndarray]

    def less(self, other: Losses, metric: str, index: np.ndarray) -> np.ndarray:
        """Return the mean loss less that of ``other`` at some times; NaN where there is no truth."""
        area = self.area[index]
        gap = self.sums[metric][index] - other.sums[metric][index]
        return np.where(area > 0.0, gap, np.nan) / np.where(area > 0.0, area, 1.0)


class LossSum:
    """Adds up :class:`Losses` while cells are passed over, from the terms of the scores of :data:`PAIRED`."""

    def __init__(self, weights: np.ndarray) -> None:
        self._weights = weights
        self._area: Array = 0.0
        self._sums: dict[str, Array] = {}

    def add(self, cells: slice, count: Array, terms: Mapping[str, tuple[Array, ...]]) -> None:
        """Add some cells: whether they have truth, 1 or 0, and their terms, 0 where not, all of shape (time, cell)."""
        xp = array_namespace(count)
        weights = xp.asarray(self._weights[cells], dtype=xp.float64, device=array_api_compat.device(count))
        self._area = self._area + xp.sum(count * weights, axis=1)
        for name, (score, which) in _TERMS.items():
            if score in terms:
                self._sums[name] = self._sums.get(name, 0.0) + xp.sum(terms[score][which] * weights, axis=1)

    def losses(self) -> Losses:
        """Return what was added up."""
        return Losses(to_host(self._area), {name: to_host(total) for name, total in self._sums.items()})
