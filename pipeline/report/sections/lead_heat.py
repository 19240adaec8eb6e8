"""Skill by lead and by the month or season in which forecasts begin: where a barrier stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.report import leads, numbers, targets
from pipeline.report.figures import heat
from pipeline.report.figures.maps import Scale
from pipeline.report.lead_scores import CORRELATIONS
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import Figure, slug
from pipeline.report.study import Study

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SEASONS = ("DJF", "MAM", "JJA", "SON")


def lead_axis(study: Study) -> str:
    """Return the name of an axis of leads."""
    return f"lead [{study.step}s]"


def lead_heat(study: Study, variable: str, split: str) -> Figure | None:
    """Return the heat maps of the headline model and the best baseline: by initial month, else by season."""
    for part, order in (("month", CORRELATIONS), ("season", CORRELATIONS[::-1])):
        for metric in order:
            rows = _parts(study, variable, split, metric, part)
            if len(rows[rows["model"] == study.headline]):
                return _heat_figure(study, variable, split, metric, part, rows)
    return None


def _parts(study: Study, variable: str, split: str, metric: str, part: str) -> pd.DataFrame:
    """Return scores of months or seasons at every lead, with the lead and the column in which each stands."""
    rows = study.scores(metric, variable=variable, split=split, group=None)
    named = rows["group"].str.extract(rf"^lead=(\d+);{part}=(\w+)$")
    rows = rows.assign(lead=named[0], part=named[1])[named[0].notna() & rows["value"].notna()]
    rows = rows.astype({"lead": int})
    if part == "month":  # groups are of the months that were forecast; the forecast began that many earlier
        return rows.assign(column=(rows["part"].astype(int) - 1 - rows["lead"]) % 12)
    return rows.assign(column=[_SEASONS.index(name) for name in rows["part"]])


def _heat_figure(study: Study, variable: str, split: str, metric: str, part: str, rows: pd.DataFrame) -> Figure:
    labels = _MONTHS if part == "month" else _SEASONS
    what = "month in which the forecast begins" if part == "month" else "season that is forecast"
    models = [name for name in dict.fromkeys((study.headline, targets.reference(study, variable))) if name]
    fields: dict[str, np.ndarray] = {}
    for model in models:
        own = rows[rows["model"] == model]
        field = np.full((len(study.run.leads), len(labels)), np.nan)
        place = [study.run.leads.index(lead) for lead in own["lead"]]
        field[place, own["column"].to_numpy(int)] = own["value"].to_numpy(float)
        fields |= {model: field} if np.isfinite(field).any() else {}
    scale, words = Scale.of("sequential", "1", *fields.values()), metric_words(metric)
    rows_of = [str(lead) for lead in study.run.leads]
    pictures = tuple(
        heat.heat(
            heat.Heat(field, rows_of, labels, lead_axis(study), what, f"{words.label}, {numbers.label(model)}",
                      _heat_finding(study, field, labels, part, model, words.label)),
            scale,
        )
        for model, field in fields.items()
    )  # fmt: skip
    counts = rows.loc[rows["model"] == study.headline, "n"]
    samples = "years" if part == "month" else "samples"
    few, many = int(counts.min()), int(counts.max())
    number = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    barrier = (
        "; where skill falls along a diagonal, forecasts have to cross the same months, a predictability barrier"
        if part == "month"
        else ""
    )
    beside = "on one colour scale; " if len(fields) > 1 else ""
    caption = (
        f"{words.label} of {variable} on {split} by the {what} and by lead, {beside}each number is of "
        f"{number} {samples}{', so single ones are uncertain' if many < 30 else ''}{barrier}."
    )
    return Figure(slug("leads-by", part, variable, split), pictures, caption)


def _heat_finding(study: Study, field: np.ndarray, labels: Sequence[str], part: str, model: str, word: str) -> str:
    def at(pick: object) -> str:
        row, column = (int(k) for k in np.unravel_index(int(pick(field)), field.shape))  # type: ignore[operator]
        began = "begun in" if part == "month" else "in"
        value = numbers.number(float(field[row, column]), 2)
        return f"{value} {began} {labels[column]}, {leads.ahead(study.run.leads[row], study.step)}"

    return f"{word} of {numbers.label(model)} runs from {at(np.nanargmin)}, to {at(np.nanargmax)}."
