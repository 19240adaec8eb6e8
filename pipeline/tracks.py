"""Tracks: objects of one time joined with those of the next by what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.objects import Components, Overlaps, follows, measure, overlaps
from pipeline.sphere import cell_area


@dataclass(frozen=True, eq=False)
class Track:
    """One object over the times that it lives.

    Parameters
    ----------
    class_name : str
        What it is: ``cyclone``.
    first, last : int
        Positions in time of its beginning and its end.
    times : ndarray of int, shape (time,)
        Positions in time, every one from first to last.
    lat, lon, area_km2 : ndarray, shape (time,)
        Centroid and area at every time; of an image row, column and number of cells.
    labels : ndarray of int, shape (time,)
        Its numbers among the connected areas.
    split_from, merged_into : int or None
        Position among the tracks of that which it broke off from at its beginning, or grew into at its end.
    """

    class_name: str
    first: int
    last: int
    times: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    area_km2: np.ndarray
    labels: np.ndarray
    split_from: int | None = None
    merged_into: int | None = None

    def __len__(self) -> int:
        return len(self.times)


def track(
    found: Components,
    grid: Grid,
    *,
    class_name: str,
    overlap: float = 0.0,
    persistence: int = 1,
    runs: np.ndarray | None = None,
) -> tuple[Track, ...]:
    """Return the tracks of connected areas, by their beginnings.

    Areas of following times are joined by what they share, the largest shared area first; each has at most one
    that it comes from and one that it becomes. Where two become one, the track that shares less ends there and
    says into which it merged; where one becomes two, that which shares less begins there and says what it split from.

    Parameters
    ----------
    found : Components
        On the host.
    grid : Grid
        Their grid.
    class_name : str
        What the objects are.
    overlap : float
        Two areas are joined that share at least this share of the smaller one; 0: a cell is enough.
    persistence : int
        Tracks of fewer times are left out.
    runs : ndarray of int, shape (time,), optional
        Number of the run without a gap that each time belongs to: no track crosses a gap.

    Raises
    ------
    ConfigError
        If overlap is not a share or persistence not a positive number.

    Examples
    --------
    >>> from pipeline.objects import components
    >>> globe = Grid(np.array([-10.0, 10.0]), np.arange(0.0, 360.0, 60.0))
    >>> mask = np.zeros((2, 2, 6), bool)
    >>> mask[0, 0, 4:] = mask[1, 0, [5, 0]] = True
    >>> moving, = track(components(mask, globe), globe, class_name="river")
    >>> moving.first, moving.last, moving.lon.round(6).tolist()
    (0, 1, [270.0, 330.0])
    """
    if not 0.0 <= overlap <= 1.0:
        raise ConfigError(f"expected an overlap from 0 to 1, got {overlap!r}. It is a share of the smaller area.")
    if persistence < 1:
        raise ConfigError(f"expected a persistence of 1 time or more, got {persistence!r}.")
    if not len(found):
        return ()
    objects = measure(found, grid)
    goes_on = follows(len(found.labels), runs)[:, None, None]
    pairs = overlaps(found.labels[:-1] * goes_on, found.labels[1:], cell_area(grid))
    pairs = _large_enough(pairs, objects.area, overlap)
    after, before = _matched(pairs, len(found))
    chains = _chains(after, before)
    of = {label: number for number, chain in enumerate(chains) for label in chain}
    merged, split = _left_over(pairs, after, before)
    tracks = []
    for chain in chains:
        at = np.array(chain)
        times, parent, heir = found.time[at], split.get(chain[0]), merged.get(chain[-1])
        tracks.append(
            Track(
                class_name, int(times[0]), int(times[-1]), times,
                objects.lat[at], objects.lon[at], objects.area[at], at + 1,
                None if parent is None else of[parent],
                None if heir is None else of[heir],
            )
        )  # fmt: skip
    return _lasting(tracks, persistence)


def _large_enough(pairs: Overlaps, area: np.ndarray, overlap: float) -> Overlaps:
    """Return the pairs that share enough of the smaller area, numbers from 0, the largest shared area first."""
    first, second = pairs.first - 1, pairs.second - 1
    enough = pairs.area >= overlap * np.minimum(area[first], area[second])
    order = np.lexsort((second[enough], first[enough], -pairs.area[enough]))
    return Overlaps(first[enough][order], second[enough][order], pairs.area[enough][order])


def _matched(pairs: Overlaps, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what each area becomes and what it comes from, -1 for nothing; a loop over pairs of areas."""
    after, before = np.full(number, -1), np.full(number, -1)
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        if after[first] < 0 and before[second] < 0:
            after[first], before[second] = second, first
    return after, before


def _chains(after: np.ndarray, before: np.ndarray) -> list[list[int]]:
    """Return the areas of every track in order of time."""
    chains = []
    for start in np.flatnonzero(before < 0).tolist():
        chain = [start]
        while after[chain[-1]] >= 0:
            chain.append(int(after[chain[-1]]))
        chains.append(chain)
    return chains


def _left_over(pairs: Overlaps, after: np.ndarray, before: np.ndarray) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """Return into which area each last one of a track merged, and from which each first one split."""
    merged: dict[int, int] = {}
    split: dict[int, int] = {}
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        # The largest comes first, and so it is what is kept. Areas that are joined otherwise only brush each other.
        if after[first] < 0:
            merged.setdefault(first, second)
        elif before[second] < 0:
            split.setdefault(second, first)
    return merged, split


def _lasting(tracks: list[Track], persistence: int) -> tuple[Track, ...]:
    """Return the tracks of enough times; what they say of others points at those that are left, or at none."""
    kept = [number for number, each in enumerate(tracks) if len(each) >= persistence]
    position: dict[int | None, int] = {number: place for place, number in enumerate(kept)}
    return tuple(
        replace(
            tracks[number],
            split_from=position.get(tracks[number].split_from),
            merged_into=position.get(tracks[number].merged_into),
        )
        for number in kept
    )
