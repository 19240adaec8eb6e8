"""The same variable from the coarse model, interpolated and corrected cell by cell.

Source: Maraun and Widmann (2018), Statistical Downscaling and Bias Correction, doi:10.1017/9781107588783.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field

from models import MODELS
from models._classical import known_truth, residual_sd
from models._coarse import WHAT, Variable, own_channels, own_fields
from models._normal import NormalConfig, NormalModel
from pipeline.model import Context
from pipeline.prepare.regrid import Regridder
from pipeline.samples import Samples

Array = Any


class InterpolationConfig(NormalConfig):
    """Options of :class:`Interpolation`."""

    variable: Variable = Field(default=None, description=WHAT)


@MODELS.register("interpolation")
class Interpolation(NormalModel):
    """The target's own variable on the coarse grid, bilinear, then ``slope * value + intercept`` per cell.

    Slope and intercept are fitted by least squares on the train split over the days with truth.
    Cells beyond the coarse grid take its edge. The predictive distribution is normal; its standard
    deviation is the root mean square train residual of each cell, which two parameters on hundreds
    of days leave nearly unbiased. For precipitation see :class:`models._normal.NormalModel`.
    """

    Config = InterpolationConfig

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit one line a cell; the validation split is not looked at."""
        table, xp = self.start(train, context), context.backend.xp
        truth, coarse = known_truth(table, train), self._coarse(train)
        slope, intercept = fit_lines(coarse, truth, xp)
        sd = residual_sd(slope * coarse + intercept, truth, xp)
        self.arrays = {"slope": slope, "intercept": intercept, "sd": sd}
        self.choices = {"channels": self._channels(), "mean_slope": float(xp.mean(slope))}
        self.bound(train, truth)
        return self

    def mean(self, inputs: Samples) -> Array:
        """Return the corrected interpolation."""
        return self.arrays["slope"] * self._coarse(inputs) + self.arrays["intercept"]

    def _channels(self) -> list[str]:
        return own_channels(self.table, self.config.variable, "interpolation")

    def _coarse(self, samples: Samples) -> Array:
        """Return the channels, one a target, at the cells of the mask, shape (time, column)."""
        layout, fields = self.table.layout, own_fields(self.table, samples, self._channels())
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
