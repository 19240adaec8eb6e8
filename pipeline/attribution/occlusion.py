"""Occlusion: what the explained number loses when a patch of the inputs is put to the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._channels import places_by_variable
from pipeline.attribution.baseline import Baseline
from pipeline.attribution.maps import MapMethod, over_draws
from pipeline.attribution.subject import Subject
from pipeline.errors import ConfigError
from pipeline.model_config import ModelConfig

if TYPE_CHECKING:
    from torch import Tensor


class OcclusionConfig(ModelConfig):
    """Options of occlusion."""

    patch: int = Field(default=3, ge=1, description="Cells of a side of the patch; of stations each on its own.")
    stride: int = Field(default=1, ge=1, description="Cells from one patch to the next; at most the patch.")
    window: int = Field(default=1, ge=1, description="Steps of time, lags, that are put to the baseline together.")


@ATTRIBUTIONS.register("occlusion")
class Occlusion(MapMethod):
    """Occlusion by patches of the map and windows of time (Zeiler and Fergus 2014, arXiv:1311.2901).

    The number less what it is with one patch of one variable at the baseline, shared evenly over the patch's cells and
    lags and averaged over the patches that cover them. It asks the model itself, any model, and needs one pass a
    patch. Patches lie on all channels of a variable that are next to each other in time, ``window`` at once; a channel
    without a place is one patch.
    """

    Config: ClassVar[type[ModelConfig]] = OcclusionConfig
    has_baseline: ClassVar[bool] = True
    title: ClassVar[str] = "Occlusion"

    def attribute(self, subject: Subject, inputs: Tensor, which: Tensor, baseline: Baseline) -> Tensor:
        """Return the attributions of some explained days."""
        import torch

        config = self.config
        if config.stride > config.patch:
            raise ConfigError(
                f"explain: occlusion: expected a stride of at most the patch, {config.patch}, got {config.stride}: "
                "cells between patches would never be covered."
            )
        patches = list(self._patches(subject, inputs))
        plain = subject.numbers(inputs, which)

        def single(subject: Subject, inputs: Tensor, which: Tensor, start: Tensor) -> Tensor:
            total, count = torch.zeros_like(inputs), torch.zeros_like(inputs[0])
            for channels, rows, columns in patches:
                cells = (slice(None), channels, rows, columns)
                hidden = inputs.clone()
                hidden[cells] = start[cells]
                lost = (plain - subject.numbers(hidden, which)).to(inputs.dtype)
                size = int(np.prod(hidden[cells].shape[1:]))
                total[cells] += (lost / size)[:, None, None, None]
                count[cells[1:]] += 1.0
            return total / count

        return over_draws(subject, inputs, which, baseline, single)

    def detail(self, subject: Subject, baseline: Baseline) -> str:
        """Return the size of the patches."""
        steps = f" and {self.config.window} steps" if self.config.window > 1 else ""
        return f"patches of {self.config.patch} x {self.config.patch} cells{steps}"

    def _patches(self, subject: Subject, inputs: Tensor) -> Iterator[tuple[list[int], slice, slice]]:
        """Yield channels, rows and columns of every patch."""
        schema = None if subject.case is None else subject.case.samples.schema
        rows, columns = inputs.shape[2:]
        patch, stride, window = self.config.patch, self.config.stride, self.config.window
        # Stations that stand next to each other in a table need not do so on the Earth.
        across = 1 if schema is not None and schema.input_grid.stations else patch
        for group in places_by_variable(schema, inputs.shape[1]):
            for first in range(max(1, len(group.places) - window + 1)):
                channels = group.places[first : first + window]
                if group.scalar:
                    yield channels, slice(0, rows), slice(0, columns)
                    continue
                for top in _starts(rows, patch, stride):
                    for left in _starts(columns, across, min(stride, across)):
                        yield channels, slice(top, top + patch), slice(left, left + across)


def _starts(size: int, patch: int, stride: int) -> list[int]:
    """Return where patches begin, the last one at the edge.

    Examples
    --------
    >>> _starts(6, 3, 2), _starts(2, 3, 1)
    ([0, 2, 3], [0])
    """
    last = max(0, size - patch)
    return sorted({*range(0, last + 1, stride), last})
