"""Sections of the report: one file each, a function from a study to a :class:`Section` or None."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.attribution import Light
from pipeline.report.figures import Picture
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
    """

    name: str
    pictures: tuple[Picture, ...]
    caption: str
    flag: Flag | None = None


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
