"""Some cells in place of all: drawn evenly over the area, so that means over them can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.sphere import unit_vectors

_EACH = 2  # cells of a stratum: the least that tell how much they differ


@dataclass(frozen=True, eq=False)
class CellSample:
    """Cells that stand for all cells of a mask.

    Parameters
    ----------
    cells : ndarray of int64, shape (cell,)
        Numbers in the flattened grid, rising.
    stratum : ndarray of int64, shape (cell,)
        Number of the stratum of each.
    sizes : ndarray of int64, shape (stratum,)
        How many cells of the mask each stratum has.
    """

    cells: np.ndarray
    stratum: np.ndarray
    sizes: np.ndarray

    @property
    def drawn(self) -> np.ndarray:
        """How many cells of each stratum are in the sample, shape (stratum,)."""
        return np.bincount(self.stratum, minlength=len(self.sizes))

    @property
    def weights(self) -> np.ndarray:
        """How many cells of the mask each cell stands for, float64, shape (cell,)."""
        return np.asarray((self.sizes / self.drawn)[self.stratum])

    @property
    def complete(self) -> bool:
        """Whether these are all cells."""
        return len(self.cells) == int(self.sizes.sum())

    def ratio_error(self, numerator: np.ndarray, denominator: np.ndarray) -> float:
        """Return the standard error, from drawing cells, of a ratio of sums over all cells.

        Parameters
        ----------
        numerator, denominator : ndarray, shape (cell,)
            Of each cell in the sample. The ratio is that of their sums, each times ``weights``.

        Returns
        -------
        float
            By the linearised ratio with the correction for finite strata; 0 of all cells, NaN where a stratum has a
            single one of its cells in the sample, which says nothing of their differences.

        References
        ----------
        Cochran (1977), Sampling Techniques, 3rd edition, sections 5.3 and 6.11.

        Examples
        --------
        >>> two_of_four = CellSample(np.array([0, 3]), np.array([0, 0]), np.array([4]))
        >>> two_of_four.ratio_error(np.array([1.0, 3.0]), np.ones(2))
        0.7071067811865476
        """
        total = float(self.weights @ denominator)
        if total == 0.0:
            return float("nan")
        rest = numerator - (float(self.weights @ numerator) / total) * denominator
        variance = 0.0
        for number, (size, drawn) in enumerate(zip(self.sizes, self.drawn, strict=True)):
            if drawn == size:
                continue
            spread = float(rest[self.stratum == number].var(ddof=1)) if drawn > 1 else float("nan")
            variance += size**2 * (1.0 - drawn / size) * spread / drawn
        return float(np.sqrt(variance) / total)


def sample_cells(grid: Grid, mask: np.ndarray, cells: int | np.ndarray | None = None, seed: int = 0) -> CellSample:
    """Return the cells that stand for those of a mask.

    Parameters
    ----------
    grid : Grid
        Of the mask.
    mask : ndarray of bool, shape (lat, lon)
        Cells that there are.
    cells : int or ndarray of int, optional
        How many are drawn: the mask is cut into compact parts of the same number of cells, half as many as are asked
        for, and two are drawn of each. Or numbers in the flattened grid, which count as drawn at random. None: all
        cells.
    seed : int
        Of the draw.

    Raises
    ------
    ConfigError
        If fewer than two are to be drawn, or some of those given are outside of the mask or given twice.
    DataError
        If the mask is empty.

    Examples
    --------
    >>> grid = Grid(np.arange(4.0), np.arange(4.0))
    >>> drawn = sample_cells(grid, np.ones((4, 4), bool), 8)
    >>> drawn.sizes.tolist(), drawn.drawn.tolist()
    ([4, 4, 4, 4], [2, 2, 2, 2])
    """
    every = np.flatnonzero(mask)
    if not len(every):
        raise DataError("expected a mask with cells to tell of, got an empty one.")
    if cells is None or (isinstance(cells, int) and cells >= len(every)):
        return CellSample(every, np.zeros(len(every), np.int64), np.array([len(every)]))
    if not isinstance(cells, int):
        chosen = np.unique(np.asarray(cells, np.int64))
        if len(chosen) != len(cells) or not len(chosen) or not np.isin(chosen, every).all():
            raise ConfigError(
                f"cells: expected different cells of the mask by their numbers in the flattened grid, got {cells!r}."
            )
        return CellSample(chosen, np.zeros(len(chosen), np.int64), np.array([len(every)]))
    if cells < _EACH:
        raise ConfigError(f"cells: expected {_EACH} or more to draw, got {cells}.")
    random = np.random.default_rng(seed)
    places = unit_vectors(grid).reshape(-1, 3)
    parts = _parts(every, places, cells // _EACH)
    counts = [_EACH] * len(parts)
    counts[int(np.argmax([len(part) for part in parts]))] += cells % _EACH
    drawn = [random.choice(part, count, replace=False) for part, count in zip(parts, counts, strict=True)]
    found, stratum = np.concatenate(drawn), np.repeat(np.arange(len(parts)), counts)
    order = np.argsort(found)
    return CellSample(found[order], stratum[order], np.array([len(part) for part in parts]))


def _parts(cells: np.ndarray, places: np.ndarray, count: int) -> list[np.ndarray]:
    """Cut cells into compact parts of about the same size, across the widest side first."""
    if count == 1:
        return [cells]
    own = places[cells]
    order = cells[np.argsort(own[:, np.argmax(np.ptp(own, axis=0))], kind="stable")]
    cut = round(len(order) * (count // 2) / count)
    return _parts(order[:cut], places, count // 2) + _parts(order[cut:], places, count - count // 2)
