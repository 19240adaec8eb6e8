"""Whether the models of a verdict are worth anything: better than the mean of the truth, or the climatology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.report.metric_words import metric_words
from pipeline.report.numbers import label
from pipeline.report.study import Study

_KINDS = ("climatology", "class_frequencies")  # models that look at no predictor
_FLOW, _PROBABILISTIC = "nse", "crpss"


@dataclass(frozen=True)
class _Judged:
    """A model that is not better than what needs no model.

    Parameters
    ----------
    model : str
        Which.
    sure : bool
        Whether it is worse, its interval included.
    """

    model: str
    sure: bool


@dataclass(frozen=True)
class Doubt:
    """What is said of models that are not better than what needs no model.

    Parameters
    ----------
    text : str
        A sentence; empty where all are better.
    headline : bool
        Whether it is said of the headline model, not of the baseline alone.
    """

    text: str = ""
    headline: bool = False


def doubt(study: Study) -> Doubt:
    """Say that the verdict's models are worse than what needs no model.

    Flow is measured by the Nash-Sutcliffe efficiency, which is below zero where the mean of the truth does better
    (doi:10.1016/0022-1694(70)90255-6); else by the run's own model of the climatology, or where it has none by the
    CRPS skill, which is against the climatology of the train split.
    """
    pair = [model for model in dict.fromkeys((study.headline, study.rival)) if model]
    if study.quantities[study.variable] == "flow" and _has(study, _FLOW):
        return _doubt(study, _below_zero(study, pair, _FLOW), "the mean flow")
    trivial = _trivial(study)
    if trivial is not None:
        others = [model for model in pair if model != trivial]
        # The difference to the best baseline is told already.
        return Doubt() if trivial == study.reference else _doubt(study, _behind(study, others, trivial), label(trivial))
    if _has(study, _PROBABILISTIC):
        return _doubt(study, _below_zero(study, pair, _PROBABILISTIC), "the climatology of the train split")
    return Doubt()


def _has(study: Study, metric: str) -> bool:
    return study.score(study.headline, metric) is not None


def _trivial(study: Study) -> str | None:
    entries = study.run.experiment.get("models") or {}
    kinds = {model: (entries.get(model) or {}).get("kind") for model in study.models}
    return next((model for model, kind in kinds.items() if kind in _KINDS), None)


def _below_zero(study: Study, models: list[str], metric: str) -> list[_Judged]:
    rows = [(model, study.score(model, metric)) for model in models]
    return [
        _Judged(model, float(row["high"]) < 0)  # False for NaN: without an interval nothing is sure
        for model, row in rows
        if row is not None and float(row["value"]) < 0
    ]


def _behind(study: Study, models: list[str], trivial: str) -> list[_Judged]:
    """Return the models whose score is not better than that of the climatology; sure where intervals part."""
    base = study.score(trivial, study.metric)
    if base is None:
        return []
    higher = metric_words(study.metric).better == "higher"
    found = []
    for model in models:
        row = study.score(model, study.metric)
        if row is None or (row["value"] >= base["value"] if higher else row["value"] <= base["value"]):
            continue
        apart = (row["high"] < base["low"]) if higher else (row["low"] > base["high"])
        known = all(np.isfinite(float(one[end])) for one in (row, base) for end in ("low", "high"))
        found.append(_Judged(model, known and bool(apart)))
    return found


def _doubt(study: Study, poor: list[_Judged], what: str) -> Doubt:
    if not poor:
        return Doubt()
    how = "worse" if all(one.sure for one in poor) else "no better"
    who = f"{label(poor[0].model)} is" if len(poor) == 1 else "Both are"
    return Doubt(f"{who} {how} than {what}.", any(one.model == study.headline for one in poor))
