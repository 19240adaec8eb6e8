"""Groups that are calibrated apart: seasons, months, regions and cells of every target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pipeline.errors import CalibrationError
from pipeline.metrics.blocks import SEASONS, has_dates, months
from pipeline.prepare.arrays import beside
from pipeline.samples import Samples

Array = Any
By = Literal["season", "month", "region", "cell"]
BY = "What is calibrated apart: season or month, region or cell; all together if empty."


class Selection(NamedTuple):
    """What one group learns from, and which groups have what it learned.

    Parameters
    ----------
    target : int
        Of which target.
    places : list of tuple of int
        The groups, (in time, in space).
    rows : ndarray of bool, shape (time,)
        Samples to learn from.
    cells : ndarray of int
        Flat positions of the cells to learn from.
    """

    target: int
    places: list[tuple[int, int]]
    rows: np.ndarray
    cells: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the group's part of (time, target, lat, lon), shape (time, cell)."""
        flat = values[:, self.target].reshape(len(values), -1)
        return np.asarray(flat[np.ix_(np.flatnonzero(self.rows), self.cells)])


@dataclass(frozen=True, eq=False)
class Groups:
    """How samples and cells fall into groups; every target, and every lead, is one of its own beside.

    Parameters
    ----------
    of_time : ndarray of int64, shape (time,)
        Group in time of every sample, of the time that its first answer is for.
    of_cell : ndarray of int64, shape (lat, lon)
        Group in space of every cell; -1 outside of the mask. Cells of no region make one of their own.
    area : ndarray of float64, shape (lat, lon)
        Weight of every cell, 1 on average over the mask and 0 outside.
    times, cells : tuple of str
        Names of the groups.
    """

    of_time: np.ndarray
    of_cell: np.ndarray
    area: np.ndarray
    times: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of groups in time and in space."""
        return len(self.times), len(self.cells)

    def sums(self, values: np.ndarray, *, by_area: bool = True) -> np.ndarray:
        """Return sums of (time, target, lat, lon) by target and group, shape (target, group in time, group in space).

        Parameters
        ----------
        values : ndarray
            Zero where there is nothing to add.
        by_area : bool
            Whether cells count by their area; else each is one.
        """
        inside = self.of_cell >= 0
        weight = self.area[inside] if by_area else np.ones(int(inside.sum()))
        found = np.zeros((values.shape[1], *self.shape))
        for when in range(len(self.times)):
            total = values[self.of_time == when].sum(axis=0, dtype=float)[:, inside] * weight
            for target, row in enumerate(total):
                found[target, when] = np.bincount(self.of_cell[inside], row, minlength=len(self.cells))
        return found

    def selections(self, known: np.ndarray) -> Iterator[Selection]:
        """Yield what every group learns from: its own values.

        A group that has none, such as a season that the evidence lacks, learns from the same cells at all times, and
        where these have none from all cells.

        Parameters
        ----------
        known : ndarray of bool, shape (time, target, lat, lon)
            Where there is a value.
        """
        count = self.sums(known, by_area=False)
        order = np.argsort(self.of_cell, axis=None, kind="stable")
        ends = np.searchsorted(self.of_cell.ravel()[order], np.arange(len(self.cells) + 1))
        always = np.ones(len(self.of_time), bool)
        for target, own in enumerate(count):
            empty = []
            for where in range(len(self.cells)):
                cells = order[ends[where] : ends[where + 1]]
                lacking = [(int(when), where) for when in np.flatnonzero(own[:, where] == 0)]
                for when in np.flatnonzero(own[:, where]):
                    yield Selection(target, [(int(when), where)], self.of_time == when, cells)
                if own[:, where].any():
                    if lacking:
                        yield Selection(target, lacking, always, cells)
                else:
                    empty += lacking
            if empty:
                yield Selection(target, empty, always, order[ends[0] :])

    def enough(self, known: np.ndarray, least: int) -> None:
        """Refuse groups with some values, but too few.

        Raises
        ------
        CalibrationError
            If a group has fewer than ``least`` values, or a target none at all.
        """
        count = self.sums(known, by_area=False)
        few = (count < least) & (count > 0)
        few |= (count.sum(axis=(1, 2)) == 0)[:, None, None]
        if few.any():
            target, when, where = np.argwhere(few)[0]
            raise CalibrationError(
                f"expected {least} values with truth or more in every group, got {int(count[target, when, where])} in "
                f"the group {self.name(int(when), int(where))}. Calibrate with folds: 5, by fewer groups, or with a "
                "smaller least."
            )

    def name(self, when: int, where: int) -> str:
        """Return what a group is called: ``DJF, cell 12``."""
        return ", ".join(dict.fromkeys((self.times[when], self.cells[where])))

    def spread(self, values: np.ndarray, like: Array, dtype: Any = None) -> Array:
        """Return what every sample and cell has of its group, NaN outside of all, as an array of the kind of ``like``.

        Parameters
        ----------
        values : ndarray, shape (target, group in time, group in space)
            One value a group.
        like : array
            Of the prediction.
        dtype : optional
            That of ``like`` by default.

        Returns
        -------
        array, shape (time, target, lat, lon), of one row where all times are one group
        """
        laid = np.moveaxis(np.where(self.of_cell >= 0, values[:, :, np.maximum(self.of_cell, 0)], np.nan), 1, 0)
        return beside(laid if len(laid) == 1 else laid[self.of_time], like, dtype or like.dtype)


def filled(count: np.ndarray, *sums: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return sums by group, the count first; where nothing was counted those over all times, else over all cells too.

    Examples
    --------
    >>> count, total = filled(np.array([[[2.0], [0.0]]]), np.array([[[6.0], [0.0]]]))
    >>> count.ravel().tolist(), total.ravel().tolist()
    ([2.0, 2.0], [6.0, 6.0])
    """
    own = parts = (count, *sums)
    for axes in ((1,), (1, 2)):
        empty = parts[0] == 0.0
        wider = (part.sum(axis=axes, keepdims=True) for part in own)
        parts = tuple(np.where(empty, total, part) for total, part in zip(wider, parts, strict=True))
    return parts


def groups_of(samples: Samples, by: Sequence[By]) -> Groups:
    """Return the groups of samples.

    Parameters
    ----------
    samples : Samples
        What is calibrated, or what calibrations are applied to: groups of the same names have the same numbers.
    by : sequence of {"season", "month", "region", "cell"}
        What sets groups apart; seasons or months, regions or cells. None: all together.

    Raises
    ------
    CalibrationError
        If both of a pair are asked for, or something that the data do not have.
    """
    asked = set(by)
    for pair in ({"season", "month"}, {"region", "cell"}):
        if pair <= asked:
            raise CalibrationError(
                f"expected one of {' and '.join(sorted(pair))} in a calibration's by, got both. Take the finer one."
            )
    of_time, times = _in_time(samples, asked)
    of_cell, cells = _in_space(samples, asked)
    mask, area = samples.schema.mask, samples.schema.target_grid.area
    weight = np.where(mask, area / area[mask].mean(), 0.0)
    return Groups(of_time, of_cell, weight, times, cells)


def _in_time(samples: Samples, asked: set[By]) -> tuple[np.ndarray, tuple[str, ...]]:
    if not asked & {"season", "month"}:
        return np.zeros(len(samples), np.int64), ("all",)
    time = samples.valid_time(samples.schema.leads[0])
    if not has_dates(time):
        raise CalibrationError(
            "expected dates for groups by season or month, got numbered tiles. Take by: [region], or leave it out."
        )
    month = np.asarray(months(time), np.int64)
    if "season" in asked:
        return month % 12 // 3, SEASONS
    return month - 1, tuple(f"month {number}" for number in range(1, 13))


def _in_space(samples: Samples, asked: set[By]) -> tuple[np.ndarray, tuple[str, ...]]:
    mask, schema = samples.schema.mask, samples.schema
    if "region" in asked:
        if schema.region is None:
            raise CalibrationError("expected regions for groups by region, got an experiment without. Name regions.")
        region = np.where(schema.region < 0, len(schema.regions), schema.region)
        return np.where(mask, region, -1).astype(np.int64), (*schema.regions, "elsewhere")
    if "cell" in asked:
        number = np.full(mask.shape, -1, np.int64)
        number[mask] = np.arange(int(mask.sum()))
        return number, tuple(f"cell {place}" for place in range(int(mask.sum())))
    return np.where(mask, 0, -1).astype(np.int64), ("all",)
