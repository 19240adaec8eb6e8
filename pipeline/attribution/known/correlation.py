"""How the cells of a map go together: the correlation that the inputs and the rules of a made world are drawn with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.seeding import generator

SHAPE = (18, 36)  # rows from 89.5 N, columns from 0.5 E, every 10 degrees
CELLS = 460  # sea cells of the measured file, and of the made map
RANK = 28.3  # effective rank of the measured correlation
_REACH = 15.0  # degrees over which what the modes leave falls to 1/e
_MODES = 6
_FIRMNESS = 1e-6  # least eigenvalue, below which rounding makes a matrix indefinite


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation of some cells of a map.

    Parameters
    ----------
    matrix : ndarray of float64, shape (cell, cell)
        Symmetric and positive definite, with ones on the diagonal.
    mask : ndarray of bool, shape (lat, lon)
        Where these cells are, row by row.
    words : str
        Where it comes from, for tables and captions.
    made : bool
        Whether it was made here and not measured: its land is not that of the Earth.

    Raises
    ------
    DataError
        If mask and matrix do not belong together, or it is no such matrix.
    """

    matrix: np.ndarray
    mask: np.ndarray
    words: str
    made: bool

    def __post_init__(self) -> None:
        """Check that it is a correlation of the cells of the mask."""
        cells = int(self.mask.sum())
        if self.matrix.shape != (cells, cells):
            raise DataError(
                f"{self.words}: expected a matrix of {cells} x {cells}, the cells of its mask, got {self.matrix.shape}."
            )
        if not np.allclose(self.matrix, self.matrix.T) or not np.allclose(np.diag(self.matrix), 1.0):
            raise DataError(f"{self.words}: expected a symmetric matrix with ones on its diagonal.")
        least = float(np.linalg.eigvalsh(self.matrix)[0])
        if least <= 0.0:
            raise DataError(f"{self.words}: expected a positive definite matrix, got one with eigenvalue {least:.3g}.")

    @property
    def effective_rank(self) -> float:
        """How many independent numbers a map is worth: ``trace(S)^2 / trace(S^2)``."""
        return float(np.trace(self.matrix) ** 2 / np.sum(self.matrix**2))

    @property
    def grid(self) -> Grid:
        """Where the cells of the whole map lie."""
        rows, columns = self.mask.shape
        return Grid(89.5 - 10.0 * np.arange(rows), 0.5 + 10.0 * np.arange(columns))

    def every(self, step: int) -> Correlation:
        """Return the correlation of every so manieth cell.

        Examples
        --------
        >>> made_correlation().every(8).matrix.shape
        (58, 58)
        """
        kept = np.zeros(len(self.matrix), bool)
        kept[::step] = True
        mask = np.zeros_like(self.mask)
        mask[self.mask] = kept
        return Correlation(self.matrix[np.ix_(kept, kept)], mask, self.words, self.made)

    def on_map(self, values: np.ndarray) -> np.ndarray:
        """Return values of the cells, shape (cell,), on the map, shape (lat, lon); NaN elsewhere."""
        field = np.full(self.mask.shape, np.nan)
        field[self.mask] = values
        return field


def measured_correlation(covariance: np.ndarray, mask: np.ndarray, words: str) -> Correlation:
    """Return the correlation of a measured covariance.

    Parameters
    ----------
    covariance : ndarray, shape (cell, cell)
        Of anomalies.
    mask : ndarray, shape (lat, lon)
        Not zero at the cells.
    words : str
        Where it comes from.

    Raises
    ------
    DataError
        If it is no covariance of the cells of the mask.

    Examples
    --------
    >>> covariance = np.array([[4.0, 1.0], [1.0, 1.0]])
    >>> measured_correlation(covariance, np.ones((1, 2)), "an example").matrix[0, 1].item()
    0.5
    """
    covariance = np.asarray(covariance, np.float64)
    deviation = np.sqrt(np.diag(covariance))
    if not (np.isfinite(covariance).all() and (deviation > 0).all()):
        raise DataError(f"{words}: expected a covariance of finite numbers with positive variances.")
    matrix = _firm(covariance / np.outer(deviation, deviation))
    return Correlation(matrix, np.asarray(mask) != 0, words, made=False)


def made_correlation(seed: int = 0) -> Correlation:
    """Return a made correlation of the same kind as that of monthly anomalies of the sea's temperature.

    On a map of 18 x 36 cells with made land, 460 cells of sea. Correlations are a sum of what falls off
    exponentially with the great-circle distance and of six smooth modes that reach round the globe, in shares that
    give it the effective rank of the measured one, 28.3, to 0.1.

    Parameters
    ----------
    seed : int
        Of land and modes.

    Examples
    --------
    >>> made = made_correlation()
    >>> made.mask.shape, int(made.mask.sum()), abs(made.effective_rank - RANK) < 0.1
    ((18, 36), 460, True)
    """
    random = generator(seed, "made correlation")
    lat = np.deg2rad(89.5 - 10.0 * np.arange(SHAPE[0]))[:, None] + np.zeros(SHAPE)
    lon = np.deg2rad(0.5 + 10.0 * np.arange(SHAPE[1]))[None, :] + np.zeros(SHAPE)
    places = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    rough = _smooth(places, random, 40, 3.0)[0]
    mask = np.zeros(SHAPE, bool)
    mask.ravel()[np.argsort(rough, axis=None, kind="stable")[:CELLS]] = True
    sea = places[mask]
    distance = np.rad2deg(np.arccos(np.clip(sea @ sea.T, -1.0, 1.0)))
    modes = _smooth(sea, random, _MODES * 12, 1.5, _MODES)
    modes /= np.sqrt((modes**2).sum(axis=0))
    near, far = np.exp(-distance / _REACH), modes.T @ modes
    # The rank is cells^2 over the sum of squares, which is a parabola of the share of the modes.
    squares, mixed, rest = (float(np.sum(one * other)) for one, other in ((far, far), (far, near), (near, near)))
    share = float(np.max(np.roots([squares - 2 * mixed + rest, 2 * (mixed - rest), rest - CELLS**2 / RANK])))
    return Correlation(_firm(share * far + (1.0 - share) * near), mask, "a made correlation", made=True)


def _smooth(places: np.ndarray, random: np.random.Generator, waves: int, sharp: float, fields: int = 1) -> np.ndarray:
    """Return fields, each a sum of random plane waves through the globe; shape (field, ...)."""
    ways = random.normal(size=(fields, waves // fields, 3)) * sharp
    phases = random.uniform(0.0, 2.0 * np.pi, size=(fields, waves // fields))
    return np.stack([np.cos(places @ way.T + phase).sum(axis=-1) for way, phase in zip(ways, phases, strict=True)])


def _firm(matrix: np.ndarray) -> np.ndarray:
    """Return a correlation whose least eigenvalue is above rounding, the diagonal ones again."""
    symmetric = (matrix + matrix.T) / 2.0
    missing = max(0.0, _FIRMNESS - float(np.linalg.eigvalsh(symmetric)[0]))
    firm: np.ndarray = (symmetric + missing * np.eye(len(symmetric))) / (1.0 + missing)
    np.fill_diagonal(firm, 1.0)
    return firm
