"""What scores of classes share: the confusion of every time, and area weights."""

from __future__ import annotations

from collections.abc import Iterator

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.metrics import Array, Case
from pipeline.metrics._bins import binned, share

_VALUES = 2**21  # cells times times times classes at a time: 16 MiB of float64 for each array on the way


def probabilities(case: Case) -> Array:
    """Return the probability of every class, shape (class, time, cell)."""
    return case.prediction.parameters["probabilities"]


def class_count(case: Case) -> int:
    """Return how many classes there are."""
    return int(probabilities(case).shape[0])


def time_parts(case: Case) -> Iterator[Case]:
    """Yield the case some times at a time: what scores share is kept for one part only."""
    times, cells = case.truth.shape
    width = max(1, _VALUES // max(1, cells * class_count(case)))
    for start in range(0, times, width):
        yield case.select(slice(start, min(start + width, times)), -2)


def cell_weights(case: Case) -> np.ndarray:
    """Return the area weight of every cell, shape (cell,): those of the case, else of its grid, without either 1."""
    if case.weights is not None:
        return case.weights
    if case.place is None:
        return np.ones(case.truth.shape[1])
    return np.asarray(case.place.grid.area[case.place.mask])


def true_class(case: Case) -> Array:
    """Return the number of the true class as int64, shape (time, cell); 0 where there is no truth."""

    def make() -> Array:
        xp = array_namespace(case.truth)
        return xp.astype(xp.where(case.valid, case.truth, xp.zeros_like(case.truth)), xp.int64)

    return case.once(("true_class",), make)


def predicted_class(case: Case) -> Array:
    """Return the number of the most likely class, the lower of two as likely, int64 of shape (time, cell)."""

    def make() -> Array:
        xp = array_namespace(case.truth)
        return xp.astype(xp.argmax(probabilities(case), axis=0), xp.int64)

    return case.once(("predicted_class",), make)


def known_weights(case: Case) -> Array:
    """Return the area weight of every time and cell, float64, 0 where there is no truth."""

    def make() -> Array:
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        weights = xp.asarray(cell_weights(case), dtype=xp.float64, device=device)
        return xp.astype(case.valid, xp.float64) * weights

    return case.once(("known_weights",), make)


def confusions(case: Case) -> np.ndarray:
    """Return the area of every pair of true and predicted class by time, shape (time, class, class), worked out once.

    On the host; rows are true classes, columns predicted ones.
    """

    def make() -> np.ndarray:
        number = class_count(case)
        pair = true_class(case) * number + predicted_class(case)
        return binned(pair, known_weights(case), number * number).reshape(-1, number, number)

    found: np.ndarray = case.once(("confusions",), make)
    return found


def mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean over the trailing axis of what is not NaN; NaN where nothing is left.

    Examples
    --------
    >>> mean_over_classes(np.array([[0.5, 1.0, np.nan], [np.nan, np.nan, np.nan]])).tolist()
    [0.75, nan]
    """
    known = ~np.isnan(values)
    return share(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))
