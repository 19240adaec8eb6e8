"""What a model said, as it is written and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.prediction import Array, Prediction


@dataclass(frozen=True)
class Variable:
    """Name and CF attributes of a predicted variable; empty ones are left out of the file.

    Parameters
    ----------
    name, units, standard_name, long_name : str
        As CF has them.
    classes : tuple of str
        Of a variable that is the number of a class: their names, in the order of the numbers 0, 1, ...
    """

    name: str
    units: str
    standard_name: str = ""
    long_name: str = ""
    classes: tuple[str, ...] = ()


class Origin(Protocol):
    """Where a tile was cut: its image, and its first row and column there."""

    @property
    def image(self) -> str:
        """Name of the image."""

    @property
    def y(self) -> int:
        """First row."""

    @property
    def x(self) -> int:
        """First column."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a model said about one split, or about a part of it.

    Parameters
    ----------
    split : str
        ``validation`` or the name of a test set.
    time : ndarray, shape (time,)
        ``datetime64`` or cftime objects.
    prediction : Prediction
        In units; parameters of shape (time, target, lat, lon), those with a leading axis (of members, classes)
        with it in front, NaN outside the mask.
    truth : array, shape (time, target, lat, lon), or None
        In the same units, or numbers of classes; None where the split has no truth.
    valid : ndarray, shape (time, lead), or None
        Of forecasts some steps ahead: what times they are for, like ``time``.
    """

    split: str
    time: np.ndarray
    prediction: Prediction
    truth: Array | None
    valid: np.ndarray | None = None

    def rows(self, start: int, stop: int) -> Forecast:
        """Return the times from ``start`` to before ``stop``; no copy."""
        return Forecast(
            self.split,
            self.time[start:stop],
            self.prediction.map(lambda array: array[..., start : min(stop, len(self.time)), :, :, :]),
            None if self.truth is None else self.truth[start : min(stop, len(self.time)), ...],
            None if self.valid is None else self.valid[start:stop],
        )
