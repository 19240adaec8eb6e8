"""What becomes of missing predictors: samples left out, or the mean or the last known value in their place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.backend import Backend, array_namespace
from pipeline.errors import DataError
from pipeline.prepare.windows import segments
from pipeline.rows import Room, Rows
from pipeline.rows.parts import blocks

Array = Any
Missing = Literal["leave_out", "mean", "last"]


@dataclass(frozen=True, eq=False)
class Filled:
    """Standardised channels whose missing values are dealt with.

    Parameters
    ----------
    values : array of float32, shape (time, channel, lat, lon)
        Finite where ``complete``.
    complete : ndarray of bool, shape (time,)
        Steps that a sample can be made of.
    usable : ndarray of bool, shape (time, lat, lon), or None
        Of a table: stations of each step that have all their values; None: every cell of a complete step.
    lost : ndarray, shape (time,)
        Share of each step that misses a value: of the stations of a table, else all of it or nothing.
    filled : float
        Share of the values that were missing and filled.
    """

    values: Array
    complete: np.ndarray
    usable: np.ndarray | None
    lost: np.ndarray
    filled: float


def deal_with(values: Array, missing: np.ndarray, how: Missing, run: np.ndarray, *, table: bool, room: Room) -> Filled:
    """Return channels with their missing values left out or filled.

    Parameters
    ----------
    values : array of float32, shape (time, channel, lat, lon)
        Standardised, so that 0 is the train split's mean; NaN where missing.
    missing : ndarray of bool, shape (time, channel)
        Which channel misses any value at which step.
    how : {"leave_out", "mean", "last"}
        As ``prepare.inputs.missing``.
    run : ndarray of int, shape (time,)
        Number of the run of consecutive steps, which no filling crosses.
    table : bool
        Whether cells are stations that are samples of their own: one that misses a value leaves the others be.
    room : Room
        Where ``values`` are kept. Filling from the step before is done on the host: it costs a copy there and back.

    Raises
    ------
    DataError
        If ``last`` is asked for and the values are larger than there is room for.

    Examples
    --------
    >>> from pipeline.backend import get_backend
    >>> from pipeline.rows import Room
    >>> values = np.array([1.0, np.nan, np.nan, 4.0], "f4").reshape(4, 1, 1, 1)
    >>> run, lost = np.array([0, 0, 1, 1]), np.isnan(values)[:, :, 0, 0]
    >>> deal_with(values, lost, "last", run, table=False, room=Room(get_backend("cpu"))).values.ravel().tolist()
    [1.0, 1.0, 0.0, 4.0]
    """
    everywhere = np.ones(len(missing), bool)
    if not missing.any():
        return Filled(values, everywhere, None, np.zeros(len(missing)), 0.0)
    any_lost = missing.any(axis=1)
    if how == "leave_out" and not table:
        return Filled(values, np.logical_not(any_lost), None, any_lost.astype(float), 0.0)
    stations, known = _known(values, room.backend)
    lost = 1.0 - stations.reshape(len(missing), -1).mean(axis=1) if table else any_lost.astype(float)
    if how == "leave_out":
        some: np.ndarray = stations.reshape(len(stations), -1).max(axis=1)
        return Filled(_zeros(values), some, stations, lost, 0.0)
    if how == "last":
        if isinstance(values, Rows):
            raise DataError(
                f"prepare.inputs.missing: 'last' looks back over all {values.nbytes / 2**20:.0f} MiB of the "
                "predictors, which compute.memory has no room for; take 'mean' or 'leave_out', or give it more."
            )
        values = room.backend.asarray(last_known(np.asarray(room.backend.to_host(values)), run))
    return Filled(_zeros(values), everywhere, None, lost, 1.0 - known / math.prod(values.shape))


def _known(values: Array, backend: Backend) -> tuple[np.ndarray, int]:
    """Return which cells have every channel, bool (time, lat, lon), and how many values are finite."""
    xp, count = backend.xp, 0
    stations = np.empty((values.shape[0], *values.shape[2:]), bool)
    for part in blocks(values):
        finite = xp.isfinite(values[part, ...])
        stations[part] = backend.to_host(xp.all(finite, axis=1))
        count += int(xp.sum(xp.astype(finite, xp.int64)))
    return stations, count


def _zeros(values: Array) -> Array:
    """Return ``values`` with zeros for what is not finite."""
    if isinstance(values, Rows):
        return values.map(lambda block, _: _zeros(block))
    xp = array_namespace(values)
    return xp.where(xp.isfinite(values), values, xp.zeros_like(values))


def last_known(values: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Return the last finite value of each cell in its run, NaN before the first."""
    step = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    starts = np.searchsorted(run, run).reshape(step.shape)
    known = np.maximum.accumulate(np.where(np.isfinite(values), step, -1), axis=0)
    found: np.ndarray = np.take_along_axis(values, np.maximum(known, 0), axis=0)
    return np.where(known >= starts, found, np.float32(np.nan))


def runs_of_splits(positions: Mapping[str, np.ndarray], count: np.ndarray, step: int) -> np.ndarray:
    """Return the number of the run of every step of an axis; none crosses a gap or the border of a split."""
    run = np.zeros(len(count), int)
    first = 0
    for index in sorted(positions.values(), key=lambda index: int(index[0])):
        run[index] = first + segments(count[index], step)
        first = int(run[index].max()) + 1
    return run


def refuse_many(
    missing: np.ndarray,
    lost: np.ndarray,
    names: Sequence[str],
    positions: Mapping[str, np.ndarray],
    most: float,
) -> None:
    """Refuse a split of which too much is missing.

    Raises
    ------
    DataError
        If more than the share ``most`` of a split's steps (of a table: of its stations' steps) miss a value.
    """
    for split, index in positions.items():
        here = missing[index]
        share = float(lost[index].mean())
        if share > most:
            whole = np.isin(lost[index], (0.0, 1.0)).all()
            worst = names[int(here.sum(axis=0).argmax())]
            number = f"{round(share * len(index))} of {len(index)}" if whole else f"{share:.0%} of its stations'"
            raise DataError(
                f"split {split!r}: {number} steps miss predictor values, most of them in {worst!r}; "
                f"prepare.inputs.max_missing allows a share of {most:g}. Leave that channel out, or raise it."
            )
