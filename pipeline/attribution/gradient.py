"""The plain gradient: how the explained number moves with each input, right where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject

if TYPE_CHECKING:
    from torch import Tensor


@ATTRIBUTIONS.register("gradient")
class Gradient(MapMethod):
    """The gradient of the explained number by each input, with its sign (Simonyan et al. 2014, arXiv:1312.6034).

    It says how sensitive a prediction is, not what made it: it hardly correlates with what each input adds to the
    number (Mamalakis et al. 2022, doi:10.1017/eds.2022.7).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    kind: ClassVar[str] = "sensitivity"
    title: ClassVar[str] = "Gradient"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the gradients of some explained days."""
        return subject.passes.over(len(inputs), lambda part: subject.gradient(inputs[part], which[part]))
