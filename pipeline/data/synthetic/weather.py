"""Coarse weather: pressure systems, the wind around them, warmth and moisture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.data.synthetic.config import TARGET, TERRAIN, WEATHER, SyntheticConfig
from pipeline.data.synthetic.fields import block_mean, persist, smooth_noise
from pipeline.data.synthetic.terrain import KM_PER_DEGREE, Terrain
from pipeline.seeding import generator

OMEGA = 7.292e-5
"""Angular speed of the Earth [s-1]."""


@dataclass(frozen=True, eq=False)
class Weather:
    """The coarse predictors, float32, shape (time, lat, lon).

    Parameters
    ----------
    time : ndarray of datetime64[ns], shape (time,)
        Days of the standard calendar.
    tas, psl, hus850, uas, vas : ndarray
        Temperature near the ground [degC], pressure at sea level [hPa], specific humidity at
        850 hPa [g/kg], wind near the ground towards east and north [m/s].
    """

    time: np.ndarray
    tas: np.ndarray
    psl: np.ndarray
    hus850: np.ndarray
    uas: np.ndarray
    vas: np.ndarray


def season(time: np.ndarray, day: float) -> np.ndarray:
    """Return a cosine of the year that is 1 on day ``day``, shape (time, 1, 1)."""
    phase = (pd.DatetimeIndex(time).dayofyear.to_numpy() - day) / 365.25
    return np.asarray(np.cos(2 * np.pi * phase)[:, None, None])


def make_weather(config: SyntheticConfig, terrain: Terrain) -> Weather:
    """Return the weather of all days."""
    c = WEATHER
    start, end = np.datetime64(f"{config.first_year:04d}"), np.datetime64(f"{config.first_year + config.years:04d}")
    time = np.arange(start.astype("datetime64[D]"), end.astype("datetime64[D]")).astype("datetime64[ns]")
    lat = terrain.coarse.lat
    psl, uas, vas = _pressure_and_wind(config, time, lat)
    sea_level = (
        c.tas_mean
        + c.tas_season * season(time, c.warmest_day)
        + c.tas_per_degree * (lat - lat.mean())[:, None]
        + config.trend * _decades(time)
        + c.tas_advection * vas
        + c.tas_sd * _field(config, "tas", len(time), c.tas_length, c.tas_memory)
    )
    ground = block_mean(terrain.height, config.refine) / 1000
    cloud = c.humidity_mean - (psl - c.psl_mean) / 10
    cloud = cloud + c.humidity_sd * _field(config, "humidity", len(time), c.humidity_length, c.humidity_memory)
    aloft = sea_level - TARGET.lapse * c.height_850
    hus850 = saturation_humidity(aloft) / (1 + np.exp(-cloud))
    fields = (sea_level - TARGET.lapse * ground, psl, hus850, uas, vas)
    return Weather(time, *(field.astype(np.float32) for field in fields))


def saturation_humidity(celsius: np.ndarray) -> np.ndarray:
    """Return the specific humidity of saturated air at 850 hPa [g/kg], by the Magnus formula.

    References
    ----------
    Alduchov & Eskridge (1996), doi:10.1175/1520-0450(1996)035<0601:IMFAOS>2.0.CO;2

    Examples
    --------
    >>> float(saturation_humidity(np.array(0.0)).round(2))
    4.47
    """
    vapour = 6.1094 * np.exp(17.625 * celsius / (celsius + 243.04))
    return np.asarray(622.0 * vapour / 850.0)


def _decades(time: np.ndarray) -> np.ndarray:
    return np.asarray((time - time[0]) / np.timedelta64(1, "D") / 3652.5)[:, None, None]


def _field(config: SyntheticConfig, name: str, days: int, length: float, memory: float, border: int = 0) -> np.ndarray:
    """Return a process of variance 1 with a correlation length in km and a one-day memory."""
    rows, columns = config.coarse
    cells = length / KM_PER_DEGREE
    # Cells are narrower in the east: the same length in km is more of them.
    lengths = (cells, cells / np.cos(np.deg2rad(TERRAIN.south + rows / 2)))
    shape = (days, rows + 2 * border, columns + 2 * border)
    return persist(smooth_noise(generator(config.seed, f"synthetic:{name}"), shape, lengths), memory)


def _pressure_and_wind(config: SyntheticConfig, time: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return pressure [hPa] and the wind that blows around it [m/s], turned by friction."""
    c = WEATHER
    storms = c.psl_sd * (1 + c.psl_season * season(time, 15.0))
    wide = storms * _field(config, "psl", len(time), c.psl_length, c.psl_memory, border=1)
    rows = np.concatenate([[lat[0] - 1], lat, [lat[-1] + 1]])
    wide = c.psl_mean + c.psl_per_degree * (rows - lat.mean())[:, None] + wide
    metre = KM_PER_DEGREE * 1000
    north = 100 * (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / (2 * metre)
    east = 100 * (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / (2 * metre * np.cos(np.deg2rad(lat))[:, None])
    coriolis = c.air_density * 2 * OMEGA * np.sin(np.deg2rad(lat))[:, None]
    u, v = -north / coriolis, east / coriolis
    turn = np.deg2rad(c.wind_turn)
    uas = c.wind_ratio * (np.cos(turn) * u - np.sin(turn) * v)
    vas = c.wind_ratio * (np.sin(turn) * u + np.cos(turn) * v)
    return wide[:, 1:-1, 1:-1], uas, vas
