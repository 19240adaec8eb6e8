"""Which input channel is the target's own variable on the coarse grid, and its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models._classical import Table
from pipeline.errors import ConfigError
from pipeline.prepare.arrays import beside
from pipeline.prepare.powers import backward
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
    done: not under an anomaly by day of the year.
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
    return xp.stack([backward(fields[:, own, ...], affine.transform(place)) for own, place in enumerate(kept)], axis=1)
