"""A series as it went: truth and prediction with their bands, the best case and the worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.grid import Grid
from pipeline.report import leads, numbers, sentences
from pipeline.report.figures import Picture, lines
from pipeline.report.figures.time import WIDE, Series
from pipeline.report.places import kind
from pipeline.report.sections import Block, Figure, slug
from pipeline.report.sections.cases import Case, best_and_worst, cut, series_of
from pipeline.report.sections.cell import Cell, calendar_free, inside, median_cell, stretch
from pipeline.report.study import Study

_WHOLE = 400  # samples that are shown from first to last
_HALF_YEAR = np.timedelta64(182, "D")


@dataclass(frozen=True, eq=False)
class Record:
    """The test set at one place, in the order of time.

    Parameters
    ----------
    dates : ndarray of str
        ISO dates in the calendar of the data.
    series : Series
        Truth, prediction and bands.
    where : str
        Such as ``"nino34 at basin 01"``.
    why : str
        Why this place is shown, as a sentence; empty where there is but one.
    """

    dates: np.ndarray
    series: Series
    where: str
    why: str


@dataclass(frozen=True, eq=False)
class Part:
    """What is shown of a record, and the rule by which it was chosen."""

    series: Series
    first: str
    last: str
    rule: str
    peak: int | None


def blocks(study: Study, variable: str) -> tuple[list[Block], str]:
    """Return the figures of a series and the sentence that a section may open with; neither without predictions."""
    record = record_of(study, variable)
    if record is None:
        return [], ""
    part = part_of(study, variable, record)
    found: list[Block] = [_figure(study, variable, record, part)]
    cases = best_and_worst(study, variable, record.series, place_of(study, variable))
    found += [_cases(study, variable, record, cases)] if cases else []
    return found, _sentence(study, variable, record, part)


def verdict_picture(study: Study, variable: str, height: int) -> Picture | None:
    """Return the hydrograph of the first screen; None without predictions."""
    record = record_of(study, variable)
    if record is None:
        return None
    part = part_of(study, variable, record)
    # A date does not break over lines.
    title = f"{record.where}, {part.first} to {part.last}".replace("-", "\u2011")
    # Its legend has little room: the widest band alone.
    slim = Series(part.series.time, part.series.truth, part.series.mean, part.series.bands[:1])
    return lines.hydrograph(
        slim, study.colours[study.headline], _axis(study, variable), _alt(study, variable, record, part),
        title, names=("truth", study.headline), width=344, height=height,
    )  # fmt: skip


def place_of(study: Study, variable: str) -> Cell | None:
    """Return the station with the median skill; None where there is but one series, or nothing to rank."""
    data = study.run.diagnostics(study.headline)
    if data is None or int(np.prod(Grid.of(data).shape)) == 1:
        return None
    return median_cell(study, data, variable)


def scored_series(study: Study, variable: str) -> int:
    """Return how many series have scores on the test set; 0 where it is not known."""
    data = study.run.diagnostics(study.headline)
    name = f"{variable}_rmse"
    return 0 if data is None or name not in data else int(np.isfinite(np.asarray(data[name].values, float)).sum())


def record_of(study: Study, variable: str) -> Record | None:
    """Return the test set at the place that is shown, of several leads at the one in the middle."""
    predictions = study.run.predictions(study.headline)
    if predictions is None:
        return None
    with predictions:
        test = predictions.isel(time=np.flatnonzero(predictions["split"].values.astype(str) == study.split))
        if f"{variable}_truth" not in test or test.sizes["time"] < 2:
            return None
        grid, place = Grid.of(test), place_of(study, variable)
        row, column = (place.row, place.column) if place is not None else (0, 0)
        data = test.isel({grid.dims[0]: row, grid.dims[1]: column})
        dates = np.array([str(date)[:10] for date in data["time"].values])
        series = series_of(data, variable, calendar_free(data["time"].values))
    if not (np.isfinite(series.truth) & np.isfinite(series.mean)).any():
        return None
    where = f"{variable} at {place.words}" if place is not None else variable
    why = ""
    if place is not None and scored_series(study, variable) > 1:
        why = f" It is the {kind(grid, study.quantities[variable])} with the median {place.ranked_by}."
    return Record(dates, series, where, why)


def part_of(study: Study, variable: str, record: Record) -> Part:
    """Return what is shown: all of a short test set, the year round the highest flow, else the median stretch."""
    series, peak = record.series, None
    if len(series.time) <= _WHOLE:
        chosen, rule = slice(0, len(series.time)), f"All of {sentences.named_set(study.split)} is shown."
    elif study.quantities[variable] == "flow":
        peak = int(np.nanargmax(series.truth))
        near = np.flatnonzero(np.abs(series.time - series.time[peak]) <= _HALF_YEAR)
        chosen = slice(int(near[0]), int(near[-1]) + 1)
        amount = _amount(study, variable, float(series.truth[peak]))
        rule = (
            f"Shown is the year round the highest flow of {sentences.named_set(study.split)}, {amount} on "
            f"{record.dates[peak]}."
        )
        peak -= chosen.start
    else:
        chosen = stretch(series.time, np.abs(series.mean - series.truth))
        rule = f"Shown is the stretch of {sentences.named_set(study.split)} with the median error."
    return Part(cut(series, chosen), str(record.dates[chosen][0]), str(record.dates[chosen][-1]), rule, peak)


def _figure(study: Study, variable: str, record: Record, part: Part) -> Figure:
    picture = lines.hydrograph(
        part.series, study.colours[study.headline], _axis(study, variable), _alt(study, variable, record, part),
        names=("truth", study.headline), width=WIDE, height=270,
    )  # fmt: skip
    caption = (
        f"{record.where}{_ahead(study)}, {part.first} to {part.last}{inside(part.series)}. {part.rule}{record.why} "
        f"Model: {numbers.label(study.headline)}."
    )
    return Figure(slug("series", variable), (picture,), caption)


def _alt(study: Study, variable: str, record: Record, part: Part) -> str:
    if part.peak is None:
        gap = part.series.mean - part.series.truth
        rmse = _amount(study, variable, float(np.sqrt(np.nanmean(gap**2))))
        return (
            f"{record.where}, {part.first} to {part.last}: {numbers.label(study.headline)} is off by {rmse} (RMSE)"
            f"{inside(part.series)}."
        )
    return f"{record.where}: {_peak(study, variable, part)}{inside(part.series)}."


def _peak(study: Study, variable: str, part: Part) -> str:
    """Say what was predicted for the highest flow."""
    assert part.peak is not None
    truth, mean = float(part.series.truth[part.peak]), float(part.series.mean[part.peak])
    off = (mean - truth) / truth
    way = "too much" if off > 0 else "too little"
    date = str(part.series.time[part.peak])[:10]
    return (
        f"at the highest flow, {_amount(study, variable, truth)} on {date}, {numbers.label(study.headline)} gives "
        f"{_amount(study, variable, mean)}, {numbers.percent(abs(off))} {way}"
    )


def _sentence(study: Study, variable: str, record: Record, part: Part) -> str:
    if part.peak is not None:
        text = _peak(study, variable, part)
        return f"{text[:1].upper()}{text[1:]}."
    gap = record.series.mean - record.series.truth
    good = np.isfinite(gap)
    name, rmse = numbers.label(study.headline), _amount(study, variable, float(np.sqrt(np.mean(gap[good] ** 2))))
    own, true = record.series.mean[good], record.series.truth[good]
    r = ""
    if len(own) > 2 and np.std(own) > 0 and np.std(true) > 0:
        r = f" and follow it with a correlation of {numbers.number(float(np.corrcoef(own, true)[0, 1]), 2)}"
    when = f"{_ahead(study)}," if study.run.leads else ""
    return f"Predictions of {record.where} by {name}{when} miss the truth by {rmse} (RMSE){r}."


def _cases(study: Study, variable: str, record: Record, cases: tuple[Case, ...]) -> Figure:
    values = np.concatenate(
        [part for case in cases for part in (case.series.truth, case.series.mean, *_ends(case.series))]
    )
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.05 * (high - low) or 1.0
    limits = (0.0 if low >= 0 and low < 0.3 * high else low - room, high + room)
    pictures = tuple(
        lines.hydrograph(
            case.series, study.colours[study.headline], _axis(study, variable), case.alt, case.title,
            names=("truth", study.headline), limits=limits, mark=case.mark,
        )
        for case in cases
    )  # fmt: skip
    caption = f"{record.where}: {cases[0].rule} Both have the same scale. Model: {numbers.label(study.headline)}."
    return Figure(slug("cases", variable), pictures, caption)


def _ends(series: Series) -> list[np.ndarray]:
    return [end for low, high, _ in series.bands for end in (low, high)]


def _ahead(study: Study) -> str:
    lead = study.run.shown_lead
    return "" if lead is None else f", {leads.ahead(lead, study.step)}"


def _axis(study: Study, variable: str) -> str:
    unit = numbers.units(study.field_units[variable])
    return f"{variable} [{unit}]" if unit else variable


def _amount(study: Study, variable: str, value: float) -> str:
    return numbers.with_units(numbers.number(value), study.units[variable])
