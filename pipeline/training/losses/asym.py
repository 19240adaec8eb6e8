"""ASYM: an absolute error that counts heavy rain that was missed more than once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import DataError
from pipeline.model_config import ModelConfig
from pipeline.training.losses import LOSSES, Cells
from pipeline.training.losses._gamma import BLOCK, GammaSums
from pipeline.training.losses._point import PointLoss

LEAST_WET_DAYS = 20
"""Cells with fewer wet days take the gamma distribution of all cells together."""

log = logging.getLogger(__name__)


class AsymConfig(ModelConfig):
    """Options of ASYM."""

    weight: float = Field(default=1.0, ge=0, description="Weight of rain that was missed; 0 is the absolute error.")
    power: float = Field(default=2.0, gt=0, description="Power of the rain's probability in the climate.")
    threshold: float = Field(default=1.0, gt=0, description="Least amount of a wet day, in units of the target.")


@LOSSES.register("asym")
class Asym(PointLoss):
    """``|y - m| + weight F(y)^power max(0, y - m)``, with F the cell's gamma distribution of wet days.

    The rarer the rain that fell, the more its underestimation counts; what was overestimated counts once.
    F is fitted to each cell's amounts on days with at least ``threshold`` in the train split, by maximum
    likelihood (:class:`~pipeline.training.losses._gamma.GammaSums`), without a shift. Cells with
    fewer than 20 such days take the fit over all cells of the target.

    References
    ----------
    Doury, Somot and Gadat (2024), doi:10.1007/s00382-024-07350-8. Theirs has weight 1 and power 2.
    """

    Config: ClassVar[type[ModelConfig]] = AsymConfig

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self._shape: Tensor
        self._scale: Tensor

    def fit(self, target: Tensor, cells: Cells) -> None:
        """Fit the gamma distributions, in numbers of the samples shifted so that 0 is dry.

        Raises
        ------
        DataError
            If the threshold cannot be turned into numbers, or a target has too few wet days.
        """
        scale, shift = _affine(cells)

        def blocks() -> Iterator[tuple[Tensor, Tensor]]:
            for start in range(0, len(target), BLOCK):
                amount = target[start : start + BLOCK] + shift / scale
                wet = cells.known[start : start + BLOCK] & (amount >= self.config.threshold / scale)
                yield torch.where(wet, amount, 1.0), wet

        sums = GammaSums.over(blocks())
        (shape, theta), (all_shape, all_theta) = sums.estimate(), sums.pooled().estimate()
        if bool((sums.pooled().count < LEAST_WET_DAYS).any()) or not bool(torch.isfinite(all_shape).all()):
            found = int(sums.pooled().count.min())
            raise DataError(
                f"asym: expected at least {LEAST_WET_DAYS} wet days of different amounts, {self.config.threshold:g} or "
                f"more in units of the target, in the train split of every target, got {found} over all cells. "
                "Lower the loss's threshold, or take another loss."
            )
        few = (sums.count < LEAST_WET_DAYS) | ~torch.isfinite(shape)
        if bool(few.any()):
            log.warning(
                "asym: %d of %d cells have fewer than %d wet days and take the gamma distribution of all cells.",
                int(few.sum()),
                few.numel(),
                LEAST_WET_DAYS,
            )
        self._shape = torch.where(few, all_shape, shape).to(target.dtype)
        self._scale = torch.where(few, all_theta, theta).to(target.dtype)

    def __call__(self, output: Tensor, target: Tensor, cells: Cells) -> Tensor:
        """Return the loss of every sample and cell."""
        gap = target - output[:, 0]
        scale, shift = _affine(cells)
        amount = (target + shift / scale).clamp(min=0.0)
        weight: Tensor = (
            self.config.weight * torch.special.gammainc(self._shape, amount / self._scale) ** self.config.power
        )
        return gap.abs() + weight * gap.clamp(min=0.0)


def _affine(cells: Cells) -> tuple[Tensor, Tensor]:
    """Return scale and shift, (target, cell)."""
    if cells.scale is None or cells.shift is None:
        raise DataError(
            "asym: expected a target with one way to units for all days, got anomalies by day of the year. "
            "Set prepare.target: {anomaly: none, scale: per_field}."
        )
    return cells.scale, cells.shift
