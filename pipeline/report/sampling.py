"""When the samples of a split are, or where they were cut; in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics.years import LEAST_SHARE, years_of
from pipeline.report import numbers
from pipeline.units import step_word

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_LINES = {"x": ("column", "columns"), "y": ("row", "rows")}


@dataclass(frozen=True)
class Sampling:
    """When the samples of a split are.

    Parameters
    ----------
    count : int
        How many.
    first, last : str
        ISO dates; empty for tiles of images, which have none.
    step : str
        What one sample is: ``"day"``, ``"month"``, ``"tile"``, ``"sample"`` where it cannot be told.
    season : str
        ``"December to February"``, or empty where all months are there.
    years : int
        Number of years that have samples; a winter counts as the year of its January.
    place : str
        Where tiles were cut: ``"columns 410 to 511 of 2 images"``.
    counted : int
        Number of years that indices of a year are taken over: those with nine tenths of the days of the longest.
    part : str
        What such a year holds, ``"July to December 2002"`` or ``"December to February"``; empty for all months.
    """

    count: int
    first: str
    last: str
    step: str
    season: str
    years: int
    place: str = ""
    counted: int = 0
    part: str = ""

    @classmethod
    def of(cls, time: np.ndarray) -> Sampling:
        """Return the sampling of sorted ``datetime64`` or cftime dates."""
        index = pd.Index(time)
        years, months = _fields(time)
        gaps = np.diff(time)
        if len(gaps):
            middle = np.sort(gaps)[len(gaps) // 2]
            days = (
                middle / np.timedelta64(1, "D")
                if isinstance(middle, np.timedelta64)
                else middle.total_seconds() / 86400
            )
            step = step_word(days)
        else:
            step = "sample"
        present = frozenset(months.tolist())
        shifted = years + (months >= 7) if winters(present) else years
        every = len(set(shifted.tolist()))
        count, part = _counted(time, months, step)
        return cls(
            len(index), _iso(time[0]), _iso(time[-1]), step, _season(present, step), every, counted=count, part=part
        )

    @classmethod
    def of_tiles(cls, count: int, span: Sequence[str] = (), images: int = 0) -> Sampling:
        """Return the sampling of tiles: how many, the span of their block as a split has it, and of how many images.

        Examples
        --------
        >>> Sampling.of_tiles(32, ("x 410", "511"), 2).words
        '32 tiles, columns 410 to 511 of 2 images'
        """
        block = block_in_words(span)
        of = numbers.plural(images, "image") if images else ""
        return cls(count, "", "", "tile", "", 0, " of ".join(part for part in (block, of) if part))

    @property
    def words(self) -> str:
        """Such as ``"451 December to February days, 1997-12-01 to 2002-02-28"``."""
        kind = f"{self.season} {self.step}" if self.season else self.step
        when = f"{self.first} to {self.last}" if self.first else self.place
        return f"{self.count:,} {kind}{'' if self.count == 1 else 's'}{f', {when}' if when else ''}"


def winters(months: frozenset[int]) -> bool:
    """Whether years run from July, so that a winter stays whole: the months have winters and no midsummer.

    Examples
    --------
    >>> winters(frozenset({12, 1, 2})), winters(frozenset(range(1, 13)))
    (True, False)
    """
    return {12, 1} <= months and not {6, 7} & months


def block_in_words(span: Sequence[str]) -> str:
    """Return the block of a split by pixels in words; empty for a span that is none.

    Examples
    --------
    >>> block_in_words(("x 410", "511")), block_in_words(("y 0", "0")), block_in_words(())
    ('columns 410 to 511', 'row 0', '')
    """
    if len(span) != 2:
        return ""
    dim, _, first = str(span[0]).partition(" ")
    if dim not in _LINES:
        return ""
    one, many = _LINES[dim]
    return f"{one} {first}" if first == str(span[1]) else f"{many} {first} to {span[1]}"


def _fields(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.issubdtype(time.dtype, np.datetime64):
        index = pd.DatetimeIndex(time)
        return index.year.to_numpy(), index.month.to_numpy()
    return np.array([t.year for t in time]), np.array([t.month for t in time])


def _counted(time: np.ndarray, months: np.ndarray, step: str) -> tuple[int, str]:
    """Return over how many years indices of a year are taken, and which months these hold where not all."""
    years = years_of(time)
    sizes = np.diff(years.edges, axis=1)[:, 0]
    kept = np.flatnonzero(sizes >= LEAST_SHARE * sizes.max())
    spans = [slice(*years.edges[k]) for k in kept]
    part = _season(frozenset(np.concatenate([months[span] for span in spans]).tolist()), step)
    return len(kept), f"{part} {years.label[kept[0]]}" if part and len(kept) == 1 else part


def _iso(moment: Any) -> str:
    return str(moment)[:10]


def _season(months: frozenset[int], step: str) -> str:
    if len(months) == 12 or step == "year":
        return ""
    # A run of months, maybe across the new year, has one first month: the one before it is missing.
    starts = [month for month in sorted(months) if (month - 2) % 12 + 1 not in months]
    if len(starts) == 1:
        last = (starts[0] + len(months) - 2) % 12 + 1
        return f"{_MONTHS[starts[0] - 1]} to {_MONTHS[last - 1]}" if len(months) > 1 else _MONTHS[last - 1]
    return numbers.listing(_MONTHS[month - 1] for month in sorted(months))
