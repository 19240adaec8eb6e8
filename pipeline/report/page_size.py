"""What a page carries beside words and pictures: data for its plots, and numbers behind figures as far as they fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pipeline.report.figures import Picture
from pipeline.report.sections import Block, Figure, Folded, Section, Words

LEFT_OUT = "Left out, so that this page stays small; the report as Markdown draws it:"
LIMIT = 4_800_000
"""Bytes of a page, a little below the 5 MB that mail and browsers take."""


def figures(blocks: Iterable[Block]) -> Iterator[Figure]:
    """Yield all figures of blocks, those that are folded too."""
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Folded):
            yield from figures(block.blocks)


def plots(named: Iterable[tuple[str, Sequence[Picture]]]) -> str:
    """Return what is drawn by the browser as JSON that can stand inside HTML; empty where nothing is.

    Parameters
    ----------
    named : iterable of (str, sequence of Picture)
        Panels by the name of their figure; panels are counted from 1.
    """
    found: dict[str, Any] = {}
    for name, pictures in named:
        for number, picture in enumerate(pictures, 1):
            if picture.plot is not None:
                found[f"{name}-{number}"] = picture.plot.spec()
    # No "<" is left with which an element could end or begin.
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c") if found else ""


def fitting(sections: Sequence[Section], write: Callable[[Sequence[Section]], str], limit: int = LIMIT) -> str:
    """Return the page; where it is larger than ``limit``, without the numbers of the largest figures.

    Where that is not enough, as with thirty models of forty targets, each section keeps its first figures, and of the
    others what they show; the Markdown report has all of them.

    Parameters
    ----------
    write : callable
        Returns the page of sections.
    """
    page = write(sections)
    excess = len(page.encode()) - limit
    if excess <= 0:
        return page
    sizes = {figure.name: len(figure.link) for section in sections for figure in figures(section.blocks) if figure.csv}
    dropped: set[str] = set()
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if excess <= 0:
            break
        dropped.add(name)
        excess -= size
    lighter = [replace(section, blocks=_without(section.blocks, dropped)) for section in sections]
    page = write(lighter)
    while (excess := len(page.encode()) - limit) > 0 and any(list(figures(section.blocks)) for section in lighter):
        lighter = _fewer(lighter, excess)
        page = write(lighter)
    return page


def _fewer(sections: Sequence[Section], excess: int) -> list[Section]:
    """Return the sections with as many first figures each as leave room for ``excess`` bytes; one less at least."""
    drawn = [list(figures(section.blocks)) for section in sections]
    most = max(map(len, drawn))
    kept = next(
        (
            count
            for count in range(most - 1, 0, -1)
            if sum(_bytes(figure) for those in drawn for figure in those[count:]) >= excess
        ),
        0,
    )
    return [
        replace(section, blocks=_told(section.blocks, {figure.name for figure in those[kept:]}))
        for section, those in zip(sections, drawn, strict=True)
    ]


def _bytes(figure: Figure) -> int:
    """Return what the pictures of a figure take on a page, in both themes."""
    return sum(4 * (len(picture.light) + len(picture.dark)) // 3 for picture in figure.pictures)


def _told(blocks: Iterable[Block], names: Collection[str]) -> tuple[Any, ...]:
    """Return blocks with the captions alone of the figures that are named."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Folded):
            found.append(replace(block, blocks=_told(block.blocks, names)))
        elif isinstance(block, Figure) and block.name in names:
            found.append(Words((f"{LEFT_OUT} {block.caption}",)))
        else:
            found.append(block)
    return tuple(found)


def _without(blocks: Iterable[Block], names: Collection[str]) -> tuple[Any, ...]:
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Folded):
            found.append(replace(block, blocks=_without(block.blocks, names)))
        elif isinstance(block, Figure) and block.name in names:
            found.append(replace(block, withheld=True))
        else:
            found.append(block)
    return tuple(found)
