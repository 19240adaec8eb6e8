"""Every model, score and method by name, with what it is and where it comes from: ``docs/registry.md``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from models import MODELS
from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.checks import CHECKS
from pipeline.data import READERS
from pipeline.metrics import METRICS
from pipeline.prepare.labels import LABELS
from pipeline.registry import Registry
from pipeline.training.augment import AUGMENTATIONS
from pipeline.training.losses import LOSSES
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty.calibration import CALIBRATIONS

_DOI = re.compile(r"doi:(10\.\d{4,9}/[-._;()/:A-Za-z0-9<>]*[A-Za-z0-9>])")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_URL = re.compile(r"https?://[^\s,;)\]`]+[A-Za-z0-9/]")


@dataclass(frozen=True)
class Shelf:
    """One registry on the page: its heading, how its names are used, what else is told, and whether of a source."""

    title: str
    words: str
    registry: Registry[Any]
    tells: tuple[tuple[str, Callable[[Any], str]], ...] = ()
    sourced: bool = True


def _set(name: str) -> Callable[[Any], str]:
    return lambda kind: ", ".join(sorted(getattr(kind, name, None) or ()))


SHELVES = (
    Shelf(
        "Models",
        "`models: {any_name: {kind: NAME}}`. A baseline is what others are measured against; what can be trained on "
        "data larger than memory streams; what is shared answers for places that it was not fitted on; what has a past "
        "or a previous goes on from known values of the target",
        MODELS,
        (("tasks", _set("tasks")), ("can", lambda kind: ", ".join(sorted(set(kind.traits))))),
    ),
    Shelf("Losses", "`loss: NAME` of a deep model", LOSSES),
    Shelf("Augmentations", "`augment: [{kind: NAME}]`", AUGMENTATIONS, (("needs", _set("needs")),)),
    Shelf("Error bars", "`uncertainty: [{method: NAME}]`", UNCERTAINTY, (("needs", _set("needs")),)),
    Shelf("Calibrations", "`uncertainty: [{method: ..., calibration: {kind: NAME}}]`", CALIBRATIONS),
    Shelf("Explanations", "`explain: [{method: NAME}]`", ATTRIBUTIONS, (("needs", _set("needs")),)),
    Shelf("Checks of explanations", "made of every explanation that they suit", CHECKS),
    Shelf("Scores", "`scores: [NAME]`, and the column `metric` of scores.csv", METRICS),
    Shelf("Labels", "`prepare: {target: {label: {kind: NAME}}}`", LABELS),
    Shelf("Readers", "`format: NAME` in the data catalog", READERS, sourced=False),
)  # fmt: skip


def registries() -> str:
    """Return the whole page, made from the classes themselves."""
    lines = [
        "# Everything by name",
        "",
        "Made by `finescale experiments names`; do not edit by hand.",
        "Options of each stand in [reference.md](reference.md).",
        "",
    ]
    for shelf in SHELVES:
        heads = ["name", "what it is", *(head for head, _ in shelf.tells), *(["source"] if shelf.sourced else [])]
        lines += [f"## {shelf.title}", "", f"{shelf.words}.", "", _row(heads), _row(["---"] * len(heads))]
        for name in shelf.registry.names():
            kind = shelf.registry.get(name)
            told = [tell(kind) for _, tell in shelf.tells]
            found = ", ".join(_link(one) for one in sources(kind)) or "this project"
            lines.append(_row([f"`{name}`", summary(kind), *told, *([found] if shelf.sourced else [])]))
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def summary(kind: Any) -> str:
    """Return the first sentence of what an entry says of itself."""
    text = inspect.getdoc(kind) or inspect.getdoc(sys.modules[kind.__module__]) or ""
    first = text.split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)\s", first)[0].replace("|", "\\|")


def sources(kind: Any) -> tuple[str, ...]:
    """Return the DOIs, arXiv numbers or else addresses that an entry names, else its module, else a base of it."""
    for text in _texts(kind):
        found = [f"doi:{one}" for one in _DOI.findall(text)] + [f"arXiv:{one}" for one in _ARXIV.findall(text)]
        if found := found or _URL.findall(text):
            return tuple(dict.fromkeys(found))
    return ()


def _texts(kind: Any) -> Iterator[str]:
    for one in inspect.getmro(kind) if inspect.isclass(kind) else (kind,):
        if one.__module__ == "builtins":
            continue
        yield str(vars(one).get("__doc__") or "")
        yield str(getattr(sys.modules.get(one.__module__), "__doc__", "") or "")


def _link(source: str) -> str:
    if source.startswith("doi:"):
        return f"[`{source[4:]}`](https://doi.org/{quote(source[4:], safe='/._-:;')})"
    if source.startswith("arXiv:"):
        return f"[{source}](https://arxiv.org/abs/{source[6:]})"
    return f"<{source}>"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
