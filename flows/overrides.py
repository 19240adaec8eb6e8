"""``--set KEY.KEY=VALUE``: one value of an experiment's YAML, read as the schema means it."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel

from pipeline.errors import ConfigError
from pipeline.experiment import Experiment
from pipeline.registry import suggest
from pipeline.schema import leaf_types, parse_yaml, tagged_schemas

_SHORT = 60


def override(tree: dict[str, Any], text: str) -> None:
    """Set one value of ``tree`` in place, as ``--set a.b=c`` says; numbers in a path count the entries of lists.

    The number behind a list's last adds an entry. What the schema takes as text stays as it is typed.

    Raises
    ------
    ConfigError
        If ``text`` is not of that form or its path runs through something that has no keys.

    Examples
    --------
    >>> tree = {"models": {"unet": {"kind": "unet"}}}
    >>> override(tree, "models.unet.lr=1e-4")
    >>> override(tree, "uncertainty[0].method=swag")
    >>> override(tree, "question=2024")
    >>> tree
    {'models': {'unet': {'kind': 'unet', 'lr': 0.0001}}, 'uncertainty': [{'method': 'swag'}], 'question': '2024'}
    """
    path, equals, value = text.partition("=")
    keys = re.sub(r"\[(\d+)\]", r".\1", path.strip()).split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set: expected KEY.KEY=VALUE such as models.unet.lr=1e-4, got {text!r}.")
    _known_model(tree, keys, text)
    node: Any = tree
    for position, key in enumerate(keys[:-1]):
        node = _step(node, key, keys[position + 1], text, ".".join(keys[:position]))
    _assign(node, keys[-1], _parse(value, text, taken(tree, keys)), text, ".".join(keys[:-1]))


def _known_model(tree: dict[str, Any], keys: list[str], text: str) -> None:
    """Refuse an option of a model that is not there; only `kind` begins a new one."""
    models = tree.get("models")
    if (
        keys[0] == "models"
        and len(keys) > 2
        and isinstance(models, dict)
        and keys[1] not in models
        and keys[2] != "kind"
    ):
        raise ConfigError(
            f"--set {text!r}: no model {keys[1]!r}.{suggest(keys[1], models)} Known: {', '.join(models)}; "
            f"a new one begins with --set models.{keys[1]}.kind=KIND."
        )


def taken(tree: dict[str, Any], keys: Sequence[str]) -> Any:
    """Return the type that the schema takes at a path, None where it leaves that to a plug-in's own schema.

    Examples
    --------
    >>> taken({}, ["question"]), taken({}, ["models", "unet", "lr"]) is None
    (<class 'str'>, True)
    """
    annotation: Any = Experiment
    node: Any = tree
    for key in keys:
        annotation = _inside(annotation, key, node)
        if annotation is None:
            return None
        node = node.get(key) if isinstance(node, dict) else None
    return annotation


def _inside(annotation: Any, key: str, node: Any) -> Any:
    """Return the type at ``key`` of something of the type ``annotation``, whose value is ``node``."""
    tagged = tagged_schemas(annotation)
    if tagged:  # the split, by its own key
        annotation = tagged.get(node.get("by", "time") if isinstance(node, dict) else "time")
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if key == (field.alias or name):
                return field.annotation
        return None
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is dict:
        return parts[1]
    if origin is tuple and key.isdecimal():
        return parts[min(int(key), len(parts) - 1)]
    if origin is list:
        return parts[0] if key.isdecimal() else None
    inner = [found for part in parts if part is not type(None) and (found := _inside(part, key, node)) is not None]
    return inner[0] if inner else None


def _parse(value: str, text: str, annotation: Any) -> Any:
    try:
        parsed = parse_yaml(value)
        if parsed is None and value.strip():
            return None
        if annotation is not None and set(leaf_types(annotation)) == {str} and not _is_literal(annotation):
            return _text(value, parsed)
    except yaml.YAMLError:
        raise ConfigError(f"--set: expected a YAML value behind '=', got {text!r}.") from None
    if isinstance(parsed, str):
        try:  # YAML 1.1 reads 1e-4 as text; everyone else reads a number
            return float(parsed) if any(digit.isdigit() for digit in parsed) else parsed
        except ValueError:
            return parsed
    return parsed


def _text(value: str, parsed: Any) -> Any:
    """Return text, or lists and mappings of it, as it is typed: a basin 01547700 is no octal number."""
    if isinstance(parsed, str):
        return parsed
    if isinstance(parsed, (list, dict)) and value.strip()[:1] in "[{":
        return yaml.load(value, Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but text
    return value.strip()


def _is_literal(annotation: Any) -> bool:
    return typing.get_origin(annotation) is typing.Literal


def _step(node: Any, key: str, following: str, text: str, where: str) -> Any:
    """Return what lies at ``key``, which is made if it is not there: a list where a number follows, else a mapping."""
    if isinstance(node, dict):
        if not isinstance(node.get(key), (dict, list)):
            node[key] = [] if following == "0" and node.get(key) is None else {}
        return node[key]
    number = _number(node, key, text, where)
    if number == len(node):
        node.append({})
    return node[number]


def _assign(node: Any, key: str, value: Any, text: str, where: str) -> None:
    if isinstance(node, dict):
        node[key] = value
        return
    number = _number(node, key, text, where)
    node[number : number + 1] = [value]


def _number(node: Any, key: str, text: str, where: str) -> int:
    """Return the number of a list's entry, or that behind its last."""
    if not isinstance(node, list):
        raise ConfigError(f"--set {text!r}: {where or 'the file'} has no key {key!r}, it is {_short(node)}.")
    if key.isdecimal() and int(key) <= len(node):
        return int(key)
    entries = "no entry" if not node else f"entries 0 to {len(node) - 1}" if len(node) > 1 else "one entry, 0"
    more = f", or add an entry as {where}.{len(node)}" if all(isinstance(entry, dict) for entry in node) else ""
    raise ConfigError(
        f"--set {text!r}: {where} is a list and has {entries}, got {key!r}. Give it whole, as in --set "
        f"'{where}=...'{more}. It is {_short(node)}."
    )


def _short(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    text = dumped.strip().removesuffix("...").strip()
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
