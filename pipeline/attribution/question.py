"""What is explained: a quantity of the prediction, as a weighted mean over cells, one number a day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.attribution.quantity import QUANTITIES


@dataclass(frozen=True, eq=False)
class Question:
    """The number that is explained: the weighted mean over some cells of a quantity of one answer.

    An answer is a target, or of a segmentation a class.

    Parameters
    ----------
    weights : ndarray of float64, shape (answer, lat, lon) or (time, answer, lat, lon)
        Zero outside the region and the mask, sum 1. With an axis of time every explained day has its own: cells of an
        event.
    scale : ndarray, shape (answer, lat, lon)
        Turns a difference in the space of the samples into one in units; not read for quantities without units.
    units : str
        Units of the explained number, ``"1"`` for chances and logarithms.
    label : str
        What it is, in words: ``"mean tas over 330 cells"``.
    quantity : str
        Name in ``QUANTITIES``.
    threshold : ndarray or None, shape (answer, lat, lon)
        For chances of reaching it, in the space of the samples.
    """

    weights: np.ndarray
    scale: np.ndarray
    units: str
    label: str
    quantity: str = "mean"
    threshold: np.ndarray | None = None

    @property
    def factors(self) -> np.ndarray:
        """What each cell's quantity is multiplied by before all are added up; zero where it is not read.

        float64, of the shape of ``weights``.
        """
        if not QUANTITIES[self.quantity].scaled:
            return np.asarray(self.weights, np.float64)
        scale = np.broadcast_to(np.asarray(self.scale, np.float64), self.weights.shape)
        return np.where(self.weights != 0, self.weights * np.where(self.weights != 0, scale, 0.0), 0.0)
