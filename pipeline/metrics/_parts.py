"""A case's fields, a few days at a time: laying all rows out on the grid would double what is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import array_api_compat

from pipeline.backend import array_namespace
from pipeline.metrics import Array, Case

_VALUES = 2**17  # cells times days at a time: 1 MiB of float64, which stays in the cache


@dataclass(frozen=True, eq=False)
class FieldPart:
    """Fields of some days.

    Parameters
    ----------
    truth : array, shape (time, lat, lon)
        NaN where there is none.
    known : array of bool, shape (time, lat, lon)
        Where there is truth.
    draws : array, shape (draw, time, lat, lon)
        NaN outside the mask.
    """

    truth: Array
    known: Array
    draws: Array


def day_slices(case: Case) -> list[slice]:
    """Return slices of times that are worked on at a time."""
    times, cells = case.truth.shape
    width = max(1, _VALUES // (case.place.mask.size if case.place is not None else max(1, cells)))
    return [slice(start, min(start + width, times)) for start in range(0, times, width)]


def field_parts(case: Case) -> Iterator[FieldPart]:
    """Yield the fields of a case that knows its place, some days at a time."""
    xp, draws = array_namespace(case.truth), case.draws
    for days in day_slices(case):
        truth = case.on_grid(case.truth[days, :])
        yield FieldPart(truth, xp.isfinite(truth), case.on_grid(draws[:, days, :]))


def area_of(case: Case) -> Array:
    """Return the area weights of the whole grid where the case's arrays live, shape (lat, lon).

    Raises
    ------
    ValueError
        If the case does not know where its cells lie.
    """
    if case.place is None:
        raise ValueError("expected a case that knows its place, got one without.")
    xp = array_namespace(case.truth)
    return xp.asarray(case.place.grid.area, dtype=xp.float64, device=array_api_compat.device(case.truth))


def zero_for_nan(values: Array) -> Array:
    """Return the values, 0 where they are NaN: days without truth add nothing to a sum."""
    xp = array_namespace(values)
    return xp.where(xp.isnan(values), xp.zeros_like(values), values)
