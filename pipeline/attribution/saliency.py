"""Aggregated saliency: where a downscaling model looks for each of its cells, and how far."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.attribution import ATTRIBUTIONS, Attribution, AttributionMethod, Case
from pipeline.attribution._channels import by_variable
from pipeline.attribution.dispersion import saliency_aggregates
from pipeline.attribution.maps import tensor_of
from pipeline.attribution.subject import gradients_of
from pipeline.model_config import ModelConfig
from pipeline.samples import Schema
from pipeline.training.config import TrainingConfig


class SaliencyConfig(ModelConfig):
    """Options of aggregated saliency."""

    maps: Literal["gradient", "input_x_gradient"] = Field(
        default="gradient", description="What the map of a cell is: how its answer moves, or that times the departure."
    )
    cells: int | None = Field(
        default=256, ge=1, description="Target cells that are asked, drawn evenly over the question's; none: all."
    )
    by_area: bool = Field(default=False, description="Whether maps count by the area of their target cell.")


@ATTRIBUTIONS.register("saliency")
class Saliency(AttributionMethod):
    """Aggregated saliency map and saliency dispersion (González-Abad et al. 2023, doi:10.1029/2023MS003641).

    For every day and target cell, how each input moves the cell's answer, as shares: their mean over cells and days is
    the aggregated map, and the mean distance of what a cell looks at is its dispersion [km]. One forward pass serves a
    block of days, one backward pass a cell on all of them. It tells where a model looks, not what made a prediction.
    """

    Config: ClassVar[type[ModelConfig]] = SaliencyConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})
    tasks: ClassVar[frozenset[str]] = frozenset({"downscaling"})
    quantities: ClassVar[frozenset[str]] = frozenset({"mean"})
    has_baseline: ClassVar[bool] = True
    kind: ClassVar[str] = "aggregate"
    title: ClassVar[str] = "Aggregated saliency"

    def explain(self, case: Case) -> Attribution:
        """Aggregate the maps of the question's cells; groups of days are those of the case."""
        samples, context, schema = case.samples, case.context, case.samples.schema
        shape = case.question.weights.shape[-3:]
        weights: np.ndarray = np.any(case.question.weights.reshape(-1, *shape) != 0, axis=0)
        answer = int(np.any(weights, axis=(1, 2)).argmax())
        inside = replace(schema, mask=weights[answer] & schema.mask)
        network = case.model.network(samples, context)
        config = case.model.config
        with gradients_of(network):
            found = saliency_aggregates(
                network,
                tensor_of(samples, case),
                inside,
                of=self.config.maps,
                baseline=case.baseline,
                answer=answer,
                cells=self.config.cells if self.config.cells and self.config.cells < inside.mask.sum() else None,
                groups={group.name: group.days for group in case.groups if group.kind != "all"},
                by_area=self.config.by_area,
                rows=config.batch_size if isinstance(config, TrainingConfig) else 64,
                seed=context.seed_for("saliency"),
                progress=context.progress,
                name=context.name,
            )
        importance = np.nan_to_num(found.whole.saliency).sum(axis=(1, 2))
        low, high = _spread_over_lags(importance, found.whole.shares_low, found.whole.shares_high, schema)
        start = f", from the baseline {case.baseline.words}" if self.config.maps == "input_x_gradient" else ""
        return Attribution(
            method="saliency",
            values=None,
            importance=importance,
            low=low,
            high=high,
            measure="mean share of the saliency [1]",
            findings=(),
            note=(
                f"Aggregated saliency of the cells of the {case.question.label} on {len(samples)} "
                f"{schema.step_word}s of {samples.name}{start}. {found.note}"
            ),
            aggregates=found,
        )


def _spread_over_lags(
    importance: np.ndarray, low: np.ndarray, high: np.ndarray, schema: Schema
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the intervals of variables for channels, where every variable is one channel; else none."""
    variables = by_variable(schema.channels, schema.scalars)
    if len(variables) < len(importance) or not np.isfinite(low).all():
        return None, None
    return low, high
