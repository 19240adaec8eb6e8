"""Which input channel is the target's own variable on the coarse grid, and its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models._classical import Table
from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.arrays import beside
from pipeline.prepare.powers import backward
from pipeline.prepare.weights import cells_on_sphere
from pipeline.registry import suggest
from pipeline.samples import Samples

Array = Any

Variable = str | dict[str, str] | None
WHAT = (
    "Input channel that is taken, or {target: channel} where there are several; by default the one with the "
    "target's name."
)


def own_channels(table: Table, variable: str | Mapping[str, str] | None, kind: str) -> list[str]:
    """Return the channel of every target: what ``variable`` says, else the one with the target's name.

    Raises
    ------
    ConfigError
        If there is no such channel, or ``variable`` names a target that there is not.
    """
    layout = table.layout
    named = dict.fromkeys(layout.targets, variable) if isinstance(variable, str) else dict(variable or {})
    for target in named:
        if target not in layout.targets:
            known = ", ".join(layout.targets)
            raise ConfigError(
                f"{kind}: expected targets in the option `variable`, got {target!r}."
                f"{suggest(target, layout.targets)} Known: {known}."
            )
    wanted = [named.get(target, target) for target in layout.targets]
    for name in wanted:
        if name not in layout.channels:
            known = ", ".join(layout.channels)
            raise ConfigError(
                f"{kind}: expected the channel {name!r} among the inputs.{suggest(name, layout.channels)} "
                f"Known: {known}. Name one with the option `variable`."
            )
    return wanted


def own_fields(table: Table, samples: Samples, names: list[str], *, units: bool = False) -> Array:
    """Return the channels ``names``, shape (time, target, lat, lon) on the input grid.

    With ``units`` the numbers are turned back into the channels' units, as float64, where that can be
    done: not under an anomaly by day of the year. Cells that never had a value have no way to units; they
    take the value of the nearest that has.
    """
    layout, xp = table.layout, table.backend.xp
    layout.order(samples)  # refuses samples that lack a channel or lie on another grid
    places = [samples.schema.channels.index(name) for name in names]
    fields = xp.stack([samples.inputs[:, place, ...] for place in places], axis=1)
    affine = layout.channel_affine
    if not units or affine is None:
        return fields
    kept = [layout.channels.index(name) for name in names]
    scale, shift = (beside(part[kept].astype(float), fields) for part in (affine.scale, affine.shift))
    fields = xp.astype(fields, xp.float64) * scale + shift
    found = []
    for own, place in enumerate(kept):
        field = backward(fields[:, own, ...], affine.transform(place))
        known = np.broadcast_to(np.isfinite(affine.scale[place] + affine.shift[place]), layout.input_grid.shape)
        if not known.all():
            nearest = beside(_nearest_known(layout.input_grid, known), field)
            field = xp.reshape(xp.take(xp.reshape(field, (len(samples), -1)), nearest, axis=1), field.shape)
        found.append(field)
    return xp.stack(found, axis=1)


def _nearest_known(grid: Grid, known: np.ndarray) -> np.ndarray:
    """Return for every cell, in one row, the position of the nearest where ``known``; all themselves where none is."""
    from scipy.spatial import cKDTree

    if not known.any():
        return np.arange(known.size)
    places, there = cells_on_sphere(grid), np.flatnonzero(known)
    nearest: np.ndarray = there[cKDTree(places[there]).query(places)[1]]
    return nearest
