"""The ``schedule`` section of an experiment: when `finescale serve` runs it by itself."""

from __future__ import annotations

import re
import zoneinfo
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_LENGTH = re.compile(r"(\d+)\s*(min|h|d|w)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_YEAR = timedelta(days=366)
_CRON = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES = {3: {name: number for number, name in enumerate(_MONTHS, 1)}, 4: {name: k for k, name in enumerate(_DAYS)}}
_PART = re.compile(r"(\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/(\d+))?")


class ScheduleConfig(BaseModel):
    """When an experiment is run by `finescale serve`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str | None = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week: `0 3 * * 1` is Mondays at 3.",
    )
    every: str | None = Field(default=None, description="In place of `cron`, a length of time: 30min, 6h, 1d or 2w.")
    timezone: str = Field(default="UTC", description="Of the times in `cron`, such as Europe/Madrid.")
    late: str = Field(
        default="1h",
        description="A run that cannot begin within this time after it was due, for the machine was off or busy, is "
        "skipped.",
    )
    active: bool = Field(default=True, description="Whether it is on when `finescale serve` begins.")

    @property
    def interval(self) -> timedelta | None:
        """The length of ``every``; None with ``cron``."""
        return None if self.every is None else length(self.every)

    @property
    def patience(self) -> timedelta:
        """The length of ``late``."""
        return length(self.late)

    @field_validator("every", "late")
    @classmethod
    def _a_length(cls, text: str | None) -> str | None:
        if text is not None:
            length(text)
        return text

    @field_validator("cron")
    @classmethod
    def _five_parts(cls, text: str | None) -> str | None:
        if text is not None:
            check_cron(text)
        return text

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, name: str) -> str:
        wrong = f"expected a time zone such as UTC or Europe/Madrid, got {name!r}"
        # Files beside the zones, which Prefect's scheduler does not know.
        if name in {"localtime", "Factory", "posixrules"} or name.startswith(("posix/", "right/")):
            raise ValueError(wrong)
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(wrong) from error
        return name

    @model_validator(mode="after")
    def _one_of_both(self) -> ScheduleConfig:
        if (self.cron is None) == (self.every is None):
            raise ValueError("expected cron or every, one of both")
        return self


def length(text: str) -> timedelta:
    """Return a length of time.

    Raises
    ------
    ValueError
        If it is none, or shorter than a minute.

    Examples
    --------
    >>> length("6h")
    datetime.timedelta(seconds=21600)
    """
    found = _LENGTH.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"expected a length of time such as 30min, 6h, 1d or 2w, got {text!r}")
    unit = timedelta(**{_UNITS[found[2]]: 1})
    if int(found[1]) > _YEAR / unit:
        raise ValueError(f"expected a length of time of a year at most, got {text!r}")
    return int(found[1]) * unit


def check_cron(text: str) -> None:
    """Refuse what is no cron line of five parts.

    Raises
    ------
    ValueError
        If a part is missing, is not a number, name, range, list or step, or is out of its bounds; if no year has such
        a day.

    Examples
    --------
    >>> check_cron("*/15 6-18 * * mon-fri")
    >>> check_cron("0 25 * * *")
    Traceback (most recent call last):
    ...
    ValueError: expected an hour of 0 to 23 in the cron line '0 25 * * *', got '25'
    """
    parts = text.lower().split()
    if len(parts) != len(_CRON):
        raise ValueError(
            f"expected five parts (minute, hour, day of the month, month, day of the week) such as '0 3 * * 1', "
            f"got {text!r}"
        )
    for number, (part, (name, low, high)) in enumerate(zip(parts, _CRON, strict=True)):
        for one in part.split(","):
            found = _PART.fullmatch(one)
            ends = [] if found is None or found[1] == "*" else found[1].split("-")
            values = [_NAMES.get(number, {}).get(end, int(end) if end.isdigit() else -1) for end in ends]
            wrong = found is None or (found[2] is not None and int(found[2]) == 0)
            if wrong or any(not low <= value <= high for value in values) or values != sorted(values):
                article = "an" if name == "hour" else "a"
                raise ValueError(f"expected {article} {name} of {low} to {high} in the cron line {text!r}, got {one!r}")
    days, months, week = parts[2:]
    first = min(_values(2, days))
    if week == "*" and first > max(_DAYS_OF_MONTH[month - 1] for month in _values(3, months)):
        raise ValueError(f"expected a day that comes in the cron line {text!r}, got day {first} of month {months}")


def _values(number: int, part: str) -> list[int]:
    """Return the numbers that a part of a cron line stands for."""
    _, low, high = _CRON[number]
    found: list[int] = []
    for one in part.split(","):
        span, _, step = one.partition("/")
        ends = [str(low), str(high)] if span == "*" else span.split("-")
        first, *last = (_NAMES.get(number, {}).get(end) or int(end) for end in ends)
        until = last[0] if last else high if step else first
        found += range(first, until + 1, int(step or 1))
    return found
