"""The mean seasonal cycle of every column, by harmonics of the year."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.backend import Backend
from pipeline.prepare.climatology import harmonics_of

Array = Any

# Keeps a column solvable that has fewer days than coefficients; moves the others by a millionth of a millionth.
RIDGE = 1e-12


def fit_cycle(columns: Array, day: np.ndarray, harmonics: int, backend: Backend) -> Array:
    """Return the least-squares coefficients of every column over its finite values.

    Parameters
    ----------
    columns : array of float64, shape (time, column)
        Missing values are NaN and left out, column by column.
    day : ndarray of float64, shape (time,)
        Phase of the year in [0, 1).
    harmonics : int
        Number of harmonics of the year; 0 leaves the mean alone.
    backend : Backend
        Where ``columns`` are.

    Returns
    -------
    array of float64, shape (1 + 2 * harmonics, column)
        Zero where a column has no value at all.
    """
    xp = backend.xp
    design = backend.asarray(harmonics_of(day, harmonics))
    there = xp.astype(xp.isfinite(columns), xp.float64)
    known = xp.where(there > 0, columns, xp.zeros_like(columns))
    size = design.shape[1]
    outer = xp.reshape(design[:, :, None] * design[:, None, :], (design.shape[0], -1))
    gram = xp.reshape(there.T @ outer, (-1, size, size))
    count = gram[:, 0, 0]
    # A column without values has an empty matrix; the unit matrix then gives zeros.
    level = xp.where(count > 0, RIDGE * count, xp.ones_like(count))
    gram = gram + level[:, None, None] * backend.asarray(np.eye(size))
    return xp.linalg.solve(gram, (known.T @ design)[:, :, None])[:, :, 0].T


def cycle_at(coefficients: Array, day: np.ndarray, backend: Backend) -> Array:
    """Return the cycle that :func:`fit_cycle` found at each phase of the year, shape (time, column)."""
    harmonics = (coefficients.shape[0] - 1) // 2
    return backend.asarray(harmonics_of(day, harmonics)) @ coefficients
