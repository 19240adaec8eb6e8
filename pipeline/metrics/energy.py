"""The energy score: the CRPS of whole fields.

Source: Gneiting et al. (2008), doi:10.1007/s11749-008-0114-x.
"""

from __future__ import annotations

import array_api_compat

from pipeline.backend import array_namespace, block_bytes
from pipeline.metrics import METRICS, Array, Case, FieldMetric
from pipeline.metrics.pooling import ratio


def energy_score(members: Array, truth: Array, area: Array) -> Array:
    """Return the fair energy score of every time.

    ``mean |x - y| - sum over pairs |x - x'| / (M (M - 1))`` of fields x and y, with the root of the area-weighted mean
    square over the cells that have truth as their distance: it has the units of the field, does not grow with the
    number of cells, and of one cell is the fair CRPS. One member alone is scored by its distance.

    Parameters
    ----------
    members : array, shape (member, time, cell)
        Predicted fields.
    truth : array, shape (time, cell)
        NaN where there is none.
    area : array of float64, shape (cell,)
        Area weights.

    Returns
    -------
    array of float64, shape (time,)
        NaN at times without any truth.

    References
    ----------
    Gneiting and Raftery (2007), doi:10.1198/016214506000001437; fair as in Ferro (2014), doi:10.1002/qj.2270.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.zeros((1, 2))
    >>> energy_score(np.array([[[3.0, 4.0]], [[-3.0, -4.0]]]), truth, np.ones(2)).round(4).tolist()
    [0.0]
    >>> energy_score(np.array([[[3.0, 4.0]]]), truth, np.ones(2)).round(4).tolist()
    [3.5355]
    """
    xp, (times, cells) = array_namespace(members, truth), truth.shape
    rows = max(1, block_bytes(truth) // (8 * (members.shape[0] + 2) * cells))
    cuts = [slice(start, min(start + rows, times)) for start in range(0, times, rows)]
    return xp.concat([_of_times(members[:, cut, :], truth[cut, :], area) for cut in cuts])


def _of_times(members: Array, truth: Array, area: Array) -> Array:
    xp, size = array_namespace(members, truth), members.shape[0]
    known = xp.isfinite(truth)
    weight = xp.where(known, area[None, :], xp.zeros_like(area)[None, :])
    root = xp.sqrt(ratio(weight, xp.sum(weight, axis=-1, keepdims=True)))
    gap = xp.astype(members, xp.float64) - xp.astype(truth, xp.float64)[None, ...]
    gap = xp.where(known[None, ...], gap, xp.zeros_like(gap)) * root[None, ...]
    score = xp.mean(xp.sqrt(xp.sum(gap * gap, axis=-1)), axis=0)
    if size == 1:
        return score
    # All distances from one product a time. Less their mean, so that members near each other keep their digits.
    away = xp.permute_dims(gap - xp.mean(gap, axis=0)[None, ...], (1, 0, 2))
    both = away @ xp.permute_dims(away, (0, 2, 1))
    own = xp.stack([both[:, number, number] for number in range(size)], axis=-1)
    square = own[:, :, None] + own[:, None, :] - 2.0 * both
    apart = xp.sum(xp.sqrt(xp.maximum(square, xp.zeros_like(square))), axis=(-2, -1))
    return score - apart / (2 * size * (size - 1))


@METRICS.register("energy_score")
class EnergyScore(FieldMetric):
    """Fair energy score: the CRPS of whole fields, mean over times (Gneiting and Raftery 2007).

    It sees whether a forecast's fields hang together as the truth's do, which a score cell by cell cannot; all series
    of a time are its field where there is no grid, and all leads where they are scored together. Of the draws: the
    members, of a point forecast its distance alone, and of a distribution without members seeded draws that are
    independent from cell to cell, for which it pays.
    """

    needs_grid = False
    label = "energy score"

    def applies(self, case: Case, units: str) -> bool:
        """Say whether there are two cells or more; of one it is the CRPS."""
        return super().applies(case, units) and case.truth.shape[-1] > 1

    def terms(self, case: Case) -> tuple[Array, ...]:
        """Return the score of every time."""
        xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
        cells = case.truth.shape[-1]
        if case.weights is None:
            area = xp.ones(cells, dtype=xp.float64, device=device)
        else:
            area = xp.asarray(case.weights, dtype=xp.float64, device=device)
        score = energy_score(case.draws, case.truth, area)
        return (xp.where(xp.any(case.valid, axis=-1), score, xp.zeros_like(score))[:, None],)

    def value(self, count: Array, sums: tuple[Array, ...]) -> Array:
        """Return the mean; NaN without any time."""
        return ratio(sums[0][..., 0], count)
