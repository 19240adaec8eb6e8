"""Events past a number: of any field, or of its anomaly."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from pipeline.prepare.labels._contract import LABELS
from pipeline.prepare.labels._number import NumberConfig, NumberLabel
from pipeline.prepare.labels._options import BACKGROUND, ClassName


class ThresholdConfig(NumberConfig):
    """Options of a threshold."""

    above: float | None = Field(default=None, description="Events are larger; this or 'below'.")
    below: float | None = Field(default=None, validate_default=True, description="Events are smaller; this or 'above'.")
    units: str = Field(min_length=1, description="Of the threshold; converted to those of the data.")
    min_days: int = Field(default=1, ge=1, description="Shortest event.")
    max_gap: int = Field(default=0, ge=0, description="Days between two events that are one.")
    name: ClassName = Field(default="event", description="Name of the class.")

    @field_validator("below")
    @classmethod
    def _one(cls, below: float | None, info: ValidationInfo) -> float | None:
        above = info.data.get("above")
        if (above is None) == (below is None):
            raise ValueError(f"expected one of 'above' and 'below', got above {above!r} and below {below!r}")
        return below


@LABELS.register("threshold")
class Threshold(NumberLabel):
    """Values, or anomalies from the train split's mean of the day of the year, above or below a number.

    The intensity is how far a value lies past the threshold.
    """

    kind = "threshold"
    Config = ThresholdConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Background and the event."""
        return (BACKGROUND, self.config.name)

    @property
    def number(self) -> float:
        """The threshold."""
        return float(self.config.below if self.config.above is None else self.config.above)

    @property
    def sign(self) -> float:
        """Which side of it."""
        return -1.0 if self.config.above is None else 1.0
