"""A random forest of a cell's class on its channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._pixels import PixelConfig, PixelModel
from models._spread import item_weights
from pipeline.backend.estimators import Estimator, load_estimator
from pipeline.model import Context, ModelConfig
from pipeline.prepare.frequencies import SEEN_BEFORE
from pipeline.samples import Samples
from pipeline.trees import TreePart

Array = Any

FOREST = "RandomForestClassifier"


class PixelForestConfig(PixelConfig):
    """Options of :class:`PixelForest`."""

    trees: int = Field(default=100, ge=1, description="Number of trees.")
    min_samples_leaf: int = Field(default=5, ge=1, description="Least number of cells in a leaf.")
    max_rows: int = Field(
        default=200_000,
        ge=100,
        description="Most cells of the train split that trees are grown on, drawn class by class in proportion.",
    )


@MODELS.register("pixel_forest")
class PixelForest(PixelModel):
    """Trees that split the cells by one channel after the other; a leaf answers the shares of its classes.

    The mean of the leaves is that of ``trees * min_samples_leaf`` cells or more, and gets one cell with the shares over
    all beside it: what no leaf has is unlikely, not impossible.

    References
    ----------
    Breiman (2001), Machine Learning 45, 5-32, doi:10.1023/A:1010933404324.
    """

    Config = PixelForestConfig
    traits: ClassVar[frozenset[str]] = PixelModel.traits | {"seeded", "trees"}
    kind: ClassVar[str] = "pixel_forest"

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._forest: Estimator | None = None

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Grow the trees; the validation split is not looked at."""
        self.start(train, context)
        found = self.pixels.train_rows(train, self.config.max_rows, context)
        self._forest = context.estimator(
            FOREST,
            n_estimators=self.config.trees,
            min_samples_leaf=self.config.min_samples_leaf,
            random_state=context.seed_for("forest"),
        ).fit(found.features, context.backend.asarray(found.labels))
        seen = np.unique(found.labels)
        places = np.zeros((len(seen), len(self.layout.classes)), np.float32)
        places[np.arange(len(seen)), seen] = 1.0
        overall = np.bincount(found.labels, minlength=places.shape[1]) / len(found.labels)
        arrays = {"places": places, "overall": overall.astype(np.float32)}
        self.arrays = {name: context.backend.asarray(array) for name, array in arrays.items()}
        self.choices = {"rows": len(found.labels), "features": len(self.pixels.names)}
        return self

    def chances(self, rows: Array) -> Array:
        """Return what is as the mean of the leaves' shares, less sure; zero for a class that was never seen."""
        assert self._forest is not None  # set by fit and by load
        xp = self.table.backend.xp
        seen = self.config.trees * self.config.min_samples_leaf
        mean = xp.astype(self._forest.predict_proba(rows), xp.float32) @ self.arrays["places"]
        return seen * mean + SEEN_BEFORE * self.arrays["overall"]

    def tree_parts(self, samples: Samples, weights: np.ndarray, context: Context) -> list[TreePart]:
        """Return the forest behind weighted sums of probabilities, see :meth:`pipeline.model.Model.tree_parts`.

        Items are cells. The one cell with the shares over all that stands beside the leaves moves with no input.
        """
        assert self._forest is not None  # set by fit and by load
        backend, xp, pixels = self.table.backend, self.table.backend.xp, self.pixels
        items, own = item_weights(self.table, weights)
        if not len(items):
            return []
        seen, place = self.config.trees * self.config.min_samples_leaf, backend.asarray(items)
        places = xp.astype(self.arrays["places"], xp.float64)

        def rows(asked: Samples) -> Array:
            parts = (xp.reshape(block, (-1, self.layout.cells, block.shape[1])) for _, block in pixels.blocks(asked))
            return xp.concat([xp.take(part, place, axis=1) for part in parts], axis=0)

        def spread(parts: Array) -> Array:
            return pixels.spread(parts, items, samples)

        return [TreePart(self._forest, rows, own @ places.T * (seen / (seen + SEEN_BEFORE)), spread)]

    def save(self, folder: Path) -> None:
        """Write options, layout and trees into ``folder``."""
        super().save(folder)
        assert self._forest is not None  # set by fit and by load
        self._forest.save(folder)

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved forest on the side of ``context.backend``."""
        model = super().load(folder, context)
        model._forest = load_estimator(context.backend, FOREST, folder)
        return model
