"""Inputs with errors."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import ClassVar, Self

import torch
from pydantic import Field, field_validator
from torch import Tensor

from pipeline.training.augment import AUGMENTATIONS, Augmentation, AugmentationConfig, Batch, World
from pipeline.training.augment._places import named, refuse_unknown


class NoiseConfig(AugmentationConfig):
    """Options of noise."""

    sd: float | dict[str, float] = Field(
        default=0.1,
        description="Standard deviation in numbers of the samples, for all fields or by channel, such as "
        "{tas: 0.1}; channels that are not named get none.",
    )

    @field_validator("sd")
    @classmethod
    def _positive(cls, sd: float | dict[str, float]) -> float | dict[str, float]:
        values = sd.values() if isinstance(sd, dict) else [sd]
        if not values or not all(0 < value < math.inf for value in values):
            raise ValueError(f"expected positive standard deviations, got {sd!r}")
        return sd


@AUGMENTATIONS.register("noise")
class Noise(Augmentation):
    """Normal numbers added to the fields of some samples, new at every cell, channel and lag every time.

    Small noise on inputs acts like a penalty on the slope of the network (Bishop 1995), and lets it
    rely less on any one cell. The numbers are of the samples, where 1 is a deviation of the train
    split. Channels that are the same at all cells (the day of the year, forcings) get none, nor does the
    truth. The noise has no scale in space and no balance between winds and pressure. Give a channel that a
    ``constraint`` holds to none. Costs as many random numbers as there are inputs.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization, doi:10.1162/neco.1995.7.1.108.
    """

    keeps = "The truth, the scalar channels, the area weights, and the expected value of every input."
    Config: ClassVar[type[AugmentationConfig]] = NoiseConfig

    def __init__(self, config: AugmentationConfig | None = None) -> None:
        super().__init__(config)
        self._sd: Tensor

    def prepare(self, world: World) -> Self:
        """Return one that knows which channels are fields.

        Raises
        ------
        ConfigError
            If a name is no field's.
        """
        fields = [name for name in world.channels if name not in world.scalars]
        sd = self.config.sd
        if isinstance(sd, dict):
            refuse_unknown(sd, fields, "noise.sd")
        made = copy.copy(self)
        made._sd = torch.zeros(len(world.channels), 1, 1)
        for name, value in (sd if isinstance(sd, dict) else dict.fromkeys(fields, sd)).items():
            made._sd[named(world.channels, [name])] = value
        return made

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with other inputs."""
        chosen = self.chosen(batch)[:, None, None, None]
        sd = (self._sd * chosen).to(batch.inputs)
        return replace(batch, inputs=batch.inputs + sd * torch.randn_like(batch.inputs))
