"""Runs without a gap in a series' own past, and forecasts from every origin in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.samples import Past, Samples

Array = Any


@dataclass(frozen=True, eq=False)
class Run:
    """Steps in a row without a gap, and the samples that lie in them.

    Parameters
    ----------
    first, stop : int
        First step, and the one behind the last that a sample of the run may know.
    samples : ndarray of int64, shape (origin,)
        Positions of the samples.
    origins : ndarray of int64, shape (origin,)
        Last known step of each, counted from ``first``; -1 where it lies before the run.
    """

    first: int
    stop: int
    samples: np.ndarray
    origins: np.ndarray


def runs_of(past: Past) -> list[Run]:
    """Return the runs that the samples of ``past`` lie in, first steps ascending."""
    found = []
    for first in np.unique(past.first):
        samples = np.flatnonzero(past.first == first)
        origins = np.maximum(past.last[samples] - first, -1)
        found.append(Run(int(first), int(first + origins.max() + 1), samples, origins))
    return found


def horizons(samples: Samples) -> np.ndarray:
    """Return how many steps behind the last known one each lead lies, shape (lead,).

    With leads of 1 and more the last known step is the sample's own, else the one before.
    """
    leads = np.asarray(samples.schema.leads)
    return leads if leads.min() > 0 else leads + 1


def by_run(
    samples: Samples, columns: Callable[[Array], Array], one: Callable[[Array, Run], tuple[Array, ...]], xp: Any
) -> list[Array]:
    """Return what ``one`` makes of every run for all samples: no forecast sees a value before its own run.

    Parameters
    ----------
    samples : Samples
        With a past.
    columns : callable
        Takes fields, (step, variable, lat, lon), to series, float64, (step, series).
    one : callable
        Takes the series of one run and the run; returns arrays of shape (origin, lead, series).
    xp : module
        Namespace of the samples.

    Returns
    -------
    list of array, shape (time, column)
        All series of the first lead come first.
    """
    past = samples.past
    assert past is not None  # the caller has looked
    runs = runs_of(past)
    parts = [one(columns(past.values[run.first : run.stop, ...]), run) for run in runs]
    order = np.argsort(np.concatenate([run.samples for run in runs]))
    return [_joined(each, order, xp) for each in zip(*parts, strict=True)]


def _joined(parts: Sequence[Array], order: np.ndarray, xp: Any) -> Array:
    whole = xp.take(xp.concat(list(parts), axis=0), xp.asarray(order), axis=0)
    return xp.reshape(whole, (whole.shape[0], -1))


def seen(values: Array, xp: Any) -> Array:
    """Return how many steps ago the last known value was, shape (step, series), -1 where there is none yet."""
    step = xp.reshape(xp.arange(values.shape[0]), (-1, 1))
    last = xp.where(xp.isfinite(values), step, -xp.ones_like(step))
    newest = running_max(last, xp)
    return xp.where(newest >= 0, step - newest, -xp.ones_like(newest))


def running_max(values: Array, xp: Any) -> Array:
    """Return the largest value up to each row, shape (step, series), in as many passes as doublings."""
    width = 1
    while width < values.shape[0]:
        later = xp.maximum(values[width:, :], values[:-width, :])
        values = xp.concat([values[:width, :], later], axis=0)
        width *= 2
    return values


def picked(table: Array, index: Array, xp: Any) -> Array:
    """Return ``table[index[..., s], s]`` of a table of shape (row, series) for an index of shape (..., series)."""
    series = table.shape[1]
    flat = index * series + xp.arange(series)
    return xp.reshape(xp.take(xp.reshape(table, (-1,)), xp.reshape(flat, (-1,))), index.shape)


def spread_out(values: Array, chosen: np.ndarray, count: int, xp: Any) -> Array:
    """Return values of the chosen series, shape (..., chosen), as those of all, (..., count), zeros elsewhere."""
    place = np.full(count, len(chosen))
    place[chosen] = np.arange(len(chosen))
    edge = xp.zeros((*values.shape[:-1], 1), dtype=xp.float64)
    return xp.take(xp.concat([values, edge], axis=-1), xp.asarray(place), axis=-1)
