"""New predictors as a graph takes them: in units, lag by lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.export.graph import FORCINGS, LAG_PHASE, LEAD_PHASE, PHASE, PREDICTORS
from pipeline.prepare.align import Predictors
from pipeline.prepare.dates import elapsed
from pipeline.prepare.inputs import InputTransform
from pipeline.prepare.missing import last_known
from pipeline.prepare.powers import backward, forward
from pipeline.prepare.recipe import Recipe
from pipeline.prepare.windows import segments
from pipeline.rows import whole
from pipeline.samples import Samples


@dataclass(frozen=True, eq=False)
class Given:
    """Inputs of a graph, one row a sample.

    Parameters
    ----------
    inputs : dict of str to ndarray
        By the names of :mod:`pipeline.export.graph`, on the host.
    """

    inputs: dict[str, np.ndarray]

    def take(self, chosen: np.ndarray | slice) -> Given:
        """Return those of some samples."""
        return Given({name: values[chosen] for name, values in self.inputs.items()})


def encode_in_units(
    recipe: Recipe, predictors: Predictors, forcings: Sequence[xr.Dataset], *, name: str, step: int | None
) -> tuple[Samples, Given]:
    """Return the samples of :meth:`~pipeline.prepare.recipe.Recipe.encode` and what a graph takes of each.

    Raises
    ------
    DataError, SplitError
        As ``encode`` does.
    """
    samples, chosen, steps = recipe.encode_with(predictors, forcings, name=name, step=step)
    raw = np.asarray(recipe.backend.to_host(whole(recipe.carried(predictors, step)[1])))
    if recipe.encoder.missing == "last":
        raw = _filled(
            recipe.encoder, recipe.backend, raw, steps.phase, segments(elapsed(steps.time), recipe.schema.step_us)
        )
    laid = raw[chosen.index]  # (sample, lag, channel, lat, lon)
    return samples, Given(
        {
            PREDICTORS: laid.reshape(len(laid), -1, *laid.shape[3:]).astype(np.float32),
            FORCINGS: recipe.forcing_values(forcings, steps.time)[chosen.now].astype(np.float32),
            LAG_PHASE: steps.phase[chosen.index].astype(np.float32),
            PHASE: steps.phase[chosen.now][:, None].astype(np.float32),
            LEAD_PHASE: samples.valid_day.astype(np.float32),
        }
    )


def _filled(
    encoder: InputTransform, backend: Backend, raw: np.ndarray, phase: np.ndarray, run: np.ndarray
) -> np.ndarray:
    """Return values in units with the last known in place of missing ones: of anomalies, where those are taken.

    A gap of a week in spring is filled with the last departure from the season, not with the last temperature. An
    amount that this would take below zero is zero.
    """
    values = raw.astype(np.float64)
    for place, kind in enumerate(encoder.transforms):
        values[:, place] = np.asarray(forward(values[:, place], kind))
    season: np.ndarray | float = 0.0
    if encoder.anomaly is not None:
        season = np.asarray(backend.to_host(encoder.anomaly.mean_at(phase)))
    values = last_known(values - season, run) + season
    for place, kind in enumerate(encoder.transforms):
        values[:, place] = np.asarray(backward(values[:, place], kind))
    found: np.ndarray = np.where(np.isfinite(raw), raw, values)
    return found
