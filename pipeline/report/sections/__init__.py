"""Sections of the report: one file each, a function from a study to a :class:`Section` or None."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.figures import Picture
from pipeline.report.tables import Table


@dataclass(frozen=True)
class Figure:
    """Panels beside each other with one caption.

    Parameters
    ----------
    name : str
        Anchor and file name; letters, digits and dashes.
    """

    name: str
    pictures: tuple[Picture, ...]
    caption: str


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


Block = Figure | Table | Words | Heading | Code


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
