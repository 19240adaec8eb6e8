"""Random fields with a known covariance, and the way from the coarse to the fine grid."""

from __future__ import annotations

import numpy as np


def kernel(length: float) -> np.ndarray:
    """Return weights of a moving average that makes white noise Gaussian-correlated.

    Parameters
    ----------
    length : float
        Correlation length in cells: the correlation at distance d is ``exp(-d**2 / (2 length**2))``.

    Returns
    -------
    ndarray, shape (2 * ceil(3 * length) + 1,)
        Sum of squares 1, so that the variance stays what it was.

    Examples
    --------
    >>> float(np.sum(kernel(1.5) ** 2).round(12))
    1.0
    """
    reach = int(np.ceil(3 * length))
    weight = np.exp(-((np.arange(-reach, reach + 1) / length) ** 2))
    return np.asarray(weight / np.sqrt(np.sum(weight**2)))


def correlation(length: float, size: int) -> np.ndarray:
    """Return the exact correlation of :func:`smooth_noise` between cells 0 to ``size - 1`` of one axis."""
    weight = kernel(length)
    full = np.correlate(weight, weight, mode="full")[len(weight) - 1 :]
    lags = np.concatenate([full, np.zeros(max(0, size - len(full)))])
    return np.asarray(lags[np.abs(np.arange(size)[:, None] - np.arange(size))])


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], lengths: tuple[float, ...]) -> np.ndarray:
    """Return normal noise of variance 1, correlated along its last ``len(lengths)`` axes.

    Parameters
    ----------
    rng : Generator
        Where the white noise comes from.
    shape : tuple of int
        Shape of the result; axes before the correlated ones are independent.
    lengths : tuple of float
        Correlation length of each of the last axes, in cells.
    """
    first = len(shape) - len(lengths)
    weights = {first + number: kernel(length) for number, length in enumerate(lengths)}
    # A wider grid, shortened by the averages: the edges then have the covariance of the middle.
    white = tuple(size + len(weights.get(axis, [0])) - 1 for axis, size in enumerate(shape))
    noise = rng.standard_normal(white)
    for axis, weight in weights.items():
        noise = _moving_average(noise, weight, axis)
    return noise


def _moving_average(field: np.ndarray, weight: np.ndarray, axis: int) -> np.ndarray:
    """Return sums over windows that lie inside ``field``, which shortens it by ``len(weight) - 1``.

    Sums run in one fixed order, which products of matrices do not promise: the same bytes on any number of threads.
    """
    size = field.shape[axis] - len(weight) + 1
    moved = np.moveaxis(field, axis, -1)
    total = weight[0] * moved[..., :size]
    for shift in range(1, len(weight)):
        total += weight[shift] * moved[..., shift : shift + size]
    return np.moveaxis(total, -1, axis)


def persist(innovation: np.ndarray, memory: float) -> np.ndarray:
    """Return the stationary AR(1) process along axis 0 driven by ``innovation`` of variance 1.

    Examples
    --------
    >>> persist(np.array([1.0, 0.0, 0.0]), 0.5)
    array([1.  , 0.5 , 0.25])
    """
    state = np.sqrt(1 - memory**2) * innovation
    state[0] = innovation[0]
    for day in range(1, len(state)):
        state[day] += memory * state[day - 1]
    return np.asarray(state)


def refine(field: np.ndarray, factor: int) -> np.ndarray:
    """Return ``field`` on a grid with ``factor`` times the cells along both last axes.

    Bilinear between coarse centres; fine cells outside them take the value at the edge.

    Examples
    --------
    >>> refine(np.array([[0.0, 4.0], [0.0, 4.0]]), 2)[0]
    array([0., 1., 3., 4.])
    """
    for axis in (-2, -1):
        size = field.shape[axis]
        # Position of each fine centre in units of coarse cells, counted from the first coarse centre.
        position = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
        low = np.minimum(position.astype(int), max(size - 2, 0))
        share = position - low
        if axis == -2:
            share = share[:, None]
        field = np.take(field, low, axis) * (1 - share) + np.take(field, np.minimum(low + 1, size - 1), axis) * share
    return field


def block_mean(field: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of every ``factor`` x ``factor`` block of a (lat, lon) field."""
    rows, columns = field.shape
    return np.asarray(field.reshape(rows // factor, factor, columns // factor, factor).mean(axis=(1, 3)))
