"""The made climate as a whole, and its parts as datasets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import xarray as xr

from pipeline.data.synthetic.config import SyntheticConfig
from pipeline.data.synthetic.stations import Stations, make_stations
from pipeline.data.synthetic.target import Truth, draw, make_truth
from pipeline.data.synthetic.terrain import Terrain, make_terrain
from pipeline.data.synthetic.weather import Weather, make_weather
from pipeline.grid import Grid

Part = Literal["coarse", "fine", "static", "stations", "truth"]

_Said = tuple[str, str | None, str]
"""Units, standard name and long name of a variable."""

_COARSE: dict[str, _Said] = {
    "tas": ("degC", "air_temperature", "temperature near the ground, coarse"),
    "psl": ("hPa", "air_pressure_at_mean_sea_level", "pressure at sea level"),
    "hus850": ("g kg-1", "specific_humidity", "specific humidity at 850 hPa"),
    "uas": ("m s-1", "eastward_wind", "wind near the ground towards east"),
    "vas": ("m s-1", "northward_wind", "wind near the ground towards north"),
}
_FINE: _Said = ("degC", "air_temperature", "temperature near the ground")
_STATIC: dict[str, _Said] = {
    "orog": ("m", "surface_altitude", "height of the ground"),
    "relief": ("m", None, "height of the ground over that of the coarse model"),
    "sftlf": ("1", "land_area_fraction", "land share"),
}
_TRUTH: dict[str, _Said] = {
    "expected": ("degC", "air_temperature", "mean of tas given the day's predictors"),
    "sigma": ("K", None, "deviation of tas given the day's predictors"),
}


@dataclass(frozen=True, eq=False)
class SyntheticClimate:
    """A made climate; each part is worked out when it is first asked for, and the same every time.

    Parameters
    ----------
    config : SyntheticConfig
        Which one.

    Examples
    --------
    >>> climate = SyntheticClimate(SyntheticConfig(years=1))
    >>> dict(climate.dataset("coarse").sizes)
    {'time': 365, 'lat': 4, 'lon': 6}
    """

    config: SyntheticConfig

    @cached_property
    def terrain(self) -> Terrain:
        """Grids, heights and coast."""
        return make_terrain(self.config)

    @cached_property
    def weather(self) -> Weather:
        """The coarse predictors."""
        return make_weather(self.config, self.terrain)

    @cached_property
    def truth(self) -> Truth:
        """Mean and deviation of fine temperature given the predictors."""
        return make_truth(self.config, self.terrain, self.weather)

    @cached_property
    def tas(self) -> np.ndarray:
        """Fine temperature [degC], float32, shape (time, lat, lon); NaN over the sea."""
        return draw(self.config, self.truth).astype(np.float32)

    @cached_property
    def stations(self) -> Stations:
        """The station table."""
        return make_stations(self.config, self.terrain, self.tas)

    def dataset(self, part: Part) -> xr.Dataset:
        """Return one part, float32, with units; what it holds: ``docs/synthetic.md``."""
        if part == "stations":
            return self._station_table()
        land = self.terrain
        if part == "coarse":
            fields = {name: getattr(self.weather, name) for name in _COARSE}
            return self._on_grid(land.coarse, fields, _COARSE)
        if part == "static":
            fields = {"orog": land.height, "relief": 1000 * land.excess, "sftlf": land.land}
            return self._on_grid(land.fine, fields, _STATIC)
        if part == "fine":
            return self._on_grid(land.fine, {"tas": self.tas}, {"tas": _FINE})
        return self._on_grid(land.fine, {"expected": self.truth.expected, "sigma": self.truth.sigma}, _TRUTH)

    def _on_grid(self, grid: Grid, fields: dict[str, np.ndarray], said: dict[str, _Said]) -> xr.Dataset:
        parts = {}
        for name, field in fields.items():
            dims = ("time", "lat", "lon")[-field.ndim :]
            # A copy, so that nobody changes the climate through a dataset.
            parts[name] = xr.Variable(dims, field.astype(np.float32, copy=True), _attrs(*said[name]))
        coords = dict(grid.coords())
        if any("time" in part.dims for part in parts.values()):
            coords["time"] = self._time()
        return xr.Dataset(parts, coords=coords)

    def _station_table(self) -> xr.Dataset:
        table, fine = self.stations, self.terrain.fine
        coords = {
            "time": self._time(),
            "station": ("station", table.names),
            "lat": ("station", fine.lat[table.row], {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("station", fine.lon[table.column], {"units": "degrees_east", "standard_name": "longitude"}),
            "altitude": ("station", table.altitude.copy(), {"units": "m", "standard_name": "surface_altitude"}),
        }
        return xr.Dataset({"tas": (("time", "station"), table.tas.copy(), _attrs(*_FINE))}, coords=coords)

    def _time(self) -> xr.Variable:
        return xr.Variable("time", self.weather.time, {"standard_name": "time"})


def _attrs(units: str, standard_name: str | None, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name} | ({"standard_name": standard_name} if standard_name else {})
