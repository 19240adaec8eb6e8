"""A score by two things, such as the month a forecast begins and how far ahead it looks: a field of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers, palette
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import SMALL, label_room, raster
from pipeline.report.figures.maps import Scale, colour_bar
from pipeline.report.palette import Theme

WIDTH = 490
_LEAST = 25.0  # pixels that a number needs
_DARK, _BRIGHT = "#101214", "#fdfdfd"


@dataclass(frozen=True, eq=False)
class Heat:
    """Numbers in rows and columns.

    Parameters
    ----------
    values : ndarray, shape (row, column)
        The first row is drawn below; NaN stays empty.
    rows, columns : sequence of str
        Their labels.
    row_axis, column_axis : str
        What they are.
    title, alt : str
        What it is, and what it shows.
    shown : ndarray, shape (row, column), optional
        Numbers to write in place of the values, which the colours are of.
    strong : sequence of (int, int)
        Row and column of the numbers that are bold.
    """

    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    row_axis: str
    column_axis: str
    title: str
    alt: str
    shown: np.ndarray | None = None
    strong: Sequence[tuple[int, int]] = ()


def heat(data: Heat, scale: Scale, *, width: int = WIDTH) -> Picture:
    """Draw one square a number, with the number in it where there is room."""
    left, right, top, bottom = max(48, int(label_room(data.rows) + (18 if data.row_axis else 0))), 8, 4, 78
    count, across = data.values.shape
    tall = 30.0 if count <= 6 else 24.0 if count <= 14 else max(336.0 / count, 4.0)
    height = int(top + bottom + tall * count)
    wide = (width - left - right) / across

    def draw(figure: Any, theme: Theme) -> None:
        room = width - left - right
        axes = figure.add_axes((left / width, bottom / height, room / width, tall * count / height))
        axes.set_facecolor("none")
        colours = scale.colours(theme)
        axes.pcolormesh(
            np.arange(across + 1) - 0.5, np.arange(count + 1) - 0.5, np.ma.masked_invalid(data.values), cmap=colours,
            vmin=scale.low, vmax=scale.high, edgecolors=theme.surface, linewidth=1,
        )  # fmt: skip
        if wide >= _LEAST and tall >= 14:
            _numbers(axes, data, scale, theme)
        _labels(axes, data, theme)
        bar = figure.add_axes((left / width, 20 / height, room / width, 8 / height))
        colour_bar(figure, bar, scale, theme)

    pairs = [(row, column) for row in data.rows for column in data.columns]
    columns: dict[str, Any] = {data.row_axis or "row": [row for row, _ in pairs]}
    columns |= {data.column_axis or "column": [column for _, column in pairs], data.title: data.values.ravel()}
    columns |= {} if data.shown is None else {f"{data.title}: as written": data.shown.ravel()}
    return raster(draw, width, height, data.alt, data.title, data=Data(columns, 2))


def _numbers(axes: Any, data: Heat, scale: Scale, theme: Theme) -> None:
    from matplotlib.colors import Normalize, to_hex

    colours, norm = scale.colours(theme), Normalize(scale.low, scale.high, clip=True)
    shown = data.values if data.shown is None else data.shown
    decimals = 0 if np.nanmax(np.abs(shown)) >= 10 else 2
    for row, column in zip(*np.nonzero(np.isfinite(data.values)), strict=True):
        ground = to_hex(colours(norm(float(data.values[row, column]))))
        better = max((_DARK, _BRIGHT), key=lambda tone: palette.contrast(tone, ground))
        axes.text(
            column, row, short(float(shown[row, column]), decimals), ha="center", va="center", fontsize=9, color=better,
            fontweight="bold" if (row, column) in data.strong else "normal",
        )  # fmt: skip


def short(value: float, decimals: int) -> str:
    """Return a number for a small square: without the zero before its point.

    Examples
    --------
    >>> short(0.834, 2), short(-0.05, 2), short(1.0, 2), short(12.3, 0)
    ('.83', '−.05', '1.0', '12')
    """
    text = numbers.number(value, decimals)
    if decimals and abs(value) >= 0.995:
        return numbers.number(value, 1)
    return text.replace("0.", ".", 1) if decimals and abs(value) < 1 else text


def _labels(axes: Any, data: Heat, theme: Theme) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelsize=SMALL, colors=theme.muted, pad=4)
    every = max(1, int(np.ceil(len(data.rows) / 14)))
    axes.set_yticks(range(0, len(data.rows), every), list(data.rows)[::every])
    axes.set_xticks(range(len(data.columns)), list(data.columns))
    axes.set_ylabel(data.row_axis, fontsize=SMALL, color=theme.muted)
    axes.set_xlabel(data.column_axis, fontsize=SMALL, color=theme.muted)
