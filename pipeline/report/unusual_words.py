"""How far the test set lies from the train climate, in words, and a warning where that is far."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.novelty.reference import EXPECTED, MUCH, SEASONS
from pipeline.novelty.relation import Value
from pipeline.novelty.season import DAYS
from pipeline.report.numbers import (
    coverage,
    coverage_interval,
    decimals_for,
    interval,
    label,
    listing,
    number,
    percent,
    with_units,
)
from pipeline.report.sentences import named_set
from pipeline.report.study import VALIDATION, Study
from pipeline.report.unusual import Unusual, against, centre, disagreement, noun

_SURELY = 0.2  # where there is no interval
_FEW = 10  # unusual samples of which no error is told
_SMALL = 0.1  # rank correlation


def sentences(study: Study) -> tuple[str, ...]:
    """Say how many samples are unusual, how models err on them, and what else tells of strange data."""
    found = Unusual.of(study)
    if found is None:
        reason = (study.run.stage("prepare").get("novelty") or {}).get("reason")
        told = f"How far {named_set(study.split)} lies from {centre(study)} cannot be told: {reason}" if reason else ""
        return tuple(text for text in (told, _disputed(study)) if text)
    said = [f"{_main(study, found)}{_errors(study, found)}", _rank(study, found), *_seasons(study, found)]
    return tuple(text for text in (*said, _forced(study, found), _disputed(study), _others(study, found)) if text)


def _main(study: Study, found: Unusual) -> str:
    one, share = noun(study, found), found.shares[study.split]
    ends = f"; 95\u00a0% interval {_percents(share)}" if np.isfinite(share.low) else ""
    many = f"{found.count:,} of {found.known:,} {one}s of {named_set(study.split)} ({_percent(share.value)}{ends}) "
    many += "lies" if found.count == 1 else "lie"
    if not found.count:
        many = f"None of the {found.known:,} {one}s of {named_set(study.split)} lies"
    return f"{many} farther from {centre(study)} than 99\u00a0% of {against(study, found)}; 1\u00a0% is expected."


def _percent(share: float) -> str:
    r"""Return a share with the decimals of its interval.

    Examples
    --------
    >>> [_percent(share).replace("\u00a0", " ") for share in (0.016, 0.31, 1.0, 0.0004)]
    ['1.6 %', '31 %', '100 %', '0.04 %']
    """
    return f"{number(100 * share, 1)}\u00a0%" if 0.001 <= share < 0.1 else percent(share)


def _percents(share: Value) -> str:
    decimals = 0 if share.high >= 0.1 else 1
    return f"{number(100 * share.low, decimals)} to {number(100 * share.high, decimals)}\u00a0%"


def _errors(study: Study, found: Unusual) -> str:
    (far, held), (near, usual) = found.sides
    if not found.count or not np.isfinite(near.value):
        return ""
    if found.count < _FEW or not np.isfinite(far.value):
        return " They are too few to say how models err on them."
    if study.classes:
        said = partial(_share_in_words)
        what = f"the share of the area with a wrong class of {label(study.headline)}"
    else:
        decimals = decimals_for([far.value, near.value])
        said = partial(_in_words, unit=study.unit, decimals=decimals)
        what = f"the RMSE of {label(study.headline)}"
    text = f" On them {what} is {said(far)} against {said(near)} on the others"
    if np.isfinite(held.value) and np.isfinite(usual.value):
        ends = f" ({coverage_interval(held.low, held.high)})" if np.isfinite(held.low) else ""
        text += (
            f", and its 90\u00a0% intervals hold {coverage(held.value)}{ends} of the truths against "
            f"{coverage(usual.value)}"
        )
    return f"{text}."


def _in_words(value: Value, unit: str, decimals: int) -> str:
    ends = f" ({interval(value.low, value.high, decimals)})" if np.isfinite(value.low) else ""
    return f"{with_units(number(value.value, decimals), unit)}{ends}"


def _share_in_words(value: Value) -> str:
    return f"{percent(value.value)}{f' ({_percents(value)})' if np.isfinite(value.low) else ''}"


def _rank(study: Study, found: Unusual) -> str:
    rank, one = found.rank, noun(study, found)
    if not np.isfinite(rank.value):
        return ""
    known = np.isfinite(rank.low)
    ends = f" ({interval(rank.low, rank.high, 2)})" if known else ""
    amount = f"rank correlation {number(rank.value, 2)}{ends}"
    who = label(study.headline)
    if not known:
        return f"Distance of a {one} from train and error of {who} on it: {amount}, of which no interval is known."
    if rank.low <= 0.0 <= rank.high or abs(rank.value) < _SMALL:
        return f"How far a {one} lies from train says little of the error of {who} on it: {amount}."
    more = "larger" if rank.value > 0 else "smaller"
    return f"The farther a {one} lies from train, the {more} the error of {who} on it tends to be: {amount}."


def _seasons(study: Study, found: Unusual) -> list[str]:
    share = found.seasons.get(study.split, float("nan"))
    if not np.isfinite(share):
        return []
    if not share:
        return [f"No mean of the predictors over the {DAYS} days around a {study.step} is unusual."]
    around = f"the mean of the predictors over the {DAYS} days around is unusual"
    return [f"For {_percent(share)} of the {study.step}s {around}."]


def _forced(study: Study, found: Unusual) -> str:
    beyond = {name: share for name, share in found.forcings.items() if share > 0}
    if not beyond:
        return ""
    shares = listing(f"{name} on {_percent(share)} of the {study.step}s" for name, share in beyond.items())
    return f"Forcings, which novelty leaves out, lie outside their range in train: {shares}."


def _disputed(study: Study) -> str:
    disputed = disagreement(study)
    if disputed is None or study.split == VALIDATION:
        return ""
    name, share = disputed
    some = f"On {_percent(share)} of the {study.step}s" if share else f"On none of the {study.step}s do"
    return (
        f"{some} the members of {label(name)} disagree more, by the share of the predicted uncertainty that lies "
        f"between them, than on 99\u00a0% of the validation {study.step}s; 1\u00a0% is expected."
    )


def _others(study: Study, found: Unusual) -> str:
    rest = [name for name in found.shares if name not in (VALIDATION, study.split)]
    if not rest:
        return ""
    return f"Unusual in other test sets: {listing(f'{name} {percent(found.shares[name].value)}' for name in rest)}."


def cautions(study: Study) -> tuple[str, ...]:
    """Warn of every test set that is unlike the train split: beyond doubt far more unusual samples than expected."""
    found = Unusual.of(study)
    if found is None:
        return ()
    names = [study.split, *(name for name in found.shares if name not in (VALIDATION, study.split))]
    return tuple(text for name in names if (text := _caution(study, found, name)))


def is_unlike(share: Value) -> bool:
    """Whether far more samples are unusual than expected: over 5 %, and an interval above 1 %."""
    if not np.isfinite(share.low):
        return share.value > _SURELY
    return bool(share.value > MUCH and share.low > EXPECTED)


def _caution(study: Study, found: Unusual, name: str) -> str:
    share, season = found.shares[name], found.seasons.get(name, float("nan"))
    start = f"T{named_set(name)[1:]} is unlike the train split: "
    if is_unlike(share):
        return (
            f"{start}{percent(share.value)} of its {noun(study, found)}s lie farther from {centre(study)} than "
            f"99\u00a0% of {against(study, found)}, where 1\u00a0% is expected. There models extrapolate."
        )
    if season > SEASONS:
        return (
            f"{start}for {percent(season)} of its {study.step}s the mean of the predictors over the {DAYS} days around "
            "lies farther from the train climate than 99\u00a0% of such means of train, where 1\u00a0% is expected. "
            f"{study.step.capitalize()} by {study.step} {percent(share.value)} stand out."
        )
    return ""
