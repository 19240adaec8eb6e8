"""How well attributions agree with the truth, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.attribution.likeness import correlations, ranks
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
    >>> found.pearson.round(6).tolist(), round(found.mean, 6)
    ([-1.0, -1.0], -1.0)
    """
    pearson = correlations(estimate, truth, constant=np.nan)
    spearman = correlations(ranks(estimate), ranks(truth), constant=np.nan)
    low, high = bootstrap_interval(pearson[np.isfinite(pearson), None], seed)
    bounds = (float("nan"), float("nan")) if low is None or high is None else (float(low[0]), float(high[0]))
    return Agreement(pearson, spearman, *bounds)


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
