"""The same variable from the coarse model, interpolated and corrected cell by cell."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from models import MODELS
from models._classical import ArrayModel, known_truth, normal, residual_sd
from pipeline.errors import ConfigError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.regrid import Regridder
from pipeline.registry import suggest
from pipeline.samples import Samples

Array = Any


class InterpolationConfig(ModelConfig):
    """Options of :class:`Interpolation`."""

    variable: str | None = Field(
        default=None, description="Input channel that is interpolated; by default the one with the target's name."
    )


@MODELS.register("interpolation")
class Interpolation(ArrayModel):
    """The target's own variable on the coarse grid, bilinear, then ``slope * value + intercept`` per cell.

    Slope and intercept are fitted by least squares on the train split over the days with truth.
    Cells beyond the coarse grid take its edge. The predictive distribution is normal; its standard
    deviation is the root mean square train residual of each cell, which two parameters on hundreds
    of days leave nearly unbiased.
    """

    Config = InterpolationConfig

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit one line a cell; the validation split is not looked at."""
        table, xp = self.start(train, context), context.backend.xp
        names = self._channels()
        truth, coarse = known_truth(table, train), self._coarse(train)
        slope, intercept = fit_lines(coarse, truth, xp)
        sd = residual_sd(slope * coarse + intercept, truth, xp)
        self.arrays = {"slope": slope, "intercept": intercept, "sd": sd}
        self.choices = {"channels": names, "mean_slope": float(xp.mean(slope))}
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the corrected interpolation with its train error."""
        coarse = self._coarse(inputs)
        return normal(self.table, self.arrays["slope"] * coarse + self.arrays["intercept"], self.arrays["sd"])

    def _channels(self) -> list[str]:
        layout = self.table.layout
        wanted = [self.config.variable or target for target in layout.targets]
        for name in wanted:
            if name not in layout.channels:
                known = ", ".join(layout.channels)
                raise ConfigError(
                    f"interpolation: expected the channel {name!r} among the inputs.{suggest(name, layout.channels)} "
                    f"Known: {known}. Name one with the option `variable`."
                )
        return wanted

    def _coarse(self, samples: Samples) -> Array:
        """Return the channels, one a target, at the cells of the mask, shape (time, column)."""
        layout, xp = self.table.layout, self.table.backend.xp
        layout.order(samples)  # refuses samples that lack a channel or lie on another grid
        places = [samples.schema.channels.index(name) for name in self._channels()]
        fields = xp.stack([samples.inputs[:, place, ...] for place in places], axis=1)
        return self.table.columns(Regridder.between(layout.input_grid, layout.target_grid, "bilinear")(fields))


def fit_lines(x: Array, y: Array, xp: Any) -> tuple[Array, Array]:
    """Return slope and intercept of ``y`` on ``x`` column by column, over the rows where ``y`` is finite.

    Both have shape (time, column). Without any spread in ``x`` the slope is zero.

    Examples
    --------
    >>> import array_api_compat.numpy as xp
    >>> x = xp.asarray([[0.0], [1.0], [2.0]])
    >>> [float(number[0]) for number in fit_lines(x, xp.asarray([[1.0], [xp.nan], [5.0]]), xp)]
    [2.0, 1.0]
    """
    there = xp.isfinite(y)
    count = xp.sum(xp.astype(there, xp.float64), axis=0)
    count = xp.where(count > 0, count, xp.ones_like(count))

    def mean(values: Array) -> Array:
        return xp.sum(xp.where(there, values, xp.zeros_like(values)), axis=0) / count

    centre, level = mean(x), mean(y)
    away = x - centre
    variance = mean(away**2)
    some = variance > 0
    slope = xp.where(some, mean(away * (y - level)) / xp.where(some, variance, xp.ones_like(variance)), 0 * variance)
    return slope, level - slope * centre
