"""Objects of fields: connected areas, what is known of each, and those that last.

All of it is done on the host by ``scipy.ndimage.label``: on the gpu backend it costs a copy of a mask, a byte a
cell, which is little beside the labelling, about 20 ns a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.sphere import cell_area, goes_round, lat_lon


@dataclass(frozen=True, eq=False)
class Components:
    """Connected areas of every time.

    Parameters
    ----------
    labels : ndarray of int32, shape (time, lat, lon)
        0 where there is none, else the number of the area, from 1; no number stands at two times.
    time : ndarray of int, shape (component,)
        Position in time of the areas 1, 2, ...; it never falls.
    """

    labels: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class Objects:
    """What is known of every connected area; arrays of shape (component,).

    Parameters
    ----------
    time : ndarray of int
        Position in time.
    cells : ndarray of int
        Number of cells.
    area : ndarray
        [km2]; of an image the number of cells.
    lat, lon : ndarray
        Centroid: the area mean of latitude and the circular area mean of longitude, which is right across the seam
        and NaN for a ring round the globe; of an image the mean row and column.
    intensity : ndarray or None
        Area mean of a field over the object.
    """

    time: np.ndarray
    cells: np.ndarray
    area: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    intensity: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of areas that share cells, each pair once.

    Parameters
    ----------
    first, second : ndarray of int, shape (pair,)
        Their numbers, from 1.
    area : ndarray, shape (pair,)
        What they share, in the units of the weights.
    """

    first: np.ndarray
    second: np.ndarray
    area: np.ndarray


def components(mask: np.ndarray, grid: Grid) -> Components:
    """Return the connected areas of every time: cells that touch by a side or a corner are one area.

    Where the grid goes round the globe, its last column touches the first.

    Parameters
    ----------
    mask : ndarray of bool, shape (time, lat, lon)
        Cells of the objects.
    grid : Grid
        Where they lie.

    Raises
    ------
    DataError
        If the mask is not of the grid's shape.

    Examples
    --------
    >>> globe = Grid(np.array([-30.0, 30.0]), np.arange(0.0, 360.0, 60.0))
    >>> components(np.array([[[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]], bool), globe).labels[0].tolist()
    [[1, 0, 0, 2, 0, 0], [0, 0, 0, 0, 0, 1]]
    """
    from scipy import ndimage

    if mask.ndim != 3 or mask.shape[1:] != grid.shape:
        raise DataError(f"expected a mask of shape (time, {grid.shape[0]}, {grid.shape[1]}), got {mask.shape!r}.")
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True  # in space, not in time
    labels, number = ndimage.label(mask, touching)
    if goes_round(grid):
        left, right = _across(labels[:, :, -1], labels[:, :, 0])
        labels = np.concatenate([[0], 1 + _joined(left - 1, right - 1, number)])[labels]
    labels = labels.astype(np.int32)
    place = np.flatnonzero(labels)
    time = np.zeros(int(labels.max(initial=0)), int)
    time[labels.ravel()[place] - 1] = place // (mask.shape[1] * mask.shape[2])
    return Components(labels, time)


def _across(last: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels that touch over the seam, of shape (time, lat) on both sides of it."""
    rows = last.shape[1]
    left, right = [], []
    for step in (-1, 0, 1):
        here, there = last[:, max(0, -step) : rows - max(0, step)], first[:, max(0, step) : rows - max(0, -step)]
        both = (here > 0) & (there > 0)
        left.append(here[both])
        right.append(there[both])
    return np.concatenate(left), np.concatenate(right)


def _joined(left: np.ndarray, right: np.ndarray, number: int) -> np.ndarray:
    """Return to which of the joined sets each of ``number`` things belongs, numbered by their first members."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(number, number))
    _, member = connected_components(pairs, directed=False)
    _, first, inverse = np.unique(member, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse])


def measure(found: Components, grid: Grid, intensity: np.ndarray | None = None) -> Objects:
    """Return what is known of every connected area.

    Parameters
    ----------
    found : Components
        On this grid.
    grid : Grid
        For areas and places.
    intensity : ndarray, shape (time, lat, lon), optional
        A field whose area mean over every object is wanted; finite within objects.
    """
    place = np.flatnonzero(found.labels)
    label, cell = found.labels.ravel()[place] - 1, place % (grid.shape[0] * grid.shape[1])
    weight = cell_area(grid).ravel()[cell]

    def total(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(label, weight if values is None else weight * values, len(found))

    area = total()
    lat, lon = (values.ravel()[cell] for values in lat_lon(grid))
    if grid.image:
        column = total(lon) / area
    else:
        column = _mean_longitude(total(np.sin(np.deg2rad(lon))), total(np.cos(np.deg2rad(lon))), area, grid)
    mean = None if intensity is None else total(intensity.ravel()[place].astype(float)) / area
    return Objects(found.time, np.bincount(label, minlength=len(found)), area, total(lat) / area, column, mean)


def _mean_longitude(east: np.ndarray, north: np.ndarray, area: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the direction of summed unit vectors in the range of the grid's longitudes; NaN where they cancel."""
    start = float(np.min(grid.lon))
    angle = (np.rad2deg(np.arctan2(east, north)) - start) % 360.0 + start
    return np.where(np.hypot(east, north) > 1e-9 * area, angle, np.nan)


def overlaps(first: np.ndarray, second: np.ndarray, area: np.ndarray) -> Overlaps:
    """Return which areas of two label fields share cells, and how much.

    Parameters
    ----------
    first, second : ndarray of int, shape (..., lat, lon)
        Labels, 0 for none.
    area : ndarray, shape (lat, lon)
        Weight of every cell.

    Examples
    --------
    >>> pairs = overlaps(np.array([[1, 1, 2]]), np.array([[0, 5, 5]]), np.ones((1, 3)))
    >>> list(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.area.tolist()))
    [(1, 5, 1.0), (2, 5, 1.0)]
    """
    both = np.flatnonzero((first > 0) & (second > 0))
    width = int(second.max(initial=0)) + 1
    key = first.ravel()[both].astype(np.int64) * width + second.ravel()[both]
    pairs, inverse = np.unique(key, return_inverse=True)
    shared = np.bincount(inverse, area.ravel()[both % area.size], len(pairs))
    return Overlaps(pairs // width, pairs % width, shared)


def follows(times: int, runs: np.ndarray | None) -> np.ndarray:
    """Return whether every time but the first follows the one before without a gap, shape (time - 1,).

    Raises
    ------
    DataError
        If there is not one number of a run for every time.
    """
    if runs is None:
        return np.ones(max(0, times - 1), bool)
    if len(runs) != times:
        raise DataError(f"expected the number of a run for each of {times} times, got {len(runs)}.")
    return np.asarray(np.diff(runs) == 0)


def persistent_events(
    mask: np.ndarray,
    grid: Grid,
    *,
    overlap: float = 0.5,
    persistence: int = 5,
    both_sides: bool = False,
    runs: np.ndarray | None = None,
) -> np.ndarray:
    """Return the events that stay in place and last, as numbers of shape (time, lat, lon), 0 where there is none.

    The definition of blocking by persistent anomalies (Schwierz et al. 2004, doi:10.1029/2003GL019341): connected
    areas of which a share stays within the mask from one time to the next, and that do so for some time.

    Parameters
    ----------
    mask : ndarray of bool, shape (time, lat, lon)
        Where the anomaly is strong enough; on the host.
    grid : Grid
        Where the cells lie; longitudes that go round are joined.
    overlap : float
        An area is left out where less than this share of it lies within the mask at the next time. One that lies
        outside it wholly is an event's end, and stays.
    persistence : int
        At least so many times in a row.
    both_sides : bool
        Ask the same of the time before, where an area that lies outside the mask wholly is an event's beginning.
    runs : ndarray of int, shape (time,), optional
        Number of the run without a gap that each time belongs to
        (:func:`pipeline.metrics.blocks.runs_of`): no event goes on across a gap.

    Returns
    -------
    ndarray of int32, shape (time, lat, lon)
        Events are numbered from 1 by their beginnings. Areas of following times that share a cell are one event.

    Raises
    ------
    ConfigError
        If overlap is not a share or persistence not a positive number.
    DataError
        If the mask is not of the grid's shape.

    Examples
    --------
    >>> grid = Grid(np.array([40.0, 50.0]), np.array([0.0, 10.0, 20.0]))
    >>> mask = np.zeros((4, 2, 3), bool)
    >>> mask[:3, 0, 0] = mask[0, 1, 2] = True
    >>> persistent_events(mask, grid, persistence=3)[:, :, ::2].tolist()
    [[[1, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    """
    if not 0.0 <= overlap <= 1.0:
        raise ConfigError(f"expected an overlap from 0 to 1, got {overlap!r}. It is a share of an area.")
    if persistence < 1:
        raise ConfigError(f"expected a persistence of 1 time or more, got {persistence!r}.")
    found, area = components(mask, grid), cell_area(grid)
    if not len(found):
        return found.labels
    goes_on = follows(len(mask), runs)[:, None, None]
    kept = _stays(found.labels[:-1], mask[1:] & goes_on, area, len(found), overlap)
    if both_sides:
        kept &= _stays(found.labels[1:], mask[:-1] & goes_on, area, len(found), overlap)
    labels = np.where(np.concatenate([[False], kept])[found.labels], found.labels, 0)
    pairs = overlaps(labels[:-1] * goes_on, labels[1:], area)
    event = _joined(pairs.first - 1, pairs.second - 1, len(found))
    number = int(event.max()) + 1
    first, last = np.full(number, len(mask)), np.full(number, -1)
    np.minimum.at(first, event[kept], found.time[kept])
    np.maximum.at(last, event[kept], found.time[kept])
    lasting = last - first + 1 >= persistence
    renumbered = np.where(lasting, np.cumsum(lasting), 0)
    return np.concatenate([[0], np.where(kept, renumbered[event], 0)])[labels].astype(np.int32)


def _stays(labels: np.ndarray, mask: np.ndarray, area: np.ndarray, number: int, overlap: float) -> np.ndarray:
    """Return by area whether enough of it lies within the mask of another time, or nothing at all does."""
    weight = np.broadcast_to(area, labels.shape)
    place = labels > 0
    whole = np.bincount(labels[place] - 1, weight[place], number)
    place &= mask
    shared = np.bincount(labels[place] - 1, weight[place], number)
    return np.asarray((shared == 0.0) | (shared >= overlap * whole))
