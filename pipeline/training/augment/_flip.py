"""What both flips share: which numbers change their sign, and how."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.samples import Affine, variable_of
from pipeline.training.augment._batch import Batch
from pipeline.training.augment._contract import Augmentation, AugmentationConfig, World
from pipeline.training.augment._places import named, need_fields, need_no_statics, refuse_unknown
from pipeline.training.augment._winds import turned


class FlipConfig(AugmentationConfig):
    """Options of a flip."""

    probability: float = Field(default=0.5, gt=0, le=1, description="Share of the samples that are flipped.")
    negate: list[str] | None = Field(
        default=None,
        description="Channels and targets whose sign changes, at all their lags and leads; by default those with a "
        "known name of a wind, see docs/augmentation.md.",
    )


class Flip(Augmentation):
    """A mirror along one dim; subclasses say which, and what changes its sign there.

    What changes its sign does so in units: of numbers less one mean of the whole field, ``z``, with the
    deviation ``s`` and the mean ``m``, these are ``-z - 2 m / s``. Numbers with a mean of their own at every cell are
    anomalies, and an anomaly of the mirrored weather is ``-z``.
    """

    Config: ClassVar[type[AugmentationConfig]] = FlipConfig
    whole: ClassVar[bool] = True
    dim: ClassVar[int]
    towards: ClassVar[Literal["east", "north"]]
    """Which component of a vector changes its sign."""

    def __init__(self, config: AugmentationConfig | None = None) -> None:
        super().__init__(config)
        self.negated: tuple[str, ...] = ()
        self._inputs: tuple[Tensor, Tensor]
        self._target: tuple[Tensor, Tensor]

    def prepare(self, world: World) -> Self:
        """Return a flip that knows what changes its sign.

        Raises
        ------
        ConfigError
            If the grids are not their own mirror image, there are static fields, a name is no channel's, or what
            changes its sign has been transformed to something without one.
        """
        kind = f"flip_{'latitude' if self.dim == -2 else 'longitude'}"
        need_no_statics(world, kind)
        for grid in (world.input_grid, world.target_grid):
            need_fields(grid, kind)
        self.check(world)
        fields = [name for name in world.channels if name not in world.scalars]
        targets = () if world.classes else world.targets
        wanted = self._wanted(fields, targets, kind)
        made = copy.copy(self)
        made.negated = tuple(dict.fromkeys(variable_of(name) for name in wanted))
        places = [place for place in named(world.channels, wanted) if world.channels[place] in fields]
        _refuse_transformed(world.channels, places, world.channel_affine, kind)
        also = self.scalars(world)
        made._inputs = _signs(len(world.channels), [*places, *also], world.channel_affine)
        made._target = _signs(len(world.targets), named(targets, wanted), world.target_affine)
        return made

    @abstractmethod
    def check(self, world: World) -> None:
        """Refuse grids that are not their own mirror image."""

    def scalars(self, world: World) -> list[int]:
        """Return where scalar channels stand that change their sign."""
        return []

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with some of its samples mirrored."""
        chosen = self.chosen(batch).to(batch.inputs.device)[:, None, None, None]
        return batch.changed(lambda maps: self._mirror(maps, chosen, *self._inputs),
                             lambda maps: self._mirror(maps, chosen, *self._target))  # fmt: skip

    def describe(self) -> str:
        """Return the probability and what changes its sign."""
        return f"probability {self.config.probability}, sign of {', '.join(self.negated) or 'nothing'}"

    def _mirror(self, maps: Tensor, chosen: Tensor, sign: Tensor, offset: Tensor) -> Tensor:
        sign, offset = sign.to(maps.device), offset.to(maps.device)
        return torch.where(chosen, maps.flip(self.dim) * sign - offset, maps)

    def _wanted(self, fields: Sequence[str], targets: Sequence[str], kind: str) -> list[str]:
        """Return the names that change their sign."""
        asked: list[str] | None = self.config.negate
        if asked is not None:
            refuse_unknown(asked, [*fields, *targets], f"{kind}.negate")
            return [variable_of(name) for name in asked]
        return turned(fields, self.towards, kind, targets)


def _signs(count: int, places: Sequence[int], affine: Affine | None) -> tuple[Tensor, Tensor]:
    """Return sign and offset of mirrored numbers, each (channel, 1, 1)."""
    sign, offset = torch.ones(count, 1, 1), torch.zeros(count, 1, 1)
    for place in places:
        sign[place] = -1.0
        offset[place] = 0.0 if affine is None else _offset(affine.scale[place], affine.shift[place])
    return sign, offset


def _offset(scale: np.ndarray, shift: np.ndarray) -> float:
    """Return ``2 shift / scale`` where the field has one of each; 0 where every cell has its own."""
    scales, shifts = (part[np.isfinite(part)].astype(float) for part in (scale, shift))
    one = scales.size > 0 and shifts.size > 0 and np.ptp(scales) == 0 and np.ptp(shifts) == 0
    return float(2.0 * shifts[0] / scales[0]) if one else 0.0


def _refuse_transformed(names: Sequence[str], places: Sequence[int], affine: Affine | None, kind: str) -> None:
    for place in places:
        done = "none" if affine is None else affine.transform(place)
        if done != "none":
            raise ConfigError(
                f"{kind}: expected {names[place]!r} with its sign, got its {done}. Take it out of "
                f"prepare.inputs.transform, or {kind} out of augment."
            )
