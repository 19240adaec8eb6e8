"""How the climate changes between two test sets: predicted, and true where the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.grid import Grid
from pipeline.metrics.indices import INDICES
from pipeline.report import numbers, tables
from pipeline.report.figures import maps
from pipeline.report.places import kind, placed
from pipeline.report.sections import Block, Figure, Heading, Section, slug
from pipeline.report.study import Study
from pipeline.report.tables import Cell, Column, Table

_MOST_MAPS = 3
_A_YEAR = 12  # months
_FINEST = {"1": 2, "K": 2}  # decimals; more of a share of days or of a temperature is noise
_TELLING = ("mean", "txx", "rx1day", "tnn", "r01", "p98_wet_of_year")


def build(study: Study) -> Section | None:
    """Return the section; None where the run holds no changes."""
    found = blocks(study)
    words = lead(study) or "How the climate changes between two test sets, in every model that predicts both."
    return Section("changes", "Change between test sets", words, tuple(found)) if found else None


def blocks(study: Study) -> list[Block]:
    """Return a heading, a table for each variable and maps of the headline model for every pair of test sets."""
    found: list[Block] = []
    rows = study.run.changes
    rows = rows[rows["value"].notna()]
    for (first, second), pair in rows.groupby(["first", "second"], sort=False):
        found.append(Heading(f"Change between {first} and {second}"))
        data = study.run.change_maps(study.headline, str(first), str(second))
        for variable, part in pair.groupby("variable", sort=False):
            found += _tables(study, str(variable), part)
            figure = None if data is None else _maps(study, data, str(variable), (str(first), str(second)))
            found += [figure] if figure is not None else []
    return found


def lead(study: Study) -> str:
    """Say the headline model's first change, beside the true one where it is known; empty without changes."""
    rows = study.run.changes
    rows = rows[(rows["model"] == study.headline) & rows["value"].notna()]
    if not len(rows):
        return ""
    row = rows.iloc[_rank(rows["index"]).argmin()]
    low, high, truth = (float(row[key]) for key in ("low", "high", "truth"))
    decimals = _decimals(rows[rows["index"] == row["index"]])
    amount, true = (_amount(float(value), str(row["units"]), decimals) for value in (row["value"], truth))
    factor, _ = shown_as(str(row["units"]))
    bounds = f" ({numbers.interval(factor * low, factor * high, decimals)})" if np.isfinite(low + high) else ""
    known = f"; in truth by {true}" if np.isfinite(truth) else ""
    what, name = f"{row['variable']} ({_label(row['index'])})", numbers.label(study.headline)
    return f"From {row['first']} to {row['second']}, {what} changes by {amount} in {name}{bounds}{known}."


def shown_as(units: str) -> tuple[float, str]:
    """Return the factor and the units that a change is shown with: shares of days in percentage points.

    Examples
    --------
    >>> shown_as("1"), shown_as("K")
    ((100.0, 'percentage points'), (1.0, 'K'))
    """
    return (100.0, "percentage points") if units == "1" else (1.0, units)


def _amount(value: float, units: str, decimals: int) -> str:
    factor, unit = shown_as(units)
    return numbers.with_units(numbers.number(factor * value, decimals, sign=True), unit)


def _decimals(rows: pd.DataFrame) -> int:
    units = str(rows["units"].iloc[0])
    factor, _ = shown_as(units)
    decimals = numbers.decimals_for(factor * rows[["value", "truth"]].to_numpy(float).ravel())
    return min(decimals, _FINEST.get(units, decimals))


def _label(index: str) -> str:
    words = INDICES[index].label if index in INDICES else index.replace("_", " ")
    return words.replace("degC", "\u00b0C")


def _rank(names: pd.Series) -> np.ndarray:
    return np.array([_TELLING.index(name) if name in _TELLING else len(_TELLING) for name in names])


def _tables(study: Study, variable: str, rows: pd.DataFrame) -> list[Block]:
    """Return models by indices, the truth on top; as many tables as columns need."""
    indices = list(dict.fromkeys(rows["index"]))
    count = -(-len(indices) // tables.WIDEST)
    size = -(-len(indices) // count)
    return [
        _table(study, variable, rows[rows["index"].isin(indices[start : start + size])], start // size + 1)
        for start in range(0, len(indices), size)
    ]


def _table(study: Study, variable: str, rows: pd.DataFrame, number: int) -> Table:
    first, second = (str(rows[key].iloc[0]) for key in ("first", "second"))
    models = [model for model in dict.fromkeys((*study.models, *rows["model"])) if model in set(rows["model"])]
    columns = [Column("Model", numeric=False)]
    judged = bool(rows["truth"].notna().any())
    lines: dict[str, list[Cell]] = {model: [Cell(numbers.label(model), model)] for model in models}
    truth = [Cell("truth", "")]
    for index in dict.fromkeys(rows["index"]):
        part = rows[rows["index"] == index].drop_duplicates("model").set_index("model")
        factor, unit = shown_as(str(part["units"].iloc[0]))
        decimals = _decimals(part)
        columns.append(Column(_label(str(index)), numbers.units(unit)))
        true = factor * float(part["truth"].dropna().iloc[0]) if part["truth"].notna().any() else float("nan")
        truth.append(Cell(numbers.number(true, decimals, sign=True), true))
        for model in models:
            lines[model].append(_cell(part.loc[model] if model in part.index else None, factor, decimals))
    years = [int(rows[key].max()) for key in ("years_first", "years_second")]
    few = "" if rows["low"].notna().any() else ", not known of so few years"
    caption = (
        f"Change of climate indices of {variable} from {first} ({_period(study, first, years[0])}) to {second} "
        f"({_period(study, second, years[1])}), of the days that each forecast would give, area mean. Small "
        f"print: 95\u00a0% interval from year to year{few}.{'' if judged else ' No truth is known of both.'}"
    )
    body = tuple(tuple(line) for line in ([truth] if judged else []) + [lines[model] for model in models])
    name = slug("change", variable, first, second, *([] if number == 1 else [str(number)]))
    return Table(name, caption, tuple(columns), body, rows)


def _period(study: Study, split: str, years: int) -> str:
    """Say how long a test set is: its whole years, or its dates where it holds no whole one."""
    said = (study.run.stage("prepare").get("splits") or {}).get(split) or {}
    first, last = (str(said.get(key) or "") for key in ("first", "last"))
    if (study.run.experiment.get("data") or {}).get("months"):
        return numbers.plural(years, "year")
    if first and last and _months(last) - _months(first) < _A_YEAR - 1:
        return f"a part of a year, {first} to {last}"
    return numbers.plural(years, "whole year")


def _months(date: str) -> int:
    """Return the months up to an ISO date, which may be one that other calendars do not have."""
    return _A_YEAR * int(date[:4]) + int(date[5:7])


def _cell(row: pd.Series | None, factor: float, decimals: int) -> Cell:
    if row is None:
        return Cell(numbers.MISSING, float("inf"))
    value, low, high = (factor * float(row[key]) for key in ("value", "low", "high"))
    known = bool(np.isfinite(low) and np.isfinite(high))
    return Cell(
        numbers.number(value, decimals, sign=True), value, numbers.interval(low, high, decimals) if known else ""
    )


def _maps(study: Study, data: xr.Dataset, variable: str, pair: tuple[str, str]) -> Figure | None:
    """Return a row of maps: truth, prediction and difference of one index, or predictions of several."""
    present = [name for name in dict.fromkeys((*_TELLING, *INDICES)) if f"{variable}_{name}_change" in data]
    present = [name for name in present if np.isfinite(_field(data, f"{variable}_{name}_change")).any()]
    if not present or not placed(Grid.of(data)):
        return None
    grid, name = Grid.of(data), numbers.label(study.headline)
    judged = [index for index in present if np.isfinite(_field(data, f"{variable}_{index}_change_truth")).any()]
    panels = _judged(data, variable, judged[0]) if judged else _predicted(data, variable, present[:_MOST_MAPS])
    pictures = tuple(
        maps.draw_map(
            maps.MapPanel(
                field, title, _alt(grid, title, field, scale.units), source=f"diagnostics/changes*/{study.headline}.nc"
            ),
            grid,
            scale,
            earth=study.on_earth,
        )
        for title, field, scale in panels
    )
    what = f"{variable}, {_label(judged[0])}" if judged else f"indices of {variable}"
    caption = f"Change of {what}, from {pair[0]} to {pair[1]}: {name}{' beside the truth' if judged else ''}."
    return Figure(slug("change", "maps", variable, *pair), pictures, caption)


def _judged(data: xr.Dataset, variable: str, index: str) -> list[tuple[str, np.ndarray, maps.Scale]]:
    names = [f"{variable}_{index}_change{end}" for end in ("_truth", "", "_error")]
    truth, predicted, error = (_field(data, name) for name in names)
    _, unit = shown_as(str(data[names[1]].attrs.get("units", "")))
    both = maps.Scale.of("field", unit, truth, predicted)
    off = maps.Scale.of("field", unit, error)
    return [
        ("True change", truth, both), ("Predicted change", predicted, both), ("Predicted less true", error, off),
    ]  # fmt: skip


def _predicted(data: xr.Dataset, variable: str, indices: list[str]) -> list[tuple[str, np.ndarray, maps.Scale]]:
    found = []
    for index in indices:
        field = _field(data, f"{variable}_{index}_change")
        _, unit = shown_as(str(data[f"{variable}_{index}_change"].attrs.get("units", "")))
        label = _label(index)
        found.append((label[:1].upper() + label[1:], field, maps.Scale.of("field", unit, field)))
    return found


def _field(data: xr.Dataset, name: str) -> np.ndarray:
    """Return a map as it is shown; empty where there is none."""
    if name not in data:
        return np.empty(0)
    factor, _ = shown_as(str(data[name].attrs.get("units", "")))
    return factor * np.asarray(data[name].values, float)


def _alt(grid: Grid, title: str, field: np.ndarray, unit: str) -> str:
    amount = numbers.with_units(numbers.number(float(np.nanmean(field)), sign=True), unit)
    return f"{title}: {amount} on average over the {kind(grid)}s."
