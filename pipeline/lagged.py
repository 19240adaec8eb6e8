"""Inputs of several steps in time, each step kept once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prepare.arrays import rows
from pipeline.rows import Asked, Rows

Array = Any  # NumPy or CuPy; functions follow the namespace of what they get.


@dataclass(frozen=True, eq=False)
class Lagged:
    """Inputs of several steps in time, not laid out: a window of a year on daily data is 365 times the data.

    Parameters
    ----------
    values : array of float32, shape (step, channel, lat, lon)
        Every step once, channels without lags.
    scalars : array of float32, shape (step, scalar)
        Channels without a place.
    index : ndarray of int64, shape (time, lag)
        On the host: the steps that make each sample, in the order of the lags.
    now : ndarray of int64, shape (time,)
        On the host: the step of the sample itself, whose scalars it takes.
    """

    values: Array
    scalars: Array
    index: np.ndarray
    now: np.ndarray

    def __len__(self) -> int:
        return len(self.now)

    def take(self, chosen: np.ndarray) -> Lagged:
        """Return the samples at the positions ``chosen``."""
        return replace(self, index=self.index[chosen], now=self.now[chosen])

    def held(self) -> Lagged:
        """Return the same with the steps that it needs in memory, each once."""
        if not isinstance(self.values, Rows):
            return self
        steps = np.unique(np.concatenate([self.index.ravel(), self.now]))
        index, now = np.searchsorted(steps, self.index), np.searchsorted(steps, self.now)
        return Lagged(self.values[steps], rows(self.scalars, steps), index, now)

    def array(self) -> Array:
        """Return the inputs laid out, shape (time, channel, lat, lon): lag by lag, then scalars.

        Of values that are in a file they are rows, laid out when they are asked for.
        """
        if isinstance(self.values, Rows):
            channels = self.index.shape[1] * self.values.shape[1] + self.scalars.shape[1]
            shape = (len(self), channels, *self.values.shape[2:])
            own = self.values
            return Asked(own.backend, shape, own.dtype, lambda places: self.take(places).held().array(), own)
        xp = array_namespace(self.values)
        parts = [rows(self.values, index) for index in self.index.T]
        if self.scalars.shape[1]:
            numbers = rows(self.scalars, self.now)[:, :, None, None]
            parts.append(xp.broadcast_to(numbers, (*numbers.shape[:2], *self.values.shape[2:])))
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)
