"""The numbers of the samples that stand for no rain and no flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.samples import Affine
from pipeline.units import NEVER_NEGATIVE


def lowest(
    quantities: Sequence[str],
    affine: Affine | None,
    shape: tuple[int, int],
    signed: Sequence[bool] | None = None,
) -> np.ndarray:
    """Return the number that stands for zero of every amount, minus infinity for other targets.

    Parameters
    ----------
    quantities : sequence of str
        What the targets are, ``schema.quantities``.
    affine : Affine or None
        From numbers to units, ``schema.target_affine``. None where a target is an anomaly by day of the year: zero is
        no single number then.
    shape : tuple of int
        Of the target grid.
    signed : sequence of bool, optional
        Of which targets the truth has numbers below zero. Without ``affine``, as *another* target is an anomaly, an
        amount that has none is itself, and zero stands for zero. Left out: there is no bound then.

    Returns
    -------
    ndarray of float64, shape (target, lat, lon)

    Examples
    --------
    >>> per_field = Affine(np.full((2, 1, 1), 2.0), np.full((2, 1, 1), 3.0))
    >>> lowest(("precipitation", "temperature"), per_field, (1, 1)).ravel().tolist()
    [-1.5, -inf]
    >>> lowest(("precipitation", "temperature"), None, (1, 1), signed=(False, True)).ravel().tolist()
    [0.0, -inf]
    """
    amounts = [kind in NEVER_NEGATIVE for kind in quantities]
    bounds = np.full((len(amounts), *shape), -np.inf)
    for place in (place for place, amount in enumerate(amounts) if amount):
        if affine is not None:
            bounds[place] = -np.asarray(affine.shift[place], float) / np.asarray(affine.scale[place], float) + 0.0
        elif signed is not None and not signed[place]:
            bounds[place] = 0.0
    return bounds
