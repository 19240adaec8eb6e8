"""How far the score of one model lies from another's, with its interval where the run holds one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.report.study import Study


@dataclass(frozen=True)
class Difference:
    """Score of a model less that of a baseline, with its 95\u00a0% interval (NaN where unknown).

    ``better`` says which way the score is better: ``lower`` or ``higher``; ``paired`` whether the run compared the
    two, rather than the scores being subtracted here.
    """

    value: float
    low: float
    high: float
    relative: float
    better: str = "lower"
    paired: bool = False

    @property
    def ahead(self) -> bool:
        """Whether the model is better beyond doubt."""
        return self.high < 0 if self.better == "lower" else self.low > 0

    @property
    def behind(self) -> bool:
        """Whether the model is worse beyond doubt."""
        return self.low > 0 if self.better == "lower" else self.high < 0

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @property
    def turned(self) -> Difference:
        """The reference less the model, as a share of the model's score."""
        share = -self.relative / (1 + self.relative)
        return Difference(-self.value, -self.high, -self.low, share, self.better, self.paired)


def difference(
    study: Study, model: str, reference: str | None = None, variable: str | None = None
) -> Difference | None:
    """Return the paired difference to ``reference`` (the best baseline by default), or that of the two scores.

    The run may hold it the other way round; the scores are taken where it holds no paired one.
    """
    reference, better = reference or study.reference or "", study.better(variable)
    for one, other in ((model, reference), (reference, model)):
        rows = study.comparisons(reference=other, variable=variable)
        rows = rows[rows["model"] == one]
        if len(rows):
            gap, low, high, share = (float(rows.iloc[0][key]) for key in ("difference", "low", "high", "relative"))
            found = Difference(gap, low, high, share, better, paired=True)
            return found if one == model else found.turned
    metric = study.metrics[variable or study.variable]
    own, base = (study.score(name, metric, variable=variable) for name in (model, reference))
    if own is None or base is None:
        return None
    gap = float(own["value"]) - float(base["value"])
    relative = gap / float(base["value"]) if base["value"] else float("nan")
    return Difference(gap, float("nan"), float("nan"), relative, better)
