"""Maps of climate indices: the truth's over a period, and by how much a model is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.metrics import METRICS, Case
from pipeline.metrics.index_scores import IndexBias
from pipeline.metrics.indices import INDICES, WET_LEVEL
from pipeline.metrics.kinds import YearScore
from pipeline.metrics.pooling import ratio
from pipeline.metrics.sums import BlockSums, chunks
from pipeline.metrics.wet_days import wet_quantiles


@dataclass(frozen=True, eq=False)
class IndexMap:
    """An index over the scored cells, mean over years.

    Parameters
    ----------
    truth, bias : ndarray, shape (cell,)
        The truth's, and prediction less truth; NaN where no year of the cell is whole.
    label : str
        ``wettest day of the year``.
    units : {"target", "1", "d"}
        As those of a score.
    """

    truth: np.ndarray
    bias: np.ndarray
    label: str
    units: str


def index_maps(
    case: Case, names: Sequence[str], sums: BlockSums, years: Mapping[str, YearScore]
) -> dict[str, IndexMap]:
    """Return the maps of those indices whose signed bias is among ``names``, by index.

    Parameters
    ----------
    case : Case
        With its draws.
    names : sequence of str
        Metrics of the case.
    sums : BlockSums
        Of all times.
    years : mapping of str to YearScore
        Of all times.
    """
    found = {}
    for name, score in years.items():
        kind = METRICS.get(name)
        if issubclass(kind, IndexBias) and not kind.absolute:
            index = INDICES[kind.index]
            found[index.name] = IndexMap(score.truth, score.cells, index.label, kind.units)
    if "bias_r01" in sums.terms:
        xp = array_namespace(sums.count)
        count = xp.sum(sums.count, axis=0)
        chance, event = (ratio(xp.sum(term, axis=0), count) for term in sums.terms["bias_r01"])
        found["r01"] = IndexMap(to_host(event), to_host(chance - event), INDICES["r01"].label, "1")
    if "bias_p98_wet" in names:
        found["p98_wet"] = _wet_quantile(case)
    return found


def _wet_quantile(case: Case) -> IndexMap:
    xp, device = array_namespace(case.truth), array_api_compat.device(case.truth)
    once = xp.ones((case.truth.shape[0], 1), dtype=xp.int32, device=device)
    prediction, truth = (
        xp.concat([side[0, :] for side in sides])
        for sides in zip(*(wet_quantiles(case.select(cells, -1), once) for cells in chunks(case)), strict=True)
    )
    label = f"{100 * WET_LEVEL:.0f} % quantile of wet days"
    return IndexMap(to_host(truth), to_host(prediction - truth), label, "target")
