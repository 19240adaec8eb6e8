"""How far predicted and true boundaries lie from each other.

On the host: the boundary cells of every time and class go into a k-d tree. On the gpu backend that costs a copy
of the classes, two bytes a cell, and about a microsecond for every boundary cell.

Source: Taha and Hanbury (2015), doi:10.1186/s12880-015-0068-x.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pipeline.metrics import METRICS, Case, ClassMetric
from pipeline.metrics._bins import share
from pipeline.metrics.classes._cells import cell_weights, class_count, mean_over_classes
from pipeline.metrics.classes._fields import class_fields, on_grid
from pipeline.sphere import EARTH_RADIUS, goes_round, lat_lon, unit_vectors


def boundary(inside: np.ndarray, known: np.ndarray, *, wrap: bool) -> np.ndarray:
    """Return the cells of a class that have a known cell of another class above, below, left or right.

    The edge of the domain is no boundary; neither is that to cells of which nothing is known.

    Parameters
    ----------
    inside, known : ndarray of bool, shape (time, lat, lon)
        Cells of the class, and cells whose class is known.
    wrap : bool
        Whether the last column is next to the first.

    Examples
    --------
    >>> inside = np.array([[[1, 1, 1, 0]]], bool)
    >>> boundary(inside, np.ones((1, 1, 4), bool), wrap=False).astype(int).tolist()
    [[[0, 0, 1, 0]]]
    >>> boundary(inside, np.ones((1, 1, 4), bool), wrap=True).astype(int).tolist()
    [[[1, 0, 1, 0]]]
    """
    other = known & ~inside
    near = np.zeros_like(inside)
    near[:, 1:] |= other[:, :-1]
    near[:, :-1] |= other[:, 1:]
    near[:, :, 1:] |= other[:, :, :-1]
    near[:, :, :-1] |= other[:, :, 1:]
    if wrap:
        near[:, :, 0] |= other[:, :, -1]
        near[:, :, -1] |= other[:, :, 0]
    return np.asarray(inside & known & near)


def distances(first: np.ndarray, second: np.ndarray, *, on_globe: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return how far every point of each side is from the nearest of the other.

    Parameters
    ----------
    first, second : ndarray, shape (point, dim)
        On the globe unit vectors, else rows and columns; at least one on both sides.
    on_globe : bool
        Whether distances are along great circles [km], else straight.
    """
    from scipy.spatial import cKDTree

    both = cKDTree(second).query(first)[0], cKDTree(first).query(second)[0]
    if not on_globe:
        return both
    # The nearest by chord is the nearest by arc.
    there, back = (2.0 * EARTH_RADIUS * np.arcsin(np.minimum(0.5 * chord, 1.0)) for chord in both)
    return there, back


def _boundary_sums(case: Case) -> np.ndarray:
    """Return by time and class what the scores are made of, shape (time, 4, class).

    The sum of distances, the weight of the cells they are of, 1 where both sides have a boundary, 1 where one has.
    """
    assert case.place is not None  # such scores apply to no other case
    grid, number = case.place.grid, class_count(case)
    fields, on_globe = class_fields(case), not grid.image
    points = (unit_vectors(grid) if on_globe else np.stack(lat_lon(grid), axis=-1)).reshape(
        grid.shape[0] * grid.shape[1], -1
    )
    weights = on_grid(cell_weights(case)[None, :], case.place.mask, 0.0).ravel()
    found = np.zeros((len(fields.truth), 4, number))
    for of in range(number):
        sides = [
            boundary(side == of, fields.known, wrap=goes_round(grid)).reshape(len(found), -1)
            for side in (fields.truth, fields.predicted)
        ]
        there = np.stack([side.any(axis=1) for side in sides])
        found[:, 2, of], found[:, 3, of] = there.all(axis=0), there[0] != there[1]
        for time in np.flatnonzero(there.all(axis=0)):
            cells = [np.flatnonzero(side[time]) for side in sides]
            apart = distances(points[cells[0]], points[cells[1]], on_globe=on_globe)
            found[time, 0, of] = sum(float(d @ weights[at]) for d, at in zip(apart, cells, strict=True))
            found[time, 1, of] = sum(float(weights[at].sum()) for at in cells)
    return found


class _OfBoundaries(ClassMetric):
    perfect = 0.0
    better = "lower"
    needs_place = True

    def counts(self, case: Case) -> np.ndarray:
        """Return sums of distances, their weights, and numbers of times with both boundaries and with one."""
        found: np.ndarray = case.once(("boundaries",), lambda: _boundary_sums(case))
        return found.reshape(len(found), -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Return the mean over the classes that have a score."""
        return mean_over_classes(self.by_class(sums))

    def by_class(self, sums: np.ndarray) -> np.ndarray:
        """Return the score of every class."""
        parts = sums.reshape(*sums.shape[:-1], 4, -1)
        return self.of_sums(*(parts[..., part, :] for part in range(4)))

    @abstractmethod
    def of_sums(self, total: np.ndarray, weight: np.ndarray, both: np.ndarray, one: np.ndarray) -> np.ndarray:
        """Return the score from what :func:`_boundary_sums` adds up."""


@METRICS.register("boundary_distance")
class BoundaryDistance(_OfBoundaries):
    """Mean symmetric distance of predicted and true boundaries, by class and their mean [km; in an image cells].

    The average symmetric surface distance: from every boundary cell of either side to the nearest of the other, all
    of them together, by area of the cells. Times at which one side has no boundary of the class are left out;
    ``boundary_unmatched`` says how many.
    """

    units = "km"
    label = "boundary distance"

    def units_of(self, case: Case) -> str:
        """Return km, or 1 for cells of an image."""
        return "1" if case.place is None or case.place.grid.image else self.units

    def of_sums(self, total: np.ndarray, weight: np.ndarray, both: np.ndarray, one: np.ndarray) -> np.ndarray:
        """Return the mean distance; NaN where no time has both boundaries."""
        return share(total, weight)


@METRICS.register("boundary_unmatched")
class BoundaryUnmatched(_OfBoundaries):
    """Share of the times with a boundary of a class in truth or prediction that have none in the other.

    By class and their mean; these times are left out of ``boundary_distance``.
    """

    label = "times without the other boundary"

    def of_sums(self, total: np.ndarray, weight: np.ndarray, both: np.ndarray, one: np.ndarray) -> np.ndarray:
        """Return the share of times."""
        return share(one, both + one)
