"""The form of an experiment: what may be changed of it for one run, with the values that it has by itself.

A Prefect server makes the form of a custom run from it. What comes back is turned into the changes that ``--set``
takes, so that a run from the UI and one from the command line are the same run.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo

from flows.plan import Plan, make_plan
from models import MODELS
from pipeline.attribution import ATTRIBUTIONS
from pipeline.experiment import Experiment
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty import UNCERTAINTY

SECTIONS = ("training", "models", "uncertainty", "explain", "split", "data", "prepare", "scores", "compute", "seed")
"""What the form has, in its order: what is changed most comes first."""
_WORDS = {"lr": "Learning rate", "of": "What is explained", "mc": "MC"}
_BARE = ConfigDict(extra="forbid", frozen=True)


def form_of(experiment: Experiment, where: str) -> dict[str, tuple[Any, FieldInfo]]:
    """Return the form's sections: of each its type and its field, with title, help and the experiment's own value.

    Parameters
    ----------
    experiment : Experiment
        What is run.
    where : str
        Its file, for messages.

    Raises
    ------
    UserError
        If a model, method or explanation of it is not known, or has wrong options.
    """
    plan = make_plan(experiment, where=where)
    shown: dict[str, tuple[Any, FieldInfo]] = {}
    for name in SECTIONS:
        own = {"models": _models, "uncertainty": _uncertainty, "explain": _explanations}.get(name)
        if own is None:
            shown[name] = _field(name, Experiment.model_fields[name], getattr(experiment, name))
        elif part := own(experiment, plan):
            shown[name] = _group(name, part, Experiment.model_fields[name].description)
    return shown


def changes(form: Mapping[str, tuple[Any, FieldInfo]], given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs from the experiment's own values, as ``--set`` takes it.

    Parameters
    ----------
    form : mapping
        Of :func:`form_of`.
    given : mapping
        Values by section, as they came back.
    """
    found = []
    for name, value in given.items():
        own = _plain(form[name][1].get_default(call_default_factory=True))
        found += [f"{path}={json.dumps(new)}" for path, new in _differences(name, own, _plain(value))]
    return tuple(found)


def _models(experiment: Experiment, plan: Plan) -> dict[str, tuple[Any, FieldInfo]]:
    """Return a group for each model: its kind's own options, and those of training that it gives itself.

    Baselines come last: they are changed least.
    """
    parts = {}
    for name in sorted(experiment.models, key=lambda name: "baseline" in plan.models[name].type.traits):
        entry = experiment.models[name]
        config = plan.models[name].config
        shared = set(TrainingConfig.model_fields) - set(entry.options) if isinstance(config, TrainingConfig) else set()
        fields = _fields(config, leave=shared)
        if fields:
            parts[name] = _group(name, fields, f"{entry.kind}: {_first_line(MODELS.get(entry.kind))}")
    return parts


def _uncertainty(experiment: Experiment, plan: Plan) -> dict[str, tuple[Any, FieldInfo]]:
    parts = {}
    for number, entry in enumerate(experiment.uncertainty):
        kind = UNCERTAINTY.get(entry.method) if entry.method else None
        fields = {} if kind is None else _fields(kind.Config.model_validate(entry.options))
        if fields and kind is not None:
            what = f"{entry.method} of {', '.join(entry.models or ['all models that can'])}: {_first_line(kind)}"
            parts[str(number)] = _group(entry.called, fields, what)
    return parts


def _explanations(experiment: Experiment, plan: Plan) -> dict[str, tuple[Any, FieldInfo]]:
    parts = {}
    for number, entry in enumerate(experiment.explain):
        kind = ATTRIBUTIONS.get(entry.method)
        fields = _fields(kind.Config.model_validate(entry.options))
        if fields:
            what = f"{entry.method} of {', '.join(entry.models or ['all models that can'])}: {_first_line(kind)}"
            parts[str(number)] = _group(entry.name or entry.method, fields, what)
    return parts


def _fields(values: BaseModel, leave: Collection[str] = ()) -> dict[str, tuple[Any, FieldInfo]]:
    """Return the fields of a section with its own values in place of the defaults."""
    return {
        field.alias or name: _field(field.alias or name, field, getattr(values, name))
        for name, field in type(values).model_fields.items()
        if name not in leave and not field.exclude
    }


def _field(name: str, field: FieldInfo, value: Any) -> tuple[Any, FieldInfo]:
    if isinstance(value, BaseModel):
        return _group(name, _fields(value), field.description)
    own = copy.copy(field)
    own.alias = own.validation_alias = own.serialization_alias = None
    own.default, own.default_factory, own.title = value, None, _title(name)
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation, own


def _group(
    name: str, fields: dict[str, tuple[Any, FieldInfo]], description: str | None
) -> tuple[type[BaseModel], FieldInfo]:
    """Return a section of its own; a form shows its title and help over its fields."""
    made = create_model(_title(name), __config__=_BARE, **fields)  # type: ignore[call-overload]
    return made, FieldInfo(default=made(), title=_title(name), description=description)


def _title(name: str) -> str:
    """Return what a key is called in a form.

    Examples
    --------
    >>> _title("batch_size"), _title("lr"), _title("mc_samples")
    ('Batch size', 'Learning rate', 'MC samples')
    """
    if name in _WORDS:
        return _WORDS[name]
    first, _, rest = name.replace("_", " ").partition(" ")
    head = _WORDS.get(first, first[:1].upper() + first[1:])
    return f"{head} {rest}".strip()


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _plain(value: Any) -> Any:
    """Return a value as JSON takes it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _differences(path: str, own: Any, new: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves that differ, by their dotted path; a mapping with other keys is one leaf."""
    if isinstance(own, dict) and isinstance(new, dict) and own.keys() == new.keys():
        for key in own:
            yield from _differences(f"{path}.{key}", own[key], new[key])
    elif own != new:
        yield path, new
