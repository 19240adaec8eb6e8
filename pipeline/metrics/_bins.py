"""Sums by bins and shares of them, for scores that sort times and cells into bins."""

from __future__ import annotations

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Array


def binned(bins: Array, weights: Array, size: int) -> np.ndarray:
    """Return the sums of weights by time and bin, float64 of shape (time, size), on the host.

    Added up where the arrays live if their library can (NumPy, CuPy), else on the host: the Array API has no
    ``bincount``.

    Parameters
    ----------
    bins : array of int64, shape (time, cell)
        From 0 to ``size - 1``.
    weights : array of float64, shape (time, cell)
        What is added up.

    Examples
    --------
    >>> binned(np.array([[0, 1, 1], [1, 1, 1]]), np.ones((2, 3)), 2).tolist()
    [[1.0, 2.0], [0.0, 3.0]]
    """
    xp = array_namespace(bins)
    if not hasattr(xp, "bincount"):
        bins, weights, xp = to_host(bins), to_host(weights), np
    times = bins.shape[0]
    first = xp.arange(times, device=array_api_compat.device(bins))[:, None] * size
    added = xp.bincount(xp.reshape(bins + first, (-1,)), weights=xp.reshape(weights, (-1,)), minlength=times * size)
    return np.asarray(to_host(added), float).reshape(times, size)


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole``, NaN where the whole is zero."""
    return np.where(whole > 0.0, part / np.where(whole > 0.0, whole, 1.0), np.nan)
