"""The parts of a model's uncertainty: along time, one on the other, beside its error; and on an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.grid import Grid
from pipeline.report.figures import Picture, maps
from pipeline.report.figures.behind import Data, of_map
from pipeline.report.figures.canvas import SMALL, add_axes, name_ends, picture, raster, text_width, wrapped
from pipeline.report.figures.lines import unbroken
from pipeline.report.figures.time import Series, dates
from pipeline.report.palette import LIGHT, Theme

HEIGHT = 260
_NAME = 16
_FLAT = 0.6  # an image of which is this high for its width is drawn over its whole width
_GAP, _ABOVE, _BELOW = 14, 17, 40
_SHADES = {"aleatoric": 0.28, "epistemic": 0.7}


@dataclass(frozen=True, eq=False)
class Course:
    """What is drawn.

    Parameters
    ----------
    time : ndarray of datetime64, shape (time,)
        In order.
    parts : mapping of str to ndarray, shape (time,)
        Aleatoric and epistemic, or one of them.
    error : ndarray, shape (time,)
        In the units of the parts, or a share.
    axis, error_axis : str
        Names of both with their units; without the second the error lies on the first axis.
    error_name : str
        Of the line.
    """

    time: np.ndarray
    parts: Mapping[str, np.ndarray]
    error: np.ndarray
    axis: str
    error_axis: str
    error_name: str


def course(data: Course, colour: str, alt: str, title: str, *, width: int, height: int = HEIGHT) -> Picture:
    """Draw the parts as areas one on the other, and the error as a line: over them, or in a panel below.

    Parameters
    ----------
    colour : str
        Of the model.
    """
    edges = np.cumsum([np.zeros(len(data.time)), *data.parts.values()], axis=0)
    bands = tuple((edges[k], edges[k + 1], part) for k, part in enumerate(data.parts))
    whole = unbroken(Series(data.time, data.error, edges[-1], bands))
    marker = {"marker": "o", "markersize": 2.4} if len(whole.time) <= 60 else {}
    names = [*data.parts, data.error_name]
    room = min(max(text_width(wrapped(name, _NAME, 1), SMALL) for name in names) + 12, 0.34 * width)
    below = 74 if data.error_axis else 0

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 52, 10, room, 28 + below)
        for low, high, part in whole.bands:
            axes.fill_between(whole.time, low, high, color=colour, alpha=_SHADES[part], linewidth=0)
            # A single time between two gaps has no area.
            axes.plot(whole.time, high, color=colour, linewidth=0.9, alpha=0.5 + 0.5 * _SHADES[part], **marker)
        own = axes
        if data.error_axis:
            own = add_axes(figure, 52, height - 28 - below + 18, room, 28)
            axes.tick_params(labelbottom=False)
        own.plot(whole.time, whole.truth, color=LIGHT.truth, linewidth=1.2, **marker)
        _scale(axes, whole, data.axis, 4)
        _scale(own, whole, data.error_axis or data.axis, 2 if data.error_axis else 4)
        dates(own, 4 if width < 400 else 8)
        if own is not axes:
            axes.set_xticks(own.get_xticks())
        ends = [(0.5 * (_last(low) + _last(high)), part, colour) for low, high, part in whole.bands]
        line = [(_last(whole.truth), data.error_name, LIGHT.truth)]
        for where, shown in ((axes, ends), (own, line)) if own is not axes else ((axes, ends + line),):
            name_ends(where, [(end, wrapped(name, _NAME, 1), tone) for end, name, tone in shown if np.isfinite(end)])

    columns: dict[str, Any] = {"time": data.time}
    columns |= {f"{part}: {data.axis}": values for part, values in data.parts.items()}
    columns[f"{data.error_name}: {data.error_axis or data.axis}"] = data.error
    return picture(draw, width, height, alt, title, data=Data(columns))


def on_image(
    panels: Sequence[maps.MapPanel], scales: Sequence[maps.Scale], alt: str, title: str, *, width: int = maps.WIDTH,
    highest: int = 480,
) -> Picture:  # fmt: skip
    """Draw fields of the same pixels with their colour bars, the first row of the image on top.

    They stand side by side, below each other where the image is much wider than high.

    Parameters
    ----------
    panels : sequence of MapPanel
        The title of each is written above it.
    """
    rows, columns = panels[0].field.shape
    flat = rows < _FLAT * columns
    across = width if flat else (width - _GAP * (len(panels) - 1)) / len(panels)
    room = highest / len(panels) if flat else highest
    tall = min(across * rows / columns, room - _ABOVE - _BELOW)
    step = tall + _ABOVE + _BELOW
    height = int(step * (len(panels) if flat else 1))

    def draw(figure: Any, theme: Theme) -> None:
        for k, (panel, scale) in enumerate(zip(panels, scales, strict=True)):
            left, top = (0.0, k * step) if flat else (k * (across + _GAP), 0.0)
            bottom, wide = height - top - _ABOVE - tall, tall * columns / rows
            axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
            _pixels(axes, panel.field, scale, theme)
            bar = figure.add_axes((left / width, (bottom - 20) / height, across / width, 8 / height))
            maps.colour_bar(figure, bar, scale, theme)
            above = 1 - (top + _ABOVE - 4) / height
            figure.text(left / width, above, panel.title, fontsize=SMALL, color=theme.muted, va="bottom")

    grid = Grid(np.arange(rows), np.arange(columns), ("y", "x"))
    behind = of_map(grid, {panel.title: panel.field for panel in panels}, panels[0].source)
    return raster(draw, width, height, alt, title, data=behind)


def _pixels(axes: Any, field: np.ndarray, scale: maps.Scale, theme: Theme) -> None:
    shown = np.ma.masked_invalid(np.asarray(field, float))
    axes.set_facecolor("none")
    axes.imshow(shown, scale.colours(theme), vmin=scale.low, vmax=scale.high, interpolation="nearest", aspect="auto")
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
        spine.set_linewidth(0.8)
    axes.set_xticks([])
    axes.set_yticks([])


def _scale(axes: Any, data: Series, name: str, ticks: int) -> None:
    from matplotlib.ticker import MaxNLocator

    room = 0.02 * (data.time[-1] - data.time[0])  # for marks at both ends
    axes.set_xlim(data.time[0] - room, data.time[-1] + room)
    axes.set_ylim(0.0, None)
    axes.set_ylabel(name)
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float("nan")
