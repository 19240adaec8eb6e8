"""Coastlines and borders of Natural Earth (public domain), shipped with the package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np


@dataclass(frozen=True)
class Box:
    """Bounds of a map in degrees; ``west < east``, which may pass 180 or 360."""

    west: float
    east: float
    south: float
    north: float


@cache
def lines(kind: str) -> tuple[np.ndarray, ...]:
    """Return all lines of a kind.

    Parameters
    ----------
    kind : {"coast", "border"}
        Shores, or borders between countries on land.

    Returns
    -------
    tuple of ndarray, each of shape (point, 2)
        Longitude in [-180, 180] and latitude.
    """
    source = resources.files("pipeline.report") / "data" / "natural_earth_50m.npz"
    with resources.as_file(source) as path, np.load(path) as data:
        steps, lengths = data[f"{kind}_step"], data[f"{kind}_length"]
    points = np.cumsum(steps, axis=1, dtype=np.int16).T * np.array([180 / 32767, 90 / 32767])
    found: list[np.ndarray] = []
    for line in np.split(points, np.cumsum(lengths.astype(np.int64))[:-1]):
        # Where a line passes the 180th meridian its longitudes jump: not drawn as a line round the Earth.
        jumps = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180) + 1
        found += [part for part in np.split(line, jumps) if len(part) > 1]
    return tuple(found)


@lru_cache(maxsize=16)
def clipped(kind: str, box: Box) -> tuple[np.ndarray, ...]:
    """Return the pieces of lines that touch ``box``, moved by whole turns to its longitudes.

    Pieces keep one point beyond the edge, so that they run out of the picture.

    Examples
    --------
    >>> iberia = clipped("border", Box(-10, 5, 35, 45))
    >>> len(iberia) > 0
    True
    """
    pieces: list[np.ndarray] = []
    for turn in (-360.0, 0.0, 360.0):
        if box.west > 180 + turn or box.east < -180 + turn:
            continue
        for line in lines(kind):
            moved = line + np.array([turn, 0.0])
            low, high = moved.min(axis=0), moved.max(axis=0)
            if high[0] < box.west or low[0] > box.east or high[1] < box.south or low[1] > box.north:
                continue
            pieces += _inside(moved, box)
    return tuple(pieces)


def _inside(line: np.ndarray, box: Box) -> list[np.ndarray]:
    lon, lat = line[:, 0], line[:, 1]
    inside = (lon >= box.west) & (lon <= box.east) & (lat >= box.south) & (lat <= box.north)
    near = inside.copy()
    near[:-1] |= inside[1:]
    near[1:] |= inside[:-1]
    edges = np.flatnonzero(np.diff(near.astype(np.int8), prepend=0, append=0))
    return [line[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True) if stop - start > 1]
