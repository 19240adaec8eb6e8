"""Parts of the target grid that scores are told of: boxes, stations, or by themselves by height or by quarters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.region_config import ScoredRegion
from pipeline.prepare.statics import Height
from pipeline.registry import suggest

Asked = Literal["auto", "none"] | Mapping[str, ScoredRegion]
FEW = 8
"""So many stations at most are a region each."""
_LEAST_SIDE = 4  # cells of a grid that is cut into quarters
_LEAST_CELLS = 9  # that are told apart by their heights
_SEA = 0.1  # share of the area at or below 0 m from which on it is a region of its own
_RELIEF = 300.0  # metres between the means of the lowest and the highest third: less is no mountain
_ROUND = 300.0  # degrees of longitude: a grid that reaches so far has no east and west
_TROPICS = 20.0  # degrees


@dataclass(frozen=True, eq=False)
class Regions:
    """Which cells belong together, by what rule.

    Parameters
    ----------
    names : tuple of str
        None of them without a cell of the mask; empty where there are no regions.
    of_cell : ndarray of int64, shape (lat, lon), or None
        The number of each cell's region, -1 outside of all and of the mask; None without regions.
    how : {"none", "named", "stations", "height", "latitude", "quarters", "pixels"}
        How they came about.
    notes : tuple of str
        What a reader should know of them, in sentences.
    """

    names: tuple[str, ...] = ()
    of_cell: np.ndarray | None = None
    how: str = "none"
    notes: tuple[str, ...] = field(default=())

    def facts(self, area: np.ndarray) -> dict[str, Any]:
        """Return JSON values for the report: ``how``, and each region's name, cells and share of the area in all."""
        of_cell = np.full(area.shape, -1) if self.of_cell is None else self.of_cell
        parts = [of_cell == number for number in range(len(self.names))]
        areas = [float(area[part].sum()) for part in parts]
        return {
            "how": self.how,
            "regions": [
                {"name": name, "cells": int(part.sum()), "share": own / sum(areas)}
                for name, part, own in zip(self.names, parts, areas, strict=True)
            ],
        }


def find_regions(asked: Asked, grid: Grid, mask: np.ndarray, height: Height | None = None) -> Regions:
    """Return the regions of a target grid.

    ``auto``: two to eight stations are a region each. More of them, and the cells of a grid, are told apart by their
    heights where these are known: thirds of the area, and what lies at or below 0 m by itself. Else they are quarters
    by the median latitude and longitude; a grid around the Earth is cut at 20 degrees north and south, as weather
    services verify their forecasts (WMO-No. 485). Tiles of images have quarters by their pixels. A
    single cell and a small grid have no regions.

    Parameters
    ----------
    asked : {"auto", "none"} or mapping of str to ScoredRegion
        Regions by name; of two that share cells the first one has them.
    grid : Grid
        Of the target.
    mask : ndarray of bool, shape (lat, lon)
        Cells that are predicted and scored.
    height : Height, optional
        Of the ground.

    Raises
    ------
    ConfigError
        If a region by name has no cell of the mask, or a station that is not there.

    Examples
    --------
    >>> grid = Grid(np.array([40.0, 41.0, 42.0, 43.0]), np.array([0.0, 1.0, 2.0, 3.0]))
    >>> found = find_regions("auto", grid, np.ones((4, 4), bool))
    >>> found.names, found.of_cell[0].tolist()
    (('north-west', 'north-east', 'south-west', 'south-east'), [2, 2, 3, 3])
    """
    if asked == "none":
        return Regions()
    if not isinstance(asked, str):
        return _named(asked, grid, mask)
    count = int(mask.sum())
    if grid.stations and count <= FEW:
        return _stations(grid, mask) if count > 1 else Regions()
    if height is not None and not grid.image and count >= _LEAST_CELLS:
        found = _by_height(height, grid, mask)
        if found is not None:
            return found
    if not grid.stations and min(grid.shape) < _LEAST_SIDE:
        return Regions()
    return _by_place(grid, mask)


def _named(asked: Mapping[str, ScoredRegion], grid: Grid, mask: np.ndarray) -> Regions:
    of_cell, notes = np.full(grid.shape, -1), []
    for number, (name, region) in enumerate(asked.items()):
        inside = mask & _inside(name, region, grid)
        taken = inside & (of_cell >= 0)
        if not inside.any() or not (inside & ~taken).any():
            got = "none" if not inside.any() else "cells that regions named before it have"
            raise ConfigError(
                f"regions.{name}: expected cells that are scored, got {got}. The cells lie within {_reach(grid, mask)}."
            )
        for other in np.unique(of_cell[taken]):
            shared = int((of_cell[taken] == other).sum())
            notes.append(f"Regions {tuple(asked)[other]} and {name} share {shared} cells; the first one has them.")
        of_cell[inside & ~taken] = number
    return Regions(tuple(asked), of_cell, "named", tuple(notes))


def _inside(name: str, region: ScoredRegion, grid: Grid) -> np.ndarray:
    """Return the cells in a box, or the stations that are named, bool (lat, lon)."""
    if region.stations is not None:
        unknown = [station for station in region.stations if station not in grid.stations]
        if unknown:
            known = ", ".join(grid.stations[:FEW]) + (" and so on" if len(grid.stations) > FEW else "")
            there = f"Known: {known}." if grid.stations else "The target is a grid: give lat and lon."
            near = suggest(unknown[0], grid.stations)
            raise ConfigError(
                f"regions.{name}.stations: expected stations that are scored, got {unknown[0]!r}.{near} {there}"
            )
        return np.array([[station in region.stations for station in grid.stations]])
    lat, lon = _places(grid)
    inside: np.ndarray = np.isfinite(lat) & np.isfinite(lon)
    if region.lat is not None:
        inside &= (lat >= region.lat[0]) & (lat <= region.lat[1])
    if region.lon is not None:
        west, east = region.lon
        inside &= lon - 360.0 * np.floor((lon - west) / 360.0) <= east
    return inside


def _reach(grid: Grid, mask: np.ndarray) -> str:
    lat, lon = (axis[mask & np.isfinite(axis)] for axis in _places(grid))
    if not lat.size or not lon.size:
        return "no known place"
    return f"lat {lat.min():g} to {lat.max():g} and lon {lon.min():g} to {lon.max():g}"


def _stations(grid: Grid, mask: np.ndarray) -> Regions:
    names = [re.sub("[=;]", "-", grid.stations[place]) for place in np.flatnonzero(mask[0])]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return Regions(tuple(names), _numbered(mask, np.arange(len(names))), "stations")


def _by_height(height: Height, grid: Grid, mask: np.ndarray) -> Regions | None:
    """Return thirds of the area by height, the sea apart; None where heights tell no cells apart, or few are known."""
    known = mask & np.isfinite(height.values)
    if 2 * known.sum() < mask.sum():
        return None
    metres, area = height.values[known].astype(float), grid.area[known]
    sea = metres <= 0.0
    apart = not grid.stations and area[sea].sum() >= _SEA * area.sum()
    land = ~sea if apart else np.ones_like(sea)
    cuts = _cuts(metres[land], area[land]) if land.sum() >= _LEAST_CELLS else np.zeros(0)
    third = np.searchsorted(cuts, metres[land])
    if len(cuts):
        ends = [np.average(metres[land][third == rank], weights=area[land][third == rank]) for rank in (0, len(cuts))]
        top = "mountains" if ends[1] - ends[0] >= _RELIEF else "high land"
        names = ["low land", *["middle heights"][: len(cuts) - 1], top]
        words = [f"{name} up to {cut:.0f} m" for name, cut in zip(names[:-1], cuts, strict=True)]
        words.append(f"{top} above {cuts[-1]:.0f} m")
    elif apart and land.any():
        names, words = ["land"], ["land above it"]
    else:
        return None
    label = np.zeros(metres.shape, np.int64)
    label[land] = third + int(apart)
    names, words = (["sea", *names], ["sea at or below 0 m", *words]) if apart else (names, words)
    note = f"Scores by region are by the height of the ground, {height.name}: {', '.join(words)}."
    return Regions(tuple(names), _numbered(known, label), "height", (note,))


def _cuts(metres: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the heights that the lowest third of the area and the next reach up to; fewer where many are the same."""
    order = np.argsort(metres, kind="stable")
    share = np.cumsum(area[order]) / area.sum()
    cuts = metres[order][np.searchsorted(share, (1 / 3 - 1e-9, 2 / 3 - 1e-9))]
    return np.asarray(np.unique(cuts[cuts < metres.max()]))


def _by_place(grid: Grid, mask: np.ndarray) -> Regions:
    """Return quarters by the medians of latitude and longitude, or zones of a grid around the Earth."""
    lat, lon = _places(grid)
    known = mask & np.isfinite(lat) & np.isfinite(lon)
    if int(known.sum()) <= FEW:
        return Regions()
    lat, lon = lat[known], lon[known]
    if grid.image:
        rows, columns = lat >= np.median(lat), lon >= np.median(lon)
        note = "Scores by region are by quarters of each tile."
        return _quarters(rows, columns, ("upper", "lower"), ("left", "right"), " ", known, "pixels", note)
    lon = _unwrapped(lon)
    if np.ptp(lon) >= _ROUND:
        zone = np.digitize(-lat, (-_TROPICS, _TROPICS))
        if len(set(zone.tolist())) > 1:
            names = ("northern extratropics", "tropics", "southern extratropics")
            note = f"Scores by region are by latitude: the tropics lie within {_TROPICS:g} degrees of the equator."
            return _some(names, zone, known, "latitude", note)
        lon = np.zeros_like(lon)  # around a pole there is no east and west
    note = "Scores by region are by quarters: the median latitude and longitude part them."
    rows, columns = lat < np.median(lat), lon >= np.median(lon)
    return _quarters(rows, columns, ("north", "south"), ("west", "east"), "-", known, "quarters", note)


def _quarters(
    rows: np.ndarray,
    columns: np.ndarray,
    row_words: tuple[str, str],
    column_words: tuple[str, str],
    joint: str,
    known: np.ndarray,
    how: str,
    note: str,
) -> Regions:
    """Return up to four regions from two halvings; one that halves nothing has no part in their names."""
    both = [(words, side) for words, side in ((row_words, rows), (column_words, columns)) if 0 < side.sum() < side.size]
    if not both:
        return Regions()
    names: tuple[str, ...] = both[0][0]
    number = both[0][1].astype(np.int64)
    for words, side in both[1:]:
        names = tuple(f"{name}{joint}{word}" for name in names for word in words)
        number = 2 * number + side
    return _some(names, number, known, how, note)


def _some(names: tuple[str, ...], number: np.ndarray, known: np.ndarray, how: str, note: str) -> Regions:
    """Return those of the regions that have cells."""
    there, of_cell = np.unique(number, return_inverse=True)
    return Regions(tuple(names[each] for each in there), _numbered(known, of_cell), how, (note,))


def _numbered(inside: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    of_cell = np.full(inside.shape, -1)
    of_cell[inside] = numbers
    return of_cell


def _places(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return latitude and longitude of every cell, of an image its row and column, each of shape (lat, lon)."""
    if grid.lat.ndim == 2:
        return grid.lat, grid.lon
    lat, lon = np.meshgrid(grid.lat, grid.lon, indexing="ij")
    return lat, lon


def _unwrapped(lon: np.ndarray) -> np.ndarray:
    """Return longitudes that rise from the east of the widest gap: a region across a date line has its west there."""
    there = np.unique(np.round(lon % 360.0, 6))
    gaps = np.diff(there, append=there[0] + 360.0)
    west = there[(int(np.argmax(gaps)) + 1) % len(there)]
    return np.asarray((lon - west + 1e-6) % 360.0)
