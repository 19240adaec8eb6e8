"""One time axis for splits that may count in different calendars.

Splits of one calendar are written in it. A test set of a model run without leap days beside one with
them is written by its dates in the Gregorian calendar, and the file says which calendar was its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cftime
import numpy as np

from pipeline.errors import DataError
from pipeline.prepare.dates import GREGORIAN, calendar_of, components, iso, microseconds

UNITS = "seconds since 1970-01-01"  # whole numbers whatever the step, and every tool reads them
_MICRO = 1_000_000


@dataclass
class Stamps:
    """Times of the splits of a file, in their order.

    Examples
    --------
    >>> stamps = Stamps()
    >>> stamps.add("test", np.array(["1970-01-01", "1970-01-02"], "datetime64[ns]"))
    >>> stamps.seconds()
    array([    0, 86400])
    """

    splits: list[str] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)
    valid: list[np.ndarray] = field(default_factory=list)

    def add(self, split: str, time: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Take the times of one more split, and what times its forecasts are for, shape (time, lead).

        Raises
        ------
        DataError
            If the split has come before, with another between, or if the calendars of the splits have no
            axis in common.
        """
        if split in self.splits and split != self.splits[-1]:
            raise DataError(
                f"expected the parts of split {split!r} one after another, got {self.splits[-1]!r} between."
            )
        self.splits.append(split)
        self.times.append(np.asarray(time))
        if valid is not None:
            self.valid.append(valid)
        if len(self._calendars()) > 1:
            for name, known in zip(self.splits, self.times, strict=True):
                _gregorian(known, name)

    @property
    def calendar(self) -> str:
        """CF name of the calendar of the axis."""
        known = self._calendars()
        return known[0] if len(known) == 1 else GREGORIAN

    def seconds(self) -> np.ndarray:
        """Return the axis in ``UNITS`` and ``calendar``."""
        return self._seconds(self.times)

    def valid_seconds(self) -> np.ndarray:
        """Return what times the forecasts are for, as :meth:`seconds`, shape (time, lead)."""
        leads = self.valid[0].shape[1]
        return self._seconds([valid.ravel() for valid in self.valid]).reshape(-1, leads)

    def _seconds(self, parts: list[np.ndarray]) -> np.ndarray:
        if len(self._calendars()) > 1:
            parts = [_gregorian(time, split) for split, time in zip(self.splits, parts, strict=True)]
        return np.concatenate([microseconds(time) // _MICRO for time in parts])

    def names(self) -> np.ndarray:
        """Return the name of the split of every time."""
        return np.repeat(np.asarray(self.splits, dtype=object), [len(time) for time in self.times])

    def others(self) -> dict[str, str]:
        """Return the calendars of splits that are written in another one."""
        pairs = zip(self.splits, self.times, strict=True)
        own = {split: calendar_of(time) for split, time in pairs if time.dtype.kind not in "iu"}
        return {split: calendar for split, calendar in own.items() if calendar != self.calendar}

    def _calendars(self) -> list[str]:
        # Numbers of tiles are of no calendar.
        return list(dict.fromkeys(calendar_of(time) for time in self.times if time.dtype.kind not in "iu"))


def back(time: np.ndarray, calendar: str) -> np.ndarray:
    """Return Gregorian times as cftime objects of the same date in ``calendar``."""
    return _as(time, calendar)


def _gregorian(time: np.ndarray, split: str) -> np.ndarray:
    if time.dtype.kind == "M":
        return time
    try:
        return _as(time, GREGORIAN)
    except ValueError as error:
        raise DataError(
            f"expected all splits in one calendar, or in calendars whose dates the Gregorian one has too, got "
            f"{calendar_of(time)!r} of {split!r}, {iso(time[0])} to {iso(time[-1])}, beside another. Put it into an "
            "experiment of its own."
        ) from error


def _as(time: np.ndarray, calendar: str) -> np.ndarray:
    stamps = [
        cftime.datetime(year, month, day, second // 3600, second // 60 % 60, second % 60, calendar=calendar)
        for year, month, day, second in components(time).tolist()
    ]
    return np.array(stamps, dtype=object)
