"""What tells models of one colour apart: hatches of bars, markers of points, dashes of lines, the plain one first."""

from __future__ import annotations

from typing import Any

_HATCHES = ("", "////", "....", "xxxx", "----")
_MARKERS = ("o", "s", "^", "D", "v")
_DASHES: tuple[Any, ...] = ("solid", (0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)), (0, (8, 2)))


def hatch(cue: int) -> str:
    """Return the hatch of a bar.

    Examples
    --------
    >>> hatch(0), hatch(1)
    ('', '////')
    """
    return _HATCHES[cue % len(_HATCHES)]


def marker(cue: int) -> str:
    """Return the marker of a point.

    Examples
    --------
    >>> marker(0), marker(1)
    ('o', 's')
    """
    return _MARKERS[cue % len(_MARKERS)]


def dash(cue: int) -> Any:
    """Return the style of a line, as matplotlib takes it.

    Examples
    --------
    >>> dash(0), dash(1)
    ('solid', (0, (4, 2)))
    """
    return _DASHES[cue % len(_DASHES)]
