"""How often each class was seen in the train split: the climatology of a segmentation, as a forecast to be beaten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.prepare.splits import TrainSplit

Array = Any
SEEN_BEFORE = 1.0  # samples' worth of the overall shares that every cell starts with: no cell is certain of a class


@dataclass(frozen=True, eq=False)
class ClassFrequencies:
    """Share of each class at every cell.

    Parameters
    ----------
    values : array of float32, shape (class, target, lat, lon)
        They add up to 1; NaN outside the mask.
    """

    values: Array

    @classmethod
    def fit(
        cls, numbers: Array, train: TrainSplit, classes: int, area: np.ndarray, *, per_cell: bool
    ) -> ClassFrequencies:
        """Count the classes of the train split.

        Over all cells shares are those of :func:`class_shares`, by area, as scores are. A cell starts with them, as if
        it had been seen once more: what never happened in a few years at one place is rare there, not impossible.

        Parameters
        ----------
        numbers : array of float32, shape (time, target, lat, lon)
            Class numbers; NaN where unknown and outside the mask.
        train : TrainSplit
            Which of the samples may be used.
        classes : int
            How many there are.
        area : ndarray, shape (lat, lon)
            Weights of the cells.
        per_cell : bool
            False: the same shares everywhere, as for tiles, whose pixels have no place of their own.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        """
        TrainSplit.require(train, "ClassFrequencies")
        xp = array_namespace(numbers)
        seen = train.take(numbers)
        inside = xp.any(xp.isfinite(numbers), axis=0)
        counts = xp.stack([xp.sum(xp.astype(seen == number, xp.float64), axis=0) for number in range(classes)])
        overall = xp.sum(counts * beside(area, counts), axis=(2, 3), keepdims=True)
        overall = overall / xp.sum(overall, axis=0, keepdims=True)
        if per_cell:
            counts = counts + SEEN_BEFORE * overall
            shares = counts / xp.sum(counts, axis=0, keepdims=True)
        else:
            shares = xp.broadcast_to(overall, counts.shape)
        return cls(xp.astype(xp.where(inside[None, ...], shares, xp.full_like(shares, float("nan"))), xp.float32))

    def forecast(self, phase: np.ndarray) -> Prediction:
        """Return the shares as a forecast for each of as many samples as ``phase`` has."""
        xp = array_namespace(self.values)
        shape = (self.values.shape[0], len(phase), *self.values.shape[1:])
        return Prediction("categorical", {"probabilities": xp.broadcast_to(self.values[:, None, ...], shape)})


def require_numbers(numbers: Array, classes: Sequence[str]) -> None:
    """Refuse what is none of the numbers 0, 1, ... of ``classes``; NaN is unknown.

    Raises
    ------
    DataError
        If there is one.
    """
    xp = array_namespace(numbers)
    strange = xp.isfinite(numbers) & ((numbers != xp.floor(numbers)) | (numbers < 0) | (numbers >= len(classes)))
    if bool(xp.any(strange)):
        names = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
        worst = float(xp.max(xp.where(strange, numbers, xp.full_like(numbers, -1.0))))
        raise DataError(f"the target: expected class numbers ({names}), got {worst:g}. Correct classes in the catalog.")


def class_names(target: xr.Dataset, name: str) -> tuple[str, ...]:
    """Return the names of the classes of a variable, none where it has none."""
    return tuple(str(target[name].attrs.get("flag_meanings", "")).split())


def class_shares(numbers: Array, train: TrainSplit, classes: Sequence[str], area: np.ndarray) -> tuple[float, ...]:
    """Return the share of every class in the train split, by area.

    Parameters
    ----------
    numbers : array of float32, shape (time, target, lat, lon)
        Class numbers; NaN where unknown and outside the mask.
    train : TrainSplit
        Which of the samples may be used.
    classes : sequence of str
        Their names.
    area : ndarray, shape (lat, lon)
        Weights of the cells.

    Raises
    ------
    DataError
        If a number is none of a class, or a class never occurs in the train split.
    """
    TrainSplit.require(train, "class_shares")
    xp = array_namespace(numbers)
    require_numbers(numbers, classes)
    weight, seen = beside(area, numbers), train.take(numbers)
    totals = [float(xp.sum(xp.astype(seen == number, xp.float64) * weight)) for number in range(len(classes))]
    for name, total in zip(classes, totals, strict=True):
        if total == 0.0:
            raise DataError(
                f"the target: class {name!r} never occurs in the train split, so nothing can be learned of it. Widen "
                "split.train, or merge it with another class in the catalog."
            )
    return tuple(total / sum(totals) for total in totals)
