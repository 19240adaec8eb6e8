"""Which events there are, and their paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic.storms.config import KINDS, Kind, StormConfig
from pipeline.seeding import generator

_ARC_POINTS = 24
_TURN = (20.0, 30.0)
"""Degrees of latitude between which a cyclone's drift turns from west to east."""


@dataclass(frozen=True, eq=False)
class Event:
    """One event over its life on the maps.

    Parameters
    ----------
    kind : Kind
        What it is.
    step : ndarray of int, shape (step,)
        Numbers of the maps that it is on.
    lat, lon : ndarray, shape (step, point)
        Its centre, one point, or its arc from the subtropics poleward [degrees]; longitudes are not wrapped.
    strength : ndarray, shape (step,)
        0 to 1: it grows and decays.
    size : float
        Radius or half width [km].
    """

    kind: Kind
    step: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    strength: np.ndarray
    size: float


def make_events(config: StormConfig, name: str) -> list[Event]:
    """Return the events of the kind ``name``, by their birth, which may lie before the first map.

    Births are a Poisson process with the mean number at a time that the kind says.
    """
    kind = KINDS[name]
    rng = generator(config.seed, f"storms:{name}")
    total = config.hours / 24.0
    longest = kind.days[1]
    mean_life = (kind.days[0] + kind.days[1]) / 2.0
    number = rng.poisson(kind.count / mean_life * (total + longest))
    births = np.sort(rng.uniform(-longest, total, number))
    found = (_event(rng, kind, float(birth), config) for birth in births)
    return [event for event in found if event.step.size]


def _event(rng: np.random.Generator, kind: Kind, birth: float, config: StormConfig) -> Event:
    """Draw one event; it always takes as many numbers from ``rng``, whether it is on a map or not."""
    life = rng.uniform(*kind.days)
    hemisphere = 1.0 if rng.random() < 0.55 else -1.0
    start_lat, start_lon = rng.uniform(*kind.lat), rng.uniform(-180.0, 180.0)
    size, peak = rng.uniform(*kind.size), rng.uniform(0.7, 1.0)
    east, pole = rng.uniform(*kind.east), rng.uniform(*kind.pole)
    arc, slope, bend = rng.uniform(*kind.arc), rng.uniform(0.45, 0.65), rng.uniform(0.8, 1.6)
    day = config.step_hours / 24.0
    step = np.arange(max(0, int(np.ceil(birth / day))), min(config.times, int(np.floor((birth + life) / day)) + 1))
    age = step * day - birth
    distance = np.minimum(start_lat + pole * age, 75.0)
    drift = _recurved(age, start_lat, pole, east) if kind.recurves else east * age
    along = np.linspace(0.0, 1.0, _ARC_POINTS) if kind.shape == "band" else np.zeros(1)
    lat = hemisphere * np.minimum(distance[:, None] + slope * arc * along**bend, 80.0)
    lon = start_lon + drift[:, None] + arc * along
    return Event(kind, step, lat, lon, peak * np.sqrt(np.sin(np.pi * np.clip(age / life, 0.0, 1.0))), size)


def _recurved(age: np.ndarray, start: float, pole: float, east: float) -> np.ndarray:
    """Return the way along longitude [degrees] of a drift ``east`` that turns round on the way poleward.

    The drift falls linearly from ``east`` to ``-2 east`` between the latitudes of ``_TURN``; this is its integral.
    """
    south, north = _TURN
    turning = np.clip(start + pole * age - south, 0.0, north - south)
    beyond = np.maximum(start + pole * age - north, 0.0)
    return np.asarray(east * age - 3.0 * east / pole * (turning**2 / (2.0 * (north - south)) + beyond))
