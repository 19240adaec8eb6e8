"""Input times gradient: the departure of each input from the baseline, times the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, over_draws
from pipeline.attribution.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor


@ATTRIBUTIONS.register("input_x_gradient")
class InputXGradient(MapMethod):
    """``(x - x0)`` times the gradient at x (Shrikumar et al. 2016, arXiv:1605.01713).

    With the baseline zero it is input times gradient of the literature, and for networks of ReLUs the same as LRP-z.
    It adds up to the departure only where the number is linear in the inputs.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    has_baseline: ClassVar[bool] = True
    title: ClassVar[str] = "Input x gradient"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days."""
        slopes = subject.passes.over(len(inputs), lambda part: subject.gradient(inputs[part], which[part]))
        return over_draws(subject, inputs, which, baseline, lambda subject, inputs, which, at: (inputs - at) * slopes)
