"""``scores.csv`` and ``comparisons.csv``: the same records give the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar


@dataclass(frozen=True)
class Score:
    """One row of ``scores.csv``.

    Parameters
    ----------
    model, split, variable, group, metric : str
        What was scored; ``group`` is ``all`` or such as ``season=DJF``. Over several leads ``all`` is of all of them
        together; scores that are a median over series are the mean over leads of the median at each.
    value : float
        The score; NaN where it is undefined.
    units : str
        Units of value, low and high.
    low, high : float
        95 % interval by block bootstrap; NaN where there are too few blocks for one.
    n : int
        Number of times with truth in any cell.
    """

    model: str
    split: str
    variable: str
    group: str
    metric: str
    value: float
    units: str
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """One row of ``comparisons.csv``: the paired difference of two models on the same times.

    Parameters
    ----------
    model, reference, split, variable, group, metric : str
        What was compared.
    difference : float
        Score of ``model`` minus score of ``reference``.
    low, high : float
        95 % interval of the difference, both models resampled together.
    relative : float
        ``difference / score of the reference``; NaN for scores that are no positive error.
    n : int
        Number of times with truth in any cell.
    p_dm, p_sign : float
        Two-sided p of the tests of Diebold and Mariano and of signs, see :mod:`pipeline.metrics.paired_tests`; NaN for
        scores that are no mean over time, for months of the year, and where there are too few times.
    """

    model: str
    reference: str
    split: str
    variable: str
    group: str
    metric: str
    difference: float
    low: float
    high: float
    relative: float
    n: int
    p_dm: float = math.nan
    p_sign: float = math.nan


Row = TypeVar("Row", Score, Comparison)


def write_scores(path: Path, rows: Iterable[Score]) -> None:
    """Write ``scores.csv``: numbers with six significant digits, NaN empty, lines end with a line feed."""
    _write(path, Score, list(rows))


def write_comparisons(path: Path, rows: Iterable[Comparison]) -> None:
    """Write ``comparisons.csv``, in the format of :func:`write_scores`."""
    _write(path, Comparison, list(rows))


def _columns(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _write(path: Path, kind: type[Row], rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_columns(kind))
        writer.writerows([_text(getattr(row, name)) for name in _columns(kind)] for row in rows)


def _text(value: str | float) -> str:
    if isinstance(value, float):
        # A minus sign before zero would tell apart what is the same to six digits; adding 0 takes it off.
        return "" if math.isnan(value) else f"{value + 0.0:.6g}"
    return str(value)


def write_changes(path: Path, rows: Iterable[tuple[str, str, Any]]) -> None:
    """Write ``changes.csv``: for each pair of test sets a :class:`~pipeline.metrics.change.ChangeRow`."""
    head = ("model", "variable", "index", "first", "second", "value", "low", "high", "truth", "error", "units")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*head, "years_first", "years_second"))
        for first, second, row in rows:
            numbers = [_text(number) for number in (row.value, row.low, row.high, row.truth, row.error)]
            names = (row.model, row.variable, row.index, first, second)
            writer.writerow((*names, *numbers, row.units, row.n_years_first, row.n_years_second))
