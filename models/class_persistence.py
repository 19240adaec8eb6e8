"""What was seen one step before, and how often it stays.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from models import MODELS
from models._pixels import frequencies
from models.class_frequencies import FrequencyModel
from pipeline.errors import DataError
from pipeline.model import Context
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.rows.parts import blocks
from pipeline.samples import Samples

Array = Any


@MODELS.register("class_persistence")
class ClassPersistence(FrequencyModel):
    """The chance of each class after the one that the cell had a step before, counted over the train split.

    A class that mostly stays is answered where it was. Counting gives the answer honest chances, where "the
    same again" for certain would be infinitely wrong at the first change. Where the step before is not known
    (across a gap, in new predictors) the frequencies of :class:`models.class_frequencies.FrequencyModel` stand in.
    """

    traits: ClassVar[frozenset[str]] = FrequencyModel.traits | {"previous"}
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Count which class followed which; the validation split is not looked at.

        Raises
        ------
        DataError
            If no sample has a step before it, as tiles of images and labels of events that last have none.
        """
        super().fit(train, validation, context)
        classes = len(self.table.layout.classes)
        counts = np.zeros(classes * classes)
        previous, target = train.previous, train.target
        if previous is not None and target is not None:
            for part in blocks(previous):
                before, now = (context.backend.to_host(array[part, ...]) for array in (previous, target))
                known = np.isfinite(before) & np.isfinite(now)
                pairs = before[known].astype(np.int64) * classes + now[known].astype(np.int64)
                counts += np.bincount(pairs, minlength=len(counts))
        if not counts.any():
            raise DataError(
                f"{context.name}: expected samples whose step before is known, got none in the {train.name} split: "
                "tiles have none, nor have labels of events that last (min_days, max_gap, persistence), of which "
                "yesterday's is known days later. Take class_frequencies, which needs no past."
            )
        after = frequencies(counts.reshape(classes, classes))
        self.arrays["after"] = context.backend.asarray(after.astype(np.float32))
        self.choices["stays"] = {
            name: round(float(after[number, number]), 4) for number, name in enumerate(self.table.layout.classes)
        }
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the chances after the class before, shape (class, time, target, lat, lon)."""
        usual = super().predict(inputs, context)
        if inputs.previous is None:
            return usual
        shares, xp = usual.parameters["probabilities"], context.backend.xp
        known = xp.isfinite(inputs.previous)
        before = xp.astype(xp.where(known, inputs.previous, xp.zeros_like(inputs.previous)), xp.int64)
        after = xp.take(self.arrays["after"], xp.reshape(before, (-1,)), axis=0)
        own = xp.reshape(xp.permute_dims(after, (1, 0)), shares.shape)
        known = known & beside(self.table.layout.mask, shares)
        return Prediction("categorical", {"probabilities": xp.where(known[None, ...], own, shares)})
