"""What a benchmark found, as a table in Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pipeline.attribution.known.methods import Answer, Skipped
from pipeline.attribution.known.score import agreement, wanted
from pipeline.files import plain
from pipeline.seeding import derive_seed

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Row:
    """How well one variant agrees with the truth.

    Parameters
    ----------
    method : str
        The variant, as tables have it.
    against : str
        What it is held against.
    mean, low, high : float
        Mean over samples of Pearson's correlation over cells, and its 95 % bootstrap interval.
    low_tail : float
        The 5th percentile of it.
    ranks : float
        Mean of Spearman's.
    samples, undefined : int
        How many were explained, and how many of them have no correlation, being constant.
    milliseconds : float
        A sample.
    gap : float
        See :class:`pipeline.attribution.known.methods.Answer`.
    pearson : ndarray of float64, shape (sample,)
        What ``mean`` is the mean of.
    """

    method: str
    against: str
    mean: float
    low: float
    high: float
    low_tail: float
    ranks: float
    samples: int
    undefined: int
    milliseconds: float
    gap: float
    pearson: np.ndarray = field(repr=False)

    @classmethod
    def all_of(cls, answer: Answer, truth: np.ndarray, seed: int) -> tuple[Row, ...]:
        """Return a row for each thing that the answer is held against."""
        rows = []
        for against in answer.against:
            found = agreement(answer.values, wanted(truth[answer.samples], against), derive_seed(seed, "bootstrap"))
            rows.append(
                cls(
                    method=answer.variant.name,
                    against=against,
                    mean=found.mean,
                    low=found.low,
                    high=found.high,
                    low_tail=found.low_tail,
                    ranks=found.ranks,
                    samples=len(found.pearson),
                    undefined=len(found.pearson) - len(found.known),
                    milliseconds=1e3 * answer.seconds / len(found.pearson),
                    gap=answer.gap,
                    pearson=found.pearson,
                )
            )
        return tuple(rows)


@dataclass(frozen=True, eq=False)
class Result:
    """What a benchmark found.

    Parameters
    ----------
    benchmark : str
        Its name.
    facts : tuple of (str, str)
        World, network and settings, in words.
    numbers : dict of str to float
        The same as numbers, for programs.
    rows : tuple of Row
        Methods, the best first.
    skipped : tuple of Skipped
        Methods that were not tried.
    """

    benchmark: str
    facts: tuple[tuple[str, str], ...]
    numbers: dict[str, float]
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]

    def row(self, method: str, against: str = "truth") -> Row:
        """Return the row of a variant by its name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for row in self.rows:
            if (row.method, row.against) == (method, against):
                return row
        raise KeyError((method, against))

    def markdown(self) -> str:
        """Return facts, table and what was skipped."""
        lines = [f"# {self.benchmark}", ""]
        lines += [f"- {name}: {words}" for name, words in self.facts]
        lines += ["", *table(self.rows), ""]
        lines += [NOTE, ""]
        if any(not np.isfinite(row.milliseconds) for row in self.rows):
            lines += [REFERENCES, ""]
        if self.skipped:
            lines += ["Not tried:", "", *(f"- {one.method}: {one.reason}" for one in self.skipped), ""]
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """Return all of it, plain."""
        rows = [asdict(row) for row in self.rows]
        made: dict[str, Any] = plain(
            {
                "format": FORMAT,
                "benchmark": self.benchmark,
                "facts": dict(self.facts),
                "numbers": self.numbers,
                "rows": rows,
                "skipped": [asdict(one) for one in self.skipped],
            }
        )
        return made


NOTE = (
    "r: Pearson's correlation over cells between attribution and what it is held against, its mean over samples with "
    "the 95 % bootstrap interval, and its 5th percentile. rho: mean of Spearman's. Gap: the most that "
    "attributions miss the departure from the baseline by, in standard deviations, for methods that add up by "
    "construction."
)
REFERENCES = (
    "For comparison: linear regression, input times slope; gradient of the world, which is what a gradient of a "
    "perfect network would be."
)
_HEAD = ("method", "held against", "r (95 %)", "5th percentile", "rho", "gap", "samples", "ms a sample")


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table.

    Examples
    --------
    >>> row = Row("gradient", "truth", 0.051, 0.04, 0.06, -0.1, 0.05, 9, 0, 1.25, float("nan"), np.zeros(9))
    >>> print(table([row])[2])
    | gradient | truth | 0.051 (0.040 to 0.060) | -0.100 | 0.050 |  | 9 | 1.2 |
    """
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    for row in rows:
        samples = f"{row.samples}" + (f", {row.undefined} undefined" if row.undefined else "")
        cells = (
            row.method, row.against, _interval(row), _number(row.low_tail), _number(row.ranks), _number(row.gap, 4),
            samples, _number(row.milliseconds, 1),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _interval(row: Row) -> str:
    between = f" ({_number(row.low)} to {_number(row.high)})" if np.isfinite(row.low) else ""
    return f"{_number(row.mean)}{between}"


def _number(value: float, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else ""
