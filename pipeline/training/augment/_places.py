"""What augmentations ask of grids and names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.registry import suggest
from pipeline.samples import variable_of
from pipeline.training.augment._contract import World


def need_no_statics(world: World, kind: str) -> None:
    """Refuse static fields: a network has them for itself, so they stay where the weather does not.

    Raises
    ------
    ConfigError
        If there are any.
    """
    if len(world.static):
        raise ConfigError(
            f"{kind}: expected no static fields, got {len(world.static)}: they belong to their place and cannot go "
            f"along. Take {kind} out of augment, or leave out data.static."
        )


def need_one_grid(world: World, kind: str) -> Grid:
    """Return the grid that inputs and target share.

    Raises
    ------
    ConfigError
        If they lie on different ones, or are no fields.
    """
    mine, others = world.input_grid, world.target_grid
    if not mine.same(others):
        raise ConfigError(
            f"{kind}: expected inputs and target on one grid, got {mine.shape} and {others.shape} cells. Set "
            f"prepare.regrid.to: target, or take {kind} out of augment."
        )
    need_fields(mine, kind)
    return mine


def need_fields(grid: Grid, kind: str) -> None:
    """Refuse stations, and grids whose rows and columns are neither latitudes and longitudes nor pixels.

    Raises
    ------
    ConfigError
        If it is such a one.
    """
    if grid.stations or grid.lat.ndim != 1:
        what = "a table of stations" if grid.stations else "a projected grid"
        raise ConfigError(f"{kind}: expected a regular grid of latitudes and longitudes, or an image, got {what}.")


def is_mirrored(axis: np.ndarray, about: float) -> bool:
    """Whether the cells of ``axis`` lie alike on both sides of ``about``, to a thousandth of a cell.

    Examples
    --------
    >>> is_mirrored(np.array([-3.0, -1.0, 1.0, 3.0]), 0.0), is_mirrored(np.array([1.0, 2.0]), 0.0)
    (True, False)
    """
    step = abs(axis[-1] - axis[0]) / max(len(axis) - 1, 1)
    return bool(np.allclose(axis + axis[::-1], 2.0 * about, rtol=0.0, atol=2e-3 * step))


def named(names: Sequence[str], wanted: Iterable[str]) -> list[int]:
    """Return where the variables ``wanted`` stand among ``names``, at every lag and lead.

    Examples
    --------
    >>> named(("U850", "V850", "U850@-1", "V850@-1"), ["V850"])
    [1, 3]
    """
    wanted = set(wanted)
    return [place for place, name in enumerate(names) if name in wanted or variable_of(name) in wanted]


def refuse_unknown(wanted: Iterable[str], names: Iterable[str], key: str) -> None:
    """Refuse names that are no variable of the samples.

    Raises
    ------
    ConfigError
        If there are any; the message says what is near.
    """
    known = list(dict.fromkeys(part for name in names for part in (variable_of(name), name)))
    for name in wanted:
        if name not in known:
            listed = ", ".join(dict.fromkeys(variable_of(each) for each in known))
            raise ConfigError(f"{key}: no channel {name!r}.{suggest(name, known)} Known: {listed}.")
