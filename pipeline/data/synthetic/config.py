"""Options of the made climate and the constants of its physics; formulas in ``docs/synthetic.md``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Cells = Annotated[int, Field(ge=3, le=24)]


class SyntheticConfig(BaseModel):
    """Which made climate.

    Entries of the catalog with the same options belong together: their days, terrain and weather
    are the same.

    Examples
    --------
    >>> SyntheticConfig(years=2).fine
    (16, 24)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    variant: Literal["full", "linear"] = Field(
        default="full", description="How fine temperature follows from the weather."
    )
    first_year: int = Field(default=2001, ge=1700, le=2200, description="Starts on 1 January.")
    years: int = Field(default=10, ge=1, le=60, description="Whole calendar years of daily data.")
    seed: int = Field(default=0, ge=0, description="Where its random numbers come from.")
    coarse: tuple[Cells, Cells] = Field(default=(4, 6), description="Coarse cells of one degree along lat and lon.")
    refine: int = Field(default=4, ge=2, le=16, description="Fine cells per coarse cell along each direction.")
    trend: float = Field(default=0.4, ge=-5, le=5, description="Warming, kelvin per decade.")
    stations: int = Field(default=12, ge=1, le=200, description="Number of stations, each in a land cell of its own.")

    @property
    def fine(self) -> tuple[int, int]:
        """Fine cells along lat and lon."""
        return self.coarse[0] * self.refine, self.coarse[1] * self.refine


@dataclass(frozen=True)
class TerrainConstants:
    """Coast and mountains; lengths in degrees, heights in m."""

    south: float = 40.0
    west: float = 0.0
    coast: float = 0.16
    """Mean share of the region's width that is sea, in the west."""
    bays: float = 0.05
    """Deviation of that share along the coast."""
    bay_length: float = 1.2
    shore: float = 0.1
    """Width of the land share's step from 0 to 1."""
    rise: float = 1.0
    """Distance from the coast over which mountains reach 63 % of their height."""
    ridge_length: float = 0.5
    ridge_height: float = 900.0
    ridge_sharpness: float = 1.5
    coast_length: float = 0.5
    """Distance inland over which the sea breeze falls to 1/e."""


@dataclass(frozen=True)
class WeatherConstants:
    """Coarse weather: mean, season, deviation, correlation length [km] and one-day correlation."""

    psl_mean: float = 1015.0
    psl_per_degree: float = -0.15
    psl_season: float = 0.25
    psl_sd: float = 5.0
    psl_length: float = 450.0
    psl_memory: float = 0.75
    wind_ratio: float = 0.5
    """Surface wind over geostrophic wind."""
    wind_turn: float = 20.0
    """Turn of the surface wind towards low pressure, degrees."""
    air_density: float = 1.2
    tas_mean: float = 15.0
    tas_season: float = 8.0
    warmest_day: float = 200.0
    tas_per_degree: float = -0.6
    tas_advection: float = 0.25
    """Warming by southerly wind, K per m/s."""
    tas_sd: float = 2.5
    tas_length: float = 500.0
    tas_memory: float = 0.85
    humidity_mean: float = 0.4
    humidity_sd: float = 0.8
    humidity_length: float = 300.0
    humidity_memory: float = 0.7
    height_850: float = 1.5
    """Height of the 850 hPa level, km."""


@dataclass(frozen=True)
class TargetConstants:
    """How fine temperature follows from the coarse weather and the terrain."""

    lapse: float = 6.5
    """Fall of temperature with height in mixed air, K/km; also that of the coarse model."""
    inversion: float = -5.0
    """The same in a cold pool: temperature rises with height."""
    clear: float = 0.0
    """Pressure anomaly at which the sky is half clear, hPa."""
    clear_width: float = 1.5
    calm: float = 6.0
    """Wind at which the air is half mixed, m/s."""
    calm_width: float = 1.0
    foehn: float = 9.0
    """Most that sinking air can warm, K."""
    descent: float = 0.15
    """Descent at which it warms by 63 % of that, m/s."""
    humidity: float = 5.0
    """Humidity at which it warms by half of that, g/kg."""
    breeze: float = 0.5
    """Cooling at the shore per kelvin that the land is warmer than the sea."""
    sea: float = 15.0
    """Temperature of the sea, degC."""
    breeze_wind: float = 5.0
    """Wind at which the sea breeze falls to 1/e, m/s."""
    snow: float = 3.5
    """Cooling over snow, K."""
    snow_limit: float = 1.0
    """Temperature under which snow lies, degC."""
    snow_width: float = 0.7
    noise: float = 0.4
    """Least deviation of what no predictor explains, K."""
    noise_stable: float = 0.4
    """More of it in stable air, K."""
    noise_wind: float = 0.03
    """More of it with wind, K per m/s."""
    noise_length: float = 0.5
    """Its correlation length, degrees."""
    linear_noise: float = 0.8
    """Its constant deviation in the variant `linear`, K."""
    linear_lapse: float = 0.3
    """Change of the lapse rate with pressure in the variant `linear`, K/km per hPa."""
    linear_descent: float = 5.0
    """Warming of sinking air in the variant `linear`, K per m/s."""
    linear_humidity: float = 0.5
    """Warming of mountains by moist air in the variant `linear`, K/km per g/kg."""
    station_height: float = 150.0
    """Deviation of a station's height from that of its cell, m."""
    station_noise: float = 0.5
    """Deviation of what sets a station apart from its cell each day, K."""
    station_gaps: float = 0.02
    """Share of missing station days."""


TERRAIN = TerrainConstants()
WEATHER = WeatherConstants()
TARGET = TargetConstants()
