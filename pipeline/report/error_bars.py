"""Whether the error bars of a model can be trusted, in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from pipeline.report.numbers import coverage, coverage_interval, label, number
from pipeline.report.study import FEW, Study

_COVERAGE_ROOM = 0.03
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
    """

    text: str
    narrow: str
    wide: str
    gap: float
    room: float
    inside: bool
    known: bool

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


def trust(study: Study) -> str:
    """Say whether the error bars of the headline model can be trusted.

    They are called right only where the test set holds enough independent samples and the scores
    have intervals, and mixed where coverage and spread point to opposite sides.
    """
    name = label(study.headline)
    signs = _signs(study)
    if not signs:
        return f"{name} gives no error bars."
    words = " and ".join(sign.text for sign in signs)
    points = {sign.point for sign in signs}
    if {-1, 1} <= points and any(abs(sign.gap) > sign.room for sign in signs):
        return f"The error bars of {name} give mixed signs: {', but '.join(sign.meaning for sign in signs)}."
    sides = [sign.side for sign in signs]
    if any(sides):
        some = "somewhat " if 0 in sides else ""
        return f"The error bars of {name} are {some}too {'narrow' if -1 in sides else 'wide'}: {words}."
    few = study.effective
    doubt = f"Whether the error bars of {name} are right cannot be told"
    if few is not None and few < FEW:
        return f"{doubt} from {number(few, 0)} independent samples: {words}."
    if not all(sign.known for sign in signs):
        return f"{doubt}: no interval of these scores is known; {words}."
    return f"The error bars of {name} can be trusted: {words}."


def _signs(study: Study) -> list[_Sign]:
    held, ratio = (study.score(study.headline, metric) for metric in ("coverage_90", "spread_skill"))
    signs = []
    if held is not None:
        low, high = float(held["low"]), float(held["high"])
        shares = f" ({coverage_interval(low, high)})" if _known(held) else ""
        text = f"its 90\u00a0% intervals hold the truth {coverage(float(held['value']))} of the time{shares}"
        signs.append(_sign(held, 0.9, _COVERAGE_ROOM, text, ("too seldom", "too often")))
    if ratio is not None:
        text = f"spread over error is {number(float(ratio['value']), 2)} (1 is right)"
        signs.append(_sign(ratio, 1.0, _SPREAD_ROOM, text, ("too narrow", "too wide")))
    return signs


def _sign(row: pd.Series, right: float, room: float, text: str, meanings: tuple[str, str]) -> _Sign:
    inside = float(row["low"]) <= right <= float(row["high"])
    return _Sign(text, *meanings, float(row["value"]) - right, room, inside, _known(row))


def _known(row: pd.Series) -> bool:
    return math.isfinite(float(row["low"])) and math.isfinite(float(row["high"]))
