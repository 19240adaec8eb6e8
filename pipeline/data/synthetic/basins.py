"""Made basins: daily weather, what does not change, and the streamflow of a two-store model; ``docs/synthetic.md``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from pipeline.backend import Backend
from pipeline.data import READERS, Reader
from pipeline.data.catalog import Entry
from pipeline.data.synthetic.fields import persist
from pipeline.seeding import generator

_WARMUP = 365
"""Days before the first that fill the stores."""


class BasinConfig(BaseModel):
    """Which made basins.

    Examples
    --------
    >>> BasinConfig(years=1).basins
    12
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(default=0, ge=0, description="Where its random numbers come from.")
    basins: int = Field(default=12, ge=1, le=500, description="How many.")
    first_year: int = Field(default=2001, ge=1700, le=2200, description="Starts on 1 January.")
    years: int = Field(default=8, ge=1, le=60, description="Whole calendar years of daily data.")
    gaps: float = Field(default=0.03, ge=0, le=0.5, description="Mean share of days without measured flow.")
    noise: float = Field(default=0.08, ge=0, le=1, description="Deviation of the measured flow's relative error.")


@dataclass(frozen=True)
class BasinConstants:
    """Weather and stores; amounts in mm, temperatures in degC, time in days."""

    sea_level: float = 14.0
    lapse: float = 6.5
    """Fall of temperature with height, K/km."""
    season: float = 10.0
    warmest_day: float = 200.0
    temperature_sd: float = 3.5
    temperature_memory: float = 0.8
    wet_after_dry: float = 0.28
    wet_after_wet: float = 0.58
    rain_shape: float = 0.7
    rain_mean: float = 6.0
    """Mean amount on a wet day at sea level, mm; it grows by 40 % a kilometre."""
    snow_at: float = 0.5
    snow_width: float = 1.0
    melt: float = 3.0
    """Melt, mm per kelvin and day."""
    pet_per_kelvin: float = 0.22
    capacity_per_metre: float = 250.0
    """Capacity of the soil store, mm per metre of soil."""
    release: float = 0.015
    """Share of the soil store that drains in a day at no slope."""
    release_per_slope: float = 0.1


CONSTANTS = BasinConstants()

_Said = dict[str, tuple[str, str | None, str]]
_STATIC: _Said = {
    "elevation": ("m", "surface_altitude", "mean height of the basin"),
    "area": ("km2", None, "area of the basin"),
    "slope": ("1", None, "mean slope"),
    "soil_depth": ("m", None, "depth of the soil"),
}
_SERIES: _Said = {
    "pr": ("mm d-1", "lwe_precipitation_rate", "precipitation"),
    "tas": ("degC", "air_temperature", "mean temperature"),
    "flow": ("mm d-1", None, "measured streamflow over the area"),
}
_TRUTH: _Said = {"flow_true": ("mm d-1", None, "streamflow without errors and gaps")}
_SAID = {"series": _SERIES, "static": _STATIC, "truth": _TRUTH}
"""Units, standard name and long name of the variables of each part."""


@dataclass(frozen=True, eq=False)
class BasinWorld:
    """Made basins; each part is the same every time.

    Examples
    --------
    >>> dict(BasinWorld(BasinConfig(years=1)).dataset("series").sizes)
    {'time': 365, 'station': 12}
    """

    config: BasinConfig

    @cached_property
    def statics(self) -> dict[str, np.ndarray]:
        """Places and attributes, each of shape (station,)."""
        count = self.config.basins
        rng = generator(self.config.seed, "basins:static")
        return {
            "lat": np.round(rng.uniform(42.0, 50.0, count), 3),
            "lon": np.round(rng.uniform(5.0, 18.0, count), 3),
            "elevation": np.round(rng.uniform(150.0, 1900.0, count)),
            "area": np.round(np.exp(rng.uniform(np.log(40.0), np.log(2500.0), count)), 1),
            "slope": np.round(rng.uniform(0.02, 0.4, count), 3),
            "soil_depth": np.round(rng.uniform(0.4, 2.0, count), 2),
        }

    @cached_property
    def days(self) -> np.ndarray:
        """Days from a year before the first to the last, ``datetime64[D]``."""
        first = np.datetime64(f"{self.config.first_year:04d}-01-01", "D")
        last = np.datetime64(f"{self.config.first_year + self.config.years:04d}-01-01", "D")
        return np.arange(first - _WARMUP, last)

    @cached_property
    def weather(self) -> tuple[np.ndarray, np.ndarray]:
        """Precipitation [mm d-1] and temperature [degC], each of shape (day, station)."""
        return _weather(self.config, self.days, self.statics["elevation"] / 1000.0)

    @cached_property
    def flow(self) -> np.ndarray:
        """Streamflow without errors [mm d-1], shape (day, station)."""
        rain, temperature = (field.astype(np.float32).astype(np.float64) for field in self.weather)
        return run_stores(rain, temperature, self.statics["soil_depth"], self.statics["slope"])

    def dataset(self, part: Literal["series", "static", "truth"]) -> xr.Dataset:
        """Return one part, float32: dims (time, station), or (station,) of what does not change."""
        said, values = _SAID[part], self.statics
        dims: tuple[str, ...] = ("station",)
        if part != "static":
            rain, temperature = self.weather
            found = {"pr": rain, "tas": temperature, "flow": self._measured(), "flow_true": self.flow}
            values, dims = {name: found[name][_WARMUP:] for name in said}, ("time", "station")
        parts = {
            name: (dims, values[name].astype(np.float32), {"units": units, "long_name": text} | _named(standard))
            for name, (units, standard, text) in said.items()
        }
        names = np.array([f"B{number + 1:02d}" for number in range(self.config.basins)])
        coords: dict[str, object] = {
            "station": ("station", names),
            "lat": ("station", self.statics["lat"], {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("station", self.statics["lon"], {"units": "degrees_east", "standard_name": "longitude"}),
        }
        if "time" in dims:
            coords["time"] = ("time", self.days[_WARMUP:].astype("datetime64[ns]"), {"standard_name": "time"})
        return xr.Dataset(parts, coords=coords)

    def _measured(self) -> np.ndarray:
        """Return the flow with relative errors and with gaps of weeks."""
        rng = generator(self.config.seed, "basins:measured")
        error = persist(rng.standard_normal(self.flow.shape), 0.5)
        measured = self.flow * np.exp(self.config.noise * error - self.config.noise**2 / 2)
        # Gaps last 20 days on average: begun and ended by chance, day by day.
        begin = self.config.gaps / (1.0 - self.config.gaps) / 20.0
        chance = rng.random(self.flow.shape)
        gap = np.zeros(self.config.basins, bool)
        for day, row in enumerate(chance):
            gap = np.where(gap, row >= 1 / 20.0, row < begin)
            measured[day, gap] = np.nan
        return measured


def run_stores(rain: np.ndarray, temperature: np.ndarray, soil_depth: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the streamflow of a snow store above a soil store, mm d-1, shape (day, station).

    Parameters
    ----------
    rain, temperature : ndarray, shape (day, station)
        Precipitation [mm d-1] and temperature [degC].
    soil_depth, slope : ndarray, shape (station,)
        Depth of the soil [m] sets the capacity, slope [1] how fast it drains.

    Notes
    -----
    What falls is snow by a share of temperature; snow melts by degree-days. Of the water that comes to the soil the
    share (filling)^2 runs off at once, the rest is stored; evaporation takes its potential times the filling; a
    share of what is stored drains. The two-store structure is that of the HBV family, doi:10.2166/nh.1973.0012.
    """
    c = CONSTANTS
    capacity = c.capacity_per_metre * soil_depth
    release = c.release + c.release_per_slope * slope
    snow, soil = np.zeros(rain.shape[1]), 0.5 * capacity
    flow = np.empty(rain.shape)
    for day, (water, warmth) in enumerate(zip(rain, temperature, strict=True)):
        frozen = water / (1.0 + np.exp((warmth - c.snow_at) / (0.5 * c.snow_width)))
        melt = np.minimum(snow, c.melt * np.maximum(warmth - c.snow_at, 0.0))
        snow = snow + frozen - melt
        inflow = water - frozen + melt
        filling = soil / capacity
        quick = inflow * filling**2
        soil = soil + inflow - quick
        spilled = np.maximum(soil - capacity, 0.0)
        soil = soil - spilled
        soil = soil - np.minimum(soil, c.pet_per_kelvin * np.maximum(warmth, 0.0) * filling)
        drained = release * soil
        soil = soil - drained
        flow[day] = quick + spilled + drained
    return flow


def _weather(config: BasinConfig, days: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precipitation and temperature; basins share a part of the day's weather."""
    c, shape = CONSTANTS, (len(days), config.basins)
    rng = generator(config.seed, "basins:weather")
    season = np.cos(2 * np.pi * (pd.DatetimeIndex(days).dayofyear.to_numpy() - c.warmest_day) / 365.25)[:, None]
    shared, own = rng.standard_normal((shape[0], 1)), rng.standard_normal(shape)
    swing = persist(np.sqrt(0.8) * shared + np.sqrt(0.2) * own, c.temperature_memory)
    temperature = c.sea_level - c.lapse * height + c.season * season + c.temperature_sd * swing
    # One draw a region and one a basin: three of four days are wet or dry everywhere alike.
    region, basin, which = rng.random((shape[0], 1)), rng.random(shape), rng.random(shape)
    chance = np.where(which < 0.75, region, basin)
    amount = rng.gamma(c.rain_shape, c.rain_mean / c.rain_shape, shape) * (1.0 + 0.4 * height)
    wet, rain = np.zeros(config.basins, bool), np.zeros(shape)
    for day in range(shape[0]):
        wet = chance[day] < np.where(wet, c.wet_after_wet, c.wet_after_dry)
        rain[day, wet] = amount[day, wet]
    return rain, temperature


def _named(standard_name: str | None) -> dict[str, str]:
    return {"standard_name": standard_name} if standard_name else {}


@READERS.register("synthetic_basins")
class SyntheticBasinsReader(Reader):
    """Makes one part of made basins; entries with the same options but for ``part`` belong together."""

    class Options(BasinConfig):
        """Keys of an entry of format ``synthetic_basins``."""

        part: Literal["series", "static", "truth"] = Field(
            description="Weather and measured flow, attributes, or flow without errors, which is for tests alone."
        )

    needs_files: ClassVar[bool] = False

    def read(self, entry: Entry, files: tuple[Path, ...], backend: Backend) -> xr.Dataset:
        """Return the part that the options name."""
        options = self.Options.model_validate(entry.options)
        return BasinWorld(BasinConfig(**options.model_dump(exclude={"part"}))).dataset(options.part)
