"""Atmospheric blocking as a positive height anomaly that persists in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from pipeline.backend.special import to_host
from pipeline.grid import Grid
from pipeline.objects import persistent_events
from pipeline.prepare.arrays import beside
from pipeline.prepare.labels._contract import LABELS, Excess
from pipeline.prepare.labels._number import NumberConfig, NumberLabel, Of
from pipeline.prepare.labels._options import BACKGROUND

Array = Any


class BlockingConfig(NumberConfig):
    """Options of blocking."""

    of: Of = Field(
        default="anomaly", description="'value' where the field is an anomaly already, else 'anomaly': from its mean."
    )
    above: float = Field(default=150.0, gt=0, description="Least anomaly.")
    units: str = Field(default="m", min_length=1, description="Of the anomaly; converted to those of the data.")
    overlap: float = Field(
        default=0.5, gt=0, le=1, description="Least share of its area that an anomaly keeps from a step to the next."
    )
    persistence: float = Field(default=5.0, gt=0, description="Days that it lasts at least.")


@LABELS.register("blocking")
class Blocking(NumberLabel):
    """Positive anomalies of the 500 hPa height of 150 m or more that stay where they are for five days.

    Cells that hang together on a map are one anomaly, and two of consecutive steps that overlap by half of their
    area are the same one: :func:`pipeline.objects.persistent_events`. A threshold on the anomaly and a least
    time are those of Dole and Gordon (1983, doi:10.1175/1520-0493(1983)111<1567:PAOTEN>2.0.CO;2), the overlap
    that of Schwierz et al. (2004, doi:10.1029/2003GL019341). Objects are found on the host.

    The intensity is how far the anomaly lies above the threshold.
    """

    kind = "blocking"
    Config = BlockingConfig

    @property
    def classes(self) -> tuple[str, ...]:
        """Background and blocking."""
        return (BACKGROUND, self.kind)

    @property
    def number(self) -> float:
        """The threshold."""
        return float(self.config.above)

    def excess(self, values: Array, time: np.ndarray) -> Excess:
        """Return how far anomalies are above the threshold; one that is met counts."""
        past = self.strength(values, time) - self.facts()["threshold"]
        return Excess(past >= 0, past)

    def find(self, excess: Excess, segment: np.ndarray, grid: Grid) -> Array:
        """Return the cells of anomalies that persist; nothing persists across a gap in time."""
        number = persistent_events(
            np.asarray(to_host(excess.beyond)),
            grid,
            overlap=self.config.overlap,
            persistence=self.least_steps(self.config.persistence),
            runs=segment,
        )
        return beside(number > 0, excess.beyond)
