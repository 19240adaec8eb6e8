"""Partial dependence: a channel is moved over all of its range on every day."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS, Finding
from pipeline.attribution._effects import EffectConfig, EffectMethod, Moved
from pipeline.model_config import ModelConfig

_APART = 0.7


class PartialDependenceConfig(EffectConfig):
    """Options of partial dependence."""

    points: int = Field(default=20, ge=2, description="Quantiles of the channel to which it is moved on every day.")


@ATTRIBUTIONS.register("partial_dependence")
class PartialDependence(EffectMethod):
    """Partial dependence (Friedman 2001, doi:10.1214/aos/1013203451).

    The mean of the explained number over all days, each with the channel's mean moved to the same value. Where channels
    go together, it asks the model about days that cannot be; accumulated local effects (``ale``) do not. A prediction a
    day, channel and point.
    """

    Config: ClassVar[type[ModelConfig]] = PartialDependenceConfig
    title: ClassVar[str] = "Partial dependence"

    def daily(self, moved: Moved) -> tuple[np.ndarray, np.ndarray]:
        """Return the points, and the explained number of each day at each."""
        points = np.unique(np.quantile(moved.mean, np.linspace(0, 1, self.config.points)))
        return points, np.stack([moved.numbers(np.full(len(moved.mean), point)) for point in points], axis=1)

    def finding(self, means: np.ndarray, chosen: list[int]) -> Finding:
        """Return how closely a moved channel goes together with another one."""
        away = means - means.mean(axis=0)
        sd = np.sqrt((away**2).mean(axis=0))
        unit = np.where(sd > 0, away / np.where(sd > 0, sd, 1.0), 0.0)
        together = np.abs(unit.T @ unit / len(means))
        np.fill_diagonal(together, 0.0)
        most = float(together[chosen].max())
        return Finding(
            "correlation", most, _APART, most < _APART, False,
            f"The means of a moved channel and of another one correlate by up to {most:.2f}; from {_APART} on, moving "
            "one alone asks the model about days that cannot be, and ale is the safer curve.",
        )  # fmt: skip
