"""Stations in the made region: a table of the same days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic.config import TARGET, SyntheticConfig
from pipeline.data.synthetic.terrain import Terrain
from pipeline.errors import ConfigError
from pipeline.seeding import generator


@dataclass(frozen=True, eq=False)
class Stations:
    """Places and measurements.

    Parameters
    ----------
    names : ndarray of str, shape (station,)
        ``S01``, ``S02``, ...
    row, column : ndarray of int, shape (station,)
        The fine cell each stands in the middle of, no two in the same.
    altitude : ndarray, shape (station,)
        Height of the station [m], other than that of its cell.
    tas : ndarray of float32, shape (time, station)
        Temperature [degC]; NaN on days without a measurement.
    """

    names: np.ndarray
    row: np.ndarray
    column: np.ndarray
    altitude: np.ndarray
    tas: np.ndarray


def make_stations(config: SyntheticConfig, terrain: Terrain, tas: np.ndarray) -> Stations:
    """Return stations that measure the fine temperature ``tas``, shape (time, lat, lon).

    Raises
    ------
    ConfigError
        If there are fewer land cells than stations.
    """
    rng = generator(config.seed, "synthetic:stations")
    rows, columns = np.nonzero(terrain.mask)
    if len(rows) < config.stations:
        raise ConfigError(
            f"stations: expected at most {len(rows)}, the number of land cells, got {config.stations!r}. "
            "Ask for fewer stations or a larger grid."
        )
    chosen = np.sort(rng.choice(len(rows), config.stations, replace=False))
    row, column = rows[chosen], columns[chosen]
    ground = terrain.height[row, column]
    altitude = np.maximum(1.0, np.round(ground + TARGET.station_height * rng.standard_normal(config.stations)))
    shape = (len(tas), config.stations)
    noise = TARGET.station_noise * rng.standard_normal(shape)
    measured = tas[:, row, column] - TARGET.lapse * (altitude - ground) / 1000 + noise
    measured[rng.random(shape) < TARGET.station_gaps] = np.nan
    names = np.array([f"S{number + 1:02d}" for number in range(config.stations)])
    return Stations(names, row, column, altitude, measured.astype(np.float32))
