"""A random forest between the principal components of the inputs and of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import FitData, column_mean, known_days, principal_components, residual_sd, rmse
from models._leaves import COUNT, DISTRIBUTION, MEMBERS, LeafMembers, leaf_arrays
from models._members import blocks_of, gather, laid_out
from models._normal import NormalConfig, NormalModel
from models._spread import column_weights, to_channels
from pipeline.backend.estimators import Estimator, load_estimator
from pipeline.errors import ConfigError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.samples import Samples
from pipeline.trees import TreePart

Array = Any


class RandomForestConfig(NormalConfig):
    """Options of :class:`RandomForest`."""

    distribution: Literal["auto", "normal", "point", "members"] = Field(  # type: ignore[assignment]  # one more
        default="auto", description=DISTRIBUTION
    )
    members: int = Field(default=50, ge=2, le=1000, description=COUNT)
    trees: int = Field(default=200, ge=1, description="Number of trees.")
    components: int = Field(default=20, ge=1, description="Principal components of the inputs that the trees see.")
    target_components: int = Field(default=10, ge=1, description="Those of the target that are predicted.")
    max_features: float = Field(default=1 / 3, gt=0, le=1, description="Share of the inputs tried at each split.")
    min_samples_leaf: int = Field(default=5, ge=1, description="Least number of days in a leaf.")


@MODELS.register("random_forest")
class RandomForest(NormalModel):
    """Trees from the leading patterns of the inputs to those of the target, which then make the field.

    Predicting patterns in place of cells keeps the field coherent and the forest small: what the
    target's patterns leave out is not predicted. The predictive distribution is normal; its
    standard deviation is the root mean square validation residual of each cell. For precipitation see
    :class:`models._normal.NormalModel`.

    With ``distribution: members`` it is a quantile regression forest. Members are whole fields of train days that
    share leaves with the asked day, in proportion to how often they do, evenly along the target's first pattern. They
    are coherent and have what the leading patterns leave out. Precipitation is an amount that was observed at its
    cell, never negative, and dry in as large a share of the members as the forest has dry days. The spread follows the
    day; like that of analogs it includes how the target varies within leaves, so that few train days spread too widely
    (a smaller ``min_samples_leaf`` helps). Nothing beyond the observed can be forecast.

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32, doi:10.1023/A:1010933404324.
    Meinshausen (2006), J. Mach. Learn. Res. 7, 983-999, https://www.jmlr.org/papers/v7/meinshausen06a.html.
    """

    Config = RandomForestConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "seeded", "trees"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._forest: Estimator | None = None
        self._leaves: LeafMembers | None = None

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit both sets of components on the train split, then the forest."""
        table, xp = self.start(train, context), context.backend.xp
        data = FitData.of(table, train, validation, context)
        with context.progress(f"fit {context.name}", 3) as step:
            inner = principal_components(data.inputs, self.config.components, context)
            truth = xp.astype(data.truth, xp.float64)
            outer = principal_components(truth, self.config.target_components, context)
            step.advance(note="components")
            self.arrays = {
                "patterns": inner.components_,
                "centre": inner.mean_,
                "target_patterns": outer.components_,
                "target_centre": outer.mean_,
            }
            self._grow(data, xp.astype(outer.transform(truth), xp.float32), train, context)
            step.advance(note="trees")
            mean = self.mean(validation)
            self.arrays["sd"] = residual_sd(mean, data.check_truth, xp)
            step.advance()
        self.choices = {
            "components": int(inner.components_.shape[0]),
            "target_components": int(outer.components_.shape[0]),
            "target_variance": float(xp.sum(outer.explained_variance_ratio_)),
            "validation_rmse": rmse(mean, data.check_truth, table.weight, xp),
        }
        self.bound(train, data.truth)
        return self

    def mean(self, inputs: Samples) -> Array:
        """Return the field that the predicted patterns make."""
        assert self._forest is not None  # set by fit and by load
        xp, rows = self.table.backend.xp, self.table.rows(inputs)
        scores = xp.reshape(xp.asarray(self._forest.predict(self._scores(rows))), (rows.shape[0], -1))
        patterns = self.arrays["target_patterns"]
        return xp.astype(scores, xp.float64) @ patterns + self.arrays["target_centre"]

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return a distribution, the mean or members, for every cell of the mask."""
        table = self.table
        if self._leaves is None:
            return super().predict(inputs, context)
        chosen = self._leaves.draw(self._scores(table.rows(inputs)), self.config.members)
        targets, mean = self._leaves.targets, self.arrays["mean"]
        found = ((days, gather(targets, chosen[:, days], mean)) for days in blocks_of(chosen, targets.shape[1]))
        return laid_out(table, chosen.shape[0], len(inputs), found)

    def tree_parts(self, samples: Samples, weights: np.ndarray, context: Context) -> list[TreePart]:
        """Return the forest behind weighted sums of the mean, see :meth:`pipeline.model.Model.tree_parts`.

        The mean is linear in the forest's outputs. The part of a component of the inputs is shared over input cells
        by their squared loadings, which add up to one. Shares in proportion to what each cell adds to the component's
        score would add up too, but the score of a day near the mean is near zero, and they would be of any size and
        sign.
        """
        if self._leaves is not None:
            raise ConfigError(MEMBERS.format("random_forest"))
        assert self._forest is not None  # set by fit and by load
        xp, table, patterns = self.table.backend.xp, self.table, self.arrays["patterns"]
        outputs = column_weights(table, weights) @ xp.astype(self.arrays["target_patterns"], xp.float64).T
        squared = xp.astype(patterns, xp.float64) ** 2

        def rows(asked: Samples) -> Array:
            return self._scores(table.rows(asked))[:, None, :]

        def spread(parts: Array) -> Array:
            shares = squared / xp.sum(squared, axis=1, keepdims=True)
            return to_channels(table, samples, parts[:, 0, :] @ shares)

        return [TreePart(self._forest, rows, outputs[:, None, :], spread)]

    def save(self, folder: Path) -> None:
        """Write options, components and trees into ``folder``."""
        super().save(folder)
        assert self._forest is not None  # set by fit and by load
        self._forest.save(folder)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved forest on the side of ``context.backend``."""
        model = super().load(folder, context)
        model._forest = load_estimator(context.backend, "RandomForestRegressor", folder)
        if model.config.distribution == "members":
            model._leaves = LeafMembers.of(model._forest, model.arrays, "leaf")
        return model

    def _grow(self, data: FitData, outputs: Array, train: Samples, context: Context) -> None:
        scores, xp = self._scores(data.inputs), context.backend.xp
        forest: Estimator = context.estimator(
            "RandomForestRegressor",
            n_estimators=self.config.trees,
            max_features=self.config.max_features,
            min_samples_leaf=self.config.min_samples_leaf,
            random_state=context.seed_for("forest"),
        ).fit(scores, outputs)
        self._forest, self._leaves = forest, None
        if self.config.distribution != "members":
            return
        truth = known_days(self.table, train)[1]  # as it is: what is missing takes the other members' mean
        self.arrays |= leaf_arrays("leaf", forest, self.config.trees, scores, outputs, truth)
        self.arrays["mean"] = xp.astype(column_mean(truth, xp), xp.float32)
        self._leaves = LeafMembers.of(forest, self.arrays, "leaf")

    def _scores(self, rows: Array) -> Array:
        # float32, as scikit-learn's trees compare it: both sides then split at the same values.
        xp = self.table.backend.xp
        return xp.astype((rows - self.arrays["centre"]) @ self.arrays["patterns"].T, xp.float32)
