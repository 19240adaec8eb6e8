"""Blocks of the train split that are left out in turn, so that a train sample is as strange as a new one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.metrics.blocks import has_dates, months, year_of

FOLDS = 10
"""Blocks are left out together where there are more."""
FEW_YEARS = 4
LEAST_CELLS = 5
_PIECES, _DEALT = 20, 5  # of a short train split: neighbours stay together, seasons come apart


@dataclass(frozen=True, eq=False)
class Folds:
    """Which samples are left out together.

    Parameters
    ----------
    of : ndarray of int, shape (sample,)
        Number of each sample's fold.
    kind : {"years", "blocks", "basins"}
        What a fold is made of: whole years, December to November; blocks of time or of tiles; basins.
    """

    of: np.ndarray
    kind: str

    def __len__(self) -> int:
        return int(self.of.max()) + 1


def folds_of_time(time: np.ndarray) -> Folds:
    """Return folds of years that follow one another, of a short split 5 folds of 4 blocks each.

    A year that was left out is as strange as one that comes. Of fewer than four years the blocks are a twentieth of the
    split each, every fifth of them left out: what one year has and another has not cannot be told then.

    Parameters
    ----------
    time : ndarray, shape (sample,)
        Increasing ``datetime64`` or cftime objects, or numbers of tiles in the order they were cut.

    Examples
    --------
    >>> folds = folds_of_time(np.arange("1990-12-01", "2000-12-01", dtype="datetime64[D]"))
    >>> folds.kind, len(folds)
    ('years', 10)
    """
    if has_dates(time):
        year = year_of(time) + (months(time) == 12)
        found, number, counts = np.unique(year, return_inverse=True, return_counts=True)
        if (counts >= 0.5 * counts.max()).sum() >= FEW_YEARS:
            return Folds(number * min(FOLDS, len(found)) // len(found), "years")
    return Folds(np.arange(len(time)) * _PIECES // max(1, len(time)) % _DEALT, "blocks")


def folds_of_cells(cells: int) -> Folds:
    """Return folds of basins, where a model is asked about new ones.

    Raises
    ------
    DataError
        If there are fewer than five.

    Examples
    --------
    >>> folds_of_cells(12).of.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    if cells < LEAST_CELLS:
        raise DataError(
            f"expected {LEAST_CELLS} train basins or more, to leave them out in turn, got {cells}: how far new basins "
            "usually lie from the others cannot be told. Give split.train more basins."
        )
    return Folds(np.arange(cells) % FOLDS, "basins")
