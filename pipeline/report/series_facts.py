"""What the prepare stage made of series, as sentences: windows, leads, missing values, stations, basins by split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import leads, numbers, tables
from pipeline.units import quantity, step_word

_MISSING = {
    "leave_out": "Samples whose inputs miss a value are left out.",
    "mean": "Where an input is missing, its mean of the train split stands in its place.",
    "last": "Where an input is missing, its last known value stands in its place.",
}
_LONG = 12  # basins that a cell of the table names


def series_facts(prepared: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader of ``work/prepare/summary.json`` should know of windows, leads and missing values.

    Examples
    --------
    >>> scaling = {"inputs": {"window": 365, "missing": "leave_out"}, "target": {"leads": [0]}}
    >>> series_facts({"step_days": 1.0, "scaling": scaling})[0]
    'Each sample sees the inputs of its own day and the 364 days before.'
    """
    scaling = prepared.get("scaling") or {}
    inputs, target = scaling.get("inputs") or {}, scaling.get("target") or {}
    step = step_word(float(prepared.get("step_days") or 0) or float("nan"))
    found = [_window(inputs, step), _leads(target, step)]
    found += [_MISSING.get(str(inputs.get("missing")), "")]
    share = (prepared.get("missing") or {}).get("filled")
    if share:
        found.append(f"{numbers.percent(float(share))} of the input values were filled.")
    found.append(_left_out(prepared))
    return tuple(text for text in found if text)


def _window(inputs: Mapping[str, Any], step: str) -> str:
    size, lags = inputs.get("window"), [int(lag) for lag in inputs.get("lags") or ()]
    if size and int(size) > 1:
        return f"Each sample sees the inputs of its own {step} and the {numbers.plural(int(size) - 1, step)} before."
    earlier = [lag for lag in lags if lag]
    if not earlier:
        return f"Each sample sees the inputs of its own {step} alone."
    return f"Each sample sees the inputs of its own {step} and those {leads.ranges(earlier)} {step}s before."


def _leads(target: Mapping[str, Any], step: str) -> str:
    ahead = [int(lead) for lead in target.get("leads") or ()]
    if not any(ahead):
        return ""
    once = ", all leads at once" if len(ahead) > 1 else ""
    return f"Predicted are the values {leads.ranges(ahead)} {step}{'' if ahead == [1] else 's'} ahead{once}."


def _left_out(prepared: Mapping[str, Any]) -> str:
    mask, dims = prepared.get("mask") or {}, (prepared.get("target_grid") or {}).get("dims") or ()
    cells, every = int(mask.get("cells") or 0), int(mask.get("of") or 0)
    if "station" not in dims or cells >= every:
        return ""
    first: Mapping[str, Any] = next(iter(prepared.get("targets") or ()), {})
    kind = quantity(str(first.get("units") or ""), str(first.get("standard_name") or ""))
    word = "basin" if kind == "flow" else "station"
    gone = every - cells
    verb = "is" if gone == 1 else "are"
    return f"{gone:,} of {numbers.plural(every, word)} {verb} left out: too little truth to learn from."


def basin_table(experiment: Mapping[str, Any], prepared: Mapping[str, Any]) -> tables.Table | None:
    """Return the basins of every split; None where the splits are not by basins."""
    split = experiment.get("split") or {}
    if split.get("by") != "basin":
        return None
    tests = split.get("test") or {}
    parts = {"train": split.get("train"), "validation": split.get("validation")}
    parts |= dict(tests) if isinstance(tests, Mapping) else {"test": tests}
    if not parts["train"]:  # all that no other split has
        taken = {str(basin) for basins in parts.values() for basin in basins or ()}
        parts["train"] = [name for name in map(str, prepared.get("stations") or ()) if name not in taken]
    samples = {name: facts.get("samples") for name, facts in (prepared.get("splits") or {}).items()}
    rows = []
    for name, basins in parts.items():
        names = [str(basin) for basin in basins or ()]
        more = f" and {len(names) - _LONG:,} more" if len(names) > _LONG else ""
        count = samples.get(name)
        rows.append(
            (
                tables.text(name),
                tables.Cell(f"{len(names):,}", len(names)),
                tables.Cell(numbers.MISSING if count is None else f"{count:,}", count or 0),
                tables.text(", ".join(names[:_LONG]) + more),
            )
        )
    columns = (
        tables.Column("Split", numeric=False), tables.Column("Basins"), tables.Column("Dates"),
        tables.Column("Which", numeric=False),
    )  # fmt: skip
    span = split.get("span")
    when = f" of {span[0]} to {span[1]}" if span else ""
    return tables.Table("split", f"Basins by split; all splits see the dates{when}.", columns, tuple(rows))
