"""A random forest between the principal components of the inputs and of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from models import MODELS
from models._classical import FitData, principal_components, residual_sd, rmse
from models._normal import NormalConfig, NormalModel
from pipeline.backend.estimators import Estimator, load_estimator
from pipeline.model import Context, ModelConfig
from pipeline.samples import Samples

Array = Any


class RandomForestConfig(NormalConfig):
    """Options of :class:`RandomForest`."""

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

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32, doi:10.1023/A:1010933404324.
    """

    Config = RandomForestConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "seeded"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._forest: Estimator | None = None

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
            self._forest = context.estimator(
                "RandomForestRegressor",
                n_estimators=self.config.trees,
                max_features=self.config.max_features,
                min_samples_leaf=self.config.min_samples_leaf,
                random_state=context.seed_for("forest"),
            ).fit(self._scores(data.inputs), xp.astype(outer.transform(truth), xp.float32))
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
        return model

    def _scores(self, rows: Array) -> Array:
        # float32, as scikit-learn's trees compare it: both sides then split at the same values.
        xp = self.table.backend.xp
        return xp.astype((rows - self.arrays["centre"]) @ self.arrays["patterns"].T, xp.float32)
