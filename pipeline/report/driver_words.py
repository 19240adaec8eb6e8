"""The words on what drives the predictions: no more than was computed, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.joined import ranked
from pipeline.report.explained import Explanation
from pipeline.report.numbers import interval, label, listing, number, percent, plural, with_units

WHAT = {"departure": "attribution", "sensitivity": "sensitivity", "strength": "strength"}


def lead(explanations: Sequence[Explanation], step: str) -> str:
    """Return the opening sentence, from the first explanation that may be relied on, else from the first.

    Parameters
    ----------
    explanations : sequence of Explanation
        Of one model, one or more.
    step : str
        What one sample is: ``day``.
    """
    chosen = next((one for one in explanations if one.light != "red"), explanations[0])
    return " ".join(part for part in (_finding(chosen, step), doubt(chosen)) if part)


def _finding(one: Explanation, step: str) -> str:
    if one.silent:
        return (
            f"For {label(one.model)}, the {one.measure} is zero for all of {plural(len(one.channels), 'channel')} "
            f"({inside(one.title)} of the {one.label})."
        )
    if one.blind:
        return _places(one, step)
    return _by_share(one, step) if one.shares is not None else _by_importance(one)


def _by_share(one: Explanation, step: str) -> str:
    shares = one.shares
    assert shares is not None
    first, *rest = shares.order
    name, how = label(shares.variables[first]), _how(one, step, shares.days[0])
    if not rest:
        return f"{label(one.model)} has one input variable, {name}; the {one.label} was explained by {how}."
    several = one.members > 1 and bool(np.isfinite(shares.least[0, first]))
    ends = (shares.least, shares.most) if several else (shares.low, shares.high)
    low, high = (float(end[0, first]) for end in ends)
    known = np.isfinite(low) and np.isfinite(high)
    whose = "members" if several else "95\u00a0% interval"
    span = f" ({whose} {percents(low, high)})" if known else ""
    second = f", then {label(shares.variables[rest[0]])} with {percent(float(shares.share[0, rest[0]]))}"
    return (
        f"For {label(one.model)}, {name} carries {percent(float(shares.share[0, first]))}{span} of the "
        f"{absolute(one)} of the {one.label}{second}: {how}.{_by_group(one, first, step)}"
    )


def _how(one: Explanation, step: str, days: int) -> str:
    start = f", from {one.baseline}" if one.baseline else ""
    return f"{inside(one.title)} on {plural(days, step)}{start}"


def _by_group(one: Explanation, first: int, step: str) -> str:
    """Return in which groups of days the leading share is smallest and largest, and where another variable leads."""
    shares = one.shares
    assert shares is not None
    groups = [k for k, kind in enumerate(shares.kinds) if kind != "all"]
    if len(groups) < 2:
        return ""
    own = shares.share[groups, first]
    low, high = groups[int(own.argmin())], groups[int(own.argmax())]
    least, most = percent(float(own.min())), percent(float(own.max()))
    said = (
        f" Among groups of {step}s the share of {label(shares.variables[first])} is smallest in "
        f"{group_name(shares.groups[low])} ({least}) and largest in {group_name(shares.groups[high])} ({most})."
    )
    said = said if least != most else ""
    leaders = {k: ranked(shares.share[k])[0] for k in groups}
    other = [
        f"{group_name(shares.groups[k])} ({label(shares.variables[place])})"
        for k, place in leaders.items()
        if place != first
    ]
    return f"{said} Another variable carries the most in {listing(other)}." if other else said


def _by_importance(one: Explanation) -> str:
    known = [place for place in one.order if np.isfinite(one.importance[place])]
    first, *rest = known
    low, high, least, most = (float(end[first]) for end in (one.low, one.high, one.least, one.most))
    spans = []
    if np.isfinite(low) and np.isfinite(high):
        spans.append(f"95\u00a0% interval {interval(low, high)}")
    if one.members > 1 and np.isfinite(least) and np.isfinite(most):
        spans.append(f"members {interval(least, most)}")
    within = f" ({'; '.join(spans)})" if spans else ""
    then = ""
    if rest:
        then = f", then {label(one.channels[rest[0]])}, {_amount(one, rest[0])}"
    sure = "; the interval includes zero" if low <= 0 <= high else ""
    return (
        f"For {label(one.model)}, the predicted {one.label} depends most on {label(one.channels[first])} by "
        f"{inside(one.title)}: {one.measure} {_amount(one, first)}{within}{then}{sure}."
    )


def _amount(one: Explanation, place: int) -> str:
    return with_units(number(float(one.importance[place])), one.measure_units)


def _places(one: Explanation, step: str) -> str:
    assert one.maps is not None
    days = f" on {plural(len(one.time), step)}" if one.time is not None else ""
    return (
        f"For {label(one.model)}, a tenth of the input cells carries {percent(concentration(one.maps[0]))} of the "
        f"strength of the {one.label}: {inside(one.title)}{days}, which does not tell channels apart."
    )


def concentration(field: np.ndarray) -> float:
    """Return the share of the absolute sum of a field that the tenth of its cells with the largest values holds.

    Examples
    --------
    >>> concentration(np.array([[-3.0, 1.0]]))
    0.75
    """
    sizes = np.sort(np.abs(field[np.isfinite(field)]))[::-1]
    total = float(sizes.sum())
    return float(sizes[: max(len(sizes) // 10, 1)].sum()) / total if total > 0 else 0.0


def doubt(one: Explanation) -> str:
    """Return what the checks say against relying on an explanation, as a sentence; empty where they passed."""
    if one.light == "green":
        return ""
    if one.light == "red":
        return f"This must not be relied on: {failed(one.checks)}."
    if one.light == "amber":
        return f"Read it with care: {failed(one.checks)}."
    return "No check decided whether to believe it."


def flag(one: Explanation) -> str:
    """Return the light in words, with the checks that failed; it stands beside the light's shape and colour."""
    if one.light == "red":
        return f"Red: this must not be relied on; {failed(one.checks)}."
    if one.light == "amber":
        return f"Amber: to be read with care; {failed(one.checks)}."
    if one.light == "grey":
        return "Grey: no check decided." if one.checks else "Grey: not checked."
    passed = sum(check.passed is True for check in one.checks)
    open_ = sum(check.passed is None for check in one.checks)
    return f"Green: {plural(passed, 'check')} passed{f', {open_} not decided' if open_ else ', none failed'}."


def mark(one: Explanation) -> str:
    """Return the light in a few words, for captions."""
    return {
        "green": "Green light.",
        "amber": "Amber light: read with care.",
        "red": "Red light: not to be relied on.",
        "grey": "Grey light: nothing decided.",
    }[one.light]


def failed(checks: Sequence[Finding]) -> str:
    """Return which checks failed, the essential ones first.

    Examples
    --------
    >>> further = Finding("max_sensitivity", 2.0, 1.0, False, False, "The map changes by 200 %.")
    >>> failed([further, Finding("completeness", 0.3, 0.01, False, True, "The parts miss it by 30 %.")])
    'completeness and max sensitivity failed'
    """
    names = [check.check for check in sorted(checks, key=lambda check: not check.essential) if check.passed is False]
    return f"{listing(label(name) for name in names)} failed" if names else "a check failed"


def absolute(one: Explanation) -> str:
    """Return what shares are of."""
    return f"absolute {WHAT.get(one.kind, 'attribution')}"


def inside(title: str) -> str:
    """Return a method's title as it stands inside a sentence; names keep their capitals.

    Examples
    --------
    >>> inside("Integrated gradients"), inside("Grad-CAM"), inside("KernelSHAP")
    ('integrated gradients', 'Grad-CAM', 'KernelSHAP')
    """
    word = title.partition(" ")[0]
    return title[:1].lower() + title[1:] if word[1:].islower() and word.isalpha() else title


def percents(low: float, high: float) -> str:
    """Return a range of shares.

    Examples
    --------
    >>> percents(0.361, 0.45).replace("\u00a0", " "), percents(0.004, 0.012).replace("\u00a0", " ")
    ('36 to 45 %', '0.4 to 1.2 %')
    """
    decimals = 0 if high >= 0.1 else 1
    return f"{number(100 * low, decimals)} to {number(100 * high, decimals)}\u00a0%"


def group_name(group: str) -> str:
    """Return a group of days inside a sentence.

    Examples
    --------
    >>> group_name("DJF"), group_name("highest third")
    ('DJF', 'the highest third')
    """
    return f"the {group}" if group.endswith("third") else group
