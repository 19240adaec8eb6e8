"""From a name or a file, with ``--set`` options, to a checked :class:`Experiment`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError
from pipeline.experiment import Experiment
from pipeline.registry import suggest
from pipeline.schema import parse_yaml, read_yaml, validate

SHIPPED = Path(__file__).with_name("experiments")


@dataclass(frozen=True)
class Loaded:
    """An experiment and where it came from.

    Parameters
    ----------
    experiment : Experiment
        Checked against its schema.
    source : Path
        The YAML file.
    """

    experiment: Experiment
    source: Path


def shipped() -> dict[str, Path]:
    """Return the experiments that can be named: the shipped ones and those of the working folder, which win."""
    found = {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}
    others = {path.stem: path for path in sorted(Path.cwd().glob("*.yaml")) if path.stem not in found and _asks(path)}
    return {name: _own(name) or path for name, path in (found | others).items()}


def _asks(path: Path) -> bool:
    """Whether a YAML file is an experiment: it has models, data and a split. Looked at as text, for lists are quick."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return all(re.search(rf"^{key}:", text, flags=re.MULTILINE) for key in ("data", "split", "models"))


def _own(name: str) -> Path | None:
    """Return the working folder's file of that name.

    An empty one does not count: the shell makes it for `experiments show NAME > NAME.yaml` before we look.
    """
    path = Path.cwd() / f"{name}.yaml"
    return path if path.is_file() and path.stat().st_size else None


def find_experiment(name: str) -> Path:
    """Return the file of an experiment given by name or by path.

    Raises
    ------
    ConfigError
        If there is no such file and no such name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"expected an experiment file, got {name!r}, which is not there.")
        if not path.stat().st_size:
            raise ConfigError(
                f"expected an experiment file, got {name!r}, which is empty. To begin with a shipped one: "
                f"finescale experiments show NAME > {name}; its names: {', '.join(shipped())}."
            )
        return path
    if (own := _own(name)) is not None:
        return own
    known = shipped()
    if name not in known:
        raise ConfigError(
            f"unknown experiment {name!r}.{suggest(name, known)} Known: {', '.join(known)}; or give a YAML file."
        )
    return known[name]


def load_experiment(name: str, overrides: Sequence[str] = ()) -> Loaded:
    """Return the experiment ``name`` with ``overrides`` such as ``models.unet.lr=1e-4`` applied.

    Raises
    ------
    ConfigError
        If the file, an override or the whole does not fit the schema.

    Examples
    --------
    >>> load_experiment("quickstart", ["seed=3"]).experiment.seed
    3
    """
    source = find_experiment(name)
    return Loaded(validate_tree(source, overrides), source)


def validate_tree(source: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Return the experiment in the file ``source`` with ``overrides`` applied."""
    tree = read_yaml(source)
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected a mapping of keys such as name, data and models, got {tree!r}.")
    for text in overrides:
        override(tree, text)
    where = f"{source} with {' '.join(f'--set {text}' for text in overrides)}" if overrides else str(source)
    return validate(Experiment, tree, where=where)


def override(tree: dict[str, Any], text: str) -> None:
    """Set one value of ``tree`` in place, as ``--set a.b=c`` says; numbers in a path index lists.

    Raises
    ------
    ConfigError
        If ``text`` is not of that form or its path runs through something that has no keys.
    """
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set: expected KEY.KEY=VALUE such as models.unet.lr=1e-4, got {text!r}.")
    _known_model(tree, keys, text)
    node: Any = tree
    for position, key in enumerate(keys[:-1]):
        node = _step(node, key, text, ".".join(keys[:position]))
    _assign(node, keys[-1], _parse(value, text), text, ".".join(keys[:-1]))


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


def _parse(value: str, text: str) -> Any:
    try:
        parsed = parse_yaml(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set: expected a YAML value behind '=', got {text!r}.") from None
    if isinstance(parsed, str):
        try:  # YAML 1.1 reads 1e-4 as text; everyone else reads a number
            return float(parsed) if any(digit.isdigit() for digit in parsed) else parsed
        except ValueError:
            return parsed
    return parsed


def _step(node: Any, key: str, text: str, where: str) -> Any:
    if isinstance(node, dict):
        if not isinstance(node.get(key), (dict, list)):
            node[key] = {}
        return node[key]
    if isinstance(node, list) and key.isdigit() and int(key) < len(node):
        return node[int(key)]
    raise ConfigError(f"--set {text!r}: {where or 'the file'} has no key {key!r}.")


def _assign(node: Any, key: str, value: Any, text: str, where: str) -> None:
    if isinstance(node, dict):
        node[key] = value
    elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
        node[int(key)] = value
    else:
        raise ConfigError(f"--set {text!r}: {where or 'the file'} has no key {key!r}.")


def dump(experiment: Experiment) -> str:
    """Return the experiment as YAML, every default written out."""
    tree = experiment.model_dump(mode="json", by_alias=True)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
