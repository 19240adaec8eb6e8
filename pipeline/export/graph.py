"""From predictors in their units to the parameters of the predictive distribution in its own, as one module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.prediction import FAMILIES, Prediction
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.inputs import is_table
from pipeline.prepare.recipe import Recipe

PREDICTORS, FORCINGS, LAG_PHASE, PHASE, LEAD_PHASE = "predictors", "forcings", "lag_phase", "phase", "lead_phase"


@dataclass(frozen=True)
class Input:
    """One input of a graph.

    Parameters
    ----------
    name : str
        Of :data:`PREDICTORS` and the others.
    shape : tuple of int
        Behind the first axis, which counts samples.
    words : str
        What it is.
    entries : tuple of str
        Names along the second axis, in their order.
    units : tuple of str
        Of each of them.
    """

    name: str
    shape: tuple[int, ...]
    words: str
    entries: tuple[str, ...]
    units: tuple[str, ...]


def inputs_of(recipe: Recipe) -> tuple[Input, ...]:
    """Return what the graph of a recipe asks for; nothing that it does not use."""
    encoder, scalars, schema = recipe.encoder, recipe.scalars, recipe.schema
    names = tuple(f"{name}@-{lag}" if lag else name for lag in encoder.lags for name in encoder.names)
    phase = "share of its year that has passed, from 0 at the start of 1 January to below 1, of the time"
    found = [
        Input(
            PREDICTORS,
            (len(names), *encoder.grid.shape),
            "predictors in units on the input grid, float32; NAME@-K is that of K steps before",
            names,
            encoder.units * len(encoder.lags),
        )
    ]
    if scalars.forcings:
        said = "series without a place in units, at the time of the sample"
        found.append(Input(FORCINGS, (len(scalars.forcings),), said, scalars.forcings, scalars.units))
    if encoder.anomaly is not None:
        lags = tuple(f"@-{lag}" if lag else "@0" for lag in encoder.lags)
        found.append(Input(LAG_PHASE, (len(lags),), f"{phase} of the predictors", lags, ("1",) * len(lags)))
    if scalars.calendar:
        found.append(Input(PHASE, (1,), f"{phase} of the sample", ("@0",), ("1",)))
    if _moves(recipe.transform.shift):
        leads = tuple(f"@+{lead}" if lead else "@0" for lead in schema.leads)
        found.append(Input(LEAD_PHASE, (len(leads),), f"{phase} that is answered", leads, ("1",) * len(leads)))
    return tuple(found)


def _moves(climatology: Climatology) -> bool:
    return int(climatology.mean.shape[0]) > 1


class Physical(nn.Module):
    """The whole way of one member; its constants are what was fitted on the train split.

    Parameters
    ----------
    recipe : Recipe
        What was fitted to prepare the data.
    answer : Module
        From samples to parameters, with the attribute ``family``: :meth:`pipeline.model.Model.answering`.
    """

    fitted_mean: Tensor
    fitted_deviation: Tensor
    fitted_unseen: Tensor
    fitted_forcing_mean: Tensor
    fitted_forcing_deviation: Tensor
    fitted_normals: Tensor
    fitted_scale: Tensor
    fitted_shift: Tensor

    def __init__(self, recipe: Recipe, answer: Any) -> None:
        super().__init__()
        encoder, scalars, transform = recipe.encoder, recipe.scalars, recipe.transform
        host = recipe.backend.to_host
        self.answer, self.family = answer, str(answer.family)
        self._inputs = tuple(one.name for one in inputs_of(recipe))
        self._lags, self._leads = len(encoder.lags), len(recipe.schema.leads)
        self._grid = encoder.grid.shape
        self._transforms = encoder.transforms
        self._fills = encoder.missing != "leave_out"
        self._table = is_table(encoder.grid, recipe.schema.target_grid)

        def constant(name: str, values: Any, kind: Any = np.float32) -> None:
            self.register_buffer(name, torch.tensor(np.asarray(host(values), kind)))

        constant("fitted_mean", encoder.scaler.mean)
        constant("fitted_deviation", encoder.scaler.deviation)
        constant("fitted_unseen", encoder.unseen, bool)
        constant("fitted_forcing_mean", scalars.mean, np.float64)
        constant("fitted_forcing_deviation", scalars.deviation, np.float64)
        constant("fitted_normals", np.zeros(0) if encoder.anomaly is None else encoder.anomaly.mean, np.float64)
        constant("fitted_scale", transform.scale)
        constant("fitted_shift", transform.shift.mean, np.float64)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map the inputs that :func:`inputs_of` names to the parameters of the family, in units."""
        given = dict(zip(self._inputs, inputs, strict=True))
        values = self._transformed(given[PREDICTORS].reshape(-1, self._lags, len(self._transforms), *self._grid))
        if LAG_PHASE in given:
            values = values - _means(self.fitted_normals, given[LAG_PHASE])
        values = (values - self.fitted_mean) / self.fitted_deviation
        values = torch.where(self.fitted_unseen, torch.zeros_like(values), values).flatten(1, 2)
        usable = torch.isfinite(values).all(dim=1)
        if self._fills or self._table:
            values = torch.where(torch.isfinite(values), values, torch.zeros_like(values))
        numbers = self._numbers(given)
        if numbers is not None:
            wide = numbers[:, :, None, None].expand(-1, -1, *self._grid)
            values = torch.cat([values, wide], dim=1)
        parameters = self.answer(values)
        names = FAMILIES.get(self.family).parameters
        prediction = Prediction(self.family, dict(zip(names, parameters, strict=True)))
        if not prediction.is_categorical:  # the numbers of classes have no units
            shift = self._shift(given)
            scale = torch.cat([self.fitted_scale] * self._leads) if self._leads > 1 else self.fitted_scale
            prediction = prediction.affine(torch.broadcast_to(scale, shift.shape), shift)
        answer = tuple(prediction.parameters[name] for name in names)
        if self._table and not self._fills:
            known = usable[:, None]
            answer = tuple(torch.where(known, part, torch.full_like(part, torch.nan)) for part in answer)
        return answer

    def _transformed(self, values: Tensor) -> Tensor:
        if set(self._transforms) == {"none"}:
            return values
        parts = []
        for place, kind in enumerate(self._transforms):
            part = values[:, :, place]
            if kind != "none":
                held = torch.where(part < 0, torch.zeros_like(part), part)
                part = torch.sqrt(held) if kind == "sqrt" else torch.log1p(held)
            parts.append(part)
        return torch.stack(parts, dim=2)

    def _numbers(self, given: dict[str, Tensor]) -> Tensor | None:
        parts = []
        if FORCINGS in given:
            parts.append(
                ((given[FORCINGS].double() - self.fitted_forcing_mean) / self.fitted_forcing_deviation).float()
            )
        if PHASE in given:
            angle = 2 * math.pi * given[PHASE]
            parts += [torch.cos(angle), torch.sin(angle)]
        return torch.cat(parts, dim=1) if parts else None

    def _shift(self, given: dict[str, Tensor]) -> Tensor:
        """Return what is added at every sample and target, (time, target, lat, lon)."""
        if LEAD_PHASE in given:
            return _means(self.fitted_shift, given[LEAD_PHASE]).flatten(1, 2)
        fixed = self.fitted_shift[0].float()
        fixed = torch.cat([fixed] * self._leads) if self._leads > 1 else fixed
        return fixed[None].expand(given[PREDICTORS].shape[0], *fixed.shape)


def _means(coefficients: Tensor, phase: Tensor) -> Tensor:
    """Return means at each phase, (time, k, variable, lat, lon), of harmonics and phases of shape (time, k)."""
    count = (coefficients.shape[0] - 1) // 2
    columns = [torch.ones_like(phase)]
    for k in range(1, count + 1):
        angle = 2 * math.pi * k * phase
        columns += [math.sqrt(2) * torch.cos(angle), math.sqrt(2) * torch.sin(angle)]
    design = torch.stack(columns, dim=-1).double()
    # NaN in a cell without values stays in that cell: it is no sum over cells.
    found: Tensor = (design @ coefficients.flatten(1)).float()
    return found.reshape(*found.shape[:2], *coefficients.shape[1:])


def outputs_of(parameters: Sequence[str]) -> list[str]:
    """Return what the outputs of a graph are called, the parameters of the family in its order.

    Examples
    --------
    >>> outputs_of(("mean", "sd"))
    ['predicted_mean', 'predicted_sd']
    """
    return [f"predicted_{name}" for name in parameters]  # "mean" alone may be what a step inside is called


def arguments(inputs: Sequence[Input], given: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return the arrays of a graph's inputs in its order, float32."""
    return tuple(np.ascontiguousarray(given[one.name], np.float32) for one in inputs)
