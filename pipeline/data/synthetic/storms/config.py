"""Options of the made storms, and the kinds of events in them; formulas in ``docs/synthetic.md``."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Span = tuple[float, float]

LABELS = "LABELS"
CLASSES = ("background", "tropical_cyclone", "atmospheric_river")

Rows = Annotated[int, Field(ge=16, le=768)]
Columns = Annotated[int, Field(ge=32, le=1152)]


class StormConfig(BaseModel):
    """Which made weather.

    Examples
    --------
    >>> StormConfig(times=8, step_hours=6).hours
    48
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(default=0, ge=0, description="Where its random numbers come from.")
    first: datetime.date = Field(default=datetime.date(2001, 1, 1), description="Day of the first map, 00 UTC.")
    times: int = Field(default=600, ge=1, le=20000, description="Number of maps.")
    step_hours: Literal[1, 3, 6, 12, 24] = Field(default=24, description="Hours between maps.")
    shape: tuple[Rows, Columns] = Field(
        default=(48, 96), description="Cells along latitude and longitude of the globe."
    )
    noise: float = Field(default=1.0, ge=0, le=5, description="Deviation of the weather noise, 1 as in the docs.")

    @property
    def hours(self) -> int:
        """Length of the whole series."""
        return self.times * self.step_hours


@dataclass(frozen=True)
class Kind:
    """Events of one kind; each event draws its own numbers evenly from the spans.

    Parameters
    ----------
    shape : {"vortex", "band"}
        Round around a centre, or along an arc.
    label : int
        Class of its cells while it is strong; 0 for what only looks like an event.
    count : float
        Mean number that exist at a time, on the globe.
    days : Span
        Lifetime.
    lat : Span
        Where it starts, degrees from the equator in either hemisphere.
    size : Span
        Radius or half width, km.
    moist, wind, depth, warm : float
        Greatest rise of TMQ [kg m-2], wind [m s-1], fall of PSL [Pa] and rise of temperature aloft [K].
    east, pole : Span
        Drift [degrees a day].
    arc : Span
        Length of a band along longitude [degrees]; also its way poleward is in proportion to it.
    recurves : bool
        Whether the drift along longitude turns east on the way poleward.
    """

    shape: Literal["vortex", "band"]
    label: int
    count: float
    days: Span
    lat: Span
    size: Span
    moist: float
    wind: float
    depth: float
    warm: float
    east: Span
    pole: Span
    arc: Span = (0.0, 0.0)
    recurves: bool = False


KINDS: dict[str, Kind] = {
    # What is sought.
    "cyclone": Kind(
        "vortex", 1, 1.6, (6, 12), (9, 20), (330, 460), 14.0, 17.0, 2600.0, 4.0, (-6, -3), (0.8, 1.8), recurves=True
    ),
    "river": Kind("band", 2, 4.0, (4, 9), (16, 26), (230, 370), 16.0, 13.0, 0.0, 0.0, (5, 10), (-0.5, 0.5), (35, 65)),
    # What has a part of its signs: lows that are dry and cold, or moist and slack; moisture that stands still; wind
    # without moisture; bands too short for a river.
    "low": Kind("vortex", 0, 9.0, (4, 9), (38, 64), (600, 1100), 4.0, 13.0, 3200.0, -1.5, (7, 12), (0.0, 1.0)),
    "cold_low": Kind("vortex", 0, 2.5, (4, 8), (22, 36), (350, 520), -5.0, 13.0, 2400.0, -3.0, (2, 7), (-0.5, 0.5)),
    "tropical_low": Kind("vortex", 0, 2.5, (4, 8), (7, 20), (350, 520), 12.0, 5.0, 1500.0, 0.3, (-6, -2), (0.0, 0.8)),
    "blob": Kind("vortex", 0, 7.0, (3, 8), (10, 42), (400, 800), 17.0, 0.0, 0.0, 0.0, (-2, 8), (-0.5, 0.5)),
    "streak": Kind("band", 0, 4.0, (3, 8), (18, 40), (230, 370), -2.0, 15.0, 0.0, 0.0, (6, 12), (-0.5, 0.5), (30, 60)),
    "short": Kind("band", 0, 3.0, (3, 7), (18, 38), (230, 350), 15.0, 12.0, 0.0, 0.0, (5, 10), (-0.5, 0.5), (8, 14)),
}

STRONG = 0.5
"""Strength, of 0 to 1, from which an event is labelled."""

MEMORY_HOURS = 60.0
"""Time in which the correlation of the weather noise falls to 1/e."""


@dataclass(frozen=True)
class Channel:
    """Units, CF name and meaning of a variable."""

    units: str
    standard_name: str | None
    long_name: str


CHANNELS: dict[str, Channel] = {
    "TMQ": Channel("kg m-2", "atmosphere_mass_content_of_water_vapor", "water vapour of the whole column"),
    "U850": Channel("m s-1", "eastward_wind", "wind towards east at 850 hPa"),
    "V850": Channel("m s-1", "northward_wind", "wind towards north at 850 hPa"),
    "UBOT": Channel("m s-1", "eastward_wind", "wind towards east at the lowest level"),
    "VBOT": Channel("m s-1", "northward_wind", "wind towards north at the lowest level"),
    "QREFHT": Channel("kg kg-1", "specific_humidity", "specific humidity near the ground"),
    "PS": Channel("Pa", "surface_air_pressure", "pressure at the ground"),
    "PSL": Channel("Pa", "air_pressure_at_mean_sea_level", "pressure at sea level"),
    "T200": Channel("K", "air_temperature", "temperature at 200 hPa"),
    "T500": Channel("K", "air_temperature", "temperature at 500 hPa"),
    "PRECT": Channel("m s-1", "lwe_precipitation_rate", "precipitation"),
    "TS": Channel("K", "surface_temperature", "temperature of the ground"),
    "TREFHT": Channel("K", "air_temperature", "temperature near the ground"),
    "Z1000": Channel("m", "geopotential_height", "height of the 1000 hPa level"),
    "Z200": Channel("m", "geopotential_height", "height of the 200 hPa level"),
    "ZBOT": Channel("m", "height", "height of the lowest level"),
}
"""The 16 channels of ClimateNet."""
