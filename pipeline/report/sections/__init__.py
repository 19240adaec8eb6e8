"""Sections of the report: one file each, a function from a study to a :class:`Section` or None."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipeline.attribution import Light
from pipeline.report import numbers
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import MOST, combined, known, link, written
from pipeline.report.tables import Table


@dataclass(frozen=True)
class Flag:
    """A traffic light: its shape and colour, and the words beside it, which name it too."""

    light: Light
    words: str


@dataclass(frozen=True)
class Figure:
    """Panels beside each other with one caption.

    Parameters
    ----------
    name : str
        Anchor and file name; letters, digits and dashes.
    flag : Flag, optional
        Whether to believe it, in front of the caption.
    steps, step : str
        The name of a series of figures of which it is one, through which the page leads one by one where it can, and
        its own name in it.
    withheld : bool
        Whether the page leaves out its numbers, since it would be too large.
    """

    name: str
    pictures: tuple[Picture, ...]
    caption: str
    flag: Flag | None = None
    withheld: bool = False
    steps: str = ""
    step: str = ""

    @cached_property
    def csv(self) -> str:
        """The numbers behind the figure as CSV, in full; empty where they are too many for a page."""
        if self.withheld:
            return ""
        found = [(picture.title, picture.data) for picture in self.pictures if picture.data is not None]
        if not found:
            return ""
        table = combined(found)
        keys = found[0][1].keys
        text = written(known(table, keys) if "lat [degrees_north]" in table.columns[:3] else table)
        return text if len(text) <= MOST * len(found) else ""

    @property
    def link(self) -> str:
        """The CSV as a ``data:`` URI."""
        return link(self.csv)

    @property
    def elsewhere(self) -> str:
        """Where the numbers are, as a sentence, if they are too many for a page; else empty."""
        if self.csv or not any(picture.data is not None for picture in self.pictures):
            return ""
        sources: dict[str, list[str]] = {}
        for picture in self.pictures:
            file, _, name = (picture.data.source if picture.data is not None else "").partition(", ")
            sources.setdefault(file or "scores.csv", []).append(name)
        named = []
        for file, names in sources.items():
            told = numbers.listing(dict.fromkeys(name for name in names if name))
            named.append(f"{told} of {file}" if told else file)
        return f"Its numbers are too many for this page: {numbers.listing(named)} in the run folder."


@dataclass(frozen=True)
class Signal:
    """A traffic light with a paragraph."""

    flag: Flag
    text: str


@dataclass(frozen=True)
class Words:
    """A paragraph, or a list where there is more than one item."""

    items: tuple[str, ...]
    listed: bool = False


@dataclass(frozen=True)
class Heading:
    """A smaller heading inside a section."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text to copy."""

    name: str
    title: str
    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that the page shows when asked for."""

    summary: str
    blocks: tuple[Figure | Table | Words | Heading | Code | Signal, ...]


Block = Figure | Table | Words | Heading | Code | Signal | Folded


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    key : str
        Anchor.
    lead : str
        The opening sentence, made from the numbers below it.
    """

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def slug(*parts: str) -> str:
    """Return an anchor of letters, digits and dashes.

    Examples
    --------
    >>> slug("skill", "unet+deep_ensemble")
    'skill-unet-deep-ensemble'
    """
    text = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in "-".join(parts).lower())
    return "-".join(part for part in text.split("-") if part) or "x"
