"""From a name or a file, with ``--set`` options, to a checked :class:`Experiment`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from flows.overrides import override
from pipeline.errors import ConfigError
from pipeline.experiment import Experiment
from pipeline.registry import suggest
from pipeline.schema import read_yaml, validate

__all__ = ["Loaded", "dump", "find_experiment", "load_experiment", "override", "shipped", "validate_tree"]

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


def dump(experiment: Experiment) -> str:
    """Return the experiment as YAML, every default written out."""
    tree = experiment.model_dump(mode="json", by_alias=True)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
