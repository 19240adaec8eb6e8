"""Events in weather noise: channels and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from pipeline.data.classes import flags
from pipeline.data.synthetic.fields import kernel, persist, smooth_noise
from pipeline.data.synthetic.storms.config import CHANNELS, CLASSES, KINDS, LABELS, MEMORY_HOURS, StormConfig
from pipeline.data.synthetic.storms.events import Event, make_events
from pipeline.data.synthetic.storms.shapes import Globe, Signs, add
from pipeline.seeding import generator

GRAVITY = 9.80665
_KM_PER_DEGREE = 111.2


@dataclass(frozen=True, eq=False)
class StormWorld:
    """Made weather; each channel is worked out when it is asked for, and the same every time.

    Parameters
    ----------
    config : StormConfig
        Which one.

    Examples
    --------
    >>> world = StormWorld(StormConfig(times=3))
    >>> dict(world.dataset(["TMQ", "LABELS"]).sizes)
    {'time': 3, 'lat': 48, 'lon': 96}
    """

    config: StormConfig

    @cached_property
    def globe(self) -> Globe:
        """Cell centres."""
        return Globe.of(self.config.shape)

    @cached_property
    def events(self) -> dict[str, list[Event]]:
        """All events by kind."""
        return {name: make_events(self.config, name) for name in KINDS}

    @cached_property
    def signs(self) -> Signs:
        """What the events do to the fields."""
        signs = Signs.none((self.config.times, *self.config.shape))
        for events in self.events.values():
            for event in events:
                add(event, self.globe, signs)
        return signs

    @property
    def time(self) -> np.ndarray:
        """Times of the maps, ``datetime64[ns]``."""
        first = np.datetime64(self.config.first, "h")
        return (first + np.arange(self.config.times) * self.config.step_hours).astype("datetime64[ns]")

    def dataset(self, names: Sequence[str]) -> xr.Dataset:
        """Return channels, float32, and ``LABELS``, int8, of dims (time, lat, lon).

        Raises
        ------
        KeyError
            If a name is neither a channel of ClimateNet nor ``LABELS``.
        """
        parts = {}
        for name in names:
            if name == LABELS:
                said = {"units": "1", "long_name": "class", **flags(CLASSES)}
                parts[name] = (("time", "lat", "lon"), self.signs.labels.copy(), said)
                continue
            channel = CHANNELS[name]
            said = {"units": channel.units, "long_name": channel.long_name}
            said |= {"standard_name": channel.standard_name} if channel.standard_name else {}
            parts[name] = (("time", "lat", "lon"), self.channel(name), said)
        coords = {
            "time": ("time", self.time, {"standard_name": "time"}),
            "lat": ("lat", self.globe.lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", self.globe.lon, {"units": "degrees_east", "standard_name": "longitude"}),
        }
        return xr.Dataset(parts, coords=coords)

    def channel(self, name: str) -> np.ndarray:
        """Return one channel, float32, shape (time, lat, lon)."""
        if name in ("TMQ", "U850", "V850", "PSL"):
            return self._main[name].copy()
        return self._further(name).astype(np.float32)

    @cached_property
    def _main(self) -> dict[str, np.ndarray]:
        """The four channels that the events show in, on the zonal mean and in noise."""
        lat, signs = self.globe.lat[:, None], self.signs
        away = np.abs(lat)
        moist = 4.0 + 44.0 * _bump(lat, 0.0, 28.0)
        west = 10.0 * _bump(away, 45.0, 14.0) - 6.0 * _bump(lat, 0.0, 14.0)
        pressure = 101300.0 + 900.0 * _bump(away, 32.0, 12.0) - 1500.0 * _bump(away, 62.0, 12.0)
        stormy = np.sin(np.deg2rad(away)) ** 2
        fields = {
            "TMQ": moist
            + signs.moist
            + (1.0 + 0.11 * moist) * self._noise("moist", 500.0)
            + (0.5 + 0.08 * moist) * self._noise("moist-wide", 2000.0),
            "U850": west + signs.east + (2.5 + 1.5 * stormy) * self._noise("east", 700.0),
            "V850": signs.north + (2.5 + 1.5 * stormy) * self._noise("north", 700.0),
            "PSL": pressure
            - signs.depth
            + (150.0 + 350.0 * stormy) * self._noise("pressure", 900.0)
            + (100.0 + 500.0 * stormy) * self._noise("pressure-wide", 2500.0),
        }
        fields["TMQ"] = np.maximum(fields["TMQ"], 0.2)
        return {name: field.astype(np.float32) for name, field in fields.items()}

    def _further(self, name: str) -> np.ndarray:
        """Return a channel that follows from the main ones, from warmth and from noise of its own."""
        pole = np.sin(np.deg2rad(self.globe.lat))[:, None] ** 2
        warm, noise = self.signs.warm, self._noise(name, 800.0)
        if name in ("UBOT", "VBOT"):
            return 0.75 * self._main[f"{name[0]}850"] + 0.8 * noise
        if name == "QREFHT":
            return np.maximum(3.6e-4 * self._main["TMQ"] * (1.0 + 0.08 * noise), 1e-5)
        if name == "PRECT":
            return 4e-9 * np.maximum(self._main["TMQ"] + 4.0 * noise - 45.0, 0.0) ** 1.3
        if name == "Z1000":
            return (self._main["PSL"] - 1e5) / (1.2 * GRAVITY) + 2.0 * noise
        base = {
            "PS": self._main["PSL"] + 20.0 * noise,
            "T200": 218.0 + 4.0 * pole + 0.6 * warm + 1.2 * noise,
            "T500": 268.0 - 32.0 * pole + warm + 1.5 * noise,
            "TS": 301.0 - 48.0 * pole + 1.5 * noise,
            "TREFHT": 299.5 - 48.0 * pole + 0.2 * warm + 2.0 * noise,
            "Z200": 12300.0 - 1100.0 * pole + 12.0 * warm + 40.0 * noise,
            "ZBOT": 64.0 - 10.0 * pole + 0.4 * noise,
        }
        return np.asarray(base[name])

    def _noise(self, name: str, length: float) -> np.ndarray:
        """Return noise of variance 1 (times the option) that wraps in longitude; ``length`` in km of latitude."""
        rows, columns = self.config.shape
        memory = float(np.exp(-self.config.step_hours / MEMORY_HOURS))
        cells = length / (_KM_PER_DEGREE * 180.0 / rows), length / (_KM_PER_DEGREE * 360.0 / columns)
        rng = generator(self.config.seed, f"storms:noise:{name}")
        field = smooth_noise(rng, (self.config.times, columns, rows), (cells[0],)).swapaxes(1, 2)
        return self.config.noise * persist(_round(field, kernel(cells[1])), memory)


def _bump(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.asarray(np.exp(-(((x - centre) / width) ** 2)))


def _round(field: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return moving sums along the last axis, round the globe; in one order, so that threads change no byte."""
    reach = len(weight) // 2
    total = np.zeros_like(field)
    for shift, share in enumerate(weight):
        total += share * np.roll(field, shift - reach, axis=-1)
    return total
