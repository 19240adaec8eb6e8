"""Several runs beside each other: their scores, and everything that differs between them.

Nothing is computed anew: scores and intervals are those of each run's ``scores.csv``.
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError, RunFolderError
from pipeline.metrics.classes import HEADLINE
from pipeline.registry import suggest
from pipeline.report import apart
from pipeline.report.load import Run, load_run
from pipeline.report.study import METRIC, VALIDATION
from pipeline.units import headline_metric

MAIN = ("rmse", "crps", "mae", "bias", "pearson_r", "coverage_90", "spread_skill")
CLASSES = ("iou", "dice", "f1", "accuracy", "log_loss")
EXPLAINED = (
    "Intervals are the 95 % intervals of each run's scores.csv; {mark} where those of the two runs do not overlap. "
    "That is not a paired test: runs that are scored on the same truth go up and down together, so a difference "
    "without the mark may be real too, and of many scores some are marked by chance."
)
UNKNOWN = (
    "No run has 95 % intervals for these scores, since their test sets have too few blocks of days for one: nothing "
    "here says whether a difference is more than chance."
)
LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Score:
    """One value of ``scores.csv`` with its 95\u00a0% interval, NaN where none is known."""

    value: float
    low: float
    high: float
    n: float

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True)
class ScoreRow:
    """The score of one model in every run; None where a run has no such model or score."""

    model: str
    scores: tuple[Score | None, ...]

    def difference(self, run: int) -> float:
        """Return the score in run number ``run`` less that in the first; NaN where one of them is not there."""
        first, other = self.scores[0], self.scores[run]
        return float("nan") if first is None or other is None else other.value - first.value

    def separate(self, run: int) -> bool:
        """Whether the intervals of run number ``run`` and of the first are known and do not overlap.

        Examples
        --------
        >>> row = ScoreRow("unet", (Score(2.0, 1.9, 2.1, 9), Score(1.0, 0.9, 1.1, 9), Score(2.0, 1.0, 3.0, 9)))
        >>> row.separate(1), row.separate(2)
        (True, False)
        """
        first, other = self.scores[0], self.scores[run]
        if first is None or other is None or not first.known or not other.known:
            return False
        return first.high < other.low or other.high < first.low


@dataclass(frozen=True)
class ScoreTable:
    """One score of one target on one test set, models by runs."""

    split: str
    variable: str
    metric: str
    units: str
    rows: tuple[ScoreRow, ...]
    main: bool


@dataclass(frozen=True)
class Setting:
    """Something that differs between runs: what, and what each run has, in words."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side.

    Parameters
    ----------
    letters : tuple of str
        What each run is called: ``A``, ``B`` and so on; differences are to the first.
    runs : tuple of Run
        As they were given.
    tables : tuple of ScoreTable
        By test set and target, the main score first.
    experiment : tuple of Setting
        What differs in ``experiment.yaml``, by dotted key.
    surroundings : tuple of Setting
        What else differs: code, libraries, machine, data.
    cautions : tuple of str
        Why scores should not be held against each other as they are.
    """

    letters: tuple[str, ...]
    runs: tuple[Run, ...]
    tables: tuple[ScoreTable, ...]
    experiment: tuple[Setting, ...]
    surroundings: tuple[Setting, ...]
    cautions: tuple[str, ...]

    @property
    def intervals(self) -> bool:
        """Whether any score has an interval."""
        rows = [row for table in self.tables for row in table.rows]
        return any(score is not None and score.known for row in rows for score in row.scores)


def compare(paths: Sequence[Path], scores: Sequence[str] = ()) -> Comparison:
    """Read runs and lay them side by side.

    Parameters
    ----------
    paths : sequence of Path
        Two run folders or more.
    scores : sequence of str
        Names of scores that are shown beside the main one; a usual few by default.

    Raises
    ------
    ConfigError
        If there are fewer than two runs, they are of different tasks, or no run has a score that is asked for.
    RunFolderError
        If a run has no scores yet.
    """
    if not 2 <= len(paths) <= len(LETTERS):
        raise ConfigError(f"expected 2 to {len(LETTERS)} runs to compare, got {len(paths)}.")
    twice = {path.resolve() for path in paths}
    if len(twice) < len(paths):
        raise ConfigError(f"expected different runs, got {', '.join(path.name for path in paths)}, one of them twice.")
    runs = tuple(load_run(path) for path in paths)
    letters = tuple(LETTERS[: len(runs)])
    _one_task(runs, letters)
    _scores_there(runs, scores)
    tables, left_out = _tables(runs, letters, scores)
    settings = apart.experiments(runs)
    around = apart.surroundings(runs)
    return Comparison(
        letters=letters,
        runs=runs,
        tables=tables,
        experiment=tuple(Setting(*pair) for pair in settings),
        surroundings=tuple(Setting(*pair) for pair in around),
        cautions=(*left_out, *apart.cautions(runs, letters, around)),
    )


def _one_task(runs: Sequence[Run], letters: Sequence[str]) -> None:
    tasks = [str(run.experiment.get("task") or "downscaling") for run in runs]
    if len(set(tasks)) > 1:
        told = zip(letters, runs, tasks, strict=True)
        said = ", ".join(f"{letter} ({run.path.name}) {task}" for letter, run, task in told)
        raise ConfigError(
            f"expected runs of one task, whose scores mean the same, got {said}. Compare runs of one task."
        )


def _scores_there(runs: Sequence[Run], asked: Sequence[str]) -> None:
    for run in runs:
        if not len(run.scores):
            raise RunFolderError(
                f"expected scores in {run.path / 'scores.csv'}, got a table without rows. Run the experiment again."
            )
    known = sorted({name for run in runs for name in run.scores["metric"]})
    for name in asked:
        if name not in known:
            raise ConfigError(f"no run has the score {name!r}.{suggest(name, known)} Known: {', '.join(known)}.")


def _tables(
    runs: Sequence[Run], letters: Sequence[str], asked: Sequence[str]
) -> tuple[tuple[ScoreTable, ...], tuple[str, ...]]:
    """Return the main score and some others of every test set and target that any run has, and what is left out.

    What a run has in other units than the first is left out: beside the others, under their units, it would mislead.
    """
    indexed = []
    for run in runs:
        rows = run.scores
        rows = rows[(rows["group"] == "all") & rows["value"].notna()]
        indexed.append(rows.drop_duplicates(["split", "variable", "metric", "model"]))
    found, left_out = [], {}
    everything = pd.concat(indexed)
    splits = [name for name in dict.fromkeys(everything["split"]) if name != VALIDATION] or [VALIDATION]
    for split in splits:
        part = everything[everything["split"] == split]
        for variable in dict.fromkeys(part["variable"]):
            there = part[part["variable"] == variable]
            main, others = _shown(runs, there, asked)
            for metric in (main, *(name for name in others if name != main)):
                rows = there[there["metric"] == metric]
                if len(rows):
                    units = str(rows["units"].iloc[0])
                    alike = [run[(run["metric"] != metric) | (run["units"] == units)] for run in indexed]
                    table = _rows(alike, split, variable, metric, list(dict.fromkeys(there["model"])))
                    found.append(ScoreTable(split, variable, metric, units, table, metric == main))
                    for letter, whole, kept in zip(letters, indexed, alike, strict=True):
                        if len(kept) < len(whole):
                            other = str(whole.drop(kept.index)["units"].iloc[0])
                            left_out[letter, variable] = (
                                f"Scores of {variable} in run {letter} are in {other}, not in {units}: "
                                "they are left out."
                            )
    return tuple(found), tuple(left_out.values())


def _shown(runs: Sequence[Run], rows: pd.DataFrame, asked: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the score that models of a target are compared by, and those that are shown beside it."""
    if runs[0].experiment.get("task") == "segmentation":
        return HEADLINE, asked or CLASSES
    counts = rows.groupby("metric")["model"].agg(len)
    everywhere = frozenset(counts[counts == counts.max()].index)
    of_rmse = rows[rows["metric"] == METRIC]
    units = str(of_rmse["units"].iloc[0]) if len(of_rmse) else ""
    variable = str(rows["variable"].iloc[0])
    names = {
        str(one["name"]): str(one.get("standard_name") or "")
        for run in runs
        for one in run.stage("prepare").get("targets") or ()
    }
    return headline_metric(units, everywhere, names.get(variable, "")), asked or MAIN


def _rows(
    indexed: Sequence[pd.DataFrame], split: str, variable: str, metric: str, models: Sequence[str]
) -> tuple[ScoreRow, ...]:
    by_run: list[dict[str, Score]] = []
    for rows in indexed:
        own = rows[(rows["split"] == split) & (rows["variable"] == variable) & (rows["metric"] == metric)]
        columns = zip(own["model"], own["value"], own["low"], own["high"], own["n"], strict=True)
        by_run.append({str(model): Score(float(v), float(a), float(b), float(n)) for model, v, a, b, n in columns})
    there = [model for model in models if any(model in scores for scores in by_run)]
    return tuple(ScoreRow(model, tuple(scores.get(model) for scores in by_run)) for model in there)


def explained(found: Comparison, mark: str) -> str:
    """Return what intervals and the mark mean, or that there are none."""
    return EXPLAINED.format(mark=mark) if found.intervals else UNKNOWN
