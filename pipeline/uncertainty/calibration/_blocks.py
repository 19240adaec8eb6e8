"""Stretches of time that count as one draw, and quantiles of scores that hold for a further one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from pipeline.errors import CalibrationError
from pipeline.metrics.blocks import decorrelation_time, has_dates, make_blocks, months, year_of
from pipeline.samples import Samples
from pipeline.uncertainty.calibration._groups import Groups, Selection
from pipeline.uncertainty.calibration._numbers import weighted_quantiles

Kind = Literal["auto", "years", "seasons", "none"]
_ROUNDING = 1e-9  # of a level


def block_numbers(kind: Kind, samples: Samples, error: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what blocks are, and the number of the block of every sample.

    Parameters
    ----------
    kind : {"auto", "years", "seasons", "none"}
        Years go from December to November; ``auto``: years or seasons where there are eight and they outlast the
        memory of the errors, else runs of three decorrelation times; ``none``: every value its own.
    samples : Samples
        Whose.
    error : ndarray, shape (time, target, lat, lon)
        Truth less mean, NaN where it is not known. Their memory is that of the mean over all cells, or of its
        absolute values where these remember longer.

    Raises
    ------
    CalibrationError
        If years or seasons are asked of samples that have no dates.
    """
    if kind == "none":
        return "values", np.arange(len(samples))
    if kind == "auto":
        series = max((_mean(error), _mean(np.abs(error))), key=decorrelation_time)
        blocks = make_blocks(samples.time, series)
        return blocks.kind, np.repeat(np.arange(len(blocks)), np.diff(blocks.edges, axis=1)[:, 0])
    if not has_dates(samples.time):
        raise CalibrationError(f"expected dates for blocks of {kind}, got numbered tiles. Take blocks: auto.")
    month = months(samples.time)
    year = year_of(samples.time) + (month == 12)
    label = year if kind == "years" else year * 4 + month % 12 // 3
    return kind, np.unique(label, return_inverse=True)[1]


def _mean(error: np.ndarray) -> np.ndarray:
    """Return the mean over cells and targets, each target in its own deviations; NaN where there is none."""
    known = np.isfinite(error)
    value = np.where(known, error, 0.0)
    size = np.sqrt((value**2).sum(axis=(0, 2, 3)) / np.maximum(known.sum(axis=(0, 2, 3)), 1))
    scaled = value / np.where(size > 0.0, size, 1.0)[:, None, None]
    count = known.sum(axis=(1, 2, 3))
    return np.asarray(np.where(count > 0, scaled.sum(axis=(1, 2, 3)) / np.maximum(count, 1), np.nan))


def masses(block: np.ndarray | None, weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the mass of every value in the distribution of the next one's score, and how many draws there are.

    With K blocks each has the mass 1 / (K + 1), whatever it holds, and shares it among its values by their weights;
    the last 1 / (K + 1) lies at infinity (Dunn, Wasserman and Ramdas 2023, doi:10.1080/01621459.2022.2060112; Lee,
    Barber and Willett 2023, arXiv:2306.06342). Without blocks each of n values has 1 / (n + 1) on average: the quantile
    at 1 - a is then the ceil((n + 1)(1 - a))-th score (Lei et al. 2018, doi:10.1080/01621459.2017.1307116).

    Parameters
    ----------
    block : ndarray of int, shape (value,), or None
        Number of the block that each value is of.
    weight : ndarray, shape (value,)
        Positive.

    Examples
    --------
    >>> mass, blocks = masses(np.array([0, 0, 1]), np.ones(3))
    >>> mass.round(3).tolist(), blocks
    ([0.167, 0.167, 0.333], 2)
    """
    if block is None:
        return weight / weight.mean() / (len(weight) + 1), len(weight)
    total = np.bincount(block, weight)
    count = int((total > 0.0).sum())
    return weight / total[block] / (count + 1), count


def thresholds(score: np.ndarray, mass: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the least score at or below which lies a mass of ``level`` or more; infinite where there is none.

    Examples
    --------
    >>> thresholds(np.array([3.0, 1.0, 2.0]), np.full(3, 0.25), np.array([0.25, 0.5, 0.75, 0.9])).tolist()
    [1.0, 2.0, 3.0, inf]
    """
    order = np.argsort(score, kind="stable")
    place = np.searchsorted(np.cumsum(mass[order]), level - _ROUNDING)
    return np.append(score[order], np.inf)[place]


def needed(miss: float) -> int:
    """Return how many draws an interval takes that misses the next one with probability ``miss`` at most.

    Examples
    --------
    >>> needed(0.1), needed(0.05), needed(0.5)
    (9, 19, 1)
    """
    return int(np.ceil(1.0 / miss - 1.0 - _ROUNDING))


@dataclass(frozen=True, eq=False)
class Draws:
    """The values of all groups, and which of them are one draw.

    Parameters
    ----------
    groups : Groups
        What is calibrated apart.
    known : ndarray of bool, shape (time, target, lat, lon)
        Where there is a value.
    number : ndarray of int, shape (time,), or None
        Block of every sample; None: every value is a draw.
    """

    groups: Groups
    known: np.ndarray
    number: np.ndarray | None

    @cached_property
    def _parts(self) -> list[tuple[Selection, np.ndarray, np.ndarray, np.ndarray, int]]:
        """What each group learns from: itself, where it has values, their weights and masses, and the draws."""
        found = []
        for chosen in self.groups.selections(self.known):
            there = chosen.of(self.known)
            weight = np.broadcast_to(self.groups.area.ravel()[chosen.cells], there.shape)[there]
            rows = None if self.number is None else self.number[chosen.rows]
            block = None if rows is None else np.broadcast_to(rows[:, None], there.shape)[there]
            found.append((chosen, there, weight, *masses(block, weight)))
        return found

    def enough(self, level: float, miss: float, what: str) -> int:
        """Return the fewest draws of a group, if they bear an interval.

        Parameters
        ----------
        level : float
            Probability of the interval.
        miss : float
            How often it may miss, or each of its ends.
        what : str
            What a draw is, for the message.

        Raises
        ------
        CalibrationError
            If they are too few for it to be finite.
        """
        fewest, chosen = min(((count, chosen) for chosen, *_, count in self._parts), key=lambda pair: pair[0])
        if fewest < needed(miss):
            borne = max(0.0, 1.0 - (1.0 - level) / miss / (fewest + 1))
            raise CalibrationError(
                f"expected {needed(miss)} blocks of time or more for intervals of {level:.0%}, got {fewest} ({what}) "
                f"in the group {self.groups.name(*chosen.places[0])}, which bear {int(100 * borne)}% at most. "
                "Calibrate with folds: 5, by fewer groups, or with a level of no more than that."
            )
        return fewest

    def fill(self, into: np.ndarray, places: np.ndarray, score: np.ndarray, wanted: np.ndarray, *, sure: float) -> None:
        """Put the scores at or below which a further draw lies with the probabilities ``wanted`` into all groups.

        With just as many draws as an interval takes its score is the largest of all values. Beyond ``sure`` that is
        taken for none, and a score for one only where there are twice as many.

        Parameters
        ----------
        into : ndarray, shape (interval, target, group in time, group in space)
            Filled at the intervals ``places``.
        places : ndarray of int
            As many as ``wanted``.
        score : ndarray, shape (time, target, lat, lon)
            How far off truths are.
        wanted : ndarray
            Probabilities.
        sure : float
            Up to which probability the score is taken in any case.
        """
        for chosen, there, _, mass, count in self._parts:
            spare = (wanted <= sure + _ROUNDING) | (1.0 - wanted >= 2.0 / (count + 1) - _ROUNDING)
            found = np.where(spare, thresholds(chosen.of(score)[there], mass, wanted), np.inf)
            for when, where in chosen.places:
                into[places, chosen.target, when, where] = found

    def medians(self, values: np.ndarray) -> np.ndarray:
        """Return the median of ``values`` by area in every group, shape (target, group in time, group in space)."""
        found = np.zeros((self.known.shape[1], *self.groups.shape))
        for chosen, there, weight, *_ in self._parts:
            for when, where in chosen.places:
                own = weighted_quantiles(chosen.of(values)[there], weight, np.array([0.5]))
                found[chosen.target, when, where] = own[0]
        return found
