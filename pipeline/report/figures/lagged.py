"""Attribution by variable and lag: a field of colours, the oldest lag at the left, signed round the page's colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import SMALL, raster, text_width, wrapped
from pipeline.report.figures.maps import Scale, colour_bar
from pipeline.report.palette import Theme

_ROW, _NAME = 24.0, 20


def lagged(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], scale: Scale, axis: str, alt: str, title: str = ""
) -> Picture:
    """Draw one square a number, and as many labels of columns as there is room for.

    Parameters
    ----------
    values : ndarray, shape (row, column)
        The first row is drawn on top; NaN is left empty.
    axis : str
        What the columns are.
    """
    names = [wrapped(row, _NAME, 1) for row in rows]
    left = max(text_width(name, SMALL) for name in names) + 12
    right, top, bottom = 14, 4, 80
    count, across = values.shape
    width = int(min(1060, max(344, left + right + 44 * across)) if across <= 16 else 1060 if across > 30 else 760)
    room = width - left - right
    height = int(top + bottom + _ROW * count)
    # From the newest lag on, which is always named.
    every = max(1, int(np.ceil((max(text_width(name, SMALL) for name in columns) + 10) / (room / across))))
    ticks = list(range(across - 1, -1, -every))[::-1]

    def draw(figure: Any, theme: Theme) -> None:
        axes = figure.add_axes((left / width, bottom / height, room / width, _ROW * count / height))
        axes.set_facecolor("none")
        axes.pcolormesh(
            np.arange(across + 1) - 0.5, np.arange(count + 1) - 0.5, np.ma.masked_invalid(values),
            cmap=scale.colours(theme), vmin=scale.low, vmax=scale.high, edgecolors=theme.grid, linewidth=0.5,
        )  # fmt: skip
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_ylim(count - 0.5, -0.5)
        axes.tick_params(length=0, labelsize=SMALL, colors=theme.muted, pad=4)
        axes.set_yticks(range(count), names)
        axes.set_xticks(ticks, [columns[place] for place in ticks])
        axes.set_xlabel(axis, fontsize=SMALL, color=theme.muted)
        bar = figure.add_axes((left / width, 20 / height, min(room, 344) / width, 8 / height))
        colour_bar(figure, bar, scale, theme)

    pairs = [(row, column) for row in rows for column in columns]
    behind = Data({"row": [r for r, _ in pairs], axis: [c for _, c in pairs], title or "value": values.ravel()}, 2)
    return raster(draw, width, height, alt, title, data=behind)
