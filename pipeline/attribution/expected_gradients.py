"""Expected gradients: integrated gradients over random baselines and random points on their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, departures
from pipeline.attribution.subject import Subject, gradients_of
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class ExpectedGradientsConfig(ModelConfig):
    """Options of expected gradients."""

    draws: int = Field(
        default=128, ge=2, description="Points on the paths from all drawn baselines together, at first."
    )
    max_draws: int = Field(default=2048, ge=2, description="Points are doubled up to here while the gap is too large.")
    tolerance: float = Field(default=0.01, gt=0, description="Completeness gap at which no more points are drawn.")

    @model_validator(mode="after")
    def _order(self) -> ExpectedGradientsConfig:
        if self.max_draws < self.draws:
            raise ValueError(f"expected max_draws of at least draws ({self.draws}), got {self.max_draws}")
        return self


@ATTRIBUTIONS.register("expected_gradients")
class ExpectedGradients(MapMethod):
    """Expected gradients, GradientSHAP (Erion et al. 2021, doi:10.1038/s42256-021-00343-w; arXiv:1906.10670).

    The mean over drawn baselines x0 and drawn points between x0 and x of ``(x - x0)`` times the gradient there: with
    baselines drawn from the train split they are the departure from the mean prediction of the climate. Of each
    baseline the path is cut in equal parts, and a point is drawn in each: of as many points drawn anywhere the error is
    many times larger. Points are doubled until the parts add up.
    """

    Config: ClassVar[type[ModelConfig]] = ExpectedGradientsConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    title: ClassVar[str] = "Expected gradients"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days; all take as many points as their sum needs."""
        whole = departures(subject, inputs, which, baseline)
        draws = self.config.draws
        while True:
            found = self._drawn(subject, inputs, which, baseline, max(2, draws // baseline.count))
            missing = (found.double().sum((1, 2, 3)) - whole).abs().sum()
            if missing < self.config.tolerance * whole.abs().sum() or 2 * draws > self.config.max_draws:
                return found
            draws = 2 * draws

    def rough(self) -> ExpectedGradients:
        """Return the method with no more points than it begins with."""
        return ExpectedGradients(self.config.model_copy(update={"max_draws": self.config.draws}))

    def _drawn(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline, points: int) -> Tensor:
        """Return the mean over ``points`` on the path from each baseline."""
        import torch

        random = torch.Generator().manual_seed(subject.seed % 2**63)
        total = torch.zeros_like(inputs)
        for draw in range(baseline.count):
            at = (torch.arange(points) + torch.rand(points, generator=random, dtype=torch.float64)) / points
            for share in at.tolist():

                def some(part: slice, share: float = share, draw: int = draw) -> Tensor:
                    away = inputs[part] - baseline.at(draw, which[part])
                    return away * subject.gradient(inputs[part] - (1.0 - share) * away, which[part])

                with gradients_of(subject.network):
                    total += subject.passes.over(len(inputs), some)
        mean: Tensor = total / (points * baseline.count)
        return mean

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return how many points."""
        return f"{self.config.draws} to {self.config.max_draws} points on the paths"
