"""North for south."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.errors import ConfigError
from pipeline.prepare.scalars import CALENDAR
from pipeline.training.augment import AUGMENTATIONS, World
from pipeline.training.augment._flip import Flip
from pipeline.training.augment._places import is_mirrored


@AUGMENTATIONS.register("flip_latitude")
class FlipLatitude(Flip):
    """North for south, in some samples: the weather of one hemisphere in the other.

    The equations of motion on a rotating sphere stay true if latitudes, the meridional component of every vector, and
    what turns (vorticity) change their sign: the Coriolis parameter changes its own. ``day_cos`` and ``day_sin``
    change theirs as well, which is half a year: summers trade places. Land, sea and mountains do not
    trade places, so static fields are refused; what the fields themselves show of them goes along.

    Of an image, which has no equator, rows are mirrored about the middle one. An image taken in sunlight keeps
    neither its equator nor its sun: shadows come to lie on the side that is lit.
    """

    keeps = (
        "Inputs and truth cell by cell, the area of every class and of every value, and the balance of winds, pressure "
        "and rotation, since the meridional components change their sign."
    )
    dim: ClassVar[int] = -2
    towards: ClassVar[Literal["east", "north"]] = "north"

    def check(self, world: World) -> None:
        """Refuse latitudes that are not symmetric about the equator."""
        for what, grid in (("inputs", world.input_grid), ("target", world.target_grid)):
            if not grid.image and not is_mirrored(grid.lat, 0.0):
                raise ConfigError(
                    f"flip_latitude: expected latitudes symmetric about the equator, got {what} from {grid.lat[0]:g} "
                    f"to {grid.lat[-1]:g}. Take flip_latitude out of augment, or a region such as lat: [-60, 60]."
                )

    def scalars(self, world: World) -> list[int]:
        """Return where the day of the year stands: the other hemisphere is half a year on."""
        return [place for place, name in enumerate(world.channels) if name in CALENDAR and name in world.scalars]
