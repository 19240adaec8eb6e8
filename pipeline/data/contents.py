"""What is in a dataset."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.data.calendars import date_text


@dataclass(frozen=True)
class Gap:
    """A stretch of time without data: the last time before it, the first behind it, and the steps left out."""

    before: str
    after: str
    steps: int


@dataclass(frozen=True)
class VariableCheck:
    """What a variable holds.

    Parameters
    ----------
    name, units : str
        Name and units after loading.
    dims : dict of str to int
        Length of each dim.
    start, end : str or None
        First and last time; None without times.
    step : str or None
        Usual time between two values: ``"1 day"``, ``"6 hours"``, ``"1 month"``.
    gaps : tuple of Gap
        Where longer than one and a half steps pass; seasonal data have one a year, which is no fault.
    missing : float
        Share of values that are missing, 0 to 1.
    minimum, maximum : float
        Of the finite values, in ``units``; NaN if there are none.
    constant : bool
        Whether all finite values are the same.
    """

    name: str
    units: str
    dims: dict[str, int]
    start: str | None
    end: str | None
    step: str | None
    gaps: tuple[Gap, ...]
    missing: float
    minimum: float
    maximum: float
    constant: bool


@dataclass(frozen=True)
class Range:
    """What values there are: how many, how many of them are missing, and the least and greatest of the others."""

    count: int
    missing: int
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: np.ndarray) -> Range:
        """Return the range of an array; NaN is missing."""
        missing = int(np.isnan(values).sum())
        if missing == values.size:
            return cls(values.size, missing, math.nan, math.nan)
        return cls(values.size, missing, float(np.nanmin(values)), float(np.nanmax(values)))

    def and_of(self, other: Range) -> Range:
        """Return the range of both.

        Examples
        --------
        >>> Range.of(np.array([1.0, np.nan])).and_of(Range.of(np.array([np.nan])))
        Range(count=3, missing=2, minimum=1.0, maximum=1.0)
        """
        lowest, highest = np.fmin(self.minimum, other.minimum), np.fmax(self.maximum, other.maximum)
        return Range(self.count + other.count, self.missing + other.missing, float(lowest), float(highest))

    @property
    def share_missing(self) -> float:
        """Share of values that are missing, 1 where there are no values."""
        return self.missing / self.count if self.count else 1.0


def inspect(data: xr.Dataset, ranges: Mapping[str, Range] | None = None) -> tuple[VariableCheck, ...]:
    """Return what each variable of a loaded dataset holds, in its order; ``ranges`` where they are known already."""
    times = data["time"].values if "time" in data.dims else None
    step, gaps = _steps(times)
    start, end = (None, None) if times is None or not len(times) else (date_text(times[0]), date_text(times[-1]))
    checks = []
    for name, array in data.data_vars.items():
        has_time = "time" in array.dims
        found = Range.of(array.values) if ranges is None else ranges[str(name)]
        checks.append(
            VariableCheck(
                name=str(name),
                units=str(array.attrs.get("units", "")),
                dims={str(dim): size for dim, size in array.sizes.items()},
                start=start if has_time else None,
                end=end if has_time else None,
                step=step if has_time else None,
                gaps=gaps if has_time else (),
                missing=found.share_missing,
                minimum=found.minimum,
                maximum=found.maximum,
                constant=found.minimum == found.maximum,
            )
        )
    return tuple(checks)


def _steps(times: np.ndarray | None) -> tuple[str | None, tuple[Gap, ...]]:
    if times is None or len(times) < 2:
        return None, ()
    days = _days(np.diff(times))
    usual = float(np.median(days))
    if usual <= 0:
        return None, ()
    wide = np.flatnonzero(days > 1.5 * usual)
    gaps = tuple(Gap(date_text(times[i]), date_text(times[i + 1]), round(days[i] / usual) - 1) for i in wide)
    return _step_name(usual), gaps


def _step_name(days: float) -> str:
    for length, name in ((365.2425, "year"), (30.4, "month"), (1.0, "day"), (1 / 24, "hour"), (1 / 1440, "minute")):
        count = round(days / length)
        # Months and years vary in length; days and hours do not.
        if count and abs(days - count * length) <= (0.05 * length if length > 1 else 1e-6):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{days:g} days"


def _days(steps: np.ndarray) -> np.ndarray:
    if steps.dtype.kind == "m":
        return steps / np.timedelta64(1, "D")
    return np.array([step / datetime.timedelta(days=1) for step in steps], np.float64)
