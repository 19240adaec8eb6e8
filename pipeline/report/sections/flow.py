"""A river's flow: its duration curve, the scores of its parts, and how basins differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.grid import Grid
from pipeline.metrics import Case
from pipeline.metrics.series_diagnostics import flow_duration
from pipeline.prediction import Prediction
from pipeline.report import numbers, palette, tables, targets
from pipeline.report.figures import lines
from pipeline.report.sections import Block, Figure, slug
from pipeline.report.sections.hydrograph import place_of
from pipeline.report.study import Study

_MANY = 10  # basins whose shares are drawn as a curve
_MOST_LINES = 6
_WIDE = 590
_NEGLIGIBLE = 1e-2  # of the median true flow: what is less is drawn as that on a logarithmic axis


def is_flow(study: Study, variable: str) -> bool:
    """Whether a target is a river's flow."""
    return study.quantities[variable] == "flow"


def score_tables(study: Study, variable: str, split: str) -> list[Block]:
    """Return the tables of what is scored of flow alone; none where nothing is."""
    present = set(study.scores(variable=variable, split=split).dropna(subset=["value"])["metric"])
    if not present & set(tables.FLOW_ONLY):
        return []
    found: list[Block] = []
    for number, (words, names) in enumerate(tables.FLOW.items(), 1):
        caption = f"{words}, {variable} on {split}."
        name = slug("flow", variable, split, *([] if number == 1 else [str(number)]))
        table = tables.skill_table(study, variable, split, names, name, caption, note=_NOTES[number - 1])
        found += [table] if table else []
    return found


_NOTES = (
    "Log NSE weighs low flow as high flow; the percent bias is that of the volume.",
    "FHV: the 2\u00a0% highest flows; FMS: the slope between those exceeded 20 and 70\u00a0% of the time; FLV: the "
    "30\u00a0% lowest, in logs, so that a forecast that nearly runs dry has a very large one; MAM7: the yearly minimum "
    "of the 7-day mean.",
)


def figures(study: Study, variable: str) -> list[Block]:
    """Return the flow duration curves, and the NSE of every basin where there are several."""
    found: list[Block] = []
    curves = _durations(study, variable)
    found += [curves] if curves is not None else []
    return [*found, *_basins(study, variable)]


def _models(study: Study, variable: str) -> list[str]:
    return [name for name in dict.fromkeys((study.headline, targets.reference(study, variable))) if name]


def _series(study: Study, model: str, variable: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]] | None:
    """Return truth and mean of the test set, shape (time, station), and the stations; None without predictions."""
    data = study.run.predictions(model)
    if data is None:
        return None
    with data:
        if f"{variable}_truth" not in data:
            return None
        test = data.isel(time=np.flatnonzero(data["split"].values.astype(str) == study.split))
        grid = Grid.of(test)
        shape = (test.sizes["time"], -1)
        truth, mean = (np.asarray(test[name].values, float).reshape(shape) for name in (f"{variable}_truth", variable))
    stations = grid.stations or tuple(str(number) for number in range(truth.shape[1]))
    return (truth, mean, stations) if np.isfinite(truth).any() else None


def _durations(study: Study, variable: str) -> Figure | None:
    place = place_of(study, variable)
    column = place.column if place is not None else 0
    drawn: list[lines.Line] = []
    curves: dict[str, np.ndarray] = {}
    for model in _models(study, variable):
        found = _series(study, model, variable)
        if found is None:
            continue
        truth, mean, _ = found
        point = Prediction("point", {"mean": mean[:, [column]]})
        curve = flow_duration(Case(point, truth[:, [column]], point))
        if not np.isfinite(curve.truth).any():
            continue
        percent, least = 100.0 * curve.probability, _NEGLIGIBLE * float(np.nanmedian(curve.truth))
        if not drawn:
            true = np.maximum(curve.truth[:, 0], least)
            drawn.append(lines.Line("truth", palette.LIGHT.truth, percent, true, strong=True))
            curves["truth"] = curve.truth[:, 0]
        strong = model == study.headline
        drawn.append(
            lines.Line(
                model,
                study.colours[model],
                percent,
                np.maximum(curve.prediction[:, 0], least),
                strong=strong,
                dash=study.cues[model],
            )
        )
        curves[model] = curve.prediction[:, 0]
    if len(drawn) < 2:
        return None
    text, unit = _found(study, variable, 100.0 * curve.probability, curves), numbers.units(study.field_units[variable])
    axis = lines.Axis(
        "time in which the flow is exceeded [%]", f"{variable} [{unit}]", log=True, marks=False, span=(0.0, 100.0)
    )
    where = f" at {place.words}, the basin with the median {place.ranked_by}" if place is not None else ""
    cut = any(float(np.nanmin(values)) < least for values in curves.values())
    low = f" Flows below {_amount(study, variable, least)} are drawn as that." if cut else ""
    caption = (
        f"Flow duration curves of {variable}{where}, {study.split}: how much of the time a flow is exceeded, whenever "
        f"it was; of the mean prediction, over the days that have truth.{low} {text}"
    )
    return Figure(slug("duration", variable), (lines.lines(drawn, axis, text, width=_WIDE, height=330),), caption)


def _found(study: Study, variable: str, percent: np.ndarray, curves: Mapping[str, np.ndarray]) -> str:
    """Say how the headline model's curve lies to the truth's at both ends."""
    parts = []
    for share in (1.0, 95.0):
        truth, own = (float(np.interp(share, percent, curves[name])) for name in ("truth", study.headline))
        parts.append(
            f"the flow exceeded {share:g}\u00a0% of the time is {_amount(study, variable, truth)} in truth and "
            f"{_amount(study, variable, own)} by {numbers.label(study.headline)}"
        )
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _amount(study: Study, variable: str, value: float) -> str:
    return numbers.with_units(numbers.number(value), study.field_units[variable])


def efficiencies(truth: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the NSE of every basin, shape (station,); NaN without two values or where the truth never varies.

    Parameters
    ----------
    truth, mean : ndarray, shape (time, station)
        NaN where there is none.

    Examples
    --------
    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> efficiencies(truth, truth).tolist(), efficiencies(truth, np.full((3, 1), 2.0)).tolist()
    ([1.0], [0.0])
    """
    good = np.isfinite(truth) & np.isfinite(mean)
    count = np.maximum(good.sum(axis=0), 1)
    usual = np.where(good, truth, 0.0).sum(axis=0) / count
    spread = np.where(good, (truth - usual) ** 2, 0.0).sum(axis=0)
    error = np.where(good, (mean - truth) ** 2, 0.0).sum(axis=0)
    missed: np.ndarray = np.divide(error, spread, out=np.full(len(spread), np.nan), where=spread > 0)
    return 1.0 - missed


def _basins(study: Study, variable: str) -> list[Block]:
    found: dict[str, np.ndarray] = {}
    stations: tuple[str, ...] = ()
    for model in _compared(study, variable):
        series = _series(study, model, variable)
        if series is None:
            continue
        stations = series[2]
        if len(stations) < 2:
            return []
        found[model] = efficiencies(series[0], series[1])
    if study.headline not in found or not np.isfinite(found[study.headline]).any():
        return []
    many = int(np.isfinite(found[study.headline]).sum()) >= _MANY
    curve: list[Block] = [_shares(study, variable, found)] if many else []
    return [*curve, _table(study, variable, stations, found)]


def _compared(study: Study, variable: str) -> list[str]:
    rows = study.scores(study.metrics[variable], variable=variable, split=study.chosen_on)
    ranked = list(rows.sort_values("value", kind="stable")["model"])
    order = [*_models(study, variable), *ranked, *study.models]
    return [model for model in dict.fromkeys(order) if model in study.models][:_MOST_LINES]


def _shares(study: Study, variable: str, found: Mapping[str, np.ndarray]) -> Figure:
    """Return for every model how large a share of the basins has at most an NSE."""
    drawn, quiet = [], 0
    for model, values in found.items():
        good = np.sort(values[np.isfinite(values)])
        if not len(good):
            continue
        dash, quiet = (quiet, quiet + 1) if model in study.baselines else (study.cues[model], quiet)
        share = 100.0 * np.arange(1, len(good) + 1) / len(good)
        strong = model == study.headline
        drawn.append(lines.Line(model, study.colours[model], share, np.maximum(good, -1.0), strong=strong, dash=dash))
    own = found[study.headline][np.isfinite(found[study.headline])]
    bad, least = float((own < 0).mean()), min(float(line.y.min()) for line in drawn)
    alt = (
        f"The NSE of {numbers.label(study.headline)} is {numbers.number(float(np.median(own)), 2)} in the median of "
        f"{len(own):,} basins, and below zero in {numbers.percent(bad) if bad else 'none'} of them."
    )
    axis = lines.Axis(
        "share of the basins [%]",
        "NSE",
        level=0.0,
        marks=False,
        span=(0.0, 100.0),
        limits=(min(least, 0.0) - 0.05, 1.0),
    )
    caption = (
        f"NSE of {variable} on {study.split} over the basins, in rising order: so much of them has at most that NSE; "
        f"values below \u22121 are drawn as that. {alt}"
    )
    return Figure(slug("basins", variable), (lines.lines(drawn, axis, alt, width=_WIDE, height=330),), caption)


def _table(study: Study, variable: str, stations: tuple[str, ...], found: Mapping[str, np.ndarray]) -> tables.Table:
    order = np.argsort(-np.nan_to_num(found[study.headline], nan=-np.inf), kind="stable")
    columns = (
        tables.Column("Basin", numeric=False),
        *(tables.Column(f"NSE, {numbers.label(model)}", note="higher is better") for model in found),
    )
    rows = tuple(
        (tables.Cell(stations[k], stations[k]), *(_cell(float(values[k])) for values in found.values())) for k in order
    )
    source = pd.DataFrame({"basin": [stations[k] for k in order], **{m: v[order] for m, v in found.items()}})
    caption = f"NSE of {variable} on {study.split} by basin, the best of {numbers.label(study.headline)} first."
    return tables.Table(slug("by-basin", variable), caption, columns, rows, source)


def _cell(value: float) -> tables.Cell:
    return tables.Cell(numbers.number(value, 2), value if np.isfinite(value) else float("-inf"))
