"""What the ingest stage found in each dataset, as rows of a table; keys that are not there stay empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report import numbers, tables


@dataclass(frozen=True)
class Variable:
    """One variable of one dataset, in words; the last three are numbers or None, ``missing`` a share in [0, 1]."""

    dataset: str
    name: str
    units: str
    dims: str
    span: str
    gaps: str
    missing: float | None
    low: Any
    high: Any


@dataclass(frozen=True)
class Dataset:
    """One dataset: what its card says, and its repairs as sentences."""

    name: str
    description: str
    licence: str
    citation: str
    repairs: tuple[str, ...]
    variables: tuple[Variable, ...]


def datasets(ingest: Mapping[str, Any]) -> tuple[Dataset, ...]:
    """Return the datasets in ``work/ingest/summary.json``, as the ingest stage describes them."""
    return tuple(_dataset(str(name), facts) for name, facts in (ingest.get("datasets") or {}).items())


def table(found: tuple[Dataset, ...]) -> tables.Table | None:
    """Return variables by what is known of them; None where nothing is."""
    rows = []
    for item in (variable for dataset in found for variable in dataset.variables):
        known = item.low is not None and item.high is not None
        extent = numbers.interval(item.low, item.high) if known else numbers.MISSING
        rows.append(
            (
                tables.text(item.dataset),
                tables.text(item.name),
                tables.text(numbers.units(item.units) or "1"),
                tables.text(item.dims or numbers.MISSING),
                tables.text(item.span or numbers.MISSING),
                tables.text(item.gaps or "none"),
                tables.Cell(
                    numbers.MISSING if item.missing is None else numbers.percent(item.missing), item.missing or 0.0
                ),
                tables.Cell(extent, item.low if known else float("-inf")),
            )
        )
    heads = ("Dataset", "Variable", "Units", "Dims", "Span", "Gaps")
    columns = (
        *(tables.Column(head, numeric=False) for head in heads),
        tables.Column("Missing"),
        tables.Column("Range"),
    )
    repaired = any(dataset.repairs for dataset in found)
    caption = f"What was read{', after the repairs named below' if repaired else ''}."
    return tables.Table("data", caption, columns, tuple(rows)) if rows else None


def _dataset(name: str, facts: Mapping[str, Any]) -> Dataset:
    return Dataset(
        name=name,
        description=str(facts.get("description") or ""),
        licence=str(facts.get("licence") or ""),
        citation=str(facts.get("citation") or ""),
        repairs=tuple(_repair(item) for item in facts.get("repairs") or ()),
        variables=tuple(_variable(name, item) for item in facts.get("variables") or ()),
    )


def _variable(dataset: str, facts: Mapping[str, Any]) -> Variable:
    dims = facts.get("dims") or {}
    span = f"{str(facts['start'])[:10]} to {str(facts['end'])[:10]}" if facts.get("start") and facts.get("end") else ""
    gaps = facts.get("gaps") or ()
    longest = max((int(gap.get("steps") or 0) for gap in gaps), default=0)
    return Variable(
        dataset=dataset,
        name=str(facts.get("name")),
        units=str(facts.get("units") or ""),
        dims=", ".join(f"{name}\u00a0{size:,}" for name, size in dims.items()),
        span=f"{span}, every {facts['step']}" if span and facts.get("step") else span,
        gaps=f"{len(gaps)}, longest {longest:,} steps" if gaps else "",
        missing=facts.get("missing"),
        low=facts.get("minimum"),
        high=facts.get("maximum"),
    )


def _repair(facts: Mapping[str, Any]) -> str:
    text, variable = str(facts.get("text") or facts.get("kind") or ""), str(facts.get("variable") or "")
    return f"{variable}: {text}" if variable and variable not in text else text
