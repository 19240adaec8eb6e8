"""Scores by lead: who is better at which, and how it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report import leads, numbers, targets
from pipeline.report.study import Study

CORRELATIONS = ("pearson_r", "acc")
_FIRST = ("climatology", "persistence")  # kinds that every curve is read against


@dataclass(frozen=True, eq=False)
class Gains:
    """By how much the score of a model is lower than a baseline's at every lead [%], with 95 % intervals."""

    leads: tuple[int, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def gains(study: Study, variable: str, split: str) -> Gains | None:
    """Return how much better the headline model is than the best baseline by lead; None without a baseline."""
    metric, whom = study.metrics[variable], targets.reference(study, variable)
    if study.rival is None or whom is None or whom == study.headline or len(study.run.leads) < 2:
        return None
    scores = by_lead(study, variable, split, metric)
    table = study.run.comparisons
    table = table[(table["split"] == split) & (table["variable"] == variable) & (table["metric"] == metric)]
    rows = []
    for lead in study.run.leads:
        own, base = (one(scores, name, lead) for name in (study.headline, whom))
        if own is None or base is None or not base["value"]:
            rows.append((np.nan, np.nan, np.nan))
            continue
        pairs = table[(table["group"] == f"lead={lead}")]
        low, high = _bounds(pairs, study.headline, whom)
        share = 100.0 / float(base["value"])
        rows.append((share * (float(base["value"]) - float(own["value"])), -share * high, -share * low))
    value, low, high = np.array(rows, float).T
    return Gains(study.run.leads, value, low, high) if np.isfinite(value).any() else None


def _bounds(pairs: pd.DataFrame, model: str, reference: str) -> tuple[float, float]:
    """Return the interval of the difference of two models, which the run may hold the other way round."""
    for one, other, sign in ((model, reference, 1), (reference, model, -1)):
        rows = pairs[(pairs["model"] == one) & (pairs["reference"] == other)]
        if len(rows):
            low, high = sorted(sign * float(rows.iloc[0][end]) for end in ("low", "high"))
            return low, high
    return float("nan"), float("nan")


def sentence(study: Study, variable: str, split: str) -> str:
    """Say at which leads the headline model is better than the best baseline."""
    name, step = numbers.label(study.headline), study.step
    gain = gains(study, variable, split)
    if gain is None:
        rows = by_lead(study, variable, split, study.metrics[variable])
        ends = [one(rows, study.headline, lead) for lead in (study.run.leads[0], study.run.leads[-1])]
        told = [
            f"{amount(float(row['value']), study.units[variable])} {leads.ahead(int(row['lead']), step)}"
            for row in ends
            if row is not None
        ]
        return f"The {study.word(variable)} of {name} is {' and '.join(told)}."
    whom = numbers.label(targets.reference(study, variable) or "")
    better = [lead for lead, value in zip(gain.leads, gain.value, strict=True) if value > 0]
    sure = [lead for lead, low in zip(gain.leads, gain.low, strict=True) if low > 0]
    known = bool(np.isfinite(gain.low).any())
    best = int(np.nanargmax(gain.value))
    most = f"most, by {numbers.percent(gain.value[best] / 100)}, {leads.ahead(gain.leads[best], step)}"
    if not better:
        return f"{name} has a lower {study.word(variable)} than {whom} at no lead; it comes nearest " + (
            f"{leads.ahead(gain.leads[best], step)}."
        )
    every = len(better) == len(gain.leads)
    where = "at every lead" if every else f"{leads.ranges(better)} {_plural(better, step)}"
    certain = "beyond doubt at each of these"
    if not known:
        certain = "no interval is known"
    elif len(sure) < len(better):
        certain = f"beyond doubt {leads.ranges(sure)} {_plural(sure, step)}" if sure else "nowhere beyond doubt"
    if len(better) == 1:
        most, certain = f"by {numbers.percent(gain.value[best] / 100)}", certain.replace("at each of these", "").strip()
    return f"{name} has a lower {study.word(variable)} than {whom} {where} ({certain}), {most}."


def _plural(which: Sequence[int], step: str) -> str:
    return f"{step}{'' if list(which) == [1] else 's'} ahead"


def amount(value: float, unit: str) -> str:
    """Return a number of three digits with its units."""
    return numbers.with_units(numbers.number(value), unit)


def by_lead(study: Study, variable: str, split: str, metric: str) -> pd.DataFrame:
    """Return the scores of whole leads, with the lead as a number."""
    rows = study.scores(metric, variable=variable, split=split, group=None)
    found = rows[rows["group"].str.fullmatch(r"lead=\d+") & rows["value"].notna()]
    return found.assign(lead=found["group"].str.removeprefix("lead=").astype(int))


def one(rows: pd.DataFrame, model: str, lead: int) -> pd.Series | None:
    """Return the row of a model and a lead of :func:`by_lead`; None where there is none."""
    found = rows[(rows["model"] == model) & (rows["lead"] == lead)]
    return found.iloc[0] if len(found) else None


def ranked(study: Study, variable: str) -> list[str]:
    """Return the models whose curves are drawn: the verdict's, what they are read against, then by their score."""
    entries = study.run.experiment.get("models") or {}
    usual = [name for kind in _FIRST for name in study.models if (entries.get(name) or {}).get("kind", name) == kind]
    rows = study.scores(study.metrics[variable], variable=variable, split=study.chosen_on)
    best = list(rows.sort_values("value", kind="stable")["model"])
    order = [study.headline, targets.reference(study, variable), *usual, *best, *study.models]
    return [model for model in dict.fromkeys(order) if model in study.models]


def correlation(study: Study, variable: str, split: str) -> list[str]:
    """Return the name of the correlation that is scored by lead, in a list; empty where none is."""
    return [metric for metric in CORRELATIONS if len(by_lead(study, variable, split, metric))][:1]
