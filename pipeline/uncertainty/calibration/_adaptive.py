"""Adaptive conformal inference: levels that follow how often intervals have missed so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from pipeline.errors import CalibrationError
from pipeline.metrics.blocks import has_dates
from pipeline.model_config import ModelConfig
from pipeline.prepare.dates import ahead, microseconds
from pipeline.samples import Samples
from pipeline.uncertainty.calibration._groups import Groups

WIDEST = -1.0  # lowest level of misses


class Adaptive(ModelConfig):
    """Options of adaptive levels."""

    rate: float = Field(
        default=0.005, gt=0.0, lt=1.0, description="How far one miss moves the level; larger follows sooner."
    )
    delay: int = Field(
        default=1, ge=1, description="Steps behind the time that an answer is for at which its truth is known."
    )


@dataclass(frozen=True, eq=False)
class Course:
    """When each sample is asked about, and when its truth is known.

    Parameters
    ----------
    asked : ndarray of int64, shape (time,)
        Microseconds.
    known : ndarray of int64, shape (time, target)
        Microseconds, ascending in time.
    """

    asked: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, samples: Samples, delay: int) -> Course:
        """Return the course of samples.

        Raises
        ------
        CalibrationError
            If they have no dates.
        """
        if not has_dates(samples.time):
            raise CalibrationError(
                "expected dates for adaptive levels, got numbered tiles, which have no order. Leave out adaptive."
            )
        schema = samples.schema
        leads = [microseconds(ahead(samples.valid_time(lead), delay, schema.step_us)) for lead in schema.leads]
        return cls(microseconds(samples.time), np.repeat(np.stack(leads, axis=1), len(schema.variables), axis=1))


def follow(
    nodes: np.ndarray,
    truth: np.ndarray | None,
    misses: np.ndarray,
    *,
    course: Course,
    groups: Groups,
    rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles whose levels follow the misses so far, and the levels in the end.

    Every central interval has a level of misses of its own for every target and group of cells. It begins at
    ``misses`` and moves by ``rate (wanted - missed)`` for every time, as its truth comes to be known: down, to
    wider intervals, where more than wanted was missed (Gibbs and Candes 2021, arXiv:2106.00170). ``missed`` is a share
    of the group's area, and what counts is the interval at the level itself, before a narrower one around
    a wider level widens it. Below 0, where theirs is infinite, the interval goes on as the outermost piece of the
    distribution does.

    Parameters
    ----------
    nodes : ndarray, shape (quantile + 2, time, target, lat, lon)
        Values at the levels 0, 1 / (K + 1), ..., 1, never falling.
    truth : ndarray, shape (time, target, lat, lon), or None
        NaN where it is not known; None: levels stay as they are.
    misses : ndarray, shape (interval, target, group of cells)
        Where levels begin, the widest interval first.
    course : Course
        What is known when.
    groups : Groups
        Of the cells.
    rate : float
        Of learning.
    """
    count, targets = nodes.shape[0] - 2, range(nodes.shape[2])
    inside = groups.of_cell >= 0
    place, area = groups.of_cell[inside], groups.area[inside]
    record = _Record(len(course.asked), misses, rate)
    answer = np.full((count, *nodes.shape[1:]), np.nan)
    for time, asked in enumerate(course.asked):
        for target in targets:
            while record.read[target] < time and course.known[record.read[target], target] <= asked:
                record.learn(target)
        here = nodes[:, time][..., inside]
        low, high = (_at(here, level[:, :, place]) for level in (record.now / 2.0, 1.0 - record.now / 2.0))
        answer[:, time][..., inside] = _laid(low, high, here[count // 2 + 1])
        if truth is not None:
            true = truth[time][:, inside]
            weight = np.where(np.isfinite(true), area, 0.0)
            out = ((true < low) | (true > high)) * weight
            record.write(time, *(_by_group(part, place, misses.shape[2]) for part in (out, weight)))
    for target in targets:
        while record.read[target] < len(course.asked):
            record.learn(target)
    return answer, record.now


class _Record:
    """Levels now, what was missed at every time, and how far that has been read."""

    def __init__(self, times: int, misses: np.ndarray, rate: float) -> None:
        pairs = len(misses)
        self.now, self.rate = misses.copy(), rate
        self.wanted = np.arange(1, pairs + 1)[:, None] / (pairs + 1)
        self.step = np.zeros((times, *misses.shape))
        self.read = np.zeros(misses.shape[1], int)

    def write(self, time: int, out: np.ndarray, told: np.ndarray) -> None:
        """Keep the shares of a time that were missed, of those whose truth is known."""
        missed = out / np.where(told > 0.0, told, 1.0)
        self.step[time] = np.where(told > 0.0, self.rate * (self.wanted[:, :, None] - missed), 0.0)

    def learn(self, target: int) -> None:
        """Move the levels of a target by the next time."""
        moved = self.now[:, target] + self.step[self.read[target], :, target]
        self.now[:, target] = np.clip(moved, WIDEST, 1.0)
        self.read[target] += 1


def _at(nodes: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the line through ``nodes``, shape (node, ...), at levels (interval, ...), beyond its ends too."""
    pieces = nodes.shape[0] - 1
    position = level * pieces
    below = np.clip(np.floor(position).astype(int), 0, pieces - 1)
    start, stop = (np.take_along_axis(nodes, below + step, axis=0) for step in (0, 1))
    return np.asarray(start + (position - below) * (stop - start))


def _laid(low: np.ndarray, high: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Return all quantiles in order; an interval is at least as wide as those inside it."""
    lower = np.minimum.accumulate(np.concatenate([median[None], low[::-1]]), axis=0)[:0:-1]
    upper = np.maximum.accumulate(np.concatenate([median[None], high[::-1]]), axis=0)[1:]
    return np.concatenate([lower, median[None], upper])


def _by_group(values: np.ndarray, place: np.ndarray, groups: int) -> np.ndarray:
    """Return sums over the cells of each group, shape (..., group)."""
    flat = values.reshape(-1, values.shape[-1])
    return np.stack([np.bincount(place, row, minlength=groups) for row in flat]).reshape(*values.shape[:-1], groups)
