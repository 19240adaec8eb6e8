"""A part of the map at a time."""

from __future__ import annotations

import copy
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.sphere import goes_round
from pipeline.training.augment import AUGMENTATIONS, Augmentation, AugmentationConfig, Batch, World
from pipeline.training.augment._places import need_no_statics, need_one_grid


class PatchesConfig(AugmentationConfig):
    """Options of patches."""

    probability: float = Field(default=1.0, gt=0, le=1, description="Share of the batches that are cut.")
    size: tuple[int, int] = Field(description="Rows and columns of a patch; not more than the grid has.")


@AUGMENTATIONS.register("patches")
class Patches(Augmentation):
    """A window of each batch, somewhere else every time: the same rows and columns of all of its samples.

    Where longitudes go round a window may lie across their seam. A batch costs as much less as its window
    is smaller; one larger network, or more samples a batch, fit into the same memory. What lies beyond the
    window is not seen, so it should be larger than what is looked for. Only for networks with the
    trait ``patches``, which have the same weights everywhere and answer a map of any size; validation and
    prediction are always of whole maps.
    """

    keeps = "Inputs, truth and area weights cell by cell, and all neighbours inside the window."
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    Config: ClassVar[type[AugmentationConfig]] = PatchesConfig
    whole: ClassVar[bool] = True
    cuts: ClassVar[bool] = True

    def __init__(self, config: AugmentationConfig) -> None:
        super().__init__(config)
        self._round = False

    def prepare(self, world: World) -> Self:
        """Return one that knows whether longitudes go round.

        Raises
        ------
        ConfigError
            If a patch is no part of the grid, grids differ, or there are static fields.
        """
        grid = need_one_grid(world, "patches")
        need_no_statics(world, "patches")
        rows, columns = self.config.size
        if not (1 <= rows <= grid.shape[0] and 1 <= columns <= grid.shape[1]):
            raise ConfigError(
                f"patches.size: expected 1 row and column or more, and not more than the grid's {list(grid.shape)}, "
                f"got {[rows, columns]}."
            )
        made = copy.copy(self)
        made._round = goes_round(grid)
        return made

    def __call__(self, batch: Batch) -> Batch:
        """Return a window of the batch."""
        (rows, columns), (high, wide) = self.config.size, batch.shape
        top = int(torch.randint(high - rows + 1, ()))
        left = int(torch.randint(wide if self._round else wide - columns + 1, ()))
        if float(torch.rand(())) >= self.config.probability:
            return batch
        source = (torch.arange(left, left + columns) % wide).to(batch.inputs.device)

        def part(maps: Tensor) -> Tensor:
            return maps[..., top : top + rows, :].index_select(-1, source)

        return batch.cut(part)
