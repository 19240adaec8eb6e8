"""Every key of an experiment and of a catalog entry, as Markdown: ``docs/reference.md``."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS
from pipeline.data import READERS
from pipeline.data.catalog import Entry
from pipeline.experiment import Experiment
from pipeline.metrics import METRICS
from pipeline.training.augment import AUGMENTATIONS
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import LOSSES
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty.calibration import CALIBRATIONS


def reference() -> str:
    """Return the whole page; made from the schemas themselves, so that it cannot fall behind them."""
    lines = ["# Keys", "", "Made by `finescale experiments keys`; do not edit by hand.", ""]
    lines += ["## An experiment", "", *_tables(Experiment), ""]
    for name in MODELS.names():
        config = MODELS.get(name).Config
        also = ", and every key of `training`" if issubclass(config, TrainingConfig) else ""
        lines += [f"## Model `{name}`", "", f"`models: {{any_name: {{kind: {name}}}}}`{also}", ""]
        lines += _own(config, TrainingConfig if also else None)
    lines += [
        "## Losses",
        "",
        "The `loss` of a model: a name, or `{kind: name, ...}` with the keys below, or a list of such,",
    ]
    lines += ["each with its `weight`. It holds for all targets of the model.", ""]
    for name in LOSSES.names():
        loss = LOSSES.get(name)
        lines += [f"### Loss `{name}`", "", (loss.__doc__ or "").strip().splitlines()[0], "", *_own(loss.Config, None)]
    lines += _augmentations()
    for title, registry, form in (
        ("Uncertainty", UNCERTAINTY, "uncertainty: [{{method: {}}}]"),
        ("Calibration", CALIBRATIONS, "uncertainty: [{{method: ..., calibration: {{kind: {}}}}}]"),
        ("Explanation", ATTRIBUTIONS, "explain: [{{method: {}}}]"),
    ):
        for name in registry.names():
            lines += [f"## {title} `{name}`", "", f"`{form.format(name)}`", "", *_own(registry.get(name).Config, None)]
    lines += ["## Metrics", "", ", ".join(f"`{name}`" for name in METRICS.names()), ""]
    lines += ["## A catalog entry", "", *_tables(Entry), ""]
    for name in READERS.names():
        lines += [f"## Reader `{name}`", "", "Its `options`:", "", *_own(READERS.get(name).Options, None)]
    return "\n".join(lines).rstrip() + "\n"


def descriptions(schema: type[BaseModel] = Experiment) -> dict[str, str]:
    """Return by dotted path what each key below ``schema`` is for; of a union the first schema's words.

    Examples
    --------
    >>> descriptions()["split.gap"]
    'Least time between two splits, such as 10D.'
    """
    found: dict[str, str] = {}
    for path, field in _walk(schema, ""):
        if field.description:
            found.setdefault(path.replace("[]", "").replace(".NAME", ""), field.description)
    return found


def _augmentations() -> list[str]:
    """Return what can be done to the train split, and what each keeps."""
    lines = [
        "## Augmentation",
        "",
        "`augment: [{kind: name, ...}]` with the keys below, done to every batch of the train split in this order,",
        "never to the validation split; for all deep models that can, or those named under `models`. A deep model's",
        "own `augment` takes its place. See [augmentation.md](augmentation.md).",
        "",
    ]
    for name in AUGMENTATIONS.names():
        kind = AUGMENTATIONS.get(name)
        lines += [f"### Augmentation `{name}`", "", (kind.__doc__ or "").strip().splitlines()[0], ""]
        needs = f" Needs a model with the trait {', '.join(sorted(kind.needs))}." if kind.needs else ""
        lines += [f"Keeps: {kind.keeps}{needs}", "", *_own(kind.Config, None)]
    return lines


def _own(config: type[BaseModel], shared: type[BaseModel] | None) -> list[str]:
    """Return the table of a schema's fields, less those of ``shared``."""
    taken = set() if shared is None else set(shared.model_fields)
    fields = {name: field for name, field in _walk(config, "") if name.partition(".")[0] not in taken}
    return [*(_table("", fields) if fields else ["No keys of its own."]), ""]


def _tables(schema: type[BaseModel]) -> list[str]:
    return _table("", dict(_walk(schema, "")))


def _walk(schema: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key below ``schema`` by its dotted path."""
    for name, field in schema.model_fields.items():
        if field.exclude:
            continue
        path = f"{prefix}{field.alias or name}"
        yield path, field
        for inner, sign in _schemas_in(field.annotation, ""):
            yield from _walk(inner, f"{path}{sign}.")


def _schemas_in(annotation: Any, sign: str) -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, sign
        return
    sign = {list: "[]", dict: ".NAME"}.get(typing.get_origin(annotation), sign)
    for part in typing.get_args(annotation):
        yield from _schemas_in(part, sign)


def _table(prefix: str, fields: dict[str, FieldInfo]) -> list[str]:
    lines = ["| key | takes | default | |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "required" if field.is_required() else _default(field)
        lines.append(f"| `{prefix}{name}` | {_kind(field.annotation)} | {default} | {field.description or ''} |")
    return lines


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None:
        return "none"
    return f"`{list(value) if isinstance(value, tuple) else value}`".replace("|", "\\|") if value != "" else ""


def _kind(annotation: Any) -> str:
    """Return what a key takes, in words."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(args[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(part) for part in args if part is not type(None)))
    if origin is tuple and len(args) == 2 and args[1] is not Ellipsis:
        return f"list of 2: {_kind(args[0])}"
    if origin in (list, tuple):
        return f"list: {_kind(args[0])}"
    if origin is dict:
        return f"mapping by name: {_kind(args[1])}"
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys"
    return words.get(annotation, "value")
