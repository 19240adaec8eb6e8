"""Ridge regression of all series together on lags and rolling means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models import MODELS
from models._classical import known_truth
from models._lag_features import LagConfig
from models._lag_model import LagModel
from models._spread import item_weights
from models.ridge import RidgeConfig, warn_at_end
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any

CONSTANT = 1e-10  # variance of a feature, as a share of its mean square, below which it is constant but for rounding


class LagRidgeConfig(LagConfig, RidgeConfig):
    """Options of :class:`LagRidge`."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the rows whose truth of a target is known.

    Parameters
    ----------
    products : array of float64, shape (target, 1 + feature, 1 + feature)
        Of every two features, the first of which is a one.
    truth : array of float64, shape (target, 1 + feature)
        Of every feature and the truth.
    """

    products: Array
    truth: Array


@MODELS.register("lag_ridge")
class LagRidge(LagModel):
    """One linear map from lags, rolling means, scalars and static values to all leads, for every series alike.

    Minimises the squared error plus ``alpha`` times the sum of squared slopes of the standardised
    features, each target over the rows whose truth of it is known. ``alpha`` is the one with the
    smallest root mean square error on the validation split, the same for all targets. The sums of
    products of the features are all that is kept of the train split, in float64, and one
    eigenvalue decomposition of them a target serves all penalties: memory is that of a block of
    samples however many series there are. The error is normal, its standard deviation the root
    mean square validation residual, see ``sd``.

    References
    ----------
    Hoerl and Kennard (1970), Technometrics 12, 55-67, doi:10.1080/00401706.1970.10488634.
    """

    Config = LagRidgeConfig
    traits: ClassVar[frozenset[str]] = LagModel.traits | {"linear"}

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit all penalties at once and keep the best."""
        table = self.begin(train, context)
        truth = known_truth(table, train)
        with context.progress(f"fit {context.name}", len(train) + len(validation)) as step:
            slopes = penalised(self._moments(train, truth, step.advance), self.config.alphas, context.backend.xp)
            errors = self._errors(slopes, validation, step.advance)
        best = min(range(len(errors)), key=lambda place: errors[place])
        self.arrays = {"slopes": slopes[best, ...]}
        self.choices = {
            "alpha": self.config.alphas[best],
            "validation_rmse": errors[best],
            "path": [{"alpha": alpha, "rmse": error} for alpha, error in zip(self.config.alphas, errors, strict=True)],
        }
        self.keep_error(train, truth, validation)
        warn_at_end("alphas", self.config.alphas[best], self.config.alphas, context)
        return self

    def regress(self, features: Array) -> Array:
        """Return the linear map of the features."""
        slopes = self.arrays["slopes"]
        return features @ slopes[1:, :] + slopes[0, :]

    def slopes(self, samples: Samples, weights: np.ndarray, context: Context) -> Array:
        """Return how weighted sums of the mean move with each input, see :meth:`pipeline.model.Model.slopes`.

        A rolling mean moves with each of its steps by one part in as many as it has.
        """
        items, own = item_weights(self.table, weights)
        return self.features.spread(own @ self.arrays["slopes"][1:, :].T, items, samples, self.table)

    def _moments(self, train: Samples, truth: Array, advance: Any) -> Moments:
        xp, targets = self.table.backend.xp, len(self.table.layout.targets)
        size = 1 + len(self.features.names)
        products = [xp.zeros((size, size), dtype=xp.float64)] * targets
        with_truth = xp.zeros((targets, size), dtype=xp.float64)
        for part, block in self.features.blocks(train, self.table):
            rows = xp.reshape(block, (-1, block.shape[2]))
            rows = xp.concat([xp.ones((rows.shape[0], 1), dtype=xp.float64), rows], axis=1)
            own = self.truth_rows(truth, part)
            there = xp.isfinite(own)
            with_truth = with_truth + xp.where(there, own, xp.zeros_like(own)).T @ rows
            weights = xp.astype(there, xp.float64)
            alike = bool(xp.all(there == there[:, :1]))
            added = [(rows * weights[:, place, None]).T @ rows for place in range(1 if alike else targets)]
            products = [whole + added[0 if alike else place] for place, whole in enumerate(products)]
            advance(block.shape[0])
        return Moments(xp.stack(products), with_truth)

    def _errors(self, slopes: Array, validation: Samples, advance: Any) -> list[float]:
        """Return the area-weighted root mean square error of every penalty on the validation split."""
        table, xp = self.table, self.table.backend.xp
        truth, total, errors = known_truth(table, validation), 0.0, [0.0] * slopes.shape[0]
        area = table.weight[: table.layout.cells]
        for part, block in self.features.blocks(validation, table):
            rows, own = xp.reshape(block, (-1, block.shape[2])), self.truth_rows(truth, part)
            there = xp.isfinite(own)
            weight = xp.reshape(xp.broadcast_to(area[None, :], block.shape[:2]), (-1, 1))
            weight = xp.where(there, xp.broadcast_to(weight, own.shape), xp.zeros_like(own))
            own = xp.where(there, own, xp.zeros_like(own))
            total += float(xp.sum(weight))
            for place in range(slopes.shape[0]):
                away = rows @ slopes[place, 1:, :] + slopes[place, 0, :] - own
                errors[place] += float(xp.sum(away * away * weight))
            advance(block.shape[0])
        return [(error / total) ** 0.5 for error in errors]


def penalised(moments: Moments, alphas: list[float], xp: Any) -> Array:
    """Return intercepts and slopes of every penalty, shape (alpha, 1 + feature, target).

    Of each target the features are standardised over its own rows; with the eigenvectors V and
    eigenvalues l of their products, the slopes are ``V (V' c) / (l + alpha)``, c the products with the
    truth. A feature that is constant there, and a target without truth, get zero slopes.
    """
    count = moments.products[:, 0, 0]
    some = xp.where(count > 0, count, xp.ones_like(count))
    centre = moments.products[:, 0, 1:] / some[:, None]
    level = moments.truth[:, 0] / some
    inner = moments.products[:, 1:, 1:] - count[:, None, None] * centre[:, :, None] * centre[:, None, :]
    cross = moments.truth[:, 1:] - (count * level)[:, None] * centre
    variance = xp.linalg.diagonal(inner) / some[:, None]
    square = xp.linalg.diagonal(moments.products)[:, 1:] / some[:, None]
    moves = variance > CONSTANT * square
    scale = xp.sqrt(xp.where(moves, variance, xp.ones_like(variance)))
    own = xp.astype(moves, xp.float64) / scale
    values, vectors = xp.linalg.eigh(inner * own[:, :, None] * own[:, None, :])
    turned = xp.linalg.matrix_transpose(vectors) @ (cross * own)[:, :, None]
    found = []
    for alpha in alphas:
        slopes = (vectors @ (turned / (values + alpha)[:, :, None]))[:, :, 0] * own
        intercept = level - xp.sum(slopes * centre, axis=1)
        found.append(xp.concat([intercept[None, :], slopes.T], axis=0))
    return xp.stack(found)
