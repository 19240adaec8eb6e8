"""Predicted variance and square error in bins of equal counts, by spread and by error; curves of what is left out."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import Array, Case
from pipeline.metrics._bins import binned
from pipeline.metrics.deterministic import error
from pipeline.metrics.probabilistic import corrected_variance
from pipeline.metrics.sums import chunks

BINS = 20


def spread_sums(case: Case, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums by bin of predicted spread and by bin of error, shapes (chosen, bin, 3) and (chosen, bin, 2).

    The last axes are area, variance times area and square error times area, and area and square error times area. Bins
    hold equal counts of the times and cells with truth, the least first; values that are equal share a bin, so that
    their order does not matter.
    """

    def make() -> tuple[np.ndarray, np.ndarray, Any]:
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        rows = xp.asarray(times, device=device)
        variance, square, known = (xp.take(part, rows, axis=0) for part in (*_errors(case), case.valid))
        weights = np.ones(case.truth.shape[1]) if case.weights is None else case.weights
        area = xp.astype(known, xp.float64) * xp.asarray(weights, dtype=xp.float64, device=device)
        variance, square = (xp.where(known, part, xp.zeros_like(part)) for part in (variance, square))
        by_spread, by_error = (equal_bins(part, known, BINS) for part in (variance, square))
        return (
            np.stack([binned(by_spread, part, BINS) for part in (area, variance * area, square * area)], axis=-1),
            np.stack([binned(by_error, part, BINS) for part in (area, square * area)], axis=-1),
            times,  # kept, so that its id names it alone
        )

    by_spread, by_error, _ = case.once(("spread_sums", id(times)), make)
    return by_spread, by_error


def _errors(case: Case) -> tuple[Array, Array]:
    """Return predictive variance and square error, float64 (time, cell), some cells at a time, worked out once."""

    def make() -> tuple[Array, Array]:
        xp, parts = array_namespace(case.truth), []
        for cells in chunks(case):
            part = case.select(cells, -1)
            off = error(part)
            parts.append((corrected_variance(part), off * off))
        variance, square = (xp.concat(list(side), axis=1) for side in zip(*parts, strict=True))
        return variance, square

    found: tuple[Array, Array] = case.once(("spread_and_error",), make)
    return found


def equal_bins(values: Array, known: Array, number: int) -> Array:
    """Return the bin of every value, 0 to ``number - 1``, in bins of as equal counts as ties allow, int64.

    Parameters
    ----------
    values : array of float64, shape (time, cell)
        No NaN.
    known : array of bool, shape (time, cell)
        What is counted; the others get a bin, too.
    number : int
        How many bins. Values that are equal are in the same one, so that some may be empty.

    Examples
    --------
    >>> equal_bins(np.array([[3.0, 1.0, 2.0, 4.0]]), np.full((1, 4), True), 2).tolist()
    [[1, 0, 0, 1]]
    """
    xp = array_namespace(values)
    chosen = xp.reshape(values, (-1,)) if bool(xp.all(known)) else values[known]
    ordered = xp.sort(chosen, stable=False)
    count = int(ordered.shape[0])
    if count == 0:
        return xp.zeros(values.shape, dtype=xp.int64, device=array_api_compat.device(values))
    places = [place * (count // number) + min(place, count % number) for place in range(1, number)]
    first = xp.asarray([min(place, count - 1) for place in places], device=array_api_compat.device(values))
    edges = xp.take(ordered, first)
    return xp.reshape(
        xp.astype(xp.searchsorted(edges, xp.reshape(values, (-1,)), side="right"), xp.int64), values.shape
    )


def sparsification(area: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what share of the area is left out, and the RMSE of the rest as a multiple of that of all.

    The last bin is left out first. Within the one that is left at the end the error is taken as even.

    Parameters
    ----------
    area, square : ndarray, shape (..., bin)
        Area, and square error times area, by bin.

    Returns
    -------
    share, error : ndarray, shape (..., bin + 1)
        From 0 to 1; the first error is 1. NaN without any area, and the error 0 where nothing errs.

    Examples
    --------
    >>> share, error = sparsification(np.array([1.0, 1.0]), np.array([1.0, 7.0]))
    >>> share.tolist(), error.tolist()
    ([0.0, 0.5, 1.0], [1.0, 0.5, 0.5])
    """
    rest, wrong = (np.cumsum(part, axis=-1)[..., ::-1] for part in (area, square))
    whole = rest[..., :1]
    mean = np.divide(wrong, rest, out=np.zeros(rest.shape), where=rest > 0.0)
    for bin_ in range(1, mean.shape[-1]):  # where nothing is left, the error is what it was before
        mean[..., bin_] = np.where(rest[..., bin_] > 0.0, mean[..., bin_], mean[..., bin_ - 1])
    mean = np.concatenate([mean, mean[..., -1:]], axis=-1)
    first = mean[..., :1]
    left = np.divide(mean, first, out=np.zeros(mean.shape), where=first > 0.0)
    share = 1.0 - np.concatenate([rest, np.zeros(whole.shape)], axis=-1) / np.where(whole > 0.0, whole, np.nan)
    return share, np.where(whole > 0.0, np.sqrt(left), np.nan)


def area_under(share: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the area under a curve by the trapezoidal rule, shape (..., point) to (...)."""
    return np.asarray((np.diff(share, axis=-1) * (error[..., 1:] + error[..., :-1])).sum(axis=-1) / 2.0)
