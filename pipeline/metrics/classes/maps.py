"""Maps of classes: where a model is right, and how often each class is there and is predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import Array, Case
from pipeline.metrics._bins import share
from pipeline.metrics.classes._cells import class_count, predicted_class, time_parts, true_class


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """Fields over the scored cells, on the host; NaN where there is no truth.

    Parameters
    ----------
    accuracy : ndarray, shape (cell,)
        Share of the times with truth at which the class is right.
    truth, predicted : ndarray, shape (class, cell)
        Share of these times at which each class is there, and is predicted.
    """

    accuracy: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray


def class_maps(case: Case) -> ClassMaps:
    """Return the maps of a case of classes over all its times.

    Examples
    --------
    >>> from pipeline.prediction import Prediction
    >>> chance = np.array([[[0.9, 0.2], [0.6, 0.3]], [[0.1, 0.8], [0.4, 0.7]]])
    >>> usual = Prediction("categorical", {"probabilities": chance})
    >>> class_maps(Case(usual, np.array([[0.0, 1.0], [1.0, 1.0]]), usual)).accuracy.tolist()
    [0.5, 1.0]
    """
    number, cells = class_count(case), case.truth.shape[1]
    added = np.zeros((2 + 2 * number, cells))
    for part in time_parts(case):
        truth, predicted = true_class(part), predicted_class(part)
        events = [part.valid, truth == predicted]
        events += [side == of for side in (truth, predicted) for of in range(number)]
        added += np.stack([_count(event, part.valid) for event in events])
    known = added[0]
    shares = share(added[1:], known[None, :])
    return ClassMaps(shares[0], shares[1 : 1 + number], shares[1 + number :])


def _count(event: Array, valid: Array) -> np.ndarray:
    """Return at how many times with truth something is so, shape (cell,)."""
    xp = array_namespace(event)
    return np.asarray(to_host(xp.sum(xp.astype(event & valid, xp.float64), axis=0)), float)
