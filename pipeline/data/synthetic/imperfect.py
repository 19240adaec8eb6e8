"""The made coarse weather as another, imperfect model would give it: wrong means, wrong spread."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from pipeline.data.synthetic.config import SyntheticConfig
from pipeline.data.synthetic.fields import smooth_noise
from pipeline.seeding import generator

LENGTH = 2.0
"""Correlation length of the error's pattern, coarse cells."""


class Imperfection(BaseModel):
    """How far the coarse weather is off; nothing by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bias: float = Field(
        default=0.0, ge=0, le=5, description="Mean error of the coarse part, in deviations of each variable."
    )
    spread: float = Field(
        default=1.0, gt=0, le=3, description="Deviation of the coarse part in time, over the true one, about its mean."
    )


def worsened(coarse: xr.Dataset, config: SyntheticConfig, imperfection: Imperfection) -> xr.Dataset:
    """Return ``coarse`` with errors like those of a climate model's own climate.

    ``x' = m + spread (x - m) + bias s (b + p)``: m is the mean in time at each cell, s the deviation in time over
    all cells, b one number a variable and p a smooth pattern of the same variance 1/2, both drawn once from the
    seed. The day's true weather, and the fine temperature that follows from it, stay what they are. Moisture
    is kept above zero.

    Parameters
    ----------
    coarse : Dataset
        Variables of dims (time, lat, lon).
    config : SyntheticConfig
        Whose seed the errors follow from.
    imperfection : Imperfection
        Their size.
    """
    if imperfection == Imperfection():
        return coarse
    parts = {}
    for name, field in coarse.data_vars.items():
        values = field.values.astype(float)
        rng = generator(config.seed, f"imperfect:{name}")
        pattern = smooth_noise(rng, config.coarse, (LENGTH, LENGTH))
        error = np.sqrt(0.5) * (rng.standard_normal() + pattern) * values.std(axis=0).mean()
        mean = values.mean(axis=0)
        wrong = mean + imperfection.spread * (values - mean) + imperfection.bias * error
        if name == "hus850":
            wrong = np.maximum(wrong, 0.01)
        parts[name] = field.copy(data=wrong.astype(np.float32))
    return coarse.assign(parts)
