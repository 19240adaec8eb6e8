"""The coarse model's own variable, interpolated and given the distribution of the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from models import MODELS
from models._classical import ArrayModel, Table, known_truth
from models._coarse import WHAT, Variable, own_channels, own_fields
from models._normal import amounts
from models._quantiles import QuantileMap
from pipeline.backend import Backend
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.powers import backward
from pipeline.prepare.regrid import Regridder
from pipeline.samples import Samples, Schema
from pipeline.units import of_difference

Array = Any

ROUNDING = 1e-5  # of a channel's deviation: amounts below are zero that standardising has moved


class MappingConfig(ModelConfig):
    """Options of every model that maps quantiles."""

    variable: Variable = Field(default=None, description=WHAT)
    quantiles: int = Field(default=100, ge=2, description="Number of quantiles of the map, linear between them.")
    window: Literal["none", "month", "season"] = Field(
        default="none",
        description="Part of the year with quantiles of its own; a month takes the days of those beside it as well.",
    )


@MODELS.register("quantile_mapping")
class QuantileMapping(ArrayModel):
    """The target's own variable on the coarse grid, bilinear, mapped cell by cell to the truth's distribution.

    Every value of the interpolated coarse field becomes the value that has the same quantile in the
    truth, both over the train days with truth. It corrects the distribution, not the day: the answer
    is a point, its CRPS is its absolute error, and as its spread is that of the truth itself its
    error is larger than that of a regression, which is smoother. It cannot make up what differs
    between cells in one coarse cell, and inflates that cell's weather for all of them (Maraun 2013).

    Precipitation: a coarse model that drizzles is mapped to dry; one that is dry too often is made
    wet at random on as many days as it takes, the same days at all cells (Themessl et al. 2012).
    Give such predictors with ``prepare.inputs.anomaly: none``, or dry days differ from each other.

    References
    ----------
    Gudmundsson et al. (2012), Hydrol. Earth Syst. Sci. 16, 3383-3390, doi:10.5194/hess-16-3383-2012.
    Maraun (2013), J. Climate 26, 2137-2143, doi:10.1175/JCLI-D-12-00821.1.
    Themessl, Gobiet and Heinrich (2012), Climatic Change 112, 449-468, doi:10.1007/s10584-011-0224-4.
    """

    Config = MappingConfig
    traits: ClassVar[frozenset[str]] = frozenset({"baseline"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._map: QuantileMap | None = None

    def fit(self, train: Samples, validation: Samples, context: Context) -> Self:
        """Take the quantiles of the train split; the validation split is not looked at."""
        table, schema = self.start(train, context), train.schema
        names = own_channels(table, self.config.variable, "quantile_mapping")
        self.choices = {"channels": names, "amounts": list(amounts(schema))}
        truth = known_truth(table, train, wide=False)
        self._map = QuantileMap.fit(
            self._coarse(train),
            truth,
            train.day,
            quantiles=self.config.quantiles,
            window=self.config.window,
            ratio=per_column(table.layout.cells, amounts(schema), context.backend),
            slope=self._slope(schema, names, context),
            groups=len(schema.targets),
        )
        self.choices["windows"] = len(self._map.windows.seen)
        self.arrays = self._map.arrays()
        return self

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return the mapped values as a point."""
        table = self.table
        assert self._map is not None  # set by fit and by load
        mapped = self._map(self._coarse(inputs), inputs.day, inputs.time)
        return Prediction("point", {"mean": table.field(mapped)})

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved model."""
        model = super().load(folder, context)
        model._map = QuantileMap.of(model.arrays, context.backend.to_host)
        return model

    def _coarse(self, samples: Samples) -> Array:
        """Return the channels at the cells of the mask, in units where they have any, float32 (time, column)."""
        layout = self.table.layout
        fields = coarse_fields(self.table, samples, self.choices["channels"], self.choices["amounts"])
        return self.table.columns(
            Regridder.between(layout.input_grid, layout.target_grid, "bilinear")(fields), wide=False
        )

    def _slope(self, schema: Schema, names: list[str], context: Context) -> Array | None:
        """Return what a unit of the channel is in numbers of the target; None if that is not known."""
        layout = self.table.layout
        if not same_units(schema, names) or layout.target_affine is None:
            return None
        scale = np.broadcast_to(layout.target_affine.scale, (len(schema.targets), *layout.mask.shape))
        return context.backend.asarray(1.0 / scale[:, layout.mask].astype(float).ravel())


def coarse_fields(table: Table, samples: Samples, names: list[str], wet: list[bool]) -> Array:
    """Return channels on the input grid, float32 (time, target, lat, lon), in units where they have any.

    Amounts below rounding are zero there: standardised and turned back, zero is next to zero.
    """
    xp, affine = table.backend.xp, table.layout.channel_affine
    fields = own_fields(table, samples, names, units=True)
    if affine is not None and any(wet):
        places = [table.layout.channels.index(name) for name in names]
        limits = [backward(ROUNDING * affine.scale[place], affine.transform(place)) for place in places]
        limit = np.where(np.array(wet)[:, None, None], np.stack(limits), -np.inf)
        fields = xp.where(fields < table.backend.asarray(limit)[None, ...], xp.zeros_like(fields), fields)
    return xp.astype(fields, xp.float32)


def per_column(cells: int, values: tuple[bool, ...], backend: Backend) -> Array:
    """Return one value a target as one a column, ``cells`` for each target."""
    return backend.asarray(np.repeat(np.array(values), cells))


def same_units(schema: Schema, names: list[str]) -> bool:
    """Return whether the channels' numbers can be given in units in which a step is one of the targets'."""
    units = [schema.channel_units[schema.channels.index(name)] for name in names]
    pairs = zip(units, schema.target_units, strict=True)
    return schema.channel_affine is not None and all(of_difference(one) == of_difference(two) for one, two in pairs)
