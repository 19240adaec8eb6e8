"""The day-of-year climatology of the train split, also as a forecast to be beaten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import array_namespace, block_bytes
from pipeline.prediction import Prediction
from pipeline.prepare.anomalies import less_mean
from pipeline.prepare.arrays import beside, flat, known
from pipeline.prepare.splits import TrainSplit
from pipeline.rows.parts import blocks

Array = Any

CONDITION = 300.0  # worst condition number of the train days' design that is still fitted
LEAST_VARIANCE = 0.1  # of a cell's mean variance, on the calmest day of the year
TINY = 1e-12  # variance where a whole field never varies
LEAST_SHARE = 1e-6  # of a field's mean variance, for cells that never vary


def harmonics_of(phase: np.ndarray, harmonics: int) -> np.ndarray:
    """Return the design matrix 1, cos, sin, cos 2, sin 2, ..., shape (time, 1 + 2 harmonics).

    Sines and cosines are scaled by the square root of two, so that over whole years the columns
    are orthonormal and the condition number tells how little of the year was seen.

    Examples
    --------
    >>> harmonics_of(np.array([0.0, 0.5]), 1).round(3).tolist()
    [[1.0, 1.414, 0.0], [1.0, -1.414, 0.0]]
    """
    angle = 2 * np.pi * np.asarray(phase, float)[:, None] * np.arange(1, harmonics + 1)
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(phase), 2 * harmonics)
    return np.concatenate([np.ones((len(phase), 1)), np.sqrt(2) * waves], axis=1)


def usable_harmonics(phase: np.ndarray, asked: int) -> int:
    """Return the most harmonics, up to ``asked``, that the days at ``phase`` can tell apart.

    A single season sees a short arc of the year, on which harmonics look alike: their least-squares
    coefficients are huge, cancel inside the season and run wild a day outside it. Harmonics are
    taken away from the top until the condition number of the design is at most ``CONDITION``:
    whole years keep all, three months keep one, a single month keeps one.

    Examples
    --------
    >>> usable_harmonics(np.arange(365) / 365, 3), usable_harmonics(np.arange(90) / 365, 3)
    (3, 1)
    """
    for count in range(asked, 0, -1):
        design = harmonics_of(phase, count)
        if len(phase) > design.shape[1] and np.linalg.cond(design) <= CONDITION:
            return count
    return 0


@dataclass(frozen=True, eq=False)
class Climatology:
    """Mean and variance of every cell as smooth functions of the phase of the year.

    Parameters
    ----------
    mean, variance : array of float64, shape (coefficient, variable, ...)
        Coefficients of the harmonics; NaN in cells without any train value.
    constant : array of float64, shape (variable, ...)
        Variance about ``mean`` over the whole train split, from which the floor follows.
    asked, used : int
        Harmonics that were asked for, and that the train days could carry.
    means_only : int
        Cells whose own days could carry none of them and have their plain mean.
    """

    mean: Array
    variance: Array
    constant: Array
    asked: int
    used: int
    means_only: int

    @classmethod
    def fit(cls, values: Array, train: TrainSplit, *, harmonics: int) -> Climatology:
        """Fit by least squares on the train split, cell by cell on the values that are finite.

        The variance is a second fit of the same harmonics, to the squared residuals, with N - K
        degrees of freedom.

        Parameters
        ----------
        values : array of float32, shape (time, variable, ...)
            All steps of the axis; NaN is missing.
        train : TrainSplit
            Which of them may be used.
        harmonics : int
            Sines and cosines; see :func:`usable_harmonics`.

        Raises
        ------
        TypeError
            If ``train`` is not a TrainSplit.
        """
        TrainSplit.require(train, "Climatology")
        xp = array_namespace(values)
        seen = train.take(values)
        cells = flat(seen)
        used = usable_harmonics(train.phase, harmonics)
        design = beside(harmonics_of(train.phase, used), values)
        gram, right = _sums(cells, design)
        count = gram[:, 0, 0]
        equations = _Equations.of(gram)
        mean = equations.solve(right)
        square = _residual_sums(cells, design, mean)
        seen_cell = count[:, None] > 0
        freedom = xp.maximum(count - equations.parameters, xp.ones_like(count))

        def shaped(array: Array) -> Array:
            return xp.reshape(xp.matrix_transpose(array), (array.shape[1], *values.shape[1:]))

        return cls(
            mean=shaped(_or_nan(mean, seen_cell)),
            variance=shaped(_or_nan(equations.solve(square) * (count / freedom)[:, None], seen_cell)),
            constant=shaped(_or_nan(square[:, :1] / freedom[:, None], seen_cell))[0, ...],
            asked=harmonics,
            used=used,
            means_only=int(xp.sum(xp.astype(equations.plain & (count > 0), xp.int64))) if used else 0,
        )

    def filled(self) -> Climatology:
        """Return the same with the mean over cells where a cell has none of its own: a basin never trained on."""
        xp = array_namespace(self.mean)

        def fill(array: Array) -> Array:
            known = xp.isfinite(array)
            axes = tuple(range(array.ndim - 2, array.ndim))
            total = xp.sum(xp.where(known, array, xp.zeros_like(array)), axis=axes, keepdims=True)
            count = xp.sum(xp.astype(known, xp.float64), axis=axes, keepdims=True)
            return xp.where(known, array, total / xp.maximum(count, xp.ones_like(count)))

        return replace(self, mean=fill(self.mean), variance=fill(self.variance), constant=fill(self.constant))

    def mean_at(self, phase: np.ndarray) -> Array:
        """Return the mean at each phase of the year, float32, shape (time, ...)."""
        xp = array_namespace(self.mean)
        return xp.astype(self._at(self.mean, phase), xp.float32)

    def anomalies(self, values: Array, phase: np.ndarray, scale: Array | None = None) -> Array:
        """Return ``values`` less the mean at each phase, divided by ``scale``; see :func:`less_mean`."""
        return less_mean(values, self, phase, scale)

    def sd_at(self, phase: np.ndarray) -> Array:
        """Return the standard deviation about the mean at each phase, float32, positive.

        It is floored at a tenth of the cell's mean variance, as the fit to the squares may dip below
        zero, and at a millionth of the field's, so that cells that never vary have a density.
        """
        xp = array_namespace(self.mean)
        known = xp.isfinite(self.constant)
        own = xp.where(known, self.constant, xp.zeros_like(self.constant))
        axes = tuple(range(1, own.ndim))
        cells = xp.sum(xp.astype(known, xp.float64), axis=axes, keepdims=True)
        field = xp.sum(own, axis=axes, keepdims=True) / xp.maximum(cells, xp.ones_like(cells))
        least = xp.maximum(LEAST_VARIANCE * self.constant, LEAST_SHARE * field + TINY)
        return xp.astype(xp.sqrt(xp.maximum(self._at(self.variance, phase), least)), xp.float32)

    def forecast(self, phase: np.ndarray) -> Prediction:
        """Return the climatology as a normal forecast for each phase of the year."""
        return Prediction("normal", {"mean": self.mean_at(phase), "sd": self.sd_at(phase)})

    def _at(self, coefficients: Array, phase: np.ndarray) -> Array:
        xp = array_namespace(coefficients)
        design = beside(harmonics_of(phase, self.used), coefficients)
        flat = xp.reshape(coefficients, (coefficients.shape[0], -1))
        return xp.reshape(xp.matmul(design, flat), (design.shape[0], *coefficients.shape[1:]))


def _sums(cells: Array, design: Array) -> tuple[Array, Array]:
    """Return per-cell normal equations over finite values: (cell, k, k) and (cell, k)."""
    xp = array_namespace(cells)
    size, count = design.shape[1], cells.shape[1]
    products = xp.reshape(design[:, :, None] * design[:, None, :], (-1, size * size))
    every = xp.zeros((size * size, 1), dtype=xp.float64, device=design.device)
    gram = xp.zeros((size * size, count), dtype=xp.float64, device=design.device)
    right = xp.zeros((size, count), dtype=xp.float64, device=design.device)
    for part in blocks(cells):
        block = cells[part, :]
        whole = bool(xp.all(xp.isfinite(block)))
        if whole:  # then all cells have the same equations
            every = every + xp.sum(products[part, :], axis=0)[:, None]
        for some in _columns(block):
            filled, finite = known(block[:, some], whole=whole)
            right[:, some] = right[:, some] + xp.matmul(xp.matrix_transpose(design[part, :]), filled)
            if finite is not None:
                gram[:, some] = gram[:, some] + xp.matmul(xp.matrix_transpose(products[part, :]), finite)
    return xp.reshape(xp.matrix_transpose(gram + every), (-1, size, size)), xp.matrix_transpose(right)


def _residual_sums(cells: Array, design: Array, mean: Array) -> Array:
    """Return squared residuals projected on the design, (cell, k); the first is their plain sum."""
    xp = array_namespace(cells)
    square = xp.zeros((design.shape[1], cells.shape[1]), dtype=xp.float64, device=design.device)
    wanted = xp.asarray(xp.matrix_transpose(mean), copy=True)
    for part in blocks(cells):
        block = cells[part, :]
        whole = bool(xp.all(xp.isfinite(block)))
        for some in _columns(block):
            residual, finite = known(block[:, some], whole=whole)
            residual -= xp.matmul(design[part, :], wanted[:, some])
            residual *= residual
            if finite is not None:
                residual *= finite
            square[:, some] = square[:, some] + xp.matmul(xp.matrix_transpose(design[part, :]), residual)
    return xp.matrix_transpose(square)


def _columns(block: Array) -> Iterator[slice]:
    """Yield slices of cells whose float64 values stay in the cache from one step to the next."""
    width = max(1, block_bytes(block) // (16 * max(1, block.shape[0])))
    for start in range(0, block.shape[1], width):
        yield slice(start, min(start + width, block.shape[1]))


@dataclass(frozen=True, eq=False)
class _Equations:
    """Normal equations of all cells, shape (cell, k, k); ``plain`` cells are left with their mean."""

    gram: Array
    plain: Array

    @classmethod
    def of(cls, gram: Array) -> _Equations:
        xp = array_namespace(gram)
        size, count = gram.shape[1], gram[:, 0, 0]
        eigen = xp.linalg.eigvalsh(gram)
        # The condition of the design squared; twice the limit, as some days are missing in a cell.
        plain = (eigen[:, 0] * (2 * CONDITION) ** 2 < eigen[:, -1]) | (count <= size)
        identity = xp.eye(size, dtype=xp.float64, device=gram.device)
        diagonal = identity[None, :, :] * xp.maximum(count, xp.ones_like(count))[:, None, None]
        return cls(xp.where(plain[:, None, None], diagonal, gram), plain)

    @property
    def parameters(self) -> Array:
        """How many coefficients each cell has."""
        xp = array_namespace(self.gram)
        one = xp.ones_like(self.gram[:, 0, 0])
        return xp.where(self.plain, one, one * self.gram.shape[1])

    def solve(self, right: Array) -> Array:
        """Return the coefficients, shape (cell, k); of cells never seen, zeros."""
        xp = array_namespace(right)
        wave = xp.arange(right.shape[1], device=right.device) > 0
        right = xp.where(self.plain[:, None] & wave[None, :], xp.zeros_like(right), right)
        return xp.linalg.solve(self.gram, right[:, :, None])[:, :, 0]


def _or_nan(values: Array, seen: Array) -> Array:
    xp = array_namespace(values)
    return xp.where(seen, values, xp.full_like(values, float("nan")))
