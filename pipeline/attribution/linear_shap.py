"""SHAP values of linear models, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._asked import asked_case, day_weights, refuse_quantity
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


@ATTRIBUTIONS.register("linear_shap")
class LinearShap(MapMethod):
    """Slope times departure from the baseline: SHAP of a linear model (Lundberg and Lee 2017, arXiv:1705.07874).

    With inputs taken as independent, the Shapley value of ``x_i`` is ``slope_i * (x_i - mean of x0_i)`` over the
    baseline's draws: nothing has to be sampled. It is of the mean, and of two classes of the log odds. Where
    precipitation is kept from going below zero, the mean is linear only above: the number is then explained as it is
    without that bound, and the check of completeness says by how much it misses. A channel that is the same number at
    every cell shares its part evenly over the cells.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"linear"})
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    quantities: ClassVar[frozenset[str]] = frozenset({"mean", "log_odds"})
    title: ClassVar[str] = "Linear SHAP"

    @classmethod
    def unsuited(cls, model: ModelConfig, classes: int) -> str:
        """Return why: deviations over boxes, and log odds of more than two classes, are not linear."""
        if getattr(model, "neighbourhood", 0):
            return "with neighbourhood above 0, whose deviations over boxes are not linear"
        return f"of {classes} classes, whose log odds are linear for two alone" if classes > 2 else ""

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days.

        Raises
        ------
        ConfigError
            If the explained number is not linear in the inputs.
        """
        case = asked_case(subject, "linear_shap")
        classes = bool(case.samples.schema.classes)
        refuse_quantity("linear_shap", case.question.quantity, "log_odds" if classes else "mean")

        def slopes(days: np.ndarray) -> Tensor:
            found = case.model.slopes(case.samples, day_weights(case.question, days), case.context)
            tensor: Tensor = case.context.backend.to_torch(found)
            return tensor

        by_day = case.question.weights.ndim == 4
        same = None if by_day else slopes(which[:1].cpu().numpy())

        def some(part: slice) -> Tensor:
            slope = slopes(which[part].cpu().numpy()) if same is None else same
            start = sum(baseline.at(draw, which[part]).double() for draw in range(baseline.count)) / baseline.count
            return (slope * (inputs[part].double() - start)).to(inputs.dtype)

        return subject.passes.over(len(inputs), some)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Say that channels count as independent."""
        return "channels and cells taken as independent"
