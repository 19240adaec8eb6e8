"""Least squares with a penalty, for all penalties and all columns from one decomposition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from models._classical import (
    FitData,
    column_blocks,
    column_mean,
    components_bytes,
    mean_square,
    sd_of,
    wide_rows,
)
from models._normal import NormalModel
from models._spread import column_weights, to_channels
from pipeline.model import Context, samples_bytes
from pipeline.progress import Step
from pipeline.samples import Samples

Array = Any

RANK = 1e-12  # eigenvalues below this share of the largest are rounding: their directions are left out


@dataclass(frozen=True, eq=False)
class Basis:
    """Uncorrelated scores of the train inputs.

    Parameters
    ----------
    centre : array of float64, shape (feature,)
        Mean of the inputs.
    patterns : array of float64, shape (component, feature)
        Orthonormal, by falling variance.
    scores : array of float64, shape (time, component)
        Of the train split; columns are orthogonal.
    """

    centre: Array
    patterns: Array
    scores: Array

    @classmethod
    def of(cls, inputs: Array, xp: Any) -> Basis:
        """Return all components of ``inputs``, shape (time, feature), from the smaller of their two products.

        It costs one eigenvalue decomposition of as many rows as there are days or features, whichever is less.
        """
        centre = xp.mean(inputs, axis=0)
        away = inputs - centre
        wide = away.shape[0] < away.shape[1]
        values, vectors = xp.linalg.eigh(away @ away.T if wide else away.T @ away)
        kept = xp.flip(xp.nonzero(values > RANK * xp.maximum(values[-1], xp.asarray(1e-300)))[0])
        vectors = xp.take(vectors, kept, axis=1)
        if not wide:
            return cls(centre, vectors.T, away @ vectors)
        scale = xp.sqrt(xp.take(values, kept))
        return cls(centre, (away.T @ (vectors / scale)).T, vectors * scale)


@dataclass(frozen=True)
class Choice:
    """A number of leading components and a penalty."""

    components: int
    alpha: float


@dataclass(frozen=True, eq=False)
class Solution:
    """What was chosen, and what it makes.

    Parameters
    ----------
    errors : list of float
        Root mean square error on the validation split of every choice.
    best : int
        Which choice has the least.
    slopes : array of float32, shape (component, column)
        On the scores.
    level : array of float64, shape (column,)
        Mean of the truth.
    sd : array of float64, shape (column,)
        Root mean square validation residual.
    """

    errors: list[float]
    best: int
    slopes: Array
    level: Array
    sd: Array


def solve(data: FitData, basis: Basis, choices: Sequence[Choice], weight: Array, step: Step, xp: Any) -> Solution:
    """Return the choice with the least root mean square error on the validation split, columns weighted.

    As the scores are uncorrelated, the slope on each is that of a regression on it alone, shrunk:
    ``sum(score * truth) / (sum(score^2) + alpha)``. No choice costs a fit of its own, and columns are
    worked off in blocks: besides the truth and the slopes, both float32, little memory is needed.
    """
    strength = xp.sum(basis.scores * basis.scores, axis=0)
    check = (data.check_inputs - basis.centre) @ basis.patterns.T
    level = column_mean(data.truth, xp)
    errors, total, products = [0.0] * len(choices), 0.0, []
    parts = column_blocks(max(data.truth.shape[0], basis.scores.shape[1]), data.truth.shape[1])
    for part in parts:
        truth = xp.astype(data.truth[:, part], xp.float64) - level[part]
        product = basis.scores.T @ truth
        products.append(xp.astype(product, xp.float32))
        target = xp.astype(data.check_truth[:, part], xp.float64) - level[part]
        there = xp.isfinite(target)
        share = xp.where(there, xp.broadcast_to(weight[part], target.shape), xp.zeros_like(target))
        target = xp.where(there, target, xp.zeros_like(target))
        total += float(xp.sum(share))
        for place, choice in enumerate(choices):
            away = check[:, : choice.components] @ shrunk(product, strength, choice) - target
            errors[place] += float(xp.sum(away * away * share))
        step.advance(note=f"{part.stop} of {data.truth.shape[1]} columns")
    best = min(range(len(choices)), key=lambda place: errors[place])
    chosen = choices[best]
    slopes = xp.concat([xp.astype(shrunk(product, strength, chosen), xp.float32) for product in products], axis=1)
    squares = []
    for part in parts:
        mean = check[:, : chosen.components] @ xp.astype(slopes[:, part], xp.float64) + level[part]
        squares.append(mean_square(mean, xp.astype(data.check_truth[:, part], xp.float64), xp))
    errors = [(error / total) ** 0.5 for error in errors]
    return Solution(errors, best, slopes, level, sd_of(xp.concat(squares), xp))


def shrunk(product: Array, strength: Array, choice: Choice) -> Array:
    """Return the slopes of a choice from the scores' products with the truth and their sums of squares."""
    kept = slice(choice.components)
    return product[kept, :] / (strength[kept] + choice.alpha)[:, None]


class LinearModel(NormalModel):
    """A :class:`~models._normal.NormalModel` whose mean is linear in the inputs, by way of their components.

    Its arrays ``patterns``, ``centre``, ``slopes`` and ``level`` make the mean
    ``((rows - centre) @ patterns.T) @ slopes + level``.
    """

    traits: ClassVar[frozenset[str]] = NormalModel.traits | {"linear"}

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what samples, their table in float64 and its copies take, and a covariance with its eigenvectors."""
        table = samples_bytes(few, train + other) + 3 * wide_rows(few, train + other)
        return table + 4 * components_bytes(few, train)

    def keep(self, basis: Basis, solution: Solution, chosen: Choice, train: Samples, truth: Array) -> None:
        """Remember what was fitted."""
        self.arrays = {
            "patterns": basis.patterns[: chosen.components, :],
            "centre": basis.centre,
            "slopes": solution.slopes,
            "level": solution.level,
            "sd": solution.sd,
        }
        self.bound(train, truth)

    def mean(self, inputs: Samples) -> Array:
        """Return the linear map of the inputs, in blocks of columns as float32 slopes are made float64."""
        xp = self.table.backend.xp
        scores = (self.table.rows(inputs) - self.arrays["centre"]) @ self.arrays["patterns"].T
        slopes, level = self.arrays["slopes"], self.arrays["level"]
        parts = column_blocks(max(scores.shape), slopes.shape[1])
        return xp.concat([scores @ xp.astype(slopes[:, part], xp.float64) + level[part] for part in parts], axis=1)

    def slopes(self, samples: Samples, weights: np.ndarray, context: Context) -> Array:
        """Return how weighted sums of the mean move with each input, see :meth:`pipeline.model.Model.slopes`."""
        xp, table, slopes = self.table.backend.xp, self.table, self.arrays["slopes"]
        own = column_weights(table, weights)
        scores = xp.zeros((own.shape[0], slopes.shape[0]), dtype=xp.float64)
        for part in column_blocks(max(scores.shape), slopes.shape[1]):
            scores = scores + own[:, part] @ xp.astype(slopes[:, part], xp.float64).T
        return to_channels(table, samples, scores @ self.arrays["patterns"])
