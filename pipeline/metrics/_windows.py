"""Means over windows round every cell of a field, over the cells that are known."""

from __future__ import annotations

from collections.abc import Sequence

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import Array


class Window:
    """Weighted means round every cell; near edges and gaps the known cells' weights are made to add up to 1.

    The weights are a product of one along each dim, so a sum is two products with band matrices. Dense
    matrices cost more arithmetic than shifted sums and less time up to some 300 cells a side: on the
    host as on a device it is all one tuned kernel.

    Parameters
    ----------
    known : array of bool, shape (time, lat, lon)
        Cells that count.
    taps : sequence of float
        Weights by distance, alike on both sides: of the cell itself, of its neighbours, and so on.

    Examples
    --------
    >>> window = Window(np.array([[[True, True, False, True]]]), (1.0, 1.0))
    >>> window.mean(np.array([[[1.0, 3.0, 0.0, 5.0]]]))
    array([[[2., 2., 4., 5.]]])
    """

    def __init__(self, known: Array, taps: Sequence[float]) -> None:
        xp, device = array_namespace(known), array_api_compat.device(known)
        self.rows, self.columns = (xp.asarray(_band(length, taps), device=device) for length in known.shape[-2:])
        first = known[:1, ...]
        # Most often the same cells are known at all times: one field of weights serves them all.
        some = first if bool(xp.all(known == first)) else known
        size = self.rows @ (xp.astype(some, xp.float64) @ self.columns)
        none = size <= 0.0
        self.share = xp.where(none, xp.zeros_like(size), 1.0 / xp.where(none, xp.ones_like(size), size))

    def mean(self, fields: Array) -> Array:
        """Return the means of float64 fields that are 0 where not known; 0 where a window holds no known cell."""
        return (self.rows @ (fields @ self.columns)) * self.share


def _band(length: int, taps: Sequence[float]) -> np.ndarray:
    apart = np.abs(np.arange(length)[:, None] - np.arange(length)[None, :])
    weights = np.asarray(taps, float)
    return np.where(apart < len(weights), weights[np.minimum(apart, len(weights) - 1)], 0.0)
