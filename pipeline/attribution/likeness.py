"""How alike rows of numbers are."""

from __future__ import annotations

import numpy as np
import pandas as pd


def correlations(first: np.ndarray, second: np.ndarray, constant: float = 0.0) -> np.ndarray:
    """Return Pearson's correlation of every row.

    Parameters
    ----------
    first, second : ndarray, shape (row, cell)
        Without gaps.
    constant : float
        What stands where one of the two is constant. Zero: it says nothing of the other. NaN: there is no correlation.

    Returns
    -------
    ndarray of float64, shape (row,)
        Within -1 and 1; NaN where both are constant.

    Examples
    --------
    >>> correlations(np.array([[1, 2, 3], [1, 1, 1.0]]), np.array([[3, 2, 1], [1, 2, 4.0]])).round(12).tolist()
    [-1.0, 0.0]
    """
    rows = [np.asarray(each, np.float64) for each in (first, second)]
    one, other = (each - each.mean(axis=1, keepdims=True) for each in rows)
    size = [np.linalg.norm(each, axis=1) for each in (one, other)]
    # Rounding of the mean leaves something of a constant row.
    flat = [norm <= 1e-12 * np.linalg.norm(each, axis=1) for norm, each in zip(size, rows, strict=True)]
    told = ~flat[0] & ~flat[1]
    found = np.where(flat[0] & flat[1], np.nan, constant)
    found[told] = np.clip((one * other).sum(axis=1)[told] / (size[0] * size[1])[told], -1.0, 1.0)
    return found


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks within every row, float64, from one; equal numbers share the mean of theirs.

    By pandas, which is loaded anyway: ``scipy.stats`` takes a second to come in.

    Examples
    --------
    >>> ranks(np.array([[3.0, 1.0, 3.0]])).tolist()
    [[2.5, 1.0, 2.5]]
    """
    return np.asarray(pd.DataFrame(values).rank(axis=1))
