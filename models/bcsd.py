"""Bias correction on the coarse grid, then the fine climatology with the coarse anomaly on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import ArrayModel, column_mean, known_truth
from models._coarse import own_channels
from models._cover import Cover
from models._layout import Layout
from models._normal import amounts, least
from models._quantiles import QuantileMap
from models._seasonal import cycle_at, fit_cycle
from models.quantile_mapping import MappingConfig, coarse_fields, per_column, same_units
from pipeline.errors import ConfigError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.climatology import usable_harmonics
from pipeline.prepare.regrid import Regridder
from pipeline.samples import Samples

Array = Any

LEAST = 0.05  # of a column's mean amount: where harmonics dip towards zero, no ratio is taken to less


class BcsdConfig(MappingConfig):
    """Options of :class:`Bcsd`."""

    correction: Literal["auto", "additive", "multiplicative"] = Field(
        default="auto",
        description="Whether the coarse anomaly is a difference or a ratio; auto: a ratio for precipitation.",
    )
    harmonics: int = Field(
        default=2, ge=0, le=12, description="Most harmonics of the year in the climatologies; 0 for one value all year."
    )


@MODELS.register("bcsd")
class Bcsd(ArrayModel):
    """Bias correction and spatial disaggregation, day by day.

    The truth is averaged over the cells nearest to each coarse cell, by area; the target's own coarse
    variable is mapped to the quantiles of these means, coarse cell by coarse cell, as
    ``quantile_mapping`` does. What it then differs by from the coarse climatology, or its ratio to it
    for precipitation, is interpolated and applied to the fine climatology. Coarse cells without
    truth, such as sea, take the anomaly of the nearest that has some. The answer is a point: its
    CRPS is its absolute error. Inside a coarse cell all days have the pattern of the climatology.

    References
    ----------
    Wood et al. (2004), Climatic Change 62, 189-216, doi:10.1023/B:CLIM.0000013685.99609.9e.
    Thrasher et al. (2012), Hydrol. Earth Syst. Sci. 16, 3309-3314, doi:10.5194/hess-16-3309-2012, on daily data.
    """

    Config = BcsdConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._map: QuantileMap | None = None

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Fit the coarse map and both climatologies; the validation split is not looked at."""
        table, schema, xp = self.start(train, context), train.schema, context.backend.xp
        names, wet = own_channels(table, self.config.variable, "bcsd"), amounts(schema)
        ratios = wet if self.config.correction == "auto" else (self.config.correction == "multiplicative",) * len(wet)
        _check(table.layout, ratios)
        self.choices = {"channels": names, "amounts": list(wet), "ratios": list(ratios)}
        cover, numbers = Cover.of(table), known_truth(table, train)
        truth = self._units(numbers)
        means = cover.means(truth)
        in_units = table.layout.target_affine is not None and same_units(schema, names)
        self._map = QuantileMap.fit(
            self._coarse(train, cover),
            means,
            train.day,
            quantiles=self.config.quantiles,
            window=self.config.window,
            ratio=per_column(cover.count, wet, context.backend),
            slope=xp.ones_like(means[0, :]) if in_units else None,
            groups=len(wet),
        )
        self.arrays = {**self._map.arrays(), "least": least(table, schema, numbers)}
        harmonics = usable_harmonics(train.day, self.config.harmonics)
        for name, values in (("fine", truth), ("coarse", means)):
            self.arrays[name] = fit_cycle(values, train.day, harmonics, context.backend)
            self.arrays[f"{name}_mean"] = column_mean(values, xp)
        self.choices |= {"harmonics": harmonics, "windows": len(self._map.windows.seen), "coarse_cells": cover.count}
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the fine climatology with the corrected coarse anomaly on it, as a point."""
        table, layout, xp = self.table, self.table.layout, self.table.backend.xp
        assert self._map is not None  # set by fit and by load
        cover = Cover.of(table)
        mapped = self._map(self._coarse(inputs, cover), inputs.day, inputs.time)
        level, by_ratio = self._climate("coarse", inputs.day, cover.count)
        some = level > 0
        ratio = xp.where(some, mapped / xp.where(some, level, xp.ones_like(level)), xp.ones_like(level))
        fields = cover.fields(xp.where(by_ratio, ratio, mapped - level))
        fine = table.columns(Regridder.between(layout.input_grid, layout.target_grid, "bilinear")(fields))
        level, by_ratio = self._climate("fine", inputs.day, layout.cells)
        numbers = self._units(xp.where(by_ratio, level * fine, level + fine), back=True)
        return Prediction("point", {"mean": table.field(xp.maximum(numbers, self.arrays["least"][None, :]))})

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved model."""
        model = super().load(folder, context)
        model._map = QuantileMap.of(model.arrays, context.backend.to_host)
        return model

    def _coarse(self, samples: Samples, cover: Cover) -> Array:
        choices = self.choices
        return cover.columns(coarse_fields(self.table, samples, choices["channels"], choices["amounts"]))

    def _climate(self, name: str, day: np.ndarray, cells: int) -> tuple[Array, Array]:
        """Return a climatology, shape (time, column), and which columns, (1, column), it is a factor of."""
        xp, mean = self.table.backend.xp, self.arrays[f"{name}_mean"][None, :]
        level = cycle_at(self.arrays[name], day, self.table.backend)
        by_ratio = per_column(cells, tuple(self.choices["ratios"]), self.table.backend)[None, :]
        return xp.where(by_ratio, xp.maximum(level, LEAST * mean), level), by_ratio

    def _units(self, columns: Array, *, back: bool = False) -> Array:
        """Return numbers of the truth, shape (time, column), in units, or units as numbers; as is under an anomaly."""
        layout, backend = self.table.layout, self.table.backend
        affine = layout.target_affine
        if affine is None:
            return columns
        shape = (len(layout.targets), *layout.mask.shape)
        scale, shift = (
            backend.asarray(np.broadcast_to(part, shape)[:, layout.mask].astype(float).ravel())[None, :]
            for part in (affine.scale, affine.shift)
        )
        return (columns - shift) / scale if back else columns * scale + shift


def _check(layout: Layout, ratios: tuple[bool, ...]) -> None:
    """Refuse stations, which have no coarse means, and ratios of numbers whose zero is not zero.

    Raises
    ------
    ConfigError
        In both cases.
    """
    if layout.target_grid.stations:
        raise ConfigError(
            f"bcsd: expected a target on a grid, got {len(layout.target_grid.stations)} stations, which cannot be "
            "averaged over coarse cells. Take quantile_mapping in its place."
        )
    if any(ratios) and layout.target_affine is None:
        raise ConfigError(
            "bcsd: expected a target without an anomaly by day of the year for ratios, got one; set "
            "prepare.target.anomaly: none for all targets, or correction: additive."
        )
