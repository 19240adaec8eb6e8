"""SmoothGrad: the gradient, averaged over noise on the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import Subject, gradients_of
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class SmoothGradientConfig(ModelConfig):
    """Options of SmoothGrad."""

    draws: int = Field(default=20, ge=2, description="Draws of noise a day.")
    noise: float = Field(default=0.3, gt=0, description="Standard deviation of the noise on standardised inputs.")


@ATTRIBUTIONS.register("smooth_gradient")
class SmoothGradient(MapMethod):
    """SmoothGrad: the mean gradient over normal noise on the inputs (Smilkov et al. 2017, arXiv:1706.03825).

    The kinks of a network with ReLUs average out. The same noise is drawn for every seed, whatever is explained
    together.
    """

    Config: ClassVar[type[ModelConfig]] = SmoothGradientConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    kind: ClassVar[str] = "sensitivity"
    title: ClassVar[str] = "SmoothGrad"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the mean gradients of some explained days."""
        import torch

        # One field of noise a draw for all days: what is explained together makes no difference.
        random = torch.Generator().manual_seed(subject.seed % 2**63)
        total = torch.zeros_like(inputs)
        for _ in range(self.config.draws):
            drawn = torch.randn(inputs.shape[1:], generator=random, dtype=torch.float32).to(inputs)
            noise = self.config.noise * drawn

            def some(part: slice, noise: Tensor = noise) -> Tensor:
                return subject.gradient(inputs[part] + noise, which[part])

            with gradients_of(subject.network):
                total += subject.passes.over(len(inputs), some)
        mean: Tensor = total / self.config.draws
        return mean

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return how much noise."""
        return f"mean over {self.config.draws} draws of noise of {self.config.noise:g} standard deviations"
