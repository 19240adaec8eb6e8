"""The verdict in words: the headline model against the best baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.report import numbers, worth
from pipeline.report.differences import Difference, difference
from pipeline.report.flow_words import efficiency
from pipeline.report.numbers import interval, label, listing, number, percent, with_units
from pipeline.report.sentences import named_set, place, score_in_words, value_of
from pipeline.report.study import Study, best_first

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


def answer(study: Study) -> Answer:
    """Return the verdict: the headline model against the best baseline, with the interval.

    A model that is worse than what needs no model wins nothing, whatever it beats: the verdict says so and is no win.
    """
    found, doubt = _answer(study), worth.doubt(study)
    tone = "lose" if doubt.headline and found.tone == "win" else found.tone
    found = Answer(f"{found.text}{efficiency(study)}{f' {doubt.text}' if doubt.text else ''}", tone)
    if len(study.variables) == 1:
        return found
    first = found.text[0].lower() if found.text.startswith(_OPENINGS) else found.text[0]
    return Answer(f"For {study.variable}, {first}{found.text[1:]}", found.tone)


def _answer(study: Study) -> Answer:
    name = label(study.headline)
    if study.reference is None:
        return Answer(
            f"{name} predicts {study.variable} with {score_in_words(study, study.headline, study.variable)}"
            f"{place(study)}; there is no baseline to compare it with.",
            "alone",
        )
    if study.rival is None:
        return Answer(_best_of_baselines(study), "alone")
    gap = difference(study, study.headline)
    if gap is None:
        return Answer(
            f"{name} and the best baseline, {label(study.reference)}, share no score on {named_set(study.split)}, so "
            "they cannot be compared.",
            "alone",
        )
    if study.better() == "higher":
        return _of_higher(study, gap, place(study))
    return _of_lower(study, gap, place(study))


def _of_lower(study: Study, gap: Difference, where: str) -> Answer:
    """Return the verdict by a score that is better where it is lower."""
    name, base = label(study.headline), label(study.reference or "")
    relative = f", {_relative(gap)} {'lower' if gap.value < 0 else 'higher'}" if _relative(gap) else ""
    if not gap.known:
        better = "lower" if gap.value < 0 else "higher"
        share = f" ({_relative(gap)})" if _relative(gap) else ""
        return Answer(
            f"{name} has {score_in_words(study, study.headline, study.variable)}, {_amount(gap, study.unit)}{share} "
            f"{better} than that of the best baseline, {base}{where}; {_no_interval(gap)}.",
            "tie",
        )
    if gap.high < 0:
        return Answer(
            f"{name} beats the best baseline, {base}, by {_amount(gap, study.unit)} "
            f"{study.word()}{_bounds(gap)}{relative}{where}.",
            "win",
        )
    others = _winners(study)
    lead = f"{name} does not beat the best baseline, {base}" if others else f"{_NO_WINNER} the best baseline, {base}"
    subject = "it" if others else name if len(study.models) == 2 else f"the best of the others on validation, {name},"
    if gap.low > 0:
        text = (
            f"{lead}: {subject} is worse by {_amount(gap, study.unit)} {study.word()}{_bounds(gap)}{relative}{where}."
        )
        return Answer(text + _hindsight(others, study), "lose")
    apart = _either_way(gap, study.unit)
    text = f"{lead}: {subject} cannot be told from it, its {study.word()} differs by {apart}{where}."
    return Answer(text + _hindsight(others, study), "tie")


def _of_higher(study: Study, gap: Difference, where: str) -> Answer:
    """Return the verdict by a score that is better where it is higher."""
    base, own = label(study.reference or ""), study.score(study.headline, study.metric)
    value = "" if own is None else f" of {value_of(own, study.unit)}"
    subject = f"{label(study.headline)}'s {study.word()}{value}"
    way = "higher" if gap.value > 0 else "lower"
    if not gap.known:
        return Answer(
            f"{subject} is {_amount(gap, study.unit)} {way} than that of the best baseline, {base}{where}; "
            f"{_no_interval(gap)}.", "tie",
        )  # fmt: skip
    if gap.ahead:
        return Answer(
            f"{subject} is {_amount(gap, study.unit)}{_bounds(gap)} higher than that of the best baseline, "
            f"{base}{where}.", "win",
        )  # fmt: skip
    others = _winners(study)
    lead = f"{label(study.headline)} does not beat" if others else _NO_WINNER
    start = f"{lead} the best baseline, {base}: {f'its {study.word()}{value}' if others else subject}"
    if gap.behind:
        text = f"{start} is {_amount(gap, study.unit)}{_bounds(gap)} lower{where}."
        return Answer(text + _hindsight(others, study), "lose")
    text = f"{start} cannot be told from it, they differ by {_either_way(gap, study.unit)}{where}."
    return Answer(text + _hindsight(others, study), "tie")


def _best_of_baselines(study: Study) -> str:
    """Say how much better the best is than the next, where all models are baselines."""
    own = study.score(study.headline, study.metric)
    value = f", its {study.word()} {value_of(own, study.unit)}" if own is not None else ""
    start = f"{_ONLY}: {label(study.headline)} is the best of {len(study.models)}{value}"
    ranked = best_first(study.scores(study.metric, split=study.chosen_on))["model"]
    following = next(model for model in ranked if model in study.models and model != study.headline)
    gap = difference(study, study.headline, following)
    if gap is None:
        return f"{start}{place(study)}."
    if gap.known and gap.low <= 0 <= gap.high:
        return (
            f"{start}, which cannot be told from that of {label(following)}: they differ by "
            f"{_either_way(gap, study.unit)}{place(study)}."
        )
    share = f" or {_relative(gap)}" if _relative(gap) else ""
    bounds, unknown = (_bounds(gap), "") if gap.known else ("", f"; {_no_interval(gap)}")
    way = "lower" if gap.value < 0 else "higher"
    than = f"{way} than that of {label(following)}"
    return f"{start}, {_amount(gap, study.unit)}{share} {than}{bounds}{place(study)}{unknown}."


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


def _either_way(gap: Difference, unit: str) -> str:
    """Return a difference with its sign, whose interval has zero inside."""
    decimals = numbers.decimals_for([gap.low, gap.high])
    amount = with_units(number(gap.value, decimals, sign=True), unit)
    return f"{amount} (95\u00a0% interval {interval(gap.low, gap.high, decimals)})"


def _bounds(gap: Difference) -> str:
    low, high = sorted((abs(gap.low), abs(gap.high)))
    return f" (95\u00a0% interval {interval(low, high)})"


def _no_interval(gap: Difference) -> str:
    """Say why there is no interval: too few blocks for one, or a run that compared other models."""
    if gap.paired:
        return "no interval of the difference could be computed (too few blocks)"
    return "the run did not compare these two, so that there is no interval of the difference"


def _relative(gap: Difference) -> str:
    # As a share: the score stage writes difference / reference.
    return percent(abs(gap.relative)) if np.isfinite(gap.relative) else ""
