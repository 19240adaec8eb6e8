"""Scores of every cell, with intervals: where a model is good, and where that is certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.metrics import Case
from pipeline.metrics.bootstrap import percentile_interval
from pipeline.metrics.groups import Group
from pipeline.metrics.index_maps import IndexMap
from pipeline.metrics.resampled import score_sums
from pipeline.metrics.sums import BlockSums
from pipeline.metrics.uncertainty import mean_uncertainties
from pipeline.units import headline_metric

RESAMPLES = 250  # a cell's interval needs fewer than a headline's
NEEDED = ("rmse", "bias")
_Field = np.ndarray | None


@dataclass(frozen=True, eq=False)
class Maps:
    """Fields over the scored cells, shape (cell,), float64, on the host; NaN where there is no truth.

    Parameters
    ----------
    rmse, bias, bias_low, bias_high : ndarray
        In units, the latter two a 95 % interval by block bootstrap.
    skill, skill_low, skill_high : ndarray or None
        ``100 (1 - RMSE / RMSE of the reference)`` in %, and its interval, both models resampled
        together; None for the reference itself and where there is none.
    crps_skill, crps_skill_low, crps_skill_high : ndarray or None
        The same of the CRPS, for variables whose models are compared by it.
    aleatoric, epistemic : ndarray or None
        Mean variances; None where the family has no such part.
    indices : mapping of str to IndexMap
        Climate indices of the truth and their biases, those that are scored.
    """

    rmse: np.ndarray
    bias: np.ndarray
    bias_low: np.ndarray
    bias_high: np.ndarray
    skill: np.ndarray | None
    skill_low: np.ndarray | None
    skill_high: np.ndarray | None
    aleatoric: np.ndarray | None
    epistemic: np.ndarray | None
    indices: Mapping[str, IndexMap] = field(default_factory=dict)
    crps_skill: np.ndarray | None = None
    crps_skill_low: np.ndarray | None = None
    crps_skill_high: np.ndarray | None = None


def make_maps(case: Case, sums: BlockSums, group: Group, reference: BlockSums | None) -> Maps:
    """Return the maps of one model and variable over a group of times.

    Parameters
    ----------
    case : Case
        The predictions, for their variances.
    sums, reference : BlockSums
        With the metrics ``NEEDED``, of the model and of the reference, and the CRPS if it is scored.
    group : Group
        Times and resamples of both.
    """
    blocks = len(group.blocks)
    found = score_sums(NEEDED, sums, group, None, RESAMPLES)
    rmse, bias = (found[name] for name in NEEDED)
    bias_interval = percentile_interval(bias.draws, blocks)
    skill, low, high = _reduction("rmse", sums, reference, group)
    aleatoric, epistemic = mean_uncertainties(case)
    compared = headline_metric(case.units, sums.terms, case.standard_name) == "crps"
    return Maps(
        rmse.value, bias.value, bias_interval.low, bias_interval.high, skill, low, high, aleatoric, epistemic, {},
        *_reduction("crps", sums, reference if compared else None, group),
    )  # fmt: skip


def _reduction(
    metric: str, sums: BlockSums, reference: BlockSums | None, group: Group
) -> tuple[_Field, _Field, _Field]:
    """Return by how much a score is lower than the reference's in %, and the ends of the interval; None without one."""
    if reference is None:
        return None, None, None
    own, other = (score_sums([metric], part, group, None, RESAMPLES)[metric] for part in (sums, reference))
    interval = percentile_interval(_skill(own.draws, other.draws), len(group.blocks))
    return _skill(own.value, other.value), interval.low, interval.high


def _skill(error: np.ndarray, reference: np.ndarray) -> np.ndarray:
    known = reference > 0.0
    return np.where(known, 100.0 * (1.0 - error / np.where(known, reference, 1.0)), np.nan)
