"""Accumulated local effects: a channel is moved within its own neighbourhood alone."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS, Finding
from pipeline.attribution._effects import EffectConfig, EffectMethod, Moved
from pipeline.model_config import ModelConfig

_FEW = 5


class AleConfig(EffectConfig):
    """Options of accumulated local effects."""

    bins: int = Field(
        default=20,
        ge=1,
        description="Bins with equally many days each; fewer where that would be less than five days.",
    )


@ATTRIBUTIONS.register("ale")
class Ale(EffectMethod):
    """Accumulated local effects of first order (Apley and Zhu 2020, doi:10.1111/rssb.12377).

    Days are put in bins by the mean of the channel. In each bin the channel is moved from one edge to the other on the
    days of that bin, and the mean change is the curve's rise over it. Other channels keep values that they have where
    the moved one has such a value: where channels go together, the model is not asked about days that cannot be, and
    the effect of one does not take in those of the others. Two predictions a day and channel.
    """

    Config: ClassVar[type[ModelConfig]] = AleConfig
    title: ClassVar[str] = "Accumulated local effects"

    def daily(self, moved: Moved) -> tuple[np.ndarray, np.ndarray]:
        """Return the edges of bins, and for each day what it says of the rise up to each."""
        edges, own = self._bins(moved.mean)
        if len(edges) == 1:
            return edges, np.zeros((len(moved.mean), 1))
        rise = moved.numbers(edges[own + 1]) - moved.numbers(edges[own])
        inside = own[:, None] == np.arange(len(edges) - 1)
        share = inside.mean(axis=0)
        mean = rise @ inside / inside.sum(axis=0)
        # Its mean is that of the bin; its spread is that of a mean over a number of days that varies too.
        rises = mean + np.where(inside, rise[:, None] - mean, 0.0) / share
        return edges, np.concatenate([np.zeros((len(rise), 1)), np.cumsum(rises, axis=1)], axis=1)

    def finding(self, means: np.ndarray, chosen: list[int]) -> Finding:
        """Return how many days the emptiest bin has."""
        counts = [np.bincount(own).min() for _, own in (self._bins(means[:, place]) for place in chosen)]
        fewest = int(min(counts))
        return Finding(
            "days_in_bins", float(fewest), float(_FEW), fewest >= _FEW, False,
            f"The emptiest bin of the accumulated effects holds {fewest} of the explained samples; {_FEW} are enough.",
        )  # fmt: skip

    def _bins(self, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return edges, one or more, and the bin of each day; no bin is empty."""
        days = len(mean)
        count = max(1, min(self.config.bins, days // _FEW))
        # Values that are there, so that every bin holds the one that ends it.
        ends = (np.arange(1, count + 1) * days + count - 1) // count - 1
        edges = np.unique(np.sort(mean)[[0, *ends]])
        return edges, np.clip(np.searchsorted(edges, mean, side="left") - 1, 0, max(0, len(edges) - 2))
