"""Tables of the report: right-aligned numbers with the same decimals in a column, and their CSV."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from pipeline.report import numbers
from pipeline.report.metric_words import MetricWords, metric_words
from pipeline.report.study import METRIC, Study

# None wider than a page of paper.
ACCURACY = ("rmse", "mae", "bias", "pearson_r", "acc", "nse", "kge")
DISTRIBUTION = ("crps", "crpss", "crps_fair", "nll", "sd_ratio")
# What a table of extremes may hold, in groups that stay together; it takes the next one where there is room.
EXTREMES = {
    "biases of climate indices, of the days a forecast would give": (
        "bias_r01", "bias_sdii", "relative_bias_p98_wet", "bias_p98_wet", "bias_rx1day", "bias_cdd", "bias_cwd",
        "bias_txx", "bias_tnn",
    ),
    "how large these biases are cell by cell, where they cannot cancel": (
        "abs_bias_r01", "abs_bias_sdii", "abs_bias_p98_wet", "abs_bias_rx1day", "abs_bias_cdd", "abs_bias_cwd",
        "abs_bias_txx", "abs_bias_tnn",
    ),
    "whether wet and very wet days are foreseen": ("brier_r01", "brier_r10", "brier_r20", "fss_r01", "fss_r10"),
    "how well the distribution is known above a threshold, over all days": ("twcrps_q90", "twcrps_r10"),
    "biases of the quantiles of the mean prediction": ("bias_q02", "bias_q98"),
    "whether the upper tenth, more than the usual 90\u00a0% quantile of the day of the year, is foreseen: its Brier "
    "score is reliability less resolution plus an uncertainty that all models share": (
        "brier_q90", "brier_q90_reliability", "brier_q90_resolution",
    ),
    "parts of the Brier scores of wet days": tuple(
        f"brier_{event}_{part}" for event in ("r01", "r10", "r20") for part in ("reliability", "resolution")
    ),
}  # fmt: skip
STRUCTURE = (
    "sd_ratio_draws", "interannual_sd_ratio", "bias_lag1", "wasserstein", "energy_score", "log_spectral_distance",
    "ssim", "spatial_correlation",
)  # fmt: skip
FLOW = {
    "Efficiency and volume of the mean prediction": ("nse", "kge", "log_nse", "pbias"),
    "Parts of the flow duration curve, peaks and low flow": ("fhv", "fms", "flv", "peak_timing", "low_flow_bias"),
}
FLOW_ONLY = ("log_nse", "pbias", "fhv", "fms", "flv", "peak_timing", "low_flow_bias")
WIDEST = 7
_LONG = 40
_MARKS = "Small print: 95\u00a0% interval. Bold: best; \u2248: the best value lies inside this model's interval."
_MARKS_ALONE = (
    "No interval is known: the truth has too few independent blocks for one, which the difference of two models may "
    "have nevertheless. Bold: best."
)
TRUST = ("coverage_50", "coverage_90", "coverage_95", "width_50", "width_90", "width_95", "spread_skill")  # fmt: skip
CALIBRATION = ("sharpness", "cv_spread", "pit_coverage_90", "miscalibration_area", "pit_index", "ence", "ause")
INTERVALS = ("interval_score_50", "interval_score_90")


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text : str
        What is shown.
    key : float or str
        What the column is sorted by.
    note : str
        Small print below, such as the interval.
    mark : {"", "best", "tie", "green", "amber", "red", "grey"}
        Whether it is the best of its column, or cannot be told from it; or the shape and colour of a traffic light.
    links : tuple of (str, str)
        Words and addresses behind the text; only addresses that we made.
    """

    text: str
    key: float | str
    note: str = ""
    mark: str = ""
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Column:
    """A column's head: title, printed units, small print below; numbers stand right, sentences get a wide column."""

    title: str
    unit: str = ""
    numeric: bool = True
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first column names the row.

    Parameters
    ----------
    name : str
        For the CSV's file name and the anchor; letters, digits and dashes.
    source : DataFrame, optional
        What the CSV holds, in full precision; the shown text by default.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: pd.DataFrame | None = field(default=None, compare=False)
    sortable: bool = True

    @property
    def folded(self) -> bool:
        """Whether the page shows it when asked for: it is longer than a reader looks through."""
        return len(self.rows) > _LONG

    @property
    def csv(self) -> str:
        """The table as CSV text."""
        if self.source is not None:
            return str(self.source.to_csv(index=False, lineterminator="\n"))
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([f"{c.title} [{c.unit}]" if c.unit else c.title for c in self.columns])
        for row in self.rows:
            writer.writerow([" ".join([cell.text, *(to for _, to in cell.links)]).strip() for cell in row])
        return buffer.getvalue()

    @property
    def link(self) -> str:
        """The CSV as a ``data:`` URI."""
        return "data:text/csv;charset=utf-8;base64," + base64.b64encode(self.csv.encode()).decode()


def text(value: str) -> Cell:
    """Return a cell of words."""
    return Cell(value, value.lower())


def figures(values: Sequence[float], decimals: int | None = None) -> list[Cell]:
    """Return cells of numbers with the same decimals."""
    places = numbers.decimals_for(values) if decimals is None else decimals
    return [Cell(numbers.number(value, places), value) for value in values]


def facts(name: str, caption: str, pairs: Iterable[tuple[str, Any]]) -> Table:
    """Return a table of two columns: what, and its value in words."""
    rows = tuple((text(str(key)), text(plain(value))) for key, value in pairs)
    return Table(name, caption, (Column("", numeric=False), Column("", numeric=False)), rows, sortable=False)


def plain(value: Any, most: int = 12) -> str:
    """Return a value of a JSON summary in words, of a list the first ``most``."""
    if value is None:
        return numbers.MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return (
            f"{value:,}".replace("-", numbers.MINUS) if abs(value) >= 10_000 else str(value).replace("-", numbers.MINUS)
        )
    if isinstance(value, float):
        return plain(int(value)) if value.is_integer() and abs(value) < 1e6 else numbers.number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        shown = [plain(item) for item in value[:most]]
        gap = "; " if any(isinstance(item, Mapping) for item in value) else ", "
        return gap.join(shown) + (f" and {len(value) - most} more" if len(value) > most else "")
    return str(value)


def skill_table(
    study: Study,
    variable: str,
    split: str,
    metrics: Sequence[str],
    name: str,
    caption: str,
    *,
    note: str = "",
    unjudged: Collection[str] = (),
    exempt: Collection[str] = (),
) -> Table | None:
    """Return models by scores with intervals, the best bold, ties marked; None where no score is there.

    A model ties with the best where the best value lies inside its own 95\u00a0% interval.

    Parameters
    ----------
    caption, note : str
        What stands before and behind the sentence that explains the marks.
    unjudged : collection of str
        Scores of which none is the best.
    exempt : collection of str
        Models that are not compared: they can be neither best nor tie.
    """
    scores = study.scores(variable=variable, split=split)
    scores = scores[scores["metric"].isin(metrics) & scores["value"].notna()]
    there = set(scores["metric"])
    shown = [metric for metric in metrics if metric in there]
    models = [model for model in study.models if model in set(scores["model"])]
    if not shown or not models:
        return None
    ranked = (
        study.scores(study.metrics.get(variable, METRIC), variable=variable, split=split)
        .drop_duplicates("model")
        .set_index("model")["value"]
    )
    turn = -1.0 if study.better(variable) == "higher" else 1.0
    models.sort(key=lambda model: turn * ranked.get(model, turn * float("inf")))
    columns, cells = [Column("Model", numeric=False)], {model: [model_cell(study, model)] for model in models}
    for metric in shown:
        words = metric_words(metric)
        rows = scores[scores["metric"] == metric].drop_duplicates("model").set_index("model")
        words = replace(words, better="?") if metric in unjudged else words
        columns.append(_column(words, str(rows["units"].iloc[0])))
        for model, cell in zip(models, score_cells(words, rows, models, exempt), strict=True):
            cells[model].append(cell)
    source = scores.sort_values(["metric", "value"])
    whole = " ".join(part for part in (caption, marks(scores), note) if part)
    return Table(name, whole, tuple(columns), tuple(tuple(cells[model]) for model in models), source)


def marks(scores: pd.DataFrame) -> str:
    """Return the sentence that explains the marks in a table of these scores."""
    return _MARKS if scores["low"].notna().any() else _MARKS_ALONE


def others(study: Study, variable: str, split: str) -> list[str]:
    """Return scores in the run that no table knows, so that a plug-in's score is shown too."""
    present = study.scores(variable=variable, split=split)
    known = {*ACCURACY, *DISTRIBUTION, *TRUST, *CALIBRATION, *INTERVALS, *STRUCTURE, *FLOW_ONLY}
    known |= {name for group in EXTREMES.values() for name in group}
    return [metric for metric in dict.fromkeys(present["metric"]) if metric not in known]


def _column(words: MetricWords, unit: str) -> Column:
    return Column(words.label, numbers.units(unit), note=words.direction)


def model_cell(study: Study, model: str) -> Cell:
    """Return the cell that names a row's model."""
    note = "baseline" if model in study.baselines else ""
    return Cell(numbers.label(model), model, note)


def score_cells(words: MetricWords, rows: pd.DataFrame, models: Sequence[str], exempt: Collection[str]) -> list[Cell]:
    """Return the cells of one score, models in their order: the best marked, and those that cannot be told from it."""
    share = "coverage_" in words.name
    decimals = numbers.decimals_for(rows["value"])
    judged = rows["value"].drop([model for model in exempt if model in rows.index])
    best = words.best(judged)
    cells = []
    for model in models:
        if model not in rows.index:
            cells.append(Cell(numbers.MISSING, float("inf")))
            continue
        value, low, high = (float(rows.at[model, key]) for key in ("value", "low", "high"))
        known = low == low and high == high
        shown = numbers.coverage(value) if share else numbers.number(value, decimals)
        note = ""
        if known:
            note = numbers.coverage_interval(low, high) if share else numbers.interval(low, high, decimals)
        mark = ""
        if best is not None and len(judged) > 1 and model not in exempt:
            mark = "best" if value == best else ("tie" if known and low <= best <= high else "")
        cells.append(Cell(shown, value, note, mark))
    return cells
