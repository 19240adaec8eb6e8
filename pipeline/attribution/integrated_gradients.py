"""Integrated gradients: how much of a prediction's departure from climatology each input cell makes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from pipeline.attribution import ATTRIBUTIONS, Attribution, AttributionMethod, Question
from pipeline.model import Context, Model
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.config import TrainingConfig

log = logging.getLogger(__name__)

_RESAMPLES = 2000


class IntegratedGradientsConfig(ModelConfig):
    """Options of integrated gradients."""

    steps: int = Field(default=32, ge=2, description="Points on the path from the baseline, at first.")
    max_steps: int = Field(default=512, ge=2, description="Steps are doubled up to here while the gap is too large.")
    tolerance: float = Field(default=0.01, gt=0, description="Largest completeness gap that is trusted.")
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


@dataclass(frozen=True, eq=False)
class _Attributed:
    """Attributions (time, channel, lat, lon), and what they should add up to (time,), in units."""

    values: np.ndarray
    difference: np.ndarray
    steps: int

    @property
    def missing(self) -> np.ndarray:
        missing: np.ndarray = np.abs(self.values.sum(axis=(1, 2, 3), dtype=np.float64) - self.difference)
        return missing

    @property
    def gap(self) -> float:
        """All that is missing over all there is: days that hardly depart from the baseline cannot blow it up."""
        whole = float(np.abs(self.difference).sum())
        return float(self.missing.sum()) / whole if whole > 0 else float(self.missing.sum())


@ATTRIBUTIONS.register("integrated_gradients")
class IntegratedGradients(AttributionMethod):
    """Integrated gradients from the train climatology (Sundararajan et al. 2017, arXiv:1703.01365).

    The attribution of input x_i is ``(x_i - x0_i)`` times the mean gradient of the explained number
    on the straight path from the baseline x0 to x. The baseline is zero in standardised space: the
    train split's mean. Attributions of one day add up to the departure of the prediction from that
    at the baseline; by how much they miss it is the check.
    """

    Config: ClassVar[type[ModelConfig]] = IntegratedGradientsConfig
    needs: ClassVar[frozenset[str]] = frozenset({"differentiable"})

    def explain(self, model: Model, samples: Samples, question: Question, context: Context) -> Attribution:
        """Explain ``question``; steps are doubled until the completeness gap is small enough.

        ``importance`` is the mean over days of the absolute attributions added up over cells;
        ``low, high`` are its bootstrap interval over days.
        """
        network = model.network(samples, context)
        forward = region_mean(network, question)
        batch = self.config.batch or (model.config.batch_size if isinstance(model.config, TrainingConfig) else 64)
        steps = self.config.steps
        with _gradients_of(network), context.progress(f"integrated gradients of {context.name}") as bar:
            while True:
                found, batch = _attribute(forward, samples, context, steps, batch)
                bar.advance(note=f"{steps} steps, gap {found.gap:.2%}")
                if found.gap < self.config.tolerance or steps >= self.config.max_steps:
                    break
                steps = min(2 * steps, self.config.max_steps)
        trusted = found.gap < self.config.tolerance
        if not trusted:
            log.warning("%s: attributions miss %.1f %% after %d steps", context.name, 100 * found.gap, steps)
        return self._answer(found, samples, question, context, trusted=trusted)

    def _answer(
        self, found: _Attributed, samples: Samples, question: Question, context: Context, *, trusted: bool
    ) -> Attribution:
        daily = np.abs(found.values).sum(axis=(2, 3), dtype=np.float64)
        low, high = _interval(daily, context.seed_for("integrated_gradients"))
        scale, step = float(np.abs(found.difference).mean()) or 1.0, samples.schema.step_word
        return Attribution(
            method="integrated_gradients",
            maps=found.values.mean(axis=0, dtype=np.float64),
            importance=daily.mean(axis=0),
            low=low,
            high=high,
            measure=f"mean over {step}s of the absolute attribution, summed over cells [{question.units}]",
            checks={
                "completeness_gap": found.gap,
                "completeness_gap_worst_day": float(found.missing.max()) / scale,
                "steps": float(found.steps),
            },
            trusted=trusted,
            note=(
                f"Integrated gradients of the {question.label} on {len(samples)} {step}s of {samples.name}, from the "
                f"baseline zero in standardised space (the train climatology), {found.steps} steps; the attributions "
                f"of a {step} add up to its departure from the prediction at the baseline within {found.gap:.2%}."
            ),
        )


def region_mean(network: Any, question: Question) -> Callable[[Any], Any]:
    """Return a function from inputs, a tensor (time, channel, lat, lon), to the explained number [units], (time,).

    Cells of weight zero are not read, so whatever the network says there, NaN too, has no effect.
    """
    import torch

    chosen = np.flatnonzero(question.weights)
    factor = question.weights.ravel()[chosen].astype(np.float64) * question.scale.ravel()[chosen]

    def forward(inputs: Any) -> Any:
        output = network(inputs).flatten(1)
        cells = torch.as_tensor(chosen, device=output.device)
        return output[:, cells].double() @ torch.as_tensor(factor, device=output.device)

    return forward


def _attribute(
    forward: Callable[[Any], Any], samples: Samples, context: Context, steps: int, batch: int
) -> tuple[_Attributed, int]:
    """Return the attributions and the batch that fitted into memory."""
    while True:
        try:
            return _attribute_all(forward, samples, context, steps, batch), batch
        except RuntimeError as error:
            if batch == 1 or not _short_of_memory(error):
                raise
            batch //= 2
            log.info("%s: short of memory, on with %d fields in one pass", context.name, batch)


def _attribute_all(
    forward: Callable[[Any], Any], samples: Samples, context: Context, steps: int, batch: int
) -> _Attributed:
    import torch
    from captum.attr import IntegratedGradients as Captum

    method = Captum(forward)
    values, differences = [], []
    # Captum takes at least one step of all the days that it is given, so days are cut here.
    for start in range(0, len(samples), batch):
        xp = context.backend.xp
        inputs = context.backend.to_torch(xp.asarray(samples.inputs[start : start + batch, ...], copy=True))
        baseline = torch.zeros_like(inputs)
        found = method.attribute(inputs, baselines=baseline, n_steps=steps, internal_batch_size=batch)
        with torch.no_grad():
            differences.append((forward(inputs) - forward(baseline)).cpu().numpy())
        values.append(found.detach().cpu().numpy())
    return _Attributed(np.concatenate(values), np.concatenate(differences), steps)


def _gradients_of(network: Any) -> AbstractContextManager[Any]:
    """Return what must hold while gradients are taken: cuDNN's RNNs have none in eval mode."""
    import torch

    recurrent = any(isinstance(module, torch.nn.RNNBase) for module in network.modules())
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()


def _short_of_memory(error: RuntimeError) -> bool:
    import torch

    # On the CPU torch has no class of its own for it.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _interval(daily: np.ndarray, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the 95 % percentile bootstrap interval of the mean over days; None for a single day."""
    days = len(daily)
    if days < 2:
        return None, None
    counts = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=_RESAMPLES)
    low, high = np.quantile(counts @ daily / days, (0.025, 0.975), axis=0)
    return low, high
