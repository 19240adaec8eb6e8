"""Deep lows: the area of low sea-level pressure round strong cyclones."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from pipeline.prepare.labels._contract import LABELS
from pipeline.prepare.labels._number import NumberConfig, NumberLabel
from pipeline.prepare.labels._options import BACKGROUND

DEPTH = {"value": 980.0, "anomaly": -20.0}  # hPa


class DeepLowConfig(NumberConfig):
    """Options of a deep low."""

    below: float | None = Field(
        default=None, description="Largest pressure; by default 980 hPa, of an anomaly -20 hPa, given in hPa."
    )
    units: str = Field(default="hPa", min_length=1, description="Of the threshold; converted to those of the data.")

    @field_validator("units")
    @classmethod
    def _with_number(cls, units: str, info: ValidationInfo) -> str:
        if info.data.get("below") is None and units != "hPa":
            raise ValueError(f"expected 'below' with units of its own, got {units!r} and no 'below'")
        return units


@LABELS.register("deep_low")
class DeepLow(NumberLabel):
    """Cells with a sea-level pressure below 980 hPa, or an anomaly from the day of the year below -20 hPa.

    It is the area of a cyclone, not its centre; at high latitudes, where the mean is low, the anomaly tells more.
    The intensity is how far the pressure lies below the threshold.
    """

    kind = "deep_low"
    Config = DeepLowConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Background and the low."""
        return (BACKGROUND, self.kind)

    @property
    def number(self) -> float:
        """The threshold."""
        return float(DEPTH[self.config.of] if self.config.below is None else self.config.below)

    @property
    def sign(self) -> float:
        """Below."""
        return -1.0
