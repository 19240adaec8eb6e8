"""What the train split says of the time of year, whatever the weather: the forecast to beat.

Source: Wilks (2019), Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from models import MODELS
from models._classical import (
    COLUMN_BYTES,
    SMALLEST,
    ArrayModel,
    Table,
    column_blocks,
    column_mean,
    known_truth,
    wide_rows,
)
from models._normal import amounts, least, normal
from models._quantiles import fill_empty
from models._seasonal import cycle_at, fit_cycle
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import ever
from pipeline.prepare.climatology import usable_harmonics
from pipeline.prepare.empirical import MEMBERS, drawn_at, seasonal_quantiles
from pipeline.prepare.quantiles import YearWindows
from pipeline.rows import by_columns
from pipeline.samples import Samples

Array = Any

LEAST = 0.1  # of a column's mean variance: harmonics may dip below zero between samples


class HarmonicsConfig(ModelConfig):
    """Options of a mean that follows the year."""

    harmonics: int = Field(
        default=2,
        ge=0,
        le=12,
        description="Most harmonics of the year in mean and variance; a season carries fewer than a year. "
        "0 for one value all year.",
    )


class ClimatologyConfig(HarmonicsConfig):
    """Options of :class:`Climatology`."""

    distribution: Literal["auto", "normal", "empirical"] = Field(
        default="auto",
        description="normal: mean and variance by harmonics; empirical: quantiles of the train values, by twelfths of "
        "the year. auto: empirical if a target is precipitation.",
    )
    members: int = Field(default=MEMBERS, ge=2, le=200, description="Quantiles of the empirical distribution.")


@MODELS.register("climatology")
class Climatology(ArrayModel):
    """A distribution for every cell and day of the year, from the train split alone.

    ``normal``: mean and variance are harmonics of the year, fitted by least squares to the target and
    to its squared residuals over the days that have truth. Where the target is an anomaly already,
    the mean comes out near zero. Days of the year that the train split has none of are extrapolated.

    ``empirical``: equally likely quantiles of the train values in twelfths of the year, each with the
    two beside it, as members; see :class:`pipeline.prepare.empirical.EmpiricalClimatology` for what
    they cost. Precipitation, often zero and skewed where not, wants it. One answer holds for all targets.
    A member is another quantile on each day and of each target, the same at all cells.
    """

    Config = ClimatologyConfig
    traits: ClassVar[frozenset[str]] = ArrayModel.traits | {"streams"}
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling", "series"})

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what copies of the truth take, and of a block of its columns in float64."""
        truth = wide_rows(few, train, inputs=False)
        return 5 * truth // 2 + 6 * min(truth, COLUMN_BYTES)

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the distribution; the validation split is not looked at."""
        table, asked = self.start(train, context), self.config.distribution
        truth = known_truth(table, train, wide=False)
        chosen = ("empirical" if any(amounts(train.schema)) else "normal") if asked == "auto" else asked
        self.choices = {"distribution": chosen, "days": len(train)}
        if chosen == "normal":
            self._fit_normal(table, truth, train)
        else:
            self._fit_empirical(table, truth, train)
        return self

    def _fit_normal(self, table: Table, truth: Array, train: Samples) -> None:
        backend, xp = table.backend, table.backend.xp
        harmonics = usable_harmonics(train.day, self.config.harmonics)
        means, variances, overalls = [], [], []
        for columns in by_columns(truth, column_blocks(*truth.shape)):
            own = xp.astype(columns, xp.float64)
            mean = fit_cycle(own, train.day, harmonics, backend)
            square = (own - cycle_at(mean, train.day, backend)) ** 2
            means.append(mean)
            overalls.append(column_mean(square, xp))
            variances.append(fit_cycle(square, train.day, harmonics, backend))
        overall = xp.concat(overalls)
        everywhere = xp.mean(overall)
        # A column without truth takes the variance of all; no column is certain.
        overall = xp.where(ever(truth, xp.isfinite), overall, everywhere)
        self.arrays = {
            "mean": xp.concat(means, axis=1),
            "variance": xp.concat(variances, axis=1),
            "floor": xp.maximum(LEAST * overall, SMALLEST**2 * everywhere + xp.asarray(1e-12)),
            "least": least(table, train.schema, truth),
        }
        self.choices["harmonics"] = harmonics

    def _fit_empirical(self, table: Table, truth: Array, train: Samples) -> None:
        found, windows = seasonal_quantiles(truth, train.day, members=self.config.members)
        self.arrays = {"quantiles": fill_empty(found, len(table.layout.targets))}
        self.arrays |= {name: table.backend.asarray(part) for name, part in windows.arrays().items()}
        self.choices |= {"members": self.config.members, "windows": len(windows.seen)}

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the climatology of every sample's day of the year."""
        backend, arrays = self.table.backend, self.arrays
        if self.choices["distribution"] == "empirical":
            windows = YearWindows.of_arrays({name: backend.to_host(arrays[name]) for name in YearWindows.NAMES})
            members = drawn_at(arrays["quantiles"], windows, inputs.day, inputs.time, len(self.table.layout.targets))
            return Prediction("members", {"members": self.table.field(members)})
        xp = backend.xp
        sd = xp.sqrt(xp.maximum(cycle_at(arrays["variance"], inputs.day, backend), arrays["floor"]))
        mean = xp.maximum(cycle_at(arrays["mean"], inputs.day, backend), arrays["least"][None, :])
        return normal(self.table, mean, sd)
