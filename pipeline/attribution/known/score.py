"""How well attributions agree with the truth, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.attribution.maps import bootstrap_interval

Against = Literal["truth", "its positive part", "its magnitude"]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well attributions agree with the truth.

    Parameters
    ----------
    pearson, spearman : ndarray of float64, shape (sample,)
        Correlation over cells, of values and of ranks; NaN where either side is the same at all cells.
    low, high : float
        95 % bootstrap interval of the mean of ``pearson`` over samples; NaN for fewer than two.
    """

    pearson: np.ndarray
    spearman: np.ndarray
    low: float
    high: float

    @property
    def mean(self) -> float:
        """Mean of ``pearson`` over the samples that have one."""
        return float(self.known.mean()) if len(self.known) else float("nan")

    @property
    def low_tail(self) -> float:
        """The 5th percentile of ``pearson``."""
        return float(np.quantile(self.known, 0.05)) if len(self.known) else float("nan")

    @property
    def ranks(self) -> float:
        """Mean of ``spearman``."""
        known = self.spearman[np.isfinite(self.spearman)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def known(self) -> np.ndarray:
        """``pearson`` of the samples that have one."""
        known: np.ndarray = self.pearson[np.isfinite(self.pearson)]
        return known


def agreement(estimate: np.ndarray, truth: np.ndarray, seed: int) -> Agreement:
    """Score attributions against the truth.

    Parameters
    ----------
    estimate, truth : ndarray, shape (sample, cell)
        Their scale does not matter.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Agreement

    Examples
    --------
    >>> truth = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 0.0]])
    >>> found = agreement(-2.0 * truth, truth, seed=0)
    >>> found.pearson.round(6).tolist(), found.mean
    ([-1.0, -1.0], -1.0)
    """
    from scipy.stats import rankdata

    pearson = correlations(estimate, truth)
    spearman = correlations(rankdata(estimate, axis=1), rankdata(truth, axis=1))
    low, high = bootstrap_interval(pearson[np.isfinite(pearson), None], seed)
    bounds = (float("nan"), float("nan")) if low is None or high is None else (float(low[0]), float(high[0]))
    return Agreement(pearson, spearman, *bounds)


def correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each row, float64, shape (row,); NaN where a row is constant.

    Examples
    --------
    >>> correlations(np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[1.0, 3.0], [1.0, 3.0]])).tolist()
    [1.0, nan]
    """
    first, second = (_centred(np.asarray(values, np.float64)) for values in (one, other))
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    together = (first * second).sum(axis=1)
    found: np.ndarray = np.clip(np.divide(together, scale, out=np.full(len(first), np.nan), where=scale > 0), -1.0, 1.0)
    return found


def wanted(truth: np.ndarray, against: Against) -> np.ndarray:
    """Return what attributions are held against.

    Examples
    --------
    >>> wanted(np.array([-1.0, 2.0]), "its positive part").tolist()
    [0.0, 2.0]
    """
    held: np.ndarray = {"truth": truth, "its positive part": np.maximum(truth, 0.0), "its magnitude": np.abs(truth)}[
        against
    ]
    return held


def _centred(values: np.ndarray) -> np.ndarray:
    # A constant row, whose mean is off by rounding, has no correlation with anything.
    flat = (values == values[:, :1]).all(axis=1)
    centred: np.ndarray = np.where(flat[:, None], 0.0, values - values.mean(axis=1, keepdims=True))
    return centred
