"""Ablation: what the explained number loses when a variable, a region or a lag is put to the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._parts import By, hidden, parts_of, spread
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, over_draws
from pipeline.attribution.subject import Subject
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

PARTS = (
    "What is put to the baseline together: variable (with all lags), channel (one lag of it), lag (all variables of a "
    "step back in time), region (boxes of all variables) or superpixel (boxes of one variable)."
)
BLOCK = "Cells of a side of a box, for region and superpixel."


class AblationConfig(ModelConfig):
    """Options of ablation."""

    by: By = Field(default="variable", description=PARTS)
    block: int = Field(default=4, ge=1, description=BLOCK)


@ATTRIBUTIONS.register("ablation")
class Ablation(MapMethod):
    """Feature ablation: the number less what it is with one part of the inputs at the baseline.

    It asks the model itself, any model, once a part and day. A part's loss is shared evenly over its cells, so that
    channels and cells add up to it. What two parts say alike is lost only when both are gone, so parts do not add up to
    the departure.
    """

    Config: ClassVar[type[ModelConfig]] = AblationConfig
    has_baseline: ClassVar[bool] = True
    title: ClassVar[str] = "Ablation"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days."""
        import torch

        schema = None if subject.case is None else subject.case.samples.schema
        rows, columns = inputs.shape[2:]
        parts = parts_of(schema, (inputs.shape[1], rows, columns), self.config.by, self.config.block)
        plain = subject.numbers(inputs, which)

        def single(subject: Subject, inputs: Tensor, which: Tensor, start: Tensor) -> Tensor:
            lost = [plain - subject.numbers(hidden(inputs, start, [part]), which) for part in parts]
            return spread(torch.stack(lost, dim=1), parts, inputs)

        return over_draws(subject, inputs, which, baseline, single)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return what the parts are."""
        by, block = self.config.by, self.config.block
        return f"by {by}" + (f" of {block} x {block} cells" if by in ("region", "superpixel") else "")
