"""Whether the error bars of a model can be trusted, in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.report import regional, targets
from pipeline.report.numbers import coverage, coverage_interval, label, number
from pipeline.report.study import FEW, Study

_LEVEL, _COVERAGE_ROOM = regional.LEVEL, regional.ROOM
_MUCH = 0.25  # of coverage or of the ratio of spread and error: no small fault, whatever the other sign says
_LEAN_ROOM = 0.05
_SPREAD_ROOM = 0.1


@dataclass(frozen=True)
class _Sign:
    """What one score says of the width of the error bars.

    Parameters
    ----------
    text, narrow, wide : str
        The score in words; what it means where the error bars are too narrow, or too wide.
    gap, room : float
        Value less the right one, positive where error bars are too wide; what counts as right.
    inside : bool
        Whether the 95\u00a0% interval holds the right value.
    known : bool
        Whether there is an interval.
    right : float
        The right value: 0.9 of coverage, 1 of the spread.
    """

    text: str
    narrow: str
    wide: str
    gap: float
    room: float
    inside: bool
    known: bool
    right: float

    @property
    def side(self) -> int:
        """-1 where the error bars are too narrow, 1 where too wide, 0 where neither can be said."""
        return 0 if abs(self.gap) <= self.room or self.inside else self.point

    @property
    def point(self) -> int:
        """The side on which the value itself lies, wherever its interval reaches; 0 within half a per cent."""
        return 0 if abs(self.gap) < 0.005 else (-1 if self.gap < 0 else 1)

    @property
    def meaning(self) -> str:
        """The score in words with what it means."""
        return f"{self.text}, {self.narrow if self.point < 0 else self.wide}"


@dataclass(frozen=True)
class _Lean:
    """How the truth lies about the forecast's median: the share above it, with its 95\u00a0% interval."""

    above: float
    low: float
    high: float

    @property
    def side(self) -> str:
        """``low`` where forecasts are too low beyond doubt and by more than a little, ``high``, or empty."""
        if not (self.low > 0.5 or self.high < 0.5) or abs(self.above - 0.5) <= _LEAN_ROOM:
            return ""
        return "low" if self.above > 0.5 else "high"

    @property
    def text(self) -> str:
        """What is said of it; empty where nothing is."""
        if not self.side:
            return ""
        shares = coverage_interval(self.low, self.high)
        return f"; the truth lies above its median {coverage(self.above)} of the time ({shares}; half is right)"


def trust(study: Study, variable: str | None = None, *, brief: bool = False) -> str:
    """Say whether the error bars of the headline model can be trusted for a target, the first by default.

    They are called right only where the test set holds enough independent samples, the scores have
    intervals, that of coverage holds the right value and the truth does not lean to one side; mixed
    where coverage and spread point to opposite sides. Those of precipitation are judged by the
    randomised PIT, see :func:`dry_days`. A second sentence says where and when they are too narrow or too wide, a
    ``brief`` one only where they are far too narrow.
    """
    variable = variable or study.variable
    whose = targets.of(study, variable)
    name = label(study.headline)
    signs = _signs(study, variable)
    if not signs:
        return f"{name} gives no error bars{whose}."
    data = study.run.diagnostics(study.headline)
    lean = None if data is None else _lean(data, variable)
    said = f"The error bars of {name}{whose}"
    words = " and ".join(sign.text for sign in signs) + (lean.text if lean else "")
    judged = _judged(study, variable, said, words, signs, lean.side if lean else "")
    if dry_days(study, variable):
        return f"{judged}{_dry_note(study, variable)}"
    further = regional.worst(study, variable) if brief else regional.sentence(study, variable)
    return f"{judged} {further}" if further else judged


def _judged(study: Study, variable: str, said: str, words: str, signs: list[_Sign], side: str) -> str:
    points, sides = {sign.point for sign in signs}, [sign.side for sign in signs]
    lie = f"lie too {side}" if side else ""
    if dry_days(study, variable) and len(signs) == 2 and sides[0] == 0 and sides[1] != 0:
        # A few very wet days make the variance, and none of them the share that intervals hold.
        much = "large" if sides[1] > 0 else "small"
        also = f" and they {lie}" if lie else ""
        return f"{said} hold as often as they say, but their spread is too {much}{also}: {words}."
    if {-1, 1} <= points and any(abs(sign.gap) > sign.room for sign in signs):
        return f"{said} give mixed signs: {', but '.join(sign.meaning for sign in signs)}."
    if any(sides):
        some = "somewhat " if 0 in sides and max(abs(sign.gap) for sign in signs) <= _MUCH else ""
        return f"{said} are {some}too {'narrow' if -1 in sides else 'wide'}{f' and {lie}' if lie else ''}: {words}."
    few = study.effective
    doubt = f"Whether t{said[1:]} are right cannot be told"
    if few is not None and few < FEW:
        return f"{doubt} from {number(few, 0)} independent samples: {words}."
    held = signs[0]
    if held.right != _LEVEL:
        return f"{doubt} from their spread alone: {words}."
    if not all(sign.known for sign in signs):
        return f"{doubt}: no interval of these scores is known; {words}."
    if not held.inside:
        slight = f"slightly too {'narrow' if held.gap < 0 else 'wide'}"
        return f"{said} are {slight}{f' and {lie}' if lie else ''}: {words}."
    if lie:
        return f"{said} are about as wide as they should be but {lie}: {words}."
    return f"{said} can be trusted: {words}."


def dry_days(study: Study, variable: str) -> bool:
    """Whether a target is dry on some days, so that even right intervals hold more truths than they say.

    An interval that begins at zero holds every dry day, however likely it was. The probability
    integral transform, drawn at random over the mass at zero, is flat for a right forecast all the same.
    """
    return study.quantities[variable] == "precipitation"


def _signs(study: Study, variable: str) -> list[_Sign]:
    held, ratio = (study.score(study.headline, metric, variable=variable) for metric in ("coverage_90", "spread_skill"))
    signs = []
    if dry_days(study, variable):
        middle = _middle(study, variable)
        signs += [middle] if middle is not None else []
    elif held is not None:
        low, high = float(held["low"]), float(held["high"])
        shares = f" ({coverage_interval(low, high)})" if _known(low, high) else ""
        text = f"its 90\u00a0% intervals hold the truth {coverage(float(held['value']))} of the time{shares}"
        signs.append(_sign(float(held["value"]), low, high, _LEVEL, text))
    if ratio is not None:
        value, low, high = (float(ratio[key]) for key in ("value", "low", "high"))
        text = f"spread over error is {number(value, 2)} (1 is right)"
        signs.append(_sign(value, low, high, 1.0, text))
    return signs


def _middle(study: Study, variable: str) -> _Sign | None:
    """Return how many truths lie in the middle 90 % of the forecast by the randomised PIT; None without diagnostics."""
    found = study.score(study.headline, "pit_coverage_90", variable=variable)
    if found is not None:
        return _of_pit(*(float(found[key]) for key in ("value", "low", "high")))
    data = study.run.diagnostics(study.headline)
    ends = None if data is None else [_observed(data, variable, level) for level in (0.05, 0.95)]
    if ends is None or ends[0] is None or ends[1] is None:
        return None
    (first, low_first, high_first), (last, low_last, high_last) = ends[0], ends[1]
    return _of_pit(last - first, low_last - high_first, min(high_last - low_first, 1.0))  # no narrower than it is


def _of_pit(share: float, low: float, high: float) -> _Sign:
    shares = f"{coverage_interval(low, high)}, " if _known(low, high) else ""
    text = (
        f"by its randomised PIT the truth lies in the middle 90\u00a0% of the forecast {coverage(share)} of the time "
        f"({shares}90\u00a0% is right)"
    )
    return _sign(share, low, high, _LEVEL, text)


def _dry_note(study: Study, variable: str) -> str:
    held = study.score(study.headline, "coverage_90", variable=variable)
    if held is None or not dry_days(study, variable):
        return ""
    return (
        f" Its 90\u00a0% intervals hold {coverage(float(held['value']))}, as those that begin at zero hold every dry "
        "day: even a perfect forecast's hold more than 90\u00a0%."
    )


def _lean(data: xr.Dataset, variable: str) -> _Lean | None:
    found = _observed(data, variable, 0.5)
    return None if found is None else _Lean(1.0 - found[0], 1.0 - found[2], 1.0 - found[1])


def _observed(data: xr.Dataset, variable: str, level: float) -> tuple[float, float, float] | None:
    """Return the share of truths at most a quantile of the forecast, and its interval; None where it is not known."""
    names = [f"{variable}_calibration_{part}" for part in ("level", "observed", "low", "high")]
    if any(name not in data for name in names):
        return None
    levels, *parts = (np.asarray(data[name].values, float) for name in names)
    nearest = int(np.argmin(np.abs(levels - level)))
    if abs(levels[nearest] - level) > 1e-6 or not np.isfinite(parts[0][nearest]):
        return None
    observed, low, high = (float(part[nearest]) for part in parts)
    return observed, low, high


def _sign(value: float, low: float, high: float, right: float, text: str) -> _Sign:
    held = right == _LEVEL
    meanings = ("too seldom", "too often") if held else ("too narrow", "too wide")
    room = _COVERAGE_ROOM if held else _SPREAD_ROOM
    return _Sign(text, *meanings, value - right, room, low <= right <= high, _known(low, high), right)


def _known(low: float, high: float) -> bool:
    return math.isfinite(low) and math.isfinite(high)
