"""Least squares with a penalty on rows larger than memory, in a few passes over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models._classical import MISSING, Table, column_blocks, known_truth, sd_of
from models._linear import RANK, Basis, Choice, Solution, shrunk
from pipeline.backend.memory import too_large
from pipeline.model import Context
from pipeline.prepare.arrays import anywhere
from pipeline.progress import Step
from pipeline.rows import Rows, as_rows, blocks
from pipeline.samples import Samples

Array = Any


@dataclass(frozen=True, eq=False)
class RowData:
    """Inputs and truth of both splits, as :class:`~models._classical.FitData` has them, as rows.

    Parameters
    ----------
    inputs, truth : Rows, shapes (time, feature) and (time, column)
        Of the days of the train split with any truth; NaN where a cell has none.
    level : array of float64, shape (column,)
        Mean of the truth, which what is missing counts as.
    check_inputs, check_truth : Rows
        Of the validation split.
    """

    inputs: Rows
    truth: Rows
    level: Array
    check_inputs: Rows
    check_truth: Rows

    @classmethod
    def of(cls, table: Table, train: Samples, validation: Samples, context: Context) -> RowData:
        """Return the rows; what is missing is said through ``context.warn``."""
        backend, xp = table.backend, table.backend.xp
        truth = known_truth(table, train, wide=False)
        days = np.flatnonzero(anywhere(truth, xp.isfinite, backend))
        known = as_rows(truth, backend).take(days)
        total, count = xp.zeros(known.shape[1], dtype=xp.float64), xp.zeros(known.shape[1], dtype=xp.int64)
        for part in blocks(known):
            block = known[part, ...]
            there = xp.isfinite(block)
            total = total + xp.sum(xp.where(there, block, xp.zeros_like(block)), axis=0, dtype=xp.float64)
            count = count + xp.count_nonzero(there, axis=0)
        many = int(xp.sum(xp.astype(count < (1.0 - MISSING) * len(known), xp.int64)))
        if many:
            context.warn(
                f"{context.name}: {many} of {known.shape[1]} cells miss more than {MISSING:.0%} of the train truth; "
                "their predictions are drawn towards the mean."
            )
        filled = xp.astype(xp.where(count > 0, count, xp.ones_like(count)), xp.float64)
        check = as_rows(known_truth(table, validation, wide=False), backend)
        inputs = as_rows(table.rows(train), backend).take(days)
        return cls(inputs, known, total / filled, as_rows(table.rows(validation), backend), check)


def fit_rows(
    data: RowData, choices: Sequence[Choice], weight: Array, budget: int | None, step: Step, xp: Any
) -> tuple[Basis, Solution]:
    """Return the basis, without its scores, and the best choice, as ``Basis.of`` and ``solve`` do in memory.

    One pass over the train split for the mean of the inputs, one for their covariance and its products with the truth,
    and one over the validation split a choice's errors are worked out in. What is held besides blocks is as large as
    the covariance, features x features, and the slopes, features x columns, in float64.

    Raises
    ------
    MemoryBudgetError
        If these are larger than ``budget``, or there are fewer days than features: the components are then as many
        numbers as the inputs.
    """
    features, columns = data.inputs.shape[1], data.truth.shape[1]
    needed = 8 * (3 * features * features + 2 * features * columns)
    if budget is not None and (len(data.inputs) < features or needed > budget):
        wanted = needed if len(data.inputs) >= features else 2 * data.inputs.nbytes
        raise too_large("a ridge", wanted, budget)
    centre = xp.zeros(features, dtype=xp.float64)
    for part in blocks(data.inputs):
        centre = centre + xp.sum(data.inputs[part, ...], axis=0)
    centre = centre / len(data.inputs)
    gram = xp.zeros((features, features), dtype=xp.float64)
    cross = xp.zeros((features, columns), dtype=xp.float64)
    for part in blocks(data.inputs, columns):
        away, truth = data.inputs[part, ...] - centre, data.truth[part, ...]
        known = xp.where(xp.isfinite(truth), xp.astype(truth, xp.float64) - data.level, xp.asarray(0.0))
        gram += away.T @ away
        cross += away.T @ known
    step.advance(note="covariance")
    values, vectors = xp.linalg.eigh(gram)
    kept = xp.flip(xp.nonzero(values > RANK * xp.maximum(values[-1], xp.asarray(1e-300)))[0])
    patterns, strength = xp.take(vectors, kept, axis=1).T, xp.take(values, kept)
    product = patterns @ cross
    errors, squares = _errors(data, Basis(centre, patterns, xp.zeros((0, 0))), product, strength, choices, weight, xp)
    best = min(range(len(choices)), key=lambda place: errors[place])
    slopes = xp.astype(shrunk(product, strength, choices[best]), xp.float32)
    step.advance(note=f"{columns} columns")
    solution = Solution(errors, best, slopes, data.level, sd_of(squares[best], xp))
    return Basis(centre, patterns, xp.zeros((0, 0))), solution


def _errors(
    data: RowData, basis: Basis, product: Array, strength: Array, choices: Sequence[Choice], weight: Array, xp: Any
) -> tuple[list[float], list[Array]]:
    """Return the root mean square validation error of every choice, and its mean squares by column."""
    columns = product.shape[1]
    totals = [xp.zeros(columns, dtype=xp.float64) for _ in choices]
    count = xp.zeros(columns, dtype=xp.float64)
    for part in blocks(data.check_inputs, columns):
        scores = (data.check_inputs[part, ...] - basis.centre) @ basis.patterns.T
        truth = data.check_truth[part, ...]
        there = xp.isfinite(truth)
        target = xp.where(there, xp.astype(truth, xp.float64) - data.level, xp.asarray(0.0))
        count += xp.sum(xp.astype(there, xp.float64), axis=0)
        for place, choice in enumerate(choices):
            for own in column_blocks(max(scores.shape), columns):
                away = scores[:, : choice.components] @ shrunk(product[:, own], strength, choice) - target[:, own]
                square = xp.where(there[:, own], away * away, xp.zeros_like(away))
                totals[place][own] += xp.sum(square, axis=0)
    weighed = float(xp.sum(count * weight))
    errors = [float(xp.sum(total * weight) / weighed) ** 0.5 for total in totals]
    nothing = xp.full_like(count, xp.nan)
    return errors, [
        xp.where(count > 0, total / xp.where(count > 0, count, xp.ones_like(count)), nothing) for total in totals
    ]
