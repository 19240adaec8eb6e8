"""What the train split says of the time of year, whatever the weather: the forecast to beat."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from models import MODELS
from models._classical import SMALLEST, ArrayModel, column_mean, known_truth, normal
from models._seasonal import cycle_at, fit_cycle
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.climatology import usable_harmonics
from pipeline.samples import Samples

LEAST = 0.1  # of a column's mean variance: harmonics may dip below zero between samples


class ClimatologyConfig(ModelConfig):
    """Options of :class:`Climatology`."""

    harmonics: int = Field(
        default=2,
        ge=0,
        le=12,
        description="Most harmonics of the year in mean and variance; a season carries fewer than a year. "
        "0 for one value all year.",
    )


@MODELS.register("climatology")
class Climatology(ArrayModel):
    """A normal distribution for every cell and day of the year, from the train split alone.

    Mean and variance are harmonics of the year, fitted by least squares to the target and to its
    squared residuals over the days that have truth. Where the target is an anomaly already, the
    mean comes out near zero. Days of the year that the train split has none of are extrapolated.
    """

    Config = ClimatologyConfig

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit mean and variance; the validation split is not looked at."""
        table, backend, xp = self.start(train, context), context.backend, context.backend.xp
        harmonics = usable_harmonics(train.day, self.config.harmonics)
        truth = known_truth(table, train)
        mean = fit_cycle(truth, train.day, harmonics, backend)
        square = (truth - cycle_at(mean, train.day, backend)) ** 2
        overall = column_mean(square, xp)
        everywhere = xp.mean(overall)
        # A column without truth takes the variance of all; no column is certain.
        overall = xp.where(xp.any(xp.isfinite(truth), axis=0), overall, everywhere)
        least = xp.maximum(LEAST * overall, SMALLEST**2 * everywhere + xp.asarray(1e-12))
        variance = fit_cycle(square, train.day, harmonics, backend)
        self.arrays = {"mean": mean, "variance": variance, "least": least}
        self.choices = {"harmonics": harmonics, "days": len(train)}
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the climatology of every sample's day of the year."""
        backend = self.table.backend
        variance = cycle_at(self.arrays["variance"], inputs.day, backend)
        sd = backend.xp.sqrt(backend.xp.maximum(variance, self.arrays["least"]))
        return normal(self.table, cycle_at(self.arrays["mean"], inputs.day, backend), sd)
