"""What a score is called, which way is better, and how its values compare."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.metrics import METRICS


@dataclass(frozen=True)
class MetricWords:
    """A score as the report shows it.

    Parameters
    ----------
    name, label : str
        ``"spread_skill"``, ``"spread / skill"``.
    better : {"lower", "higher", "closer", "?"}
        ``"?"`` for a score that is not in the registry any more: then none is called best.
    perfect : float or None
        What ``closer`` means.
    probabilistic : bool
        Whether it judges a distribution.
    """

    name: str
    label: str
    better: str
    perfect: float | None
    probabilistic: bool

    def best(self, values: pd.Series) -> float | None:
        """Return the best of ``values``; None where none is finite or the direction is not known."""
        values = values.dropna()
        if not len(values) or self.better == "?":
            return None
        if self.better == "closer" and self.perfect is not None:
            return float(values.iloc[(values - self.perfect).abs().argsort().iloc[0]])
        return float(values.max() if self.better == "higher" else values.min())

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        if self.better == "closer" and self.perfect is not None:
            share = "coverage_" in self.name
            return f"best {100 * self.perfect:g} %" if share else f"best {self.perfect:g}"
        return {"lower": "lower is better", "higher": "higher is better"}.get(self.better, "")


def metric_words(name: str) -> MetricWords:
    """Return the words for a score by its name in ``scores.csv``."""
    if name not in METRICS:
        return MetricWords(name, name.replace("_", " "), "?", None, False)
    metric = METRICS.get(name)
    return MetricWords(
        name, metric.label or name.replace("_", " "), metric.better, metric.perfect, metric.probabilistic
    )
