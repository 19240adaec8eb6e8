"""Predictions of parts of the times put together."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction


def joined(parts: Sequence[Prediction]) -> Prediction:
    """Return predictions of one family one behind the other in time, where they lie.

    Examples
    --------
    >>> import numpy as np
    >>> parts = [Prediction("point", {"mean": np.full((days, 1, 2, 2), 5.0)}) for days in (3, 4)]
    >>> joined(parts).mean().shape
    (7, 1, 2, 2)
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    xp = array_namespace(*first.parameters.values())
    # Of members and classes the axis before the times is their number.
    return Prediction(
        first.family, {name: xp.concat([part.parameters[name] for part in parts], axis=-4) for name in first.parameters}
    )
