"""Forests behind a model's answers, as explanations ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.backend.estimators import Estimator
    from pipeline.samples import Samples

Array = Any


@dataclass(frozen=True, eq=False)
class TreePart:
    """A weighted sum over the outputs of one forest, asked about one or several items (cells) of each sample.

    Parameters
    ----------
    forest : Estimator
        Fitted.
    rows : callable
        From samples to what the forest reads of them, float32, shape (time, item, feature).
    weights : array of float64, shape (sum, item, output)
        Of the outputs; one sum for all samples, or one for each.
    spread : callable
        From parts that features have in the sums, float64, shape (time, item, feature), to those that input cells
        have, (time, channel, lat, lon), which add up to the same.
    """

    forest: Estimator
    rows: Callable[[Samples], Array]
    weights: Array
    spread: Callable[[Array], Array]
