"""How much the members of an ensemble disagree about a sample, as a share of all that it holds uncertain."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Case
from pipeline.metrics.sums import chunks

Array = Any


def epistemic_share(case: Case, weights: np.ndarray) -> np.ndarray | None:
    """Return the share of epistemic in the whole predictive uncertainty, shape (time,); None where there are not both.

    Variances, or of classes entropy and mutual information, both averaged over the area before they are divided; NaN
    where no cell has an answer.

    Parameters
    ----------
    case : Case
        The predictions.
    weights : ndarray, shape (cell,)
        Area weights.
    """
    total = np.zeros((2, case.truth.shape[0]))
    for cells in chunks(case):
        parts = case.select(cells, -1).prediction.uncertainties()
        if parts[0] is None or parts[1] is None:
            return None
        total += np.stack([_summed(part, weights[cells]) for part in parts])
    return _ratio(total[1], total.sum(axis=0))


def _summed(values: Array, weights: np.ndarray) -> np.ndarray:
    """Return sums over the cells that have a value, on the host."""
    xp = array_namespace(values)
    known = xp.isfinite(values)
    area = xp.asarray(weights, dtype=xp.float64, device=values.device)
    return to_host(xp.sum(xp.where(known, xp.astype(values, xp.float64), xp.zeros_like(area)[None, :]) * area, axis=1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(whole > 0.0, part / np.where(whole > 0.0, whole, 1.0), np.nan))


def share_of(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return for each value the share of the ``known`` ones that are smaller; NaN for NaN, and where none is known.

    Examples
    --------
    >>> share_of(np.array([0.5, 2.5, np.nan]), np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 0.5, nan]
    """
    ordered = np.sort(known[np.isfinite(known)])
    share = np.searchsorted(ordered, values, side="left") / (len(ordered) + 1)
    return np.where(np.isfinite(values) & (len(ordered) > 0), share, np.nan)
