"""Curves of classes, each named at its right end, and the confusion of classes as a field of shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers, palette
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data, below
from pipeline.report.figures.canvas import (
    SMALL,
    add_axes,
    label_room,
    name_ends,
    picture,
    raster,
    text_width,
    wrapped,
)
from pipeline.report.figures.plot import Plot, Trace
from pipeline.report.palette import LIGHT, Theme

WIDTH, HEIGHT, MATRIX = 344, 280, 490
_NAME, _ROW_NAME = 24, 16
_DARK, _BRIGHT = "#101214", "#fdfdfd"


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """One line from 0 to 1 on both axes.

    Parameters
    ----------
    name, colour : str
        Of the class; in the light theme.
    x, y : ndarray, shape (point,)
        NaN is left out.
    level : float, optional
        Drawn as a faint line across: what has no skill.
    strong : bool
        Whether the line is thick.
    """

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    level: float | None = None
    strong: bool = False


def class_curves(
    curves: Sequence[ClassCurve], axes_names: tuple[str, str], alt: str, title: str, *, diagonal: bool = False,
    corners: tuple[str, str] = ("", ""), height: int = HEIGHT,
) -> Picture:  # fmt: skip
    """Draw curves of classes over the unit square.

    Parameters
    ----------
    axes_names : tuple of str
        What lies along, and what up.
    diagonal : bool
        Whether the diagonal is what is right.
    corners : tuple of str
        Words in the upper left and the lower right corner.
    """
    names = [wrapped(curve.name, _NAME, 1) for curve in curves]
    room = min(max(text_width(name, SMALL) for name in names) + 14, 0.38 * WIDTH)

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 52, 8, room, 40)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
        ends = []
        for curve, name in zip(curves, names, strict=True):
            known = np.isfinite(curve.x) & np.isfinite(curve.y)
            if curve.level is not None:
                axes.axhline(curve.level, color=curve.colour, linewidth=0.9, linestyle=(0, (2, 3)))
            axes.plot(
                curve.x[known], curve.y[known], color=curve.colour, linewidth=2.2 if curve.strong else 1.6,
                marker="o" if diagonal else "", markersize=4 if curve.strong else 3,
            )  # fmt: skip
            ends += [(float(curve.y[known][-1]), name, curve.colour)] if known.any() else []
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        ticks = [0, 0.25, 0.5, 0.75, 1]
        axes.set_xticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_yticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        axes.text(0.02, 0.98, corners[0], fontsize=SMALL, color=LIGHT.muted, va="top", transform=axes.transAxes)
        axes.text(0.98, 0.02, corners[1], fontsize=SMALL, color=LIGHT.muted, ha="right", transform=axes.transAxes)
        height_of_axes = height - 48
        places = inside([end[0] for end in ends], 13 / height_of_axes)
        name_ends(axes, [(place, name, colour) for place, (_, name, colour) in zip(places, ends, strict=True)])

    data = below({"class": c.name, axes_names[0]: c.x, axes_names[1]: c.y} for c in curves)
    traces = [Trace(c.name, c.colour, 100 * c.x, 100 * c.y, width=2.2 if c.strong else 1.6) for c in curves]
    rising = all(len(c.x) < 2 or np.all(np.diff(c.x[np.isfinite(c.x)]) > 0) for c in curves)
    full = (0.0, 100.0)
    plot = Plot(
        traces, f"{axes_names[0]} [%]", f"{axes_names[1]} [%]", span=full, limits=full, diagonal=diagonal
    )  # fmt: skip
    return picture(draw, WIDTH, height, alt, title, data=data, plot=plot if rising else None)


def inside(places: Sequence[float], gap: float) -> list[float]:
    """Return places a gap apart and none above 1, in their order, so that no name stands above the picture.

    Examples
    --------
    >>> [round(place, 2) for place in inside([1.0, 0.98, 0.2], 0.1)]
    [1.0, 0.9, 0.2]
    """
    order = sorted(range(len(places)), key=lambda number: -places[number])
    found, ceiling = list(places), 1.0
    for number in order:
        found[number] = min(places[number], ceiling)
        ceiling = found[number] - gap
    return found


def confusion_matrix(
    area: np.ndarray, classes: Sequence[str], counted: bool, alt: str, title: str, *, width: int = MATRIX
) -> Picture:
    """Draw shares of each true class by what they were predicted as, in squares as dark as they are large.

    Parameters
    ----------
    area : ndarray, shape (class, class)
        True classes in rows.
    counted : bool
        Whether areas are numbers of cells, as those of pixels; else they are said as shares of the whole.
    """
    count, left = len(classes), _left(classes, width)
    room = width - left - 8
    side, tall = room / count, _tall(room / count)
    letters = max(int(side / (0.56 * SMALL)), 4)
    lines = max(wrapped(name, letters, 2).count("\n") + 1 for name in classes)
    top, bottom = 4, 24 + 13 * lines
    height = int(top + bottom + tall * count)
    whole = area.sum(axis=1, keepdims=True)
    shares = np.where(whole > 0, area / np.where(whole > 0, whole, 1.0), np.nan)

    def draw(figure: Any, theme: Theme) -> None:
        from matplotlib import colormaps

        axes = figure.add_axes((left / width, bottom / height, room / width, tall * count / height))
        axes.set_facecolor("none")
        colours = colormaps["cividis"]
        axes.pcolormesh(
            np.arange(count + 1) - 0.5, np.arange(count + 1) - 0.5, np.ma.masked_invalid(shares), cmap=colours,
            vmin=0, vmax=1, edgecolors=theme.surface, linewidth=1.5,
        )  # fmt: skip
        _cells(axes, shares, area, colours, side, has_room_below(classes, width), counted)
        axes.set_ylim(count - 0.5, -0.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelsize=SMALL, colors=theme.text, pad=4)
        axes.set_yticks(range(count), [wrapped(name, _ROW_NAME, 2) for name in classes])
        axes.set_xticks(range(count), [wrapped(name, letters, 2) for name in classes])
        axes.set_xlabel("predicted class", fontsize=SMALL, color=theme.muted)

    pairs = [(true, told) for true in classes for told in classes]
    columns: dict[str, Any] = {"true class": [true for true, _ in pairs], "predicted class": [p for _, p in pairs]}
    columns |= {"cells" if counted else "area": area.ravel(), "share of the true class": shares.ravel()}
    return raster(draw, width, height, alt, title, data=Data(columns, 2))


def has_room_below(classes: Sequence[str], width: int = MATRIX) -> bool:
    """Whether a second number stands in the squares of a confusion matrix, below the share."""
    side = (width - _left(classes, width) - 8) / len(classes)
    return side >= 62 and _tall(side) >= 40


def _left(classes: Sequence[str], width: int) -> float:
    return min(label_room(classes, _ROW_NAME, 2, SMALL) + 4, 0.34 * width)


def _tall(side: float) -> float:
    return float(np.clip(side * 0.62, 30, 64))


def _cells(
    axes: Any, shares: np.ndarray, area: np.ndarray, colours: Any, side: float, below: bool, counted: bool
) -> None:
    """Write the share into each square, and below it the number or the share of all area where there is room."""
    from matplotlib.colors import to_hex

    for row, column in zip(*np.nonzero(np.isfinite(shares)), strict=True):
        share = float(shares[row, column])
        ground = to_hex(colours(share))
        tone = max((_DARK, _BRIGHT), key=lambda tone: palette.contrast(tone, ground))
        shown = numbers.percent(share) if side >= 44 else f"{100 * share:.0f}"
        axes.annotate(
            shown, (column, row), xytext=(0, 6 if below else 0), textcoords="offset points", ha="center", va="center",
            fontsize=10, color=tone, fontweight="bold" if row == column else "normal",
        )  # fmt: skip
        if below:
            part = float(area[row, column])
            small = f"{part:,.0f}" if counted else f"{numbers.percent(part / float(area.sum()))} of all"
            axes.annotate(
                small, (column, row), xytext=(0, -8), textcoords="offset points", ha="center", va="center",
                fontsize=8.5, color=tone,
            )  # fmt: skip
