"""Tomorrow as today: the target one step earlier.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from typing import ClassVar, Self

from models import MODELS
from models._classical import ArrayModel, column_blocks, known_truth
from models._normal import least
from models._seasonal import cycle_at, fit_cycle
from models.climatology import HarmonicsConfig
from pipeline.model import Context
from pipeline.prediction import Prediction
from pipeline.prepare.climatology import usable_harmonics
from pipeline.rows import by_columns
from pipeline.samples import Samples


class PersistenceConfig(HarmonicsConfig):
    """Options of :class:`Persistence`: those of the mean that stands in where the step before is missing."""


@MODELS.register("persistence")
class Persistence(ArrayModel):
    """The target of the step before, as a point forecast.

    Where the target is an anomaly from the day of the year, it is the anomaly that persists, on top of
    today's normal value; with ``prepare.target.anomaly`` ``mean`` or ``none`` the value itself.

    The first step of a season or a split, and cells without truth the step before, take the mean of
    the train split for that day of the year, precipitation not below zero. It sees the truth of
    yesterday, which a downscaling model does not: a reference for how fast the target changes, not a rival.
    """

    Config = PersistenceConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "previous", "streams"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the mean that stands in; the validation split is not looked at."""
        table = self.start(train, context)
        harmonics = usable_harmonics(train.day, self.config.harmonics)
        truth, xp = known_truth(table, train, wide=False), context.backend.xp
        means = [
            fit_cycle(xp.astype(columns, xp.float64), train.day, harmonics, context.backend)
            for columns in by_columns(truth, column_blocks(*truth.shape))
        ]
        self.arrays = {
            "mean": xp.concat(means, axis=1),
            "least": least(table, train.schema, truth),
        }
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the step before, the mean where there is none."""
        table, xp = self.table, self.table.backend.xp
        mean = xp.maximum(cycle_at(self.arrays["mean"], inputs.day, table.backend), self.arrays["least"][None, :])
        if inputs.previous is None:
            context.warn(
                f"{context.name}: the split {inputs.name!r} has no truth to persist, so its forecast is the mean."
            )
            return Prediction("point", {"mean": table.field(mean)})
        before = table.columns(inputs.previous)
        return Prediction("point", {"mean": table.field(xp.where(xp.isfinite(before), before, mean))})
