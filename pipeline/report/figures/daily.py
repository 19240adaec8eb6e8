"""Attributions of single days: what each variable adds, one on the other, and the number that they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import SMALL, add_axes, picture
from pipeline.report.palette import LIGHT, QUIET, STRONG

WIDTH, HEIGHT = 1060, 280
TOP = 4


def stacked(
    parts: np.ndarray, names: Sequence[str], whole: np.ndarray | None, dates: Sequence[str], axis: str, whole_name: str,
    alt: str,
) -> Picture:  # fmt: skip
    """Draw steps of signed parts, those above zero and those below each on their own, and the whole as points.

    Parameters
    ----------
    parts : ndarray, shape (part, time)
        ``TOP`` named ones at most, and maybe one more: the others together.
    whole : ndarray or None, shape (time,)
        What they are parts of.
    dates : sequence of str
        Of each day; a few are written below.
    """
    count = parts.shape[1]
    place = np.arange(count)
    edges = np.concatenate([place - 0.5, [count - 0.5]])
    tones = [tone for tone, _ in STRONG[:TOP]]

    def draw(figure: Any) -> None:
        from matplotlib.patches import Patch
        from matplotlib.ticker import MaxNLocator

        axes = add_axes(figure, 58, 30, 12, 28)
        up, down = np.zeros(count), np.zeros(count)
        handles: list[Any] = []
        for k, (part, name) in enumerate(zip(parts, names, strict=True)):
            tone = tones[k] if k < TOP else QUIET[2][0]
            above, below = up + np.maximum(part, 0), down + np.minimum(part, 0)
            for first, last in ((up, above), (down, below)):
                axes.stairs(last, edges, baseline=first, fill=True, color=tone, alpha=0.75, linewidth=0)
            up, down = above, below
            handles.append(Patch(facecolor=tone, alpha=0.75, label=name))
        axes.axhline(0, color=LIGHT.muted, linewidth=1)
        if whole is not None:
            (line,) = axes.plot(
                place, whole, "o-", color=LIGHT.truth, markersize=2.6, linewidth=0.9, label=whole_name
            )  # fmt: skip
            handles.append(line)
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles), frameon=False,
            fontsize=SMALL, labelcolor=LIGHT.text, borderpad=0, handlelength=1.2, columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
        axes.set_ylabel(axis)
        axes.set_xlim(-0.5, count - 0.5)
        every = max(1, int(np.ceil(count / 11)))
        axes.set_xticks(place[::every], list(dates)[::every])
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))

    columns: dict[str, Any] = {"date": list(dates)} | {f"{n}: {axis}": p for n, p in zip(names, parts, strict=True)}
    columns |= {} if whole is None else {f"{whole_name}: {axis}": whole}
    return picture(draw, WIDTH, HEIGHT, alt, data=Data(columns))
