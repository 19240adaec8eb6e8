"""The words of the report, made from its numbers; one function a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report import leads, numbers
from pipeline.report.differences import Difference, difference
from pipeline.report.flow_words import efficiency
from pipeline.report.metric_words import metric_words
from pipeline.report.numbers import interval, label, listing, number, percent, plural, with_units
from pipeline.report.study import FEW, VALIDATION, Study, best_first

_NO_WINNER, _ONLY = "No model beats", "Only baselines were tried"
_OPENINGS = (_NO_WINNER, _ONLY)  # Other answers begin with a model's name, whose letters stay.


@dataclass(frozen=True)
class Answer:
    """The verdict: its sentence and which way it went.

    Parameters
    ----------
    tone : {"win", "tie", "lose", "alone"}
        ``alone``: there was nothing to compare with, or nothing but baselines.
    """

    text: str
    tone: str


def question(study: Study) -> str:
    """Return the experiment's question, or one made of its parts."""
    asked = str(study.run.experiment.get("question") or "").strip()
    return (
        asked
        or f"How well can {listing(study.variables)} be predicted in the experiment {study.run.experiment.get('name')}?"
    )


def answer(study: Study) -> Answer:
    """Return the verdict: the headline model against the best baseline, with the interval."""
    found = _answer(study)
    found = Answer(found.text + efficiency(study), found.tone)
    if len(study.variables) == 1:
        return found
    first = found.text[0].lower() if found.text.startswith(_OPENINGS) else found.text[0]
    return Answer(f"For {study.variable}, {first}{found.text[1:]}", found.tone)


def _answer(study: Study) -> Answer:
    name = label(study.headline)
    place = _place(study)
    if study.reference is None:
        own = study.score(study.headline, study.metric)
        value = _value(own, study.unit) if own is not None else "no score"
        return Answer(
            f"{name} predicts {study.variable} with {_an(study)} of {value}{place}; there is no baseline to compare "
            "it with.",
            "alone",
        )
    if study.rival is None:
        return Answer(_best_of_baselines(study), "alone")
    base = label(study.reference)
    gap = difference(study, study.headline)
    if gap is not None and study.better() == "higher":
        return _of_higher(study, gap, place)
    if gap is None:
        return Answer(
            f"{name} and the best baseline, {base}, share no score on {named_set(study.split)}, so they cannot "
            "be compared.",
            "alone",
        )
    relative = f", {_relative(gap)}" if _relative(gap) else ""
    if not gap.known:
        better = "lower" if gap.value < 0 else "higher"
        return Answer(
            f"{name} has {_an(study)} {_amount(gap, study.unit)}{relative} {better} than the best baseline, "
            f"{base}{place}; no interval is known{_few(study)}, so this may be chance.", "tie",
        )  # fmt: skip
    if gap.high < 0:
        return Answer(
            f"{name} beats the best baseline, {base}, by {_amount(gap, study.unit)} "
            f"{study.word()}{_bounds(gap)}{relative}{place}.",
            "win",
        )
    others = _winners(study)
    lead = f"{name} does not beat the best baseline, {base}" if others else f"{_NO_WINNER} the best baseline, {base}"
    subject = "it" if others else name if len(study.models) == 2 else f"the best of the others, {name},"
    if gap.low > 0:
        text = (
            f"{lead}: {subject} is worse by {_amount(gap, study.unit)} {study.word()}{_bounds(gap)}{relative}{place}."
        )
        return Answer(text + _hindsight(others, study), "lose")
    amount = number(gap.value, numbers.decimals_for([gap.low, gap.high]), sign=True)
    text = (
        f"{lead}: {subject} cannot be told from it, its {study.word()} differs by {with_units(amount, study.unit)} "
        f"(95\u00a0% interval {interval(gap.low, gap.high)}){place}."
    )
    return Answer(text + _hindsight(others, study), "tie")


def _of_higher(study: Study, gap: Difference, place: str) -> Answer:
    """Return the verdict by a score that is better where it is higher."""
    base, own = label(study.reference or ""), study.score(study.headline, study.metric)
    value = "" if own is None else f" of {_value(own, study.unit)}"
    subject = f"{label(study.headline)}'s {study.word()}{value}"
    way = "higher" if gap.value > 0 else "lower"
    if not gap.known:
        return Answer(
            f"{subject} is {_amount(gap, study.unit)} {way} than that of the best baseline, {base}{place}; no interval "
            f"is known{_few(study)}, so this may be chance.", "tie",
        )  # fmt: skip
    if gap.ahead:
        return Answer(
            f"{subject} is {_amount(gap, study.unit)}{_bounds(gap)} higher than that of the best baseline, "
            f"{base}{place}.", "win",
        )  # fmt: skip
    others = _winners(study)
    lead = f"{label(study.headline)} does not beat" if others else _NO_WINNER
    start = f"{lead} the best baseline, {base}: {f'its {study.word()}{value}' if others else subject}"
    if gap.behind:
        text = f"{start} is {_amount(gap, study.unit)}{_bounds(gap)} lower{place}."
        return Answer(text + _hindsight(others, study), "lose")
    amount = number(gap.value, numbers.decimals_for([gap.low, gap.high]), sign=True)
    text = (
        f"{start} cannot be told from it, they differ by {with_units(amount, study.unit)} "
        f"(95\u00a0% interval {interval(gap.low, gap.high)}){place}."
    )
    return Answer(text + _hindsight(others, study), "tie")


def _an(study: Study, variable: str | None = None) -> str:
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


def warnings(study: Study) -> tuple[str, ...]:
    """Return what a reader must know before believing: fallbacks, failed members, few samples, no validation."""
    provenance = study.run.provenance
    found: list[str] = []
    if study.split == VALIDATION:
        found.append(
            "No test set has truth: all scores are those of the validation split, which models were chosen on and "
            "which flatters them."
        )
    if study.chosen_on != VALIDATION and len(study.models) > 1:
        found.append(chosen(study))
    for key in ("warnings", "fallbacks"):
        found += [_sentence(item) for item in _items(provenance.get(key))]
    for item in _items(provenance.get("failed_members")):
        member = _failed(item)
        start = member.partition(" and was left out")[0]
        found += [] if any(warning.startswith(start) for warning in found) else [member]
    few = study.effective
    least = None if few is None else min(few, FEW - 1)  # 29.6 are fewer than 30, which a rounded number would hide
    said = any("independent samples" in warning for warning in found)
    if few is not None and least is not None and few < FEW and not said:
        found.insert(
            0, f"The{named_set(study.split)[3:]} holds about {number(least, 0)} independent samples, fewer than {FEW}: "
            "take its scores as a hint, not as a claim."
        )  # fmt: skip
    return tuple(dict.fromkeys(found))


def skill(study: Study, variable: str, split: str) -> str:
    """Say who has the lowest RMSE, or the highest mean IoU, and how many cannot be told from it."""
    rows = best_first(study.scores(study.metrics[variable], variable=variable, split=split).dropna(subset=["value"]))
    best, lower = rows.iloc[0], study.better(variable) == "lower"
    first = f"On {named_set(split)}, {label(best['model'])} has "
    if len(rows) == 1:
        return (
            f"{first}{_an(study, variable)} of {_value(best, str(best['units']))} for {variable}; it is the only model."
        )
    rest, most = rows.iloc[1:], "lowest" if lower else "highest"
    ties = rest[rest["low"] <= best["value"] if lower else rest["high"] >= best["value"]]
    whose = listing(label(model) for model in ties["model"]) if len(ties) <= 3 else f"{len(ties)} others"
    close = f"; it lies inside the 95\u00a0% interval{'s' if len(ties) > 1 else ''} of {whose}" if len(ties) else ""
    return (
        f"{first}the {most} {study.word(variable)} for {variable} of {plural(len(rows), 'model')}, "
        f"{_value(best, str(best['units']))}{close}."
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


def drivers(model: str, names: tuple[str, ...], importance: np.ndarray, measure: tuple[str, str], trusted: bool) -> str:
    """Say which channel matters most by the first method that ranks them."""
    order = np.argsort(-np.nan_to_num(importance, nan=-np.inf))
    first = label(names[order[0]])
    doubt = "" if trusted else " Its checks failed, so this is not to be relied on."
    if len(names) == 1:
        return f"{label(model)} has one input, {first}."
    if not np.nan_to_num(importance).any():
        return f"{label(model)} uses no channel: its importance is zero for all {len(names)}."
    total = float(np.nansum(np.clip(importance, 0, None)))
    share = f", {percent(float(importance[order[0]]) / total)} of the sum over all" if total > 0 else ""
    amount = with_units(number(float(importance[order[0]])), measure[1])
    return (
        f"{label(model)} leans most on {first} ({measure[0]}: {amount}{share}), then on "
        f"{label(names[order[1]])}.{doubt}"
    )


def _best_of_baselines(study: Study) -> str:
    """Say how much better the best is than the next, where all models are baselines."""
    own = study.score(study.headline, study.metric)
    value = f", its {study.word()} {_value(own, study.unit)}" if own is not None else ""
    start = f"{_ONLY}: {label(study.headline)} is the best of {len(study.models)}{value}"
    ranked = best_first(study.scores(study.metric, split=study.chosen_on))["model"]
    following = next(model for model in ranked if model in study.models and model != study.headline)
    gap = difference(study, study.headline, following)
    if gap is None:
        return f"{start}{_place(study)}."
    if gap.known and gap.low <= 0 <= gap.high:
        decimals = numbers.decimals_for([gap.low, gap.high])
        return (
            f"{start}, which cannot be told from that of {label(following)}: they differ by "
            f"{with_units(number(gap.value, decimals, sign=True), study.unit)}"
            f" (95\u00a0% interval {interval(gap.low, gap.high, decimals)}){_place(study)}."
        )
    share = f" or {_relative(gap)}" if _relative(gap) else ""
    bounds = _bounds(gap) if gap.known else " (no interval is known, so this may be chance)"
    way = "lower" if gap.value < 0 else "higher"
    return f"{start}, {_amount(gap, study.unit)}{share} {way} than that of {label(following)}{bounds}{_place(study)}."


def _winners(study: Study) -> list[str]:
    rows = study.comparisons()
    ahead = rows["high"] < 0 if study.better() == "lower" else rows["low"] > 0
    return [model for model in rows.loc[ahead, "model"] if model not in study.baselines]


def _hindsight(winners: list[str], study: Study) -> str:
    if not winners:
        return ""
    verb = "does" if len(winners) == 1 else "do"
    return (
        f" On {named_set(study.split)}, {listing(label(model) for model in winners)} {verb} beat it, but "
        f"{study.chosen_on} did not choose {'it' if len(winners) == 1 else 'them'}."
    )


def _amount(gap: Difference, unit: str) -> str:
    decimals = numbers.decimals_for([gap.low, gap.high] if gap.known else [gap.value])
    return with_units(number(abs(gap.value), decimals), unit)


def _bounds(gap: Difference) -> str:
    low, high = sorted((abs(gap.low), abs(gap.high)))
    return f" (95\u00a0% interval {interval(low, high)})"


def _relative(gap: Difference) -> str:
    # As a share: the score stage writes difference / reference.
    return percent(abs(gap.relative)) if np.isfinite(gap.relative) else ""


def _value(row: pd.Series, unit: str) -> str:
    text = with_units(number(float(row["value"])), unit)
    low, high = float(row["low"]), float(row["high"])
    decimals = numbers.decimals_for([float(row["value"])])
    return f"{text} ({interval(low, high, decimals)})" if np.isfinite(low) and np.isfinite(high) else text


def score_in_words(study: Study, model: str, variable: str) -> str:
    """Return such as ``an RMSE of 1.47 K (1.46 to 1.48)``."""
    row = study.score(model, study.metrics[variable], variable=variable)
    said = "no score" if row is None else _value(row, study.units[variable])
    return f"{_an(study, variable)} of {said}"


def _few(study: Study) -> str:
    """Say of how few samples no interval is known; empty where there are enough."""
    sampling, few = study.sampling, study.effective
    return "" if sampling is None or few is None or few >= FEW else f" of {plural(sampling.count, sampling.step)}"


def _place(study: Study) -> str:
    if study.sampling is None:
        return f", on {named_set(study.split)}"
    if study.run.leads:
        return f", on forecasts of {leads.span(study.run.leads, study.step)} from {study.sampling.words}"
    return f", on {study.sampling.words}"


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] if value else []


def _sentence(item: Any) -> str:
    if isinstance(item, Mapping):
        return "; ".join(f"{str(key).replace('_', ' ')}: {value}" for key, value in item.items())
    return str(item)


def _failed(item: Any) -> str:
    """Say which member failed: ``"unet/3"``, or a mapping with ``model, member`` and maybe ``error``."""
    if isinstance(item, Mapping):
        model, member, why = str(item.get("model")), item.get("member"), item.get("error") or item.get("reason")
    else:
        (model, _, member), why = str(item).rpartition("/"), None
    return f"Member {member} of {model} failed and was left out{f': {why}' if why else ''}."


def score_axis(metric: str, unit: str) -> str:
    """Return the name of a score's axis with its units."""
    shown = numbers.units(unit)
    return f"{metric_words(metric).label} [{shown}]" if shown else metric_words(metric).label
