"""What the train split says of the classes without any predictor: the forecast to beat.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import ArrayModel, known_truth
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.prepare.frequencies import ClassFrequencies
from pipeline.prepare.splits import train_split_at
from pipeline.samples import Samples
from pipeline.training.losses import check_labels

Array = Any


class ClassFrequenciesConfig(ModelConfig):
    """Options of :class:`FrequencyModel`."""

    per_cell: Literal["auto"] | bool = Field(
        default="auto",
        description="Whether every cell has shares of its own: true, false, or auto, true but for images, whose pixels "
        "have no place of their own.",
    )


@MODELS.register("class_frequencies")
class FrequencyModel(ArrayModel):
    """The share of each class in the train split, at every cell or over all of them, at all times the same.

    A cell's own shares start with those over all cells, as if it had been seen once more; see
    :class:`pipeline.prepare.frequencies.ClassFrequencies`, which the skill scores are made with. A cell that the
    train split has no truth of is answered the shares over all.
    """

    Config = ClassFrequenciesConfig
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Count the classes; the validation split is not looked at."""
        table, xp = self.start(train, context), context.backend.xp
        asked, layout = self.config.per_cell, table.layout
        known_truth(table, train, wide=False)  # refuses a split without any
        check_labels(context.backend.to_torch(train.target), layout.classes, train.name)
        per_cell = not layout.target_grid.image if asked == "auto" else asked
        # These samples are the train split, all of them.
        split, classes = train_split_at(np.arange(len(train)), len(train)), len(layout.classes)
        area = layout.target_grid.area * layout.mask
        own = ClassFrequencies.fit(train.target, split, classes, area, per_cell=per_cell).values
        overall = ClassFrequencies.fit(train.target, split, classes, area, per_cell=False).values
        zero = xp.zeros_like(overall)
        everywhere = xp.max(xp.where(xp.isfinite(overall), overall, zero), axis=(2, 3), keepdims=True)
        inside = beside(layout.mask, own)[None, None, ...]
        shares = xp.where(xp.isfinite(own), own, everywhere)
        self.arrays = {"shares": xp.where(inside, shares, xp.full_like(shares, xp.nan))}
        self.choices = {"per_cell": per_cell, "samples": len(train)}
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the shares for each sample, shape (class, time, target, lat, lon)."""
        self.table.layout.order(inputs)  # refuses other grids
        return ClassFrequencies(self.arrays["shares"]).forecast(inputs.day)
