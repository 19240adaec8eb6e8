# ruff: noqa: TID251 - one of the doors that the rule names
"""Linear algebra that the array standard lacks, for whichever kind of array comes in."""

from __future__ import annotations

from typing import Any

import array_api_compat

Array = Any


class CholeskyFactor:
    """The lower Cholesky factor of a symmetric positive definite matrix, made once for any number of right sides.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Its lower half is looked at.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite, as far as its digits go. CuPy answers with garbage unless it is told to look.

    Examples
    --------
    >>> import numpy as np
    >>> CholeskyFactor(np.array([[4.0, 2.0], [2.0, 2.0]])).solve(np.array([[2.0], [1.0]])).round(6).tolist()
    [[0.5], [0.0]]
    """

    def __init__(self, matrix: Array) -> None:
        self._lower = _factor(matrix)

    def solve(self, right: Array) -> Array:
        """Return ``matrix^-1 @ right``, shape (n, k)."""
        lower = self._lower
        if array_api_compat.is_cupy_array(lower):
            from cupyx.scipy.linalg import solve_triangular
        elif array_api_compat.is_numpy_array(lower):
            from scipy.linalg import solve_triangular
        else:
            xp = array_api_compat.array_namespace(lower)
            return xp.linalg.solve(lower.T, xp.linalg.solve(lower, right))
        half = solve_triangular(lower, right, lower=True, check_finite=False)
        return solve_triangular(lower, half, lower=True, trans=1, check_finite=False)


def _factor(matrix: Array) -> Array:
    if array_api_compat.is_cupy_array(matrix):
        import cupy
        import cupyx

        with cupyx.errstate(linalg="raise"):
            return cupy.linalg.cholesky(matrix)
    return array_api_compat.array_namespace(matrix).linalg.cholesky(matrix)
