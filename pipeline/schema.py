"""Schemas that explain themselves: what is wrong in a YAML file, where, and what was meant."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Tag, ValidationError

from pipeline.errors import ConfigError, UserError
from pipeline.registry import suggest

M = TypeVar("M", bound=BaseModel)


def validate(
    schema: type[M],
    data: Any,
    *,
    where: str,
    error: type[UserError] = ConfigError,
    prefix: str = "",
    also: Iterable[str] = (),
) -> M:
    """Return ``data`` as a ``schema``, or raise one message that names every fault.

    Parameters
    ----------
    schema : type of BaseModel
        What is expected.
    data : any
        What came, as read from YAML or JSON.
    where : str
        The file, or another place a reader can look at.
    error : type of UserError
        What is raised.
    prefix : str
        Dotted path of ``data`` inside the file.
    also : iterable of str
        Keys that stand beside these in the file and that another schema checks: they may have been meant.

    Examples
    --------
    >>> from pipeline.model_config import ModelConfig
    >>> class Ridge(ModelConfig):
    ...     alpha: float = 1.0
    >>> validate(Ridge, {"alhpa": 2.0}, where="x.yaml", prefix="models.ridge")
    Traceback (most recent call last):
    ...
    pipeline.errors.ConfigError: x.yaml: models.ridge.alhpa: unknown key. Did you mean 'alpha'? Known: alpha.
    """
    truths = {".".join(filter(None, (prefix, path))): said for path, said in _truths(schema, data)}
    lines = [f"{path}: {said}" for path, said in truths.items()]
    try:
        found = schema.model_validate(data)
    except ValidationError as faults:
        described = (_describe(fault, schema, prefix, tuple(also)) for fault in faults.errors())
        lines += [line for line in described if line.partition(": ")[0] not in truths]
    if lines:
        raise error("\n".join(f"{where}: {line}" for line in dict.fromkeys(lines))) from None
    return found


def read_yaml(path: Path, error: type[UserError] = ConfigError) -> Any:
    """Return what the YAML file holds.

    Raises
    ------
    UserError
        If it is not there, is not UTF-8, or is not YAML; the message names file, line and column.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        raise error(f"{path}: expected a YAML file, got {type(fault).__name__}: {fault}") from None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise error(f"{path}:{place} expected YAML, got: {getattr(fault, 'problem', None) or fault}") from None


def parse_yaml(text: str) -> Any:
    """Return what YAML ``text`` holds; dates stay text, so do on and off, a key that stands twice is an error.

    Examples
    --------
    >>> parse_yaml("train: [1995-02-30, 1996-01-01]")
    {'train': ['1995-02-30', '1996-01-01']}
    >>> parse_yaml("{on: sea, amsgrad: true, plot: no}")
    {'on': 'sea', 'amsgrad': True, 'plot': 'no'}
    """
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - it is a safe loader


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a second key of the same name win silently; a run must not depend on that.

    Dates stay text: only a split's own calendar can say what 1995-02-30 means. As in YAML 1.2, true and false alone
    are truth values: the key ``on`` is a word, and an option that takes true or false understands it all the same.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # "<<" is no key: what it brings may be overwritten
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _kept(tag: str, letter: str) -> bool:
    """Whether words that begin with a letter may be told to be of a type."""
    return tag != "tag:yaml.org,2002:timestamp" and (tag != "tag:yaml.org,2002:bool" or letter in "tTfF")


_UniqueKeys.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if _kept(tag, letter)]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


# What pydantic calls by the names of Python's types, as a reader of YAML calls it.
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list such as [a, b]",
    "list_type": "a list such as [a, b]",
    "dict_type": "a mapping such as {key: value}",
}
_SHORT = 80


def _truths(schema: type[BaseModel], data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield where true or false stands for a number, which pydantic takes for 1 or 0."""
    for name, field in schema.model_fields.items() if isinstance(data, dict) else ():
        key = field.alias or name
        if key not in data:
            continue
        value, here = data[key], f"{path}.{key}" if path else key
        leaves = set(leaf_types(field.annotation))
        if isinstance(value, bool) and leaves & {int, float} and not leaves & {bool, str, Any}:
            yield here, f"expected {'a whole number' if float not in leaves else 'a number'}, got {str(value).lower()}."
        inner = _models_in(field.annotation)
        if len(inner) != 1:  # of a union any may be meant
            continue
        if isinstance(value, list):
            parts = [(f"{here}.{number}", part) for number, part in enumerate(value)]
        elif field.annotation is inner[0] or not isinstance(value, dict):
            parts = [(here, value)]
        else:
            parts = [(f"{here}.{inside}", part) for inside, part in value.items()] + [(here, value)]
        for place, part in parts:
            yield from _truths(inner[0], part, place)


def leaf_types(annotation: Any) -> list[Any]:
    """Return the types that a value, or the values in it, may be of; None is left out."""
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return [type(part) for part in parts]
    if not parts:
        return [] if annotation in (type(None), Ellipsis) else [annotation]
    if typing.get_origin(annotation) is typing.Annotated:
        return leaf_types(parts[0])
    return [leaf for part in parts for leaf in leaf_types(part)]


def _describe(fault: Any, schema: type[BaseModel], prefix: str, also: tuple[str, ...] = ()) -> str:
    location, _ = _walk(schema, fault["loc"])
    path = ".".join([*([prefix] if prefix else []), *location])
    if fault["type"] == "extra_forbidden":
        known = _fields_at(schema, fault["loc"][:-1]) | (set(also) if len(fault["loc"]) == 1 else set())
        return f"{path}: unknown key.{suggest(location[-1], known)} Known: {', '.join(sorted(known))}."
    if fault["type"] == "missing":
        given = fault["input"] if isinstance(fault["input"], dict) else {}
        near = difflib.get_close_matches(location[-1], [str(key) for key in given], n=1)
        return f"{path}: this key is required and missing.{f' Did you mean it by {near[0]!r}?' if near else ''}"
    if fault["type"] == "model_type":
        keys = ", ".join(sorted(_fields_at(schema, fault["loc"])))
        return f"{path}: expected a mapping with keys among {keys}, got {fault['input']!r}."
    if fault["type"] == "string_type":
        return f"{path}: expected text, in quotes where it looks like a number, got {fault['input']!r}."
    if fault["type"] in _EXPECTED:
        return f"{path}: expected {_EXPECTED[fault['type']]}, got {_shown(fault['input'])}."
    message = fault["msg"].removeprefix("Value error, ").removesuffix(".")
    message = message[:1].lower() + message[1:]
    quoted = isinstance(fault["input"], str) and repr(fault["input"]) in message
    said = isinstance(fault["input"], (dict, list)) or "got" in message or quoted
    got = "" if said else f", got {fault['input']!r}"
    wrong = fault["input"] if fault["type"] == "literal_error" else None
    meant = suggest(wrong, re.findall(r"'([^']*)'", message)) if isinstance(wrong, str) else ""
    return f"{path or 'the file'}: {message}{got}.{meant}"


def _shown(value: Any) -> str:
    """Return what came, in short, as YAML has it."""
    if value is None or isinstance(value, bool):
        return "nothing (null)" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."


def tagged_schemas(annotation: Any) -> dict[str, Any]:
    """Return by its tag every schema of a union that is told by a discriminator, or the type that holds schemas."""
    found: dict[str, Any] = {}
    for part in typing.get_args(annotation):
        inner, *metadata = typing.get_args(part) or (part,)
        found |= {mark.tag: inner for mark in metadata if isinstance(mark, Tag)}
    return found


def _walk(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[type[BaseModel]]]:
    """Return the keys that lead to ``location``, without the tags of unions, and the schemas that lie there."""
    said: list[str] = []
    models, tagged = [schema], dict[str, Any]()
    for part in location:
        if isinstance(part, str) and part in tagged:  # no key of the file: split.train, and not split.time.train
            models, tagged = _models_in(tagged[part]), {}
            continue
        said.append(str(part))
        fields = [model.model_fields[str(part)] for model in models if part in model.model_fields]
        tagged = {tag: model for field in fields for tag, model in tagged_schemas(field.annotation).items()}
        if fields:  # else an index of a list or a key of a mapping: the models inside were already unpacked
            models = [model for field in fields for model in _models_in(field.annotation)]
    return said, models


def _fields_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """Return the field names of the schema that lies at ``location`` inside ``schema``."""
    return {field.alias or name for model in _walk(schema, location)[1] for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
