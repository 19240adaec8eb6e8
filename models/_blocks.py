"""Which cells of a fine grid make up each cell of a coarse one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.grid import Grid

TOLERANCE = 0.1  # of a fine cell, by which a coarse centre may miss the middle of its fine cells


@dataclass(frozen=True, eq=False)
class Blocks:
    """The fine cells of each coarse cell, and their weights in its mean.

    Parameters
    ----------
    coarse : ndarray of int, shape (block,)
        Coarse cells in the flattened coarse grid.
    cells : ndarray of int, shape (block, cell of the block)
        Fine cells, counted along the cells of the mask.
    weights : ndarray of float64, shape (block, cell of the block)
        Area weights; each block's sum to 1.
    """

    coarse: np.ndarray
    cells: np.ndarray
    weights: np.ndarray

    @classmethod
    def between(cls, coarse: Grid, fine: Grid, mask: np.ndarray) -> Blocks:
        """Return the blocks of ``fine`` that the cells of ``coarse`` consist of.

        Blocks start with the first row and column and have the same number of rows, and of columns, of
        fine cells; fewer rows or columns than a block has may be left over at the end, as where a field
        was coarsened.

        Parameters
        ----------
        coarse, fine : Grid
            Both regular or projected.
        mask : ndarray of bool, shape (lat, lon)
            Fine cells that there are.

        Raises
        ------
        DataError
            If ``fine`` is no such refinement, or cells of a block are outside of ``mask``.

        Examples
        --------
        >>> fine = Grid(np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0]))
        >>> coarse = Grid(np.array([0.5]), np.array([0.5, 2.5]))
        >>> Blocks.between(coarse, fine, np.ones((2, 4), bool)).cells.tolist()
        [[0, 1, 4, 5], [2, 3, 6, 7]]
        """
        size = _size(coarse, fine)
        for name, far in _misses(coarse, fine, size).items():
            if not far <= TOLERANCE:
                raise DataError(
                    f"constraint: expected coarse cells that are blocks of {size[0]} x {size[1]} cells of the target "
                    f"grid, got centres up to {far:.3g} fine cells away from the middle of theirs in {name}. "
                    "Make the predictor from the target's own grid with coarsen."
                )
        numbers = np.where(mask, np.cumsum(mask).reshape(mask.shape) - 1, -1)
        cells = _blocks(numbers, coarse.shape, size)
        missing = int((cells < 0).sum())
        if missing:
            raise DataError(
                f"constraint: expected every cell of every block inside the mask of the target, got {missing} of "
                f"{cells.size} outside: a block's mean cannot be held without them. Take a target without gaps."
            )
        weights = _blocks(fine.area, coarse.shape, size)
        return cls(np.arange(len(cells)), cells, weights / weights.sum(axis=1, keepdims=True))


def _size(coarse: Grid, fine: Grid) -> tuple[int, int]:
    """Return rows and columns of a block."""
    rows, columns = (there // here for there, here in zip(fine.shape, coarse.shape, strict=True))
    left = [there - here * size for there, here, size in zip(fine.shape, coarse.shape, (rows, columns), strict=True)]
    nests = rows * columns > 1 and left[0] < rows and left[1] < columns
    if coarse.stations or fine.stations or not nests:
        what = "stations" if coarse.stations or fine.stations else f"{fine.shape} on {coarse.shape} cells"
        raise DataError(
            f"constraint: expected a target grid that divides every input cell into a block of cells, got {what}. "
            "Make the predictor from the target's own grid with coarsen."
        )
    return rows, columns


def _misses(coarse: Grid, fine: Grid, size: tuple[int, int]) -> dict[str, float]:
    """Return how far coarse centres are from the middle of their fine cells at most, in fine cells."""
    found = {}
    for name, mine, theirs in (("lat", coarse.lat, fine.lat), ("lon", coarse.lon, fine.lon)):
        centre, every = _plane(mine, name, coarse.shape), _plane(theirs, name, fine.shape)
        step = max(np.median(np.abs(np.diff(every, axis=axis))) for axis in (0, 1) if every.shape[axis] > 1)
        middle = _blocks(every, coarse.shape, size).mean(axis=1)
        found[name] = float(np.abs(centre.ravel() - middle).max() / step)
    return found


def _plane(axis: np.ndarray, name: str, shape: tuple[int, int]) -> np.ndarray:
    if axis.ndim == 2:
        return axis
    return np.broadcast_to(axis[:, None] if name == "lat" else axis[None, :], shape)


def _blocks(field: np.ndarray, shape: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return (lat, lon) as (block, cell of the block), without rows and columns that are left over."""
    inner = field[: shape[0] * size[0], : shape[1] * size[1]]
    return inner.reshape(shape[0], size[0], shape[1], size[1]).swapaxes(1, 2).reshape(shape[0] * shape[1], -1)
