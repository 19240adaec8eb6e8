"""Skill bars, paired differences, small multiples by group, and importance: points with intervals in rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture, cues
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import NORMAL, SMALL, add_axes, label_room, picture, wrapped
from pipeline.report.palette import LIGHT

SHOWN = 12


@dataclass(frozen=True)
class Row:
    """One model (or channel) of a row plot.

    Parameters
    ----------
    name : str
        What it is.
    value, low, high : float
        Point and 95\u00a0% interval; NaN bounds: none known.
    colour : str
        In the light theme.
    note : str
        Why the row stands out, such as ``"best baseline"``; its name is bold.
    hollow : bool
        Whether the point is drawn empty: its interval includes zero.
    cue : int
        Which hatch or marker, for models of one colour; 0 is a plain bar and a round point.
    """

    name: str
    value: float
    low: float
    high: float
    colour: str
    note: str = ""
    hollow: bool = False
    cue: int = 0


def shortened(rows: Sequence[Row], keep: Sequence[str], most: int = SHOWN) -> list[Row]:
    """Return at most ``most`` rows in their order: the first ones, and those named in ``keep``."""
    if len(rows) <= most:
        return list(rows)
    must = [row for row in rows if row.name in keep]
    rest = [row for row in rows if row.name not in keep][: most - len(must)]
    return [row for row in rows if row in must or row in rest]


def skill_bars(
    rows: Sequence[Row], axis: str, alt: str, title: str, *, width: int, height: int | None = None,
    column: bool = False,
) -> Picture:  # fmt: skip
    """Draw bars from zero with their intervals, the best on top; the best baseline as a line through all.

    Parameters
    ----------
    rows : sequence of Row
        Sorted, the best first; that with a note is drawn as the line.
    axis : str
        Name and units of the score.
    column : bool
        Whether the numbers stand below each other at the right, free of the line: where it is the longest bar.
    """
    tall = height or 46 + 24 * len(rows)

    def draw(figure: Any) -> None:
        left = min(_room(rows, 18), 0.42 * width)
        axes = add_axes(figure, left, 6, 44, 38)
        place = np.arange(len(rows))[::-1]
        thick = 0.62
        axes.barh(
            place, [row.value for row in rows], height=thick, color=[row.colour for row in rows], linewidth=0,
            edgecolor=LIGHT.surface, hatch=[cues.hatch(row.cue) for row in rows],
        )  # fmt: skip
        _whiskers(axes, rows, place, LIGHT.text)
        edge = max(_reach(row) for row in rows)
        decimals = numbers.decimals_for([row.value for row in rows])
        for row, y in zip(rows, place, strict=True):
            axes.annotate(
                numbers.number(row.value, decimals), (edge if column else _reach(row), y), xytext=(5, 0),
                textcoords="offset points", va="center", fontsize=SMALL, color=LIGHT.text,
            )  # fmt: skip
            if row.note:
                axes.axvline(row.value, color=LIGHT.text, linewidth=1, linestyle=(0, (3, 3)))
        axes.set_xlim(min(0.0, min(row.value for row in rows)), edge * 1.02 if edge > 0 else 1.0)
        _names(axes, rows, place, 18)
        # One model alone must not become a wall.
        axes.set_ylim(len(rows) - 0.4 - max(len(rows), 5), len(rows) - 0.4)
        axes.set_xlabel(axis)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(_few_ticks(4))

    return picture(draw, width, int(tall), alt, title, data=_numbers(rows, axis))


def dots(
    rows: Sequence[Row],
    axis: str,
    alt: str,
    title: str,
    *,
    width: int,
    ends: tuple[str, str] = ("", ""),
    limits: tuple[float, float] | None = None,
) -> Picture:
    """Draw a point with its interval in every row, and the line of zero.

    Parameters
    ----------
    ends : tuple of str
        What the left and the right of zero mean, in a word or two.
    limits : tuple of float, optional
        Of the axis, where several panels share them; those of the rows by default.
    """
    room = 16 if any(ends) else 0

    def draw(figure: Any) -> None:
        left = min(_room(rows, 24), 0.45 * width)
        axes = add_axes(figure, left, 6 + room, 14, 38)
        place = np.arange(len(rows))[::-1]
        axes.axvline(0, color=LIGHT.muted, linewidth=1)
        for row, y in zip(rows, place, strict=True):
            axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2.2, solid_capstyle="round")
            face = LIGHT.surface if row.hollow else row.colour
            axes.plot(
                [row.value],
                [y],
                cues.marker(row.cue),
                color=row.colour,
                markerfacecolor=face,
                markersize=6.5,
                markeredgewidth=1.6,
            )
        _names(axes, rows, place, 24)
        axes.set_xlabel(axis)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.xaxis.set_major_locator(_few_ticks(5 if width > 400 else 3))
        low, high = limits or axes.get_xlim()
        # A tick label that is cut at the edge helps nobody: some room on both sides.
        axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        for text, side, shift in ((ends[0], "right", -6), (ends[1], "left", 6)):
            if text and _shows_zero(axes):
                axes.annotate(
                    text, (0, 1), xycoords=("data", "axes fraction"), xytext=(shift, 5), textcoords="offset points",
                    ha=side, fontsize=SMALL, color=LIGHT.muted,
                )  # fmt: skip

    return picture(draw, width, 46 + room + 22 * len(rows), alt, title, data=_numbers(rows, axis))


def multiples(
    panels: Mapping[str, Sequence[Row]], axis: str, alt: str, *, mark: float | None = None, higher: bool = False
) -> list[Picture]:
    """Draw one panel of dots a group, same limits; ``mark`` is what is right, else ``higher`` or lower is better."""
    everything = [bound for rows in panels.values() for row in rows for bound in (row.value, row.low, row.high)]
    finite = [bound for bound in [*everything, mark] if bound is not None and np.isfinite(bound)]
    low, high = min(finite), max(finite)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    pictures = []
    for name, rows in panels.items():

        def draw(figure: Any, rows: Sequence[Row] = rows) -> None:
            left = min(_room(rows, 16), 110)
            axes = add_axes(figure, left, 6, 10, 38)
            place = np.arange(len(rows))[::-1]
            if mark is not None:
                axes.axvline(mark, color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
            for row, y in zip(rows, place, strict=True):
                axes.plot([row.low, row.high], [y, y], color=row.colour, linewidth=2, solid_capstyle="round")
                axes.plot([row.value], [y], cues.marker(row.cue), color=row.colour, markersize=5.5)
            axes.set_xlim(low - margin, high + margin)
            axes.set_ylim(-0.6, len(rows) - 0.4)
            _names(axes, rows, place, 16)
            axes.set_xlabel(axis)
            axes.xaxis.set_major_locator(_few_ticks(3))

        turn = -1.0 if higher else 1.0
        best = min(rows, key=lambda row: turn * row.value if mark is None else abs(row.value - mark))
        where = (
            f"the {'highest' if higher else 'lowest'} value"
            if mark is None
            else f"the value nearest to {numbers.number(mark)}"
        )
        finding = f"{alt}, {name}: {numbers.label(best.name)} has {where}, {numbers.number(best.value)}."
        pictures.append(picture(draw, 255, 46 + 20 * len(rows), finding, name, data=_numbers(rows, axis)))
    return pictures


def _numbers(rows: Sequence[Row], axis: str) -> Data:
    keys = {"value": axis, "low": "95 % interval, lower end", "high": "95 % interval, upper end"}
    return Data({"name": [row.name for row in rows]} | {n: [getattr(r, k) for r in rows] for k, n in keys.items()})


def _whiskers(axes: Any, rows: Sequence[Row], place: np.ndarray, colour: str) -> None:
    for row, y in zip(rows, place, strict=True):
        if np.isfinite(row.low) and np.isfinite(row.high):
            axes.plot([row.low, row.high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")


def _names(axes: Any, rows: Sequence[Row], place: np.ndarray, width: int) -> None:
    axes.set_yticks(place, [wrapped(row.name, width) for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color(LIGHT.text)
        tick.set_fontsize(NORMAL if len(rows) <= SHOWN else SMALL)
        tick.set_linespacing(0.95)
        tick.set_fontweight("bold" if row.note else "normal")


def _room(rows: Sequence[Row], width: int) -> float:
    """Return the pixels that the names need, those that are bold a fifth more."""
    plain, bold = ([row.name for row in rows if bool(row.note) == noted] for noted in (False, True))
    return max([label_room(names, width) * factor for names, factor in ((plain, 1.0), (bold, 1.2)) if names])


def _reach(row: Row) -> float:
    return max(bound for bound in (row.value, row.high, 0.0) if np.isfinite(bound))


def _shows_zero(axes: Any) -> bool:
    low, high = axes.get_xlim()
    return bool(low + 0.1 * (high - low) < 0 < high - 0.1 * (high - low))


def _few_ticks(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10])
