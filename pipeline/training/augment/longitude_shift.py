"""The same weather further east."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.sphere import goes_round
from pipeline.training.augment import AUGMENTATIONS, Augmentation, Batch, World
from pipeline.training.augment._places import need_no_statics, need_one_grid


@AUGMENTATIONS.register("longitude_shift")
class LongitudeShift(Augmentation):
    """Every sample turned about the axis of the Earth by a number of cells of its own, truth and inputs alike.

    The equations of motion do not know longitude; land, sea and mountains do. So there may be no static
    fields, and what the fields themselves show of the continents goes along. Where means and
    deviations of the train split are those of every cell (``prepare.inputs.scale: per_cell``), it is anomalies
    that move, and numbers of ``per_field`` are those of the weather itself. Truth that comes to lie outside of
    the mask is left out. The sun's hour does not go along: of fields within the day, noon comes to lie where it was
    another hour. Costs one copy of the batch.
    """

    keeps = (
        "Inputs and truth cell by cell, latitudes and so the area of every class and of every value, winds and all "
        "neighbours round the globe; not the sun's hour of fields within the day."
    )

    whole: ClassVar[bool] = True

    def prepare(self, world: World) -> Self:
        """Refuse what stays in its place.

        Raises
        ------
        ConfigError
            If the longitudes do not go round, grids differ, or there are static fields.
        """
        grid = need_one_grid(world, "longitude_shift")
        if not goes_round(grid):
            count, step = len(grid.lon), abs(float(grid.lon[1] - grid.lon[0])) if len(grid.lon) > 1 else 0.0
            raise ConfigError(
                f"longitude_shift: expected evenly spaced longitudes that go round the Earth, got {count} of {step:g} "
                f"degrees, {count * step:g} in all. Take longitude_shift out of augment."
            )
        need_no_statics(world, "longitude_shift")
        return self

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with its samples turned."""
        columns = batch.shape[1]
        cells = torch.randint(columns, (len(batch),)) * self.chosen(batch)
        # Column k of the answer is column k - cells of the batch.
        source = (torch.arange(columns) - cells[:, None]) % columns
        source = source[:, None, None, :].to(batch.inputs.device)

        def turned(maps: Tensor) -> Tensor:
            return maps.gather(-1, source.expand(*maps.shape[:-1], columns))

        return batch.changed(turned, turned)
