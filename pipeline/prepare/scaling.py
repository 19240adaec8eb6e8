"""Means and deviations of the train split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.backend import array_namespace
from pipeline.errors import DataError
from pipeline.prepare.arrays import known
from pipeline.prepare.splits import TrainSplit
from pipeline.rows.parts import blocks

Array = Any
Per = Literal["per_cell", "per_field"]

# A float32 field that never changes has a deviation of rounding errors only.
CONSTANT = float(np.finfo(np.float32).eps)
LEAST = 1e-30  # a deviation below this is no variation of any field, and float32 would overflow on dividing by it


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Subtracts the mean and divides by the deviation of the train split.

    Parameters
    ----------
    mean, deviation : array of float32, shape (channel, lat, lon) or (channel, 1, 1)
        One a cell or one a field. ``mean`` is NaN in cells without any train value, and
        ``deviation`` is 1 there and where the values never change.
    constant : tuple of int
        For each channel, how many cells (or fields) never change.
    """

    mean: Array
    deviation: Array
    constant: tuple[int, ...]

    @classmethod
    def fit(cls, values: Array, train: TrainSplit, *, per: Per, names: Sequence[str]) -> Standardiser:
        """Fit on the finite values of the train split, with sums in float64.

        Parameters
        ----------
        values : array of float32, shape (time, channel, lat, lon)
            All steps of the axis; NaN is missing.
        train : TrainSplit
            Which of them may be used.
        per : {"per_cell", "per_field"}
            Every cell on its own, or all cells of a channel together, each counting the same.
        names : sequence of str
            Names of the channels, for the message.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        DataError
            If a channel has no finite value in the train split.
        """
        TrainSplit.require(train, "Standardiser")
        xp = array_namespace(values)
        seen = train.take(values)
        axes = (0,) if per == "per_cell" else (0, 2, 3)
        count, total = _sums(seen, axes)
        _require_values(count, names)
        known = xp.maximum(count, xp.ones_like(count))
        mean = total / known
        variance = _squares(seen, mean, axes) / known
        deviation = xp.sqrt(variance)
        varies = (deviation > CONSTANT * xp.abs(mean)) & (deviation > LEAST)
        still = xp.astype((count > 0) & ~varies, xp.int64)
        return cls(
            mean=xp.astype(xp.where(count > 0, mean, xp.full_like(mean, float("nan"))), xp.float32),
            deviation=xp.astype(xp.where(varies, deviation, xp.ones_like(deviation)), xp.float32),
            constant=tuple(int(number) for number in xp.sum(still, axis=(1, 2))),
        )

    def transform(self, values: Array) -> Array:
        """Return standardised values of the same shape, without units."""
        away = values - self.mean
        if away.dtype == self.deviation.dtype:
            away /= self.deviation
            return away
        return away / self.deviation

    def inverse(self, values: Array) -> Array:
        """Return values in units from standardised ones."""
        return values * self.deviation + self.mean


def _sums(values: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return count and sum of finite values, float64, shape (channel, lat, lon) or (channel, 1, 1)."""
    xp = array_namespace(values)
    count = total = 0.0
    for part in blocks(values):
        block = values[part, ...]
        filled, finite = known(block, whole=bool(xp.all(xp.isfinite(block))))
        total = xp.sum(filled, axis=axes, keepdims=True)[0, ...] + total
        there = math.prod(block.shape[axis] for axis in axes)
        count = (there if finite is None else xp.sum(finite, axis=axes, keepdims=True)[0, ...]) + count
    return xp.zeros_like(total) + count, total


def _squares(values: Array, mean: Array, axes: tuple[int, ...]) -> Array:
    """Return the sum of squared deviations from ``mean``, float64."""
    xp = array_namespace(values)
    total = xp.zeros_like(mean)
    for part in blocks(values):
        block = values[part, ...]
        away, finite = known(block, whole=bool(xp.all(xp.isfinite(block))))
        away -= mean
        away *= away
        if finite is not None:
            away *= finite
        total = total + xp.sum(away, axis=axes, keepdims=True)[0, ...]
    return total


def _require_values(count: Array, names: Sequence[str]) -> None:
    xp = array_namespace(count)
    total = xp.sum(count, axis=(1, 2))
    for position, name in enumerate(names):
        if float(total[position]) == 0:
            raise DataError(
                f"channel {name!r} has no finite value in the train split; expected some. "
                "Check its file and units, or leave it out."
            )
