"""Integrated gradients: how much of a prediction's departure from a baseline each input cell makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, over_draws
from pipeline.attribution.subject import Subject, gradients_of
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class IntegratedGradientsConfig(ModelConfig):
    """Options of integrated gradients."""

    steps: int = Field(default=32, ge=2, description="Points on the path from the baseline, at first.")
    max_steps: int = Field(default=512, ge=2, description="Steps are doubled up to here while the gap is too large.")
    tolerance: float = Field(default=0.01, gt=0, description="Completeness gap at which no more steps are taken.")
    batch: int | None = Field(
        default=None,
        ge=1,
        description="Most fields in one pass; as many as a training step by default, halved if memory is short.",
    )

    @model_validator(mode="after")
    def _order(self) -> IntegratedGradientsConfig:
        if self.max_steps < self.steps:
            raise ValueError(f"expected max_steps of at least steps ({self.steps}), got {self.max_steps}")
        return self


@ATTRIBUTIONS.register("integrated_gradients")
class IntegratedGradients(MapMethod):
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365).

    The attribution of input x_i is ``(x_i - x0_i)`` times the mean gradient of the explained number
    on the straight path from the baseline x0 to x. Attributions of one day add up to the departure of the prediction
    from that at the baseline; by how much they miss it is the completeness gap. Steps are doubled until it is small
    enough. Of a baseline of several draws it is the mean over them.
    """

    Config: ClassVar[type[ModelConfig]] = IntegratedGradientsConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    has_baseline: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    title: ClassVar[str] = "Integrated gradients"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days; all take as many steps as their sum needs."""
        if self.config.batch is not None:
            subject.passes.rows = min(subject.passes.rows, self.config.batch)

        def single(subject: Subject, inputs: Tensor, which: Tensor, start: Tensor) -> Tensor:
            whole = subject.numbers(inputs, which) - subject.numbers(start, which)
            steps = self.config.steps
            while True:
                found = self._path(subject, inputs, which, start, steps)
                missing = (found.double().sum((1, 2, 3)) - whole).abs().sum()
                if missing < self.config.tolerance * whole.abs().sum() or 2 * steps > self.config.max_steps:
                    return found
                steps = 2 * steps

        return over_draws(subject, inputs, which, baseline, single)

    def rough(self) -> IntegratedGradients:
        """Return the method with no more steps than it begins with."""
        return IntegratedGradients(self.config.model_copy(update={"max_steps": self.config.steps}))

    def _path(self, subject: Subject, inputs: Tensor, which: Tensor, start: Tensor, steps: int) -> Tensor:
        from captum.attr import IntegratedGradients as Captum

        method = Captum(subject.answer)

        def some(part: slice) -> Tensor:
            rows = max(1, min(subject.passes.rows, steps * (part.stop - part.start)))
            found = method.attribute(
                inputs[part],
                baselines=start[part],
                additional_forward_args=which[part],
                n_steps=steps,
                internal_batch_size=rows,
            )
            parts: Tensor = found.detach()
            return parts

        # Captum takes at least one step of all the days that it is given, so days are cut here.
        with gradients_of(subject.network):
            return subject.passes.over(len(inputs), some)
