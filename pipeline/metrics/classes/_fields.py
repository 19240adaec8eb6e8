"""Classes of truth and prediction as fields on the host, for scores that look at neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backend.special import to_host
from pipeline.metrics import Case
from pipeline.metrics.classes._cells import predicted_class, true_class


@dataclass(frozen=True, eq=False)
class ClassFields:
    """Numbers of classes, shape (time, lat, lon); -1 where the truth is not known.

    Parameters
    ----------
    truth, predicted : ndarray of int16
        On the host.
    known : ndarray of bool
        Where the truth is known.
    """

    truth: np.ndarray
    predicted: np.ndarray
    known: np.ndarray


def class_fields(case: Case) -> ClassFields:
    """Return the classes of a case that knows its place, worked out once."""

    def make() -> ClassFields:
        assert case.place is not None  # such scores apply to no other case
        mask = case.place.mask
        known = on_grid(to_host(case.valid), mask, False)
        sides = (
            on_grid(to_host(side).astype(np.int16), mask, -1) for side in (true_class(case), predicted_class(case))
        )
        truth, predicted = (np.where(known, side, np.int16(-1)) for side in sides)
        return ClassFields(truth, predicted, known)

    found: ClassFields = case.once(("class_fields",), make)
    return found


def on_grid(rows: np.ndarray, mask: np.ndarray, outside: float) -> np.ndarray:
    """Return rows of cells, shape (time, cell), as fields of their own dtype with ``outside`` where the mask is false.

    Examples
    --------
    >>> on_grid(np.array([[1, 2]]), np.array([[True, False, True]]), -1).tolist()
    [[[1, -1, 2]]]
    """
    field = np.full((len(rows), *mask.shape), outside, rows.dtype)
    field[:, mask] = rows
    return field
