"""Regions of an experiment: bounds in latitude and longitude, and the parts of the target that scores are told of."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

Bounds = tuple[float, float]
MOST = 12  # every region has scores in every season, of every model
_NAME = re.compile(r"\w[\w .-]{0,39}")  # part of a group's name: no = and no ;
_TAKEN = ("all", "elsewhere")


class Region(BaseModel):
    """Bounds of a region in degrees, both ends included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: Bounds | None = Field(default=None, description="South and north, degrees.")
    lon: Bounds | None = Field(default=None, description="West and east, degrees.")

    @field_validator("lat", "lon")
    @classmethod
    def _upward(cls, bounds: Bounds | None) -> Bounds | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"expected the lower bound first, got {list(bounds)!r}")
        return bounds

    def bounds(self) -> dict[str, Bounds]:
        """Return the bounds that are set, by coordinate."""
        return {name: span for name, span in (("lat", self.lat), ("lon", self.lon)) if span is not None}


class ScoredRegion(Region):
    """A part of the target: a box on the Earth, or some stations."""

    stations: list[str] | None = Field(
        default=None, min_length=1, description="Identifiers of stations or basins, in place of bounds."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> ScoredRegion:
        if bool(self.bounds()) == (self.stations is not None):
            raise ValueError(
                "expected lat and lon (or one of them), or stations, got "
                + ("both" if self.stations is not None else "neither")
            )
        return self


def _named(regions: dict[str, ScoredRegion]) -> dict[str, ScoredRegion]:
    """Refuse names that no group of scores can have, and more regions than a report can tell of."""
    if not 0 < len(regions) <= MOST:
        raise ValueError(f"expected 1 to {MOST} regions, got {len(regions)}. Take none for no scores by region")
    for name in regions:
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise ValueError(
                f"expected names of at most 40 letters, digits, spaces and _ . -, none of them {' or '.join(_TAKEN)}, "
                f"got {name!r}"
            )
    return regions


def _kind(value: Any) -> str | None:
    if isinstance(value, dict):
        return "named"
    return "word" if value in ("auto", "none") else None


AskedRegions = Annotated[
    Annotated[Literal["auto", "none"], Tag("word")]
    | Annotated[dict[str, ScoredRegion], AfterValidator(_named), Tag("named")],
    Discriminator(
        _kind,
        custom_error_type="regions",
        custom_error_message="expected auto, none, or regions by name such as {alps: {lat: [45, 48], lon: [6, 14]}}",
    ),
]
