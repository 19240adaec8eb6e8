"""Error bars by region and season: a field of coverages, and a table of the scores behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.report import error_bars, numbers, regional, tables
from pipeline.report.figures import heat
from pipeline.report.figures.maps import Scale
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import Block, Figure, slug
from pipeline.report.study import Study

_SCORES = ("coverage_90", "interval_score_90", "width_90", "spread_skill")
_LEAST = 5.0  # points of coverage from 90 % to the strongest colour: less is no difference to show
_ALL = "all"


def blocks(study: Study, variable: str) -> list[Block]:
    """Return the figure and the table of the headline model; nothing where it has no scores by region."""
    dry = error_bars.dry_days(study, variable)
    figure = None if dry else _figure(study, variable)
    table = _table(study, variable, _SCORES[1:] if dry else _SCORES)
    return [block for block in (figure, table) if block is not None]


def by_season(study: Study, variable: str) -> bool:
    """Whether the headline model has coverages of regions in two seasons or more."""
    return len({part.season for part in regional.held(study, variable) if part.region and part.season}) > 1


def _figure(study: Study, variable: str) -> Figure | None:
    if not by_season(study, variable):
        return None
    parts = {(part.region, part.season): part for part in regional.held(study, variable)}
    regions = [*dict.fromkeys(region for region, _ in parts if region), ""]
    seasons = [*(name for name in regional.SEASONS if any(season == name for _, season in parts)), ""]
    whole = study.score(study.headline, "coverage_90", variable=variable)
    if whole is not None:
        parts["", ""] = regional.Held("", "", float(whole["value"]), float(whole["low"]), float(whole["high"]))
    # The first row is drawn below.
    table = [[parts.get((region, season)) for season in seasons] for region in reversed(regions)]
    shares = np.array([[np.nan if part is None else part.value for part in row] for row in table])
    strong = tuple(
        (row, column)
        for row, line in enumerate(table)
        for column, part in enumerate(line)
        if part is not None and part.known and part.side
    )
    gaps = 100.0 * (shares - regional.LEVEL)
    end = max(_LEAST, float(np.nanmax(np.abs(gaps))))
    name = numbers.label(study.headline)
    alt = _finding(name, [part for part in parts.values() if part.region and part.season])
    picture = heat.heat(
        heat.Heat(
            gaps, [region or _ALL for region in reversed(regions)], [season or _ALL for season in seasons],
            "", "season; colours: percentage points from 90\u00a0%",
            f"Coverage of the 90\u00a0% interval [%], {name}", alt, shown=100.0 * shares, strong=strong,
        ),
        Scale(-end, end, "field", "%", (False, False)),
    )  # fmt: skip
    bold = "Bold: the 95\u00a0% interval lies wholly below 87 or above 93\u00a0%. " if strong else ""
    caption = (
        f"How often the 90\u00a0% intervals of {name} hold the truth by region and season, {variable} on "
        f"{study.split}; blue: too narrow, red: too wide. {bold}{alt}"
    )
    return Figure(slug("coverage-region", variable), (picture,), caption)


def _finding(name: str, parts: Sequence[regional.Held]) -> str:
    low, high = min(parts, key=lambda part: part.value), max(parts, key=lambda part: part.value)
    return (
        f"The coverage of {name} runs from {numbers.coverage(low.value)} {low.where} to "
        f"{numbers.coverage(high.value)} {high.where}."
    )


def _table(study: Study, variable: str, metrics: Sequence[str]) -> tables.Table | None:
    """Return the scores of the headline model by region and season; the download holds all models and scores."""
    scores = study.scores(variable=variable, group=None)
    scores = scores[scores["group"].str.startswith("region=") & scores["value"].notna()]
    if not by_season(study, variable):
        scores = scores[~scores["group"].str.contains("season=")]
    own = scores[(scores["model"] == study.headline) & scores["metric"].isin(metrics)]
    if not len(own):
        return None
    shown = [metric for metric in metrics if metric in set(own["metric"])]
    groups = list(dict.fromkeys(own["group"]))
    columns = [tables.Column("Region", numeric=False), tables.Column("Season", numeric=False)]
    cells = {group: _head(group, number) for number, group in enumerate(groups)}
    for metric in shown:
        rows, words = own[own["metric"] == metric].drop_duplicates("group").set_index("group"), metric_words(metric)
        columns.append(tables.Column(words.label, numbers.units(str(rows["units"].iloc[0])), note=words.direction))
        for group, cell in zip(groups, tables.score_cells(words, rows, groups, groups), strict=True):
            cells[group].append(cell)
    caption = (
        f"Error bars of {numbers.label(study.headline)} by region and season, {variable} on {study.split}; the "
        "download holds all models."
    )
    known = " Small print: 95\u00a0% interval." if own["low"].notna().any() else " No interval is known."
    rows = tuple(tuple(cells[group]) for group in groups)
    return tables.Table(slug("by-region", variable), caption + known, tuple(columns), rows, _source(scores))


def _head(group: str, number: int) -> list[tables.Cell]:
    pairs = dict(pair.split("=", 1) for pair in group.split(";"))
    season = pairs.get("season", _ALL)
    # Sorted by the second column, the seasons stand in the order of the year.
    rank = regional.SEASONS.index(season) if season in regional.SEASONS else -1
    return [tables.text(pairs["region"]), tables.Cell(season, float(rank))]


def _source(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values(["metric", "model"], kind="stable")
