"""Layer-wise relevance propagation: the number, shared out layer by layer in proportion to what each cell adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._rules import AlphaBeta, Epsilon, Rule, Z, lrp_gradient
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject, gradients_of
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class LrpConfig(ModelConfig):
    """Options of LRP."""

    rule: Literal["z", "epsilon", "alpha_beta"] = Field(
        default="epsilon",
        description="How a layer shares relevance: z, in proportion to what each input adds; epsilon, less where they "
        "nearly cancel; alpha_beta, what adds and what takes off apart, negative inputs by their own sign.",
    )
    epsilon: float = Field(default=1e-2, gt=0, description="For rule: epsilon, added to the sum of a layer's inputs.")
    alpha: float = Field(default=1.0, ge=1, description="For rule: alpha_beta, weight of what adds.")
    beta: float = Field(default=0.0, ge=0, description="For rule: alpha_beta, weight of what takes off; alpha less 1.")

    @model_validator(mode="after")
    def _one_apart(self) -> LrpConfig:
        if abs(self.alpha - self.beta - 1.0) > 1e-9:
            raise ValueError(f"expected alpha - beta of 1, got {self.alpha:g} - {self.beta:g}: relevance would grow")
        return self

    def made(self) -> Rule:
        """Return the rule itself."""
        if self.rule == "z":
            return Z()
        return Epsilon(self.epsilon) if self.rule == "epsilon" else AlphaBeta(self.alpha, self.beta)


@ATTRIBUTIONS.register("lrp")
class Lrp(MapMethod):
    """Layer-wise relevance propagation (Bach et al. 2015, doi:10.1371/journal.pone.0130140).

    Relevance is told relative to inputs of zero, and biases take their part of it, so that the parts miss the departure
    by what the biases took: the completeness gap says how much. With ``rule: z`` and ReLUs it is input times gradient.
    With ``alpha_beta`` and beta 0 signs are lost. Gates of recurrent layers get nothing, norms count their statistics
    as constants (:mod:`pipeline.attribution._rules`).
    """

    Config: ClassVar[type[ModelConfig]] = LrpConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    has_baseline: ClassVar[bool] = True
    baselines: ClassVar[tuple[str, ...]] = ("zero",)
    title: ClassVar[str] = "LRP"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the relevances of some explained days."""
        rule: Rule = self.config.made()

        def some(part: slice) -> Tensor:
            slopes = lrp_gradient(lambda rows: subject.answer(rows, which[part]), inputs[part], rule)
            return inputs[part] * slopes

        with gradients_of(subject.network):
            return subject.passes.over(len(inputs), some)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return the rule."""
        config = self.config
        of = {"z": "z", "epsilon": f"epsilon of {config.epsilon:g}"}
        return f"rule {of.get(config.rule, f'alpha {config.alpha:g}, beta {config.beta:g}')}"
