"""Where and when the error bars are too narrow or too wide, in a sentence: coverage by region and season."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report import numbers
from pipeline.report.numbers import coverage, coverage_interval
from pipeline.report.study import Study

LEVEL = 0.9
ROOM = 0.03
"""How far a coverage may be from :data:`LEVEL` and still be called right."""
SEASONS = ("DJF", "MAM", "JJA", "SON")
_BAD = 0.8  # a coverage of 90 % intervals that the first screen tells of
_NAMED = 3
_GROUP = re.compile(r"(?:region=(?P<region>[^;=]+))?;?(?:season=(?P<season>[A-Z]+))?")
_HEIGHTS = {"sea": "over the sea", "mountains": "over the mountains", "middle heights": "over the middle heights"}
_BY = {(True, True): "region and season", (True, False): "region", (False, True): "season"}


@dataclass(frozen=True)
class Held:
    """How often 90 % intervals hold the truth in a region, in a season, or both.

    Parameters
    ----------
    region, season : str
        Empty for all of them.
    value, low, high : float
        Share of truths, and its 95 % interval; NaN where none is known.
    place : str
        The region in words: ``"over the mountains"``; empty without.
    """

    region: str
    season: str
    value: float
    low: float
    high: float
    place: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def side(self) -> int:
        """-1 where the interval says that error bars are too narrow by more than a little, 1 where too wide; else 0."""
        return -1 if self.high < LEVEL - ROOM else 1 if self.low > LEVEL + ROOM else 0

    @property
    def where(self) -> str:
        """When and where, in words: ``"in DJF over the mountains"``."""
        return " ".join(part for part in (f"in {self.season}" if self.season else "", self.place) if part)

    @property
    def words(self) -> str:
        """When and where, and how often."""
        shares = f", {coverage_interval(self.low, self.high)}" if self.known else ""
        return f"{self.where} ({coverage(self.value)}{shares})"


def held(study: Study, variable: str, model: str | None = None) -> tuple[Held, ...]:
    """Return the coverage of 90 % intervals of a model, the headline's by default, by region, season, and both."""
    rows = study.scores("coverage_90", variable=variable, group=None)
    rows = rows[(rows["model"] == (model or study.headline)) & rows["value"].notna()]
    how = str(told(study).get("how", "named"))
    found = []
    for row in rows.itertuples():
        match = _GROUP.fullmatch(str(row.group))
        if match and (match["region"] or match["season"]):
            region, season = match["region"] or "", match["season"] or ""
            place = place_words(region, how) if region else ""
            found.append(Held(region, season, float(row.value), float(row.low), float(row.high), place))
    if len({part.season for part in found} - {""}) < 2:  # a season alone is all there is
        return tuple(part for part in found if not part.season)
    return tuple(found)


def told(study: Study) -> dict[str, Any]:
    """Return what the prepare stage says of the regions: ``how`` they came about, and their ``regions``."""
    return dict(study.run.stage("prepare").get("regions") or {})


def place_words(region: str, how: str) -> str:
    """Return where a region is, by how it came about.

    Examples
    --------
    >>> place_words("mountains", "height"), place_words("low land", "height"), place_words("north-west", "quarters")
    ('over the mountains', 'over low land', 'in the north-west')
    >>> place_words("Bilbao", "stations"), place_words("Alps", "named")
    ('at Bilbao', 'in Alps')
    """
    if how == "height":
        return _HEIGHTS.get(region, f"over {region}")
    return {"stations": f"at {region}", "named": f"in {region}"}.get(how, f"in the {region}")


def sentence(study: Study, variable: str) -> str:
    """Say where and when error bars stand out, at most three of them, or that none does; empty without such scores.

    A region in a season stands out where the whole 95 % interval of its coverage lies more than :data:`ROOM` from 90 %:
    of many right ones hardly any does by chance. Where the test set is too short for intervals of seasons in regions,
    regions and seasons are told of apart.
    """
    parts, by = _told_apart(held(study, variable))
    if len(parts) < 2:
        return ""
    sure = [part for part in parts if part.known]
    if not sure:
        low, high = min(parts, key=lambda part: part.value), max(parts, key=lambda part: part.value)
        return (
            f"By {by} they hold the truth from {coverage(low.value)} of the time ({low.where}) to "
            f"{coverage(high.value)} ({high.where}); no interval is known of so few samples."
        )
    out = sorted((part for part in sure if part.side), key=lambda part: -abs(part.value - LEVEL))
    count = f"{len(sure)}{' with an interval' if len(sure) < len(parts) else ''}"
    if not out:
        span = coverage_interval(min(part.value for part in sure), max(part.value for part in sure))
        return f"By {by}, in all {count}, they hold the truth {span} of the time: none stands out."
    return f"By {by} they are {_counted(out, count)}: {_listed(out)}."


def worst(study: Study, variable: str) -> str:
    """Name the region and season where error bars are worst, if they are far too narrow there and not everywhere."""
    parts, _ = _told_apart(held(study, variable))
    whole = study.score(study.headline, "coverage_90", variable=variable)
    bad = [part for part in parts if part.known and part.side < 0 and part.value < _BAD]
    if whole is None or len(parts) < 2 or not bad:
        return ""
    last = min(bad, key=lambda part: part.value)
    return f"They are worst {last.words}." if last.high < float(whole["value"]) else ""


def _told_apart(parts: Sequence[Held]) -> tuple[list[Held], str]:
    """Return the finest parts that are judged, and what they are by: both, where half of them have an interval."""
    both = [part for part in parts if part.region and part.season]
    single = [part for part in parts if not (part.region and part.season)]
    few = 2 * sum(part.known for part in both) < len(both)
    if both and not (few and any(part.known for part in single)):
        return both, _BY[True, True]
    regions, seasons = ([part for part in single if getattr(part, name)] for name in ("region", "season"))
    kinds = [(kind, name) for kind, name in ((regions, "region"), (seasons, "season")) if len(kind) > 1]
    return [part for kind, _ in kinds for part in kind], ", and by ".join(name for _, name in kinds)


def _counted(out: Sequence[Held], count: str) -> str:
    """Say in how many they are too narrow, or too wide: ``"too narrow in 2 of 12 and too wide in 1"``."""
    sides = [("too narrow", sum(part.side < 0 for part in out)), ("too wide", sum(part.side > 0 for part in out))]
    words = [f"{word} in {number}" for word, number in sides if number]
    words[0] += f" of {count}"
    return " and ".join(words)


def _listed(out: Sequence[Held]) -> str:
    """Return the worst three, with what they are where not all are the same."""
    mixed = len({part.side for part in out}) > 1
    named = [
        f"{('too narrow ' if part.side < 0 else 'too wide ') if mixed else ''}{part.words}" for part in out[:_NAMED]
    ]
    return f"{'most ' if len(out) > _NAMED else ''}{numbers.listing(named)}"
