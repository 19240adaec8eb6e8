"""Special functions for whichever kind of array comes in, and the way of any array to the host.

NumPy arrays are served by ``scipy.special``, CuPy arrays by ``cupyx.scipy.special`` on the device
they live on, and every other kind through NumPy and back.
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


def _apply(name: str, x: Array) -> Array:
    if array_api_compat.is_cupy_array(x):
        import cupyx.scipy.special  # type: ignore[import-not-found, unused-ignore]

        return getattr(cupyx.scipy.special, name)(x)
    import scipy.special

    function = getattr(scipy.special, name)
    if array_api_compat.is_numpy_array(x):
        return function(x)
    xp = array_api_compat.array_namespace(x)
    return xp.asarray(np.asarray(function(np.asarray(x))), device=array_api_compat.device(x))
