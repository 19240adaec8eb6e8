"""DeepLIFT: differences from a baseline, handed back through the network by their own quotients."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._rules import deep_lift_gradient
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, over_draws
from pipeline.attribution.subject import Subject, gradients_of

if TYPE_CHECKING:
    from torch import Tensor


@ATTRIBUTIONS.register("deep_lift")
class DeepLift(MapMethod):
    """DeepLIFT with the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685); of several baselines their mean.

    Every function of the network hands a difference back by the quotient of its own differences between the input and
    the baseline, in place of its slope at one of them: one pass of each for a day, and the parts add up exactly. It
    works on whatever functions a network calls, recurrent layers and norms too (:mod:`pipeline.attribution._rules`);
    with a baseline of drawn days it is DeepSHAP's mean (Lundberg and Lee 2017, arXiv:1705.07874).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    title: ClassVar[str] = "DeepLIFT"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days."""

        def single(subject: Subject, inputs: Tensor, which: Tensor, start: Tensor) -> Tensor:
            def some(part: slice) -> Tensor:
                slopes = deep_lift_gradient(lambda rows: subject.answer(rows, which[part]), inputs[part], start[part])
                return (inputs[part] - start[part]) * slopes

            with gradients_of(subject.network):
                return subject.passes.over(len(inputs), some, cost=2)

        return over_draws(subject, inputs, which, baseline, single)
