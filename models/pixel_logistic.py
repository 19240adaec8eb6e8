"""Logistic regression of a cell's class on its channels."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._pixels import PixelConfig, PixelModel, moments
from models._spread import item_weights
from pipeline.errors import ConfigError
from pipeline.model import Context
from pipeline.samples import Samples

Array = Any

TOLERANCE = 1e-6  # of the solver's gradient: with scikit-learn's 1e-4 probabilities are off by up to 0.03


class PixelLogisticConfig(PixelConfig):
    """Options of :class:`PixelLogistic`."""

    inverse_penalty: float = Field(
        default=1.0, gt=0, description="C of scikit-learn: the larger, the less the squared weights count."
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none",
        description="balanced: all classes count alike, however rare; probabilities are then those of a world where "
        "they are as common.",
    )
    max_iter: int = Field(default=500, ge=1, description="Most steps of the solver.")


@MODELS.register("pixel_logistic")
class PixelLogistic(PixelModel):
    """Multinomial logistic regression: one linear score a class, and their softmax.

    Features are standardised over the rows of the train split. A class that the train split never has gets
    no chance.

    References
    ----------
    Cox (1958), doi:10.1111/j.2517-6161.1958.tb00292.x.
    """

    Config = PixelLogisticConfig
    traits: ClassVar[frozenset[str]] = PixelModel.traits | {"linear"}
    kind: ClassVar[str] = "pixel_logistic"

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the weights; the validation split is not looked at."""
        self.start(train, context)
        backend, xp, config = context.backend, context.backend.xp, self.config
        found = self.pixels.train_rows(train, config.max_rows, context)
        rows = xp.astype(found.features, xp.float64)
        mean, sd = moments(rows, xp)
        estimator = context.estimator(
            "LogisticRegression",
            C=config.inverse_penalty,
            class_weight=None if config.class_weight == "none" else config.class_weight,
            max_iter=config.max_iter,
            tol=TOLERANCE,
            solver="newton-cholesky",  # few steps where rows are many and features few; cuML takes its own
        ).fit((rows - mean) / sd, backend.asarray(found.labels))
        coefficients, intercepts, seen = (
            np.asarray(backend.to_host(array)) for array in (estimator.coef_, estimator.intercept_, estimator.classes_)
        )
        weights, bias = self._every_class(coefficients, intercepts, seen.astype(np.int64))
        self.arrays = {"weights": backend.asarray(weights), "bias": backend.asarray(bias), "mean": mean, "sd": sd}
        steps = int(np.max(backend.to_host(estimator.n_iter_)))
        if steps >= config.max_iter:
            context.warn(
                f"{context.name}: the solver stopped after {steps} steps, before it was done; a larger max_iter or a "
                "smaller inverse_penalty lets it finish."
            )
        names, strongest = self.pixels.names, np.abs(weights).argmax(axis=1)
        self.choices = {
            "rows": len(found.labels),
            "steps": steps,
            "strongest": {name: names[place] for name, place in zip(self.layout.classes, strongest, strict=True)},
        }
        return self

    def _every_class(
        self, coefficients: np.ndarray, intercepts: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (class, feature) and bias (class,); of two classes the first one's score is zero."""
        classes = len(self.layout.classes)
        weights, bias = np.zeros((classes, coefficients.shape[1])), np.full(classes, -np.inf)
        bias[seen] = 0.0
        taught = seen[1:] if len(seen) == 2 else seen
        weights[taught], bias[taught] = coefficients, intercepts
        return weights, bias

    def chances(self, rows: Array) -> Array:
        """Return the softmax of the scores."""
        xp, arrays = self.table.backend.xp, self.arrays
        scores = ((xp.astype(rows, xp.float64) - arrays["mean"]) / arrays["sd"]) @ arrays["weights"].T + arrays["bias"]
        return xp.exp(scores - xp.max(scores, axis=1, keepdims=True))

    def slopes(self, samples: Samples, weights: np.ndarray, context: Context) -> Array:
        """Return how weighted sums of log odds move with each input, see :meth:`pipeline.model.Model.slopes`.

        Log odds of two classes are the difference of their scores. Those of one of several are not linear, nor is a
        deviation over a box.
        """
        classes = len(self.layout.classes)
        if classes != 2 or self.config.neighbourhood:
            got = f"{classes} classes" if classes != 2 else f"neighbourhood: {self.config.neighbourhood}"
            raise ConfigError(
                f"explain: linear_shap: expected a pixel_logistic of two classes with neighbourhood: 0, got {got}: its "
                "log odds are not linear in its inputs. Take a method that asks any model, such as occlusion."
            )
        arrays, (items, own) = self.arrays, item_weights(self.table, weights)
        against = arrays["weights"][1, :] - arrays["weights"][0, :]
        slope = (own[:, :, 1] - own[:, :, 0])[:, :, None] * (against / arrays["sd"])[None, None, :]
        return self.pixels.spread(slope, items, samples)
