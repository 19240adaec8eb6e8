"""What calibrations of probabilities of classes share."""

from __future__ import annotations

from typing import Any

from pipeline.backend import array_namespace
from pipeline.prediction import Prediction
from pipeline.prediction._arrays import narrow, wide
from pipeline.prediction.categorical import entropy

Array = Any
CHANCES, EXPECTED = "probabilities", "expected_entropy"


def refusal(prediction: Prediction) -> str | None:
    """Say why a prediction is none of classes; None where it is."""
    if set(prediction.parameters) in ({CHANCES}, {CHANCES, EXPECTED}):
        return None
    return (
        f"expected probabilities of classes, got the family {prediction.family!r}. Take variance_scaling, isotonic or "
        "conformal for numbers."
    )


def with_chances(prediction: Prediction, chances: Array) -> Prediction:
    """Return the prediction with other probabilities, shape (class, ...), float64.

    The mean entropy of members, where there is one, keeps its share in the whole: so does what members disagree by.
    """
    like = prediction.parameters[CHANCES]
    changed = {CHANCES: narrow(chances, like)}
    if EXPECTED in prediction.parameters:
        (expected,) = wide(prediction.parameters[EXPECTED])
        xp, before = array_namespace(expected), entropy(like)
        sure = before == 0.0
        share = xp.where(sure, xp.ones_like(before), expected / xp.where(sure, xp.ones_like(before), before))
        changed[EXPECTED] = narrow(share * entropy(chances), prediction.parameters[EXPECTED])
    return Prediction(prediction.family, changed)
