"""Special functions for whichever kind of array comes in, and the way of any array to the host.

NumPy arrays are served by ``scipy.special``, CuPy arrays by ``cupyx.scipy.special`` on the device
they live on, tensors by ``torch.special`` with their gradient, and every other kind through NumPy and back.
"""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

Array = Any


def erf(x: Array) -> Array:
    """Return the error function of ``x``, elementwise.

    Examples
    --------
    >>> float(erf(np.zeros(1))[0])
    0.0
    """
    return _apply("erf", x)


def ndtr(x: Array) -> Array:
    """Return the standard normal distribution function at ``x``, elementwise.

    Examples
    --------
    >>> float(ndtr(np.zeros(1))[0])
    0.5
    """
    return _apply("ndtr", x)


def ndtri(p: Array) -> Array:
    """Return the standard normal quantile at ``p``, elementwise; infinite at 0 and 1.

    Examples
    --------
    >>> round(float(ndtri(np.array([0.975]))[0]), 4)
    1.96
    """
    return _apply("ndtri", p)


def gammaln(x: Array) -> Array:
    """Return the logarithm of the absolute value of the gamma function at ``x``, elementwise.

    Examples
    --------
    >>> round(float(gammaln(np.array([5.0]))[0]), 4) == round(float(np.log(24.0)), 4)
    True
    """
    return _apply("gammaln", x)


def gammainc(a: Array, x: Array) -> Array:
    """Return the regularised lower incomplete gamma function P(a, x): the distribution function of Gamma(a, 1).

    Arguments broadcast, here and in the other functions of several.

    Examples
    --------
    >>> round(float(gammainc(np.array([1.0]), np.array([1.0]))[0]), 4)
    0.6321
    """
    return _apply("gammainc", a, x)


def gammaincinv(a: Array, p: Array) -> Array:
    """Return the x at which ``gammainc(a, x)`` is ``p``: the quantile of Gamma(a, 1).

    Examples
    --------
    >>> round(float(gammaincinv(np.array([1.0]), np.array([0.5]))[0]), 4)
    0.6931
    """
    return _apply("gammaincinv", a, p)


def betainc(a: Array, b: Array, x: Array) -> Array:
    """Return the regularised incomplete beta function I_x(a, b): the distribution function of Beta(a, b).

    Examples
    --------
    >>> round(float(betainc(np.array([2.0]), np.array([1.0]), np.array([0.5]))[0]), 4)
    0.25
    """
    return _apply("betainc", a, b, x)


def to_host(array: Array) -> np.ndarray:
    """Return a NumPy array with the same values; a copy from the device where there is one.

    Examples
    --------
    >>> to_host(np.ones(2))
    array([1., 1.])
    """
    if array_api_compat.is_cupy_array(array):
        return np.asarray(array.get())
    return np.asarray(array)


def _apply(name: str, *arrays: Array) -> Array:
    if any(array_api_compat.is_cupy_array(array) for array in arrays):
        import cupyx.scipy.special  # type: ignore[import-not-found, unused-ignore]

        return getattr(cupyx.scipy.special, name)(*arrays)
    if any(array_api_compat.is_torch_array(array) for array in arrays):
        from pipeline.backend._torch_special import apply

        return apply(name, *arrays)
    import scipy.special

    function = getattr(scipy.special, name)
    if all(isinstance(array, np.ndarray | np.generic) for array in arrays):
        return function(*arrays)
    xp = array_api_compat.array_namespace(*arrays)
    return xp.asarray(np.asarray(function(*map(np.asarray, arrays))), device=array_api_compat.device(arrays[0]))
