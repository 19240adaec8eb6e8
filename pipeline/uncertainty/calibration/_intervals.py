"""Central intervals around a frame, from the narrowest to the widest, the outermost by the shape of the base."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import narrow, wide
from pipeline.prediction.quantiles import levels
from pipeline.uncertainty.calibration._frames import Frame
from pipeline.uncertainty.calibration._groups import Groups

Array = Any


def laid_around(
    prediction: Prediction, frame: Frame, low: np.ndarray, high: np.ndarray, shift: np.ndarray, groups: Groups
) -> Array:
    """Return all quantiles in order, shape (quantile, time, target, lat, lon).

    Parameters
    ----------
    prediction : Prediction
        Whose shape goes on where a step is infinite: there the interval lies as far beyond the one inside it as
        those of the prediction do, times the ratio of their widths; where these have none, as those of a normal
        distribution.
    frame : Frame
        What intervals are laid around.
    low, high : ndarray, shape (interval, target, group in time, group in space)
        How many units the lower and the upper ends move outwards, the widest interval first.
    shift : ndarray, shape (target, group in time, group in space)
        How far the median moves.
    groups : Groups
        Of samples and cells.
    """
    like = next(iter(prediction.parameters.values()))
    xp = array_namespace(like)
    count = 2 * len(low) + 1
    at = levels(count)
    median = frame.end(0.5) + groups.spread(shift, like, xp.float64)
    inner = (median, median)
    lower: list[Array] = []
    upper: list[Array] = []
    for place in reversed(range(len(low))):
        steps = [groups.spread(part[place], like, xp.float64) for part in (low, high)]
        endless = xp.isinf(steps[0]) | xp.isinf(steps[1])
        finite = [xp.where(endless, xp.zeros_like(step), step) * frame.unit for step in steps]
        ends = (frame.end(float(at[place])) - finite[0], frame.end(float(at[count - 1 - place])) + finite[1])
        if np.isinf(low[place]).any() or np.isinf(high[place]).any():
            beyond = _beyond(prediction, inner, float(at[place]), float(at[place + 1]))
            ends = (xp.where(endless, beyond[0], ends[0]), xp.where(endless, beyond[1], ends[1]))
        inner = (xp.minimum(ends[0], inner[0]), xp.maximum(ends[1], inner[1]))
        lower.append(narrow(inner[0], like))
        upper.append(narrow(inner[1], like))
    return xp.stack([*reversed(lower), narrow(median, like), *upper], axis=0)


def _beyond(prediction: Prediction, inner: Sequence[Array], level: float, before: float) -> tuple[Array, Array]:
    """Return the ends at ``level`` that go on from those at ``before`` as the prediction does."""
    low, high, low_before, high_before = wide(
        *(prediction.quantile(at) for at in (level, 1.0 - level, before, 1.0 - before))
    )
    xp = array_namespace(low)
    width, own = inner[1] - inner[0], high_before - low_before
    none = own <= 0.0
    normal = NormalDist()
    share = 0.5 * (normal.inv_cdf(level) / normal.inv_cdf(before) - 1.0)
    scale = width / xp.where(none, xp.ones_like(own), own)
    steps = (xp.where(none, width * share, part * scale) for part in (low_before - low, high - high_before))
    down, up = steps
    return inner[0] - down, inner[1] + up
