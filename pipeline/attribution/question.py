"""What is explained: the mean of a target over a region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.attribution import Question
from pipeline.errors import ConfigError
from pipeline.registry import suggest
from pipeline.samples import Schema
from pipeline.units import of_difference


def regional_mean(
    schema: Schema,
    scale: np.ndarray,
    region: Mapping[str, tuple[float, float]] | None = None,
    target: str | None = None,
) -> Question:
    """Return the question about the area-weighted mean of one target over a region.

    Parameters
    ----------
    schema : Schema
        Targets, their grid and mask.
    scale : ndarray, shape (target, lat, lon) or (target, 1, 1)
        Units of the target for one unit in the space of the samples.
    region : mapping, optional
        Bounds in ``lat`` and ``lon`` [degrees], both ends included; the whole mask by default.
    target : str, optional
        Name of the target; the first by default.

    Raises
    ------
    ConfigError
        If there is no such target, or no cell of the mask lies in the region.
    """
    name = target or schema.targets[0]
    if name not in schema.targets:
        known = ", ".join(schema.targets)
        raise ConfigError(f"explain: no target {name!r}.{suggest(name, schema.targets)} Known: {known}.")
    grid = schema.target_grid
    inside = schema.mask.copy()
    for axis, (low, high) in (region or {}).items():
        values = getattr(grid, axis)
        if values.ndim == 1:
            values = np.broadcast_to(values[:, None] if axis == "lat" else values[None, :], grid.shape)
        if axis == "lon":
            values = low + (values - low) % 360.0  # whichever way both count longitudes
        inside &= (values >= low) & (values <= high)
    if not inside.any():
        raise ConfigError(f"explain: no cell of the target lies in the region {dict(region or {})!r}.")
    position = schema.targets.index(name)
    weights = np.zeros((len(schema.targets), *grid.shape))
    area = np.where(inside, grid.area, 0.0)
    weights[position] = area / area.sum()
    where = (
        "" if region is None else " in " + ", ".join(f"{k} {low:g} to {high:g}" for k, (low, high) in region.items())
    )
    label = f"mean {name} over {int(inside.sum())} cells{where}"
    # What is explained is a departure from the baseline, so degC becomes K.
    units = of_difference(schema.target_units[position])
    return Question(weights, np.broadcast_to(scale, weights.shape), units, label)
