"""What one event does to the fields of a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic.storms.config import STRONG
from pipeline.data.synthetic.storms.events import Event
from pipeline.sphere import EARTH_RADIUS


@dataclass(frozen=True, eq=False)
class Globe:
    """Cell centres.

    Parameters
    ----------
    lat : ndarray, shape (lat,)
        Degrees, rising.
    lon : ndarray, shape (lon,)
        Degrees from -180, rising.
    """

    lat: np.ndarray
    lon: np.ndarray

    @classmethod
    def of(cls, shape: tuple[int, int]) -> Globe:
        """Return cells that cover the globe, no centre on a pole."""
        rows, columns = shape
        return cls(-90.0 + 180.0 * (np.arange(rows) + 0.5) / rows, -180.0 + 360.0 * np.arange(columns) / columns)


@dataclass(frozen=True, eq=False)
class Signs:
    """Sums over events, each of shape (time, lat, lon): TMQ, wind, fall of pressure, warmth aloft, and the classes."""

    moist: np.ndarray
    east: np.ndarray
    north: np.ndarray
    depth: np.ndarray
    warm: np.ndarray
    labels: np.ndarray

    @classmethod
    def none(cls, shape: tuple[int, int, int]) -> Signs:
        """Return signs of no event at all."""
        moist, east, north, depth, warm = np.zeros((5, *shape), np.float32)
        return cls(moist, east, north, depth, warm, np.zeros(shape, np.int8))


def add(event: Event, globe: Globe, signs: Signs) -> None:
    """Add the event to ``signs``, and its class where it is strong; a cyclone's class goes before a river's.

    Only the rows within reach are worked out.
    """
    kind, reach = event.kind, np.rad2deg(3.0 * event.size / EARTH_RADIUS)
    for number, step in enumerate(event.step):
        lat, lon, strength = event.lat[number], event.lon[number], event.strength[number]
        rows = slice(
            int(np.searchsorted(globe.lat, lat.min() - reach)), int(np.searchsorted(globe.lat, lat.max() + reach))
        )
        if rows.start >= rows.stop or strength <= 0:
            continue
        away, nearest = _distance(globe.lat[rows], globe.lon, lat, lon)
        near = np.exp(-((away / (1.1 * event.size)) ** 2))
        if kind.shape == "vortex":
            east, north = _around(globe.lat[rows], globe.lon, lat[0], lon[0], event.size)
        else:
            tangent = _tangent(lat, lon)
            east, north = (near * part[nearest] for part in tangent)
        there = (step, rows)
        signs.moist[there] += strength * kind.moist * near
        signs.east[there] += strength * kind.wind * east
        signs.north[there] += strength * kind.wind * north
        signs.depth[there] += strength * kind.depth * near
        signs.warm[there] += strength * kind.warm * near
        if kind.label and strength >= STRONG:
            labels = signs.labels[there]
            labels[(away <= event.size) & ((labels == 0) | (kind.label == 1))] = kind.label


def _distance(rows: np.ndarray, columns: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the great-circle distance [km] to the nearest of the points, and which one that is, shape (lat, lon)."""
    phi, point = np.deg2rad(rows)[:, None, None], np.deg2rad(lat)
    turn = np.deg2rad(columns[:, None] - lon)[None]
    cosine = np.sin(phi) * np.sin(point) + np.cos(phi) * np.cos(point) * np.cos(turn)
    nearest = cosine.argmax(axis=-1)
    closest = np.take_along_axis(cosine, nearest[..., None], axis=-1)[..., 0]
    return EARTH_RADIUS * np.arccos(np.clip(closest, -1.0, 1.0)), nearest


def _around(
    rows: np.ndarray, columns: np.ndarray, lat: float, lon: float, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the wind round a low, 1 where it is strongest, at 0.8 of its size; cyclonic in either hemisphere."""
    km = np.deg2rad(EARTH_RADIUS)
    x = ((columns - lon + 180.0) % 360.0 - 180.0) * np.cos(np.deg2rad(rows))[:, None] * km
    y = np.broadcast_to(((rows - lat) * km)[:, None], x.shape)
    ring = 0.8 * size
    profile = np.exp(0.5 * (1.0 - (x**2 + y**2) / ring**2)) / ring
    turn = np.sign(lat) if lat else 1.0
    return -turn * profile * y, turn * profile * x


def _tangent(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the direction along an arc at its points, as parts towards east and north."""
    east, north = np.gradient(lon) * np.cos(np.deg2rad(lat)), np.gradient(lat)
    length = np.hypot(east, north)
    return east / length, north / length
