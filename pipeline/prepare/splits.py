"""Train, validation and test sets by dates, and the type that keeps fitting to the train split."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import InitVar, dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.errors import SplitError
from pipeline.prepare.arrays import rows
from pipeline.prepare.dates import DAY, GREGORIAN, calendar_of, iso, microseconds, parse, phase_of_year

if TYPE_CHECKING:
    from pipeline.split_config import SplitConfig

Array = Any
Span = tuple[str, str]

_KEY = object()  # held by TimeSplit, so that nobody else makes a TrainSplit by accident
_CALENDARS = (GREGORIAN, "360_day", "all_leap")  # every date of any calendar is in one of these


@dataclass(frozen=True, eq=False)
class TrainSplit:
    """The steps of a time axis that belong to the train split; only a split makes one.

    Whatever is fitted on data takes the whole array and a ``TrainSplit`` and picks its own rows
    with :meth:`take`, so there is no call that could fit on anything else.

    Parameters
    ----------
    index : ndarray of int64
        Positions on the axis.
    phase : ndarray of float64
        Phase of the year in [0, 1) at those positions.
    length : int
        Number of steps of the whole axis.

    Raises
    ------
    TypeError
        If anything but ``TimeSplit.train_split`` makes one.
    """

    index: np.ndarray
    phase: np.ndarray
    length: int
    key: InitVar[object] = None

    def __post_init__(self, key: object) -> None:
        if key is not _KEY:
            raise TypeError("expected TimeSplit.train_split(time) to make a TrainSplit; nothing else may.")

    def take(self, values: Array) -> Array:
        """Return the train rows of ``values``, which has one row for every step of the axis.

        Raises
        ------
        ValueError
            If it has another number of rows.
        """
        if values.shape[0] != self.length:
            raise ValueError(f"expected {self.length} steps on the first axis, got shape {tuple(values.shape)}.")
        return rows(values, self.index)

    def alone(self) -> TrainSplit:
        """Return the same split for an axis of nothing but its own steps, as :meth:`take` returns."""
        return TrainSplit(np.arange(len(self.index)), self.phase, len(self.index), _KEY)

    @staticmethod
    def require(train: object, what: str) -> None:
        """Raise unless ``train`` is a TrainSplit; ``what`` names the thing that is being fitted.

        Raises
        ------
        TypeError
            If it is anything else.
        """
        if not isinstance(train, TrainSplit):
            raise TypeError(f"{what} is fitted on a TrainSplit alone, got {train!r}; use TimeSplit.train_split(time).")


def train_split_of(index: np.ndarray, time: np.ndarray) -> TrainSplit:
    """Return the train split of the steps ``index``; for the splits themselves, which know that they are train's."""
    return TrainSplit(index, phase_of_year(time[index]), len(time), _KEY)


def train_split_at(index: np.ndarray, length: int) -> TrainSplit:
    """Return the train split of samples without a date, ``length`` of them in all; for the splits themselves."""
    return TrainSplit(index, np.zeros(len(index)), length, _KEY)


@dataclass(frozen=True)
class TimeSplit:
    """Which dates belong to which split; both ends of a span are included, to the end of that day.

    Parameters
    ----------
    train, validation : tuple of str
        First and last date: ``1995-02-28``, ``1995-02`` for a month or ``1995`` for a year.
    test : mapping of str to tuple of str
        The same for each test set, by name.
    gap : str
        Least time that lies in neither of two splits, such as ``10D``; between consecutive dates
        it is zero. Test sets need none between each other, as nothing is fitted on them.
    calendar : str, optional
        CF calendar that the dates are counted in. Without one, the first calendar that has all the
        dates; :meth:`on` checks again in the calendar of the data.

    Raises
    ------
    SplitError
        If a span runs backwards, holds a date that its calendar lacks, or if the splits are not in
        the order train, validation, tests, overlap, or are closer than ``gap``.

    Examples
    --------
    >>> split = TimeSplit(("1981", "1990"), ("1991", "1992"), {"test": ("1993", "1995")})
    >>> split.select("validation", np.array(["1990-12-31", "1991-01-01"], "datetime64[ns]")).tolist()
    [1]
    """

    train: Span
    validation: Span
    test: Mapping[str, Span]
    gap: str = "0D"
    calendar: str | None = None
    _edges: Mapping[str, tuple[int, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "test", dict(self.test))
        taken = sorted(set(self.test) & {"train", "validation"})
        if taken:
            raise SplitError(f"expected test sets with names of their own, got {list(self.test)!r}.")
        object.__setattr__(self, "_edges", self._count())
        self._check_order()

    @classmethod
    def from_config(cls, config: SplitConfig, calendar: str | None = None) -> TimeSplit:
        """Return the split that the experiment asks for."""
        return cls(config.train, config.validation, config.test, config.gap, calendar)

    def on(self, calendar: str) -> TimeSplit:
        """Return the same split counted in ``calendar``, checked again."""
        return replace(self, calendar=calendar)

    @property
    def spans(self) -> dict[str, Span]:
        """First and last date of every split, by name, in order."""
        return {"train": self.train, "validation": self.validation, **self.test}

    def select(self, name: str, time: np.ndarray) -> np.ndarray:
        """Return the positions on ``time`` that belong to the split called ``name``.

        Raises
        ------
        SplitError
            If there are none; the message names the split, its span and that of the data.
        """
        calendar = calendar_of(time)
        first, after = (self if self.calendar == calendar else self.on(calendar))._edges[name]
        count = microseconds(time)
        index = np.flatnonzero((count >= first) & (count < after))
        if not index.size:
            span = f"{iso(time[0])} to {iso(time[-1])}" if len(time) else "nothing"
            raise SplitError(f"split {self._said(name)} holds no data; the data span {span}. Change split.{name}.")
        return index

    def end(self, name: str, calendar: str) -> int:
        """Return the first microsecond after the split called ``name``, counted from 1970-01-01."""
        return self.on(calendar)._edges[name][1]

    def train_split(self, time: np.ndarray) -> TrainSplit:
        """Return the train split of the axis ``time``, for everything that is fitted."""
        return train_split_of(self.select("train", time), time)

    def _count(self) -> dict[str, tuple[int, int]]:
        if self.calendar:
            return self._count_in(self.calendar)
        for calendar in _CALENDARS:
            with suppress(SplitError):
                return self._count_in(calendar)
        return self._count_in(GREGORIAN)  # raises, in the calendar that readers expect

    def _count_in(self, calendar: str) -> dict[str, tuple[int, int]]:
        return {name: _edges(name, span, calendar) for name, span in self.spans.items()}

    def _check_order(self) -> None:
        for name, (first, after) in self._edges.items():
            if first >= after:
                a, b = self.spans[name]
                raise SplitError(f"split {name!r} runs backwards: expected first <= last, got {a!r} to {b!r}.")
        self._check_pair("train", "validation")
        for name in self.test:
            self._check_pair("validation", name)
        order = sorted(self.test, key=lambda name: self._edges[name])
        for early, late in pairwise(order):
            if self._edges[late][0] < self._edges[early][1]:
                raise SplitError(f"test sets {self._said(early)} and {self._said(late)} overlap; separate them.")

    def _check_pair(self, early: str, late: str) -> None:
        (first, after), (start, end) = self._edges[early], self._edges[late]
        both = f"{self._said(early)} and {self._said(late)}"
        if start < after and first < end:
            raise SplitError(f"splits {both} overlap; no date may be in two splits.")
        if start < after:
            raise SplitError(f"splits {both} are out of order; expected train, then validation, then every test set.")
        asked = int(pd.Timedelta(self.gap).total_seconds() * 1_000_000)
        if start - after < asked:
            days = (start - after) / DAY
            raise SplitError(
                f"splits {both} are {days:g} days apart, and split.gap asks for {self.gap!r}; move a date or lower it."
            )

    def _said(self, name: str) -> str:
        first, last = self.spans[name]
        return f"{name!r} ({first} to {last})"


def _edges(name: str, span: Span, calendar: str) -> tuple[int, int]:
    try:
        return parse(span[0], calendar)[0], parse(span[1], calendar)[1]
    except ValueError as error:
        raise SplitError(f"split {name!r}: {error}.") from error
