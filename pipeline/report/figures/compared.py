"""The main score of all models of several runs: a row a model, a point with its interval a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pipeline.report.figures import Picture, cues
from pipeline.report.figures.canvas import NORMAL, SMALL, add_axes, label_room, picture, wrapped
from pipeline.report.palette import LIGHT, STRONG

_APART = 17  # pixels between two runs of one model
WIDTH = 900


def points(
    models: Sequence[str],
    runs: Sequence[str],
    values: Sequence[Sequence[tuple[float, float, float] | None]],
    axis: str,
    alt: str,
) -> Picture:
    """Draw for each of ``models`` one point with its interval for each of ``runs`` that has it.

    Parameters
    ----------
    runs : sequence of str
        What runs are called in the key above the rows.
    values : sequence of sequence
        By model and run: value, low and high, bounds NaN where no interval is known; None where there is none.
    axis : str
        Name and units of the score.
    """
    block = _APART * len(runs) + 12
    tall = 74 + block * len(models)

    def draw(figure: Any) -> None:
        left = min(label_room(models, 26), 0.4 * WIDTH)
        axes = add_axes(figure, left, 34, 16, 40)
        for row, scores in enumerate(values):
            for run, score in enumerate(scores):
                if score is not None:
                    _point(axes, -row * block - (run - (len(runs) - 1) / 2) * _APART, score, run)
            if row:
                axes.axhline(-(row - 0.5) * block, color=LIGHT.grid, linewidth=0.8)
        axes.set_yticks([-row * block for row in range(len(models))], [wrapped(model, 26) for model in models])
        for tick in axes.get_yticklabels():
            tick.set_color(LIGHT.text)
            tick.set_fontsize(NORMAL)
            tick.set_linespacing(0.95)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(-(len(models) - 0.5) * block, 0.5 * block)
        axes.set_xlabel(axis)
        axes.margins(x=0.04)
        axes.autoscale_view(scaley=False)
        _key(axes, runs)

    return picture(draw, WIDTH, int(tall), alt)


def _point(axes: Any, y: float, score: tuple[float, float, float], run: int) -> None:
    value, low, high = score
    colour = STRONG[run % len(STRONG)][0]
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
    axes.plot([value], [y], cues.marker(run), color=colour, markersize=6.5)


def _key(axes: Any, runs: Sequence[str]) -> None:
    """Write which marker is which run above the rows."""
    for run, name in enumerate(runs):
        colour = STRONG[run % len(STRONG)][0]
        place = (run * 56, 12)
        axes.annotate(
            name, (0, 1), xycoords="axes fraction", xytext=(place[0] + 10, place[1]), textcoords="offset points",
            va="center", fontsize=SMALL, color=LIGHT.text,
        )  # fmt: skip
        axes.plot(
            [place[0]], [place[1]], cues.marker(run), color=colour, markersize=6.5, clip_on=False,
            transform=_above(axes),
        )  # fmt: skip


def _above(axes: Any) -> Any:
    """Return coordinates in pixels from the upper left corner of the axes."""
    from matplotlib.transforms import ScaledTranslation

    corner = ScaledTranslation(0, 0, axes.figure.dpi_scale_trans)
    box = axes.get_position()
    width, height = axes.figure.get_size_inches() * 72
    shift = ScaledTranslation(box.x0 * width / 72, box.y1 * height / 72, axes.figure.dpi_scale_trans)
    return corner + shift
