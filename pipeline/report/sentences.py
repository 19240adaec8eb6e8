"""The words of the report, made from its numbers; one function a sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.report import leads, numbers
from pipeline.report.metric_words import metric_words
from pipeline.report.numbers import interval, label, listing, number, percent, plural, with_units
from pipeline.report.study import VALIDATION, Study, best_first


def question(study: Study) -> str:
    """Return the experiment's question, or one made of its parts."""
    asked = str(study.run.experiment.get("question") or "").strip()
    return (
        asked
        or f"How well can {listing(study.variables)} be predicted in the experiment {study.run.experiment.get('name')}?"
    )


def with_article(study: Study, variable: str | None = None) -> str:
    """Return ``an RMSE`` or ``a CRPS``."""
    word = study.word(variable)
    return f"{'an' if word == 'RMSE' else 'a'} {word}"


def named_set(split: str) -> str:
    """Return ``"the test set"``, with its name where it has one of its own; validation where no test set has truth."""
    if split == VALIDATION:
        return "the validation split"
    return "the test set" if split == "test" else f"the test set {split}"


def chosen(study: Study) -> str:
    """Say which split the two models of the verdict were chosen on."""
    who = "model and baseline were chosen" if study.rival else "the best baseline was chosen"
    if study.chosen_on == VALIDATION:
        return f"{who.capitalize()} by {'their' if study.rival else 'its'} {study.word()} on the validation split."
    return (
        f"There are no validation scores: {who} on {named_set(study.split)} itself, which flatters "
        f"{'the model' if study.rival else 'it'}."
    )


def skill(study: Study, variable: str, split: str) -> str:
    """Say who has the lowest RMSE, or the highest mean IoU, and how many cannot be told from it."""
    rows = best_first(study.scores(study.metrics[variable], variable=variable, split=split).dropna(subset=["value"]))
    best, lower = rows.iloc[0], study.better(variable) == "lower"
    first = f"On {named_set(split)}, {label(best['model'])} has "
    if len(rows) == 1:
        said = f"{with_article(study, variable)} of {value_of(best, str(best['units']))}"
        return f"{first}{said} for {variable}; it is the only model."
    rest, most = rows.iloc[1:], "lowest" if lower else "highest"
    ties = rest[rest["low"] <= best["value"] if lower else rest["high"] >= best["value"]]
    whose = listing(label(model) for model in ties["model"]) if len(ties) <= 3 else f"{len(ties)} others"
    close = f"; it lies inside the 95\u00a0% interval{'s' if len(ties) > 1 else ''} of {whose}" if len(ties) else ""
    return (
        f"{first}the {most} {study.word(variable)} for {variable} of {plural(len(rows), 'model')}, "
        f"{value_of(best, str(best['units']))}{close}."
    )


def where(
    model: str, reference: str | None, skill_map: np.ndarray, low: np.ndarray, high: np.ndarray, cell: str = "cell"
) -> str:
    """Say in how many cells (or stations) the model beats the baseline, surely or not."""
    good = np.isfinite(skill_map)
    count = max(int(good.sum()), 1)
    ahead, sure, lost = (float((part & good).sum() / count) for part in (skill_map > 0, low > 0, high < 0))
    worse = f"in {percent(lost)} it is beyond doubt worse" if lost else "nowhere is it beyond doubt worse"
    place = f"in {percent(ahead)} of the {cell}s" if ahead else f"in no {cell}"
    if not np.isfinite(low).any():
        return f"{label(model)} beats {label(reference or 'the baseline')} {place}; no interval is known."
    certain = f", beyond doubt in {percent(sure)}" if sure else ", nowhere beyond doubt"
    share = f"{place}{certain}" if ahead else place
    return f"{label(model)} beats {label(reference or 'the baseline')} {share}; {worse}."


def value_of(row: pd.Series, unit: str) -> str:
    """Return a row of ``scores.csv`` in words: ``1.47 K (1.46 to 1.48)``, or ``1.47 K`` without an interval."""
    text = with_units(number(float(row["value"])), unit)
    low, high = float(row["low"]), float(row["high"])
    decimals = numbers.decimals_for([float(row["value"])])
    return f"{text} ({interval(low, high, decimals)})" if np.isfinite(low) and np.isfinite(high) else text


def score_in_words(study: Study, model: str, variable: str) -> str:
    """Return such as ``an RMSE of 1.47 K (1.46 to 1.48)``."""
    row = study.score(model, study.metrics[variable], variable=variable)
    said = "no score" if row is None else value_of(row, study.units[variable])
    return f"{with_article(study, variable)} of {said}"


def place(study: Study) -> str:
    """Return when, or where, the verdict was tested: ``", on 451 days, 1997-12-01 to 2002-02-28"``."""
    if study.sampling is None:
        return f", on {named_set(study.split)}"
    if study.run.leads:
        return f", on forecasts of {leads.span(study.run.leads, study.step)} from {study.sampling.words}"
    return f", on {study.sampling.words}"


def score_axis(metric: str, unit: str) -> str:
    """Return the name of a score's axis with its units."""
    shown = numbers.units(unit)
    return f"{metric_words(metric).label} [{shown}]" if shown else metric_words(metric).label
