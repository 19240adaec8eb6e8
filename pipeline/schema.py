"""Schemas that explain themselves: what is wrong in a YAML file, where, and what was meant."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Tag, ValidationError

from pipeline.errors import ConfigError, UserError
from pipeline.registry import suggest

M = TypeVar("M", bound=BaseModel)


def validate(schema: type[M], data: Any, *, where: str, error: type[UserError] = ConfigError, prefix: str = "") -> M:
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
    try:
        return schema.model_validate(data)
    except ValidationError as faults:
        lines = [_describe(fault, schema, prefix) for fault in faults.errors()]
        raise error("\n".join(f"{where}: {line}" for line in dict.fromkeys(lines))) from None


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


def _describe(fault: Any, schema: type[BaseModel], prefix: str) -> str:
    location, _ = _walk(schema, fault["loc"])
    path = ".".join([*([prefix] if prefix else []), *location])
    if fault["type"] == "extra_forbidden":
        known = _fields_at(schema, fault["loc"][:-1])
        return f"{path}: unknown key.{suggest(location[-1], known)} Known: {', '.join(sorted(known))}."
    if fault["type"] == "missing":
        return f"{path}: this key is required and missing."
    if fault["type"] == "model_type":
        keys = ", ".join(sorted(_fields_at(schema, fault["loc"])))
        return f"{path}: expected a mapping with keys among {keys}, got {fault['input']!r}."
    if fault["type"] == "string_type":
        return f"{path}: expected text, in quotes where it looks like a number, got {fault['input']!r}."
    message = fault["msg"].removeprefix("Value error, ").removesuffix(".")
    message = message[:1].lower() + message[1:]
    quoted = isinstance(fault["input"], str) and repr(fault["input"]) in message
    said = isinstance(fault["input"], (dict, list)) or "got" in message or quoted
    got = "" if said else f", got {fault['input']!r}"
    return f"{path or 'the file'}: {message}{got}."


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
