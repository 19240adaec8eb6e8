"""Options that several labels share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from pipeline.model_config import ModelConfig

BACKGROUND = "background"


def _of_its_own(name: str) -> str:
    if name == BACKGROUND:
        raise ValueError(f"expected a name for the class of the events, got {name!r}, which is that of all else")
    return name


ClassName = Annotated[str, Field(min_length=1), AfterValidator(_of_its_own)]


def require_odd(days: int) -> int:
    """Return ``days`` if a window of so many days has a centre, and is within a year.

    Raises
    ------
    ValueError
        If not.
    """
    if days % 2 == 0 or days > 365:
        raise ValueError(f"expected an odd number of days up to 365, centred on the day, got {days!r}")
    return days


class WindowConfig(ModelConfig):
    """Curves over the year from a moving window, and the length of events."""

    window: int = Field(default=5, ge=1, description="Days round the day of the year that are pooled; odd.")
    smooth: int = Field(default=1, ge=1, description="Days of the running mean over the curves, 1 for none; odd.")
    min_days: int = Field(default=1, ge=1, description="Shortest event.")
    max_gap: int = Field(default=0, ge=0, description="Days between two events that are one.")

    @field_validator("window", "smooth")
    @classmethod
    def _odd(cls, days: int) -> int:
        return require_odd(days)
