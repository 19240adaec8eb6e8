"""East for west."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.training.augment import AUGMENTATIONS, World
from pipeline.training.augment._flip import Flip
from pipeline.training.augment._places import is_mirrored


@AUGMENTATIONS.register("flip_longitude")
class FlipLongitude(Flip):
    """East for west, in some samples.

    The zonal component of every vector changes its sign, and so does what turns. Unlike the mirror in latitude this
    is no weather of a planet that turns eastward: cyclones turn the wrong way round and wind no longer balances
    pressure. So it is for fields without wind or pressure, for images without a side that is lit, and for what
    does not depend on which way the planet turns; elsewhere a network learns from it what is never true. In
    satellite images shadows come to lie on the side of the sun.

    Grids must be their own mirror image: evenly spaced, inputs and target about the same meridian.
    """

    keeps = (
        "Inputs and truth cell by cell, latitudes, the area of every class and of every value, and divergence; not the "
        "sense in which storms turn."
    )
    dim: ClassVar[int] = -1
    towards: ClassVar[Literal["east", "north"]] = "east"

    def check(self, world: World) -> None:
        """Refuse longitudes that are not their own mirror image about a meridian of both grids."""
        middle = float(np.mean(world.input_grid.lon))
        for what, grid in (("inputs", world.input_grid), ("target", world.target_grid)):
            if not is_mirrored(grid.lon, middle):
                raise ConfigError(
                    f"flip_longitude: expected longitudes symmetric about the same one, {middle:g}, got {what} from "
                    f"{grid.lon[0]:g} to {grid.lon[-1]:g}. Take flip_longitude out of augment, or set "
                    "prepare.regrid.to: target."
                )
