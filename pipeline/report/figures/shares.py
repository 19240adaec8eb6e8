"""Bars from zero with the interval over days and, thinner, the range of the members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import NORMAL, SMALL, add_axes, label_room, picture, wrapped
from pipeline.report.palette import LIGHT

_CAP = 0.12


@dataclass(frozen=True)
class Bar:
    """One variable or channel.

    Parameters
    ----------
    name : str
        What it is.
    value, low, high : float
        Its number and the 95\u00a0% interval; NaN bounds: none known.
    least, most : float
        Lowest and highest of the members; NaN: one member alone.
    """

    name: str
    value: float
    low: float
    high: float
    least: float
    most: float

    @property
    def unsure(self) -> bool:
        """Whether the interval includes zero."""
        return self.low <= 0 <= self.high


def bounds(bars: Sequence[Bar]) -> tuple[float, float]:
    """Return limits of an axis that hold zero and all of the bars.

    Examples
    --------
    >>> bounds([Bar("tas", 2.0, 1.0, 3.0, float("nan"), float("nan"))])
    (0.0, 3.0)
    """
    ends = [end for bar in bars for end in (bar.value, bar.low, bar.high, bar.least, bar.most) if np.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    return low, high if high > low else low + 1.0


def bar_rows(
    bars: Sequence[Bar], axis: str, alt: str, title: str = "", *, width: int, colour: str,
    limits: tuple[float, float] | None = None,
) -> Picture:  # fmt: skip
    """Draw a bar in every row, hollow where its interval includes zero.

    Parameters
    ----------
    limits : tuple of float, optional
        Of the axis, where panels share them; see :func:`bounds`.
    """
    low, high = limits or bounds(bars)
    letters, small = (24, False) if width > 400 else (15, True)
    decimals = numbers.decimals_for([bar.value for bar in bars]) if not small else None

    def draw(figure: Any) -> None:
        left = min(label_room([bar.name for bar in bars], letters), 0.45 * width)
        axes = add_axes(figure, left, 4, 14 if small else 56, 38)
        place = np.arange(len(bars))[::-1]
        axes.axvline(0, color=LIGHT.muted, linewidth=1)
        for bar, y in zip(bars, place, strict=True):
            face = "none" if bar.unsure else colour
            axes.barh([y], [bar.value], height=0.62, color=face, edgecolor=colour, linewidth=1.2, alpha=0.55)
            axes.plot([bar.low, bar.high], [y, y], color=LIGHT.text, linewidth=2.6, solid_capstyle="butt")
            if np.isfinite(bar.least) and np.isfinite(bar.most):
                x, down = [bar.least, bar.least, bar.least, bar.most, bar.most, bar.most], y - 0.2
                ends = [down - _CAP, down + _CAP, down, down, down + _CAP, down - _CAP]
                axes.plot(x, ends, color=LIGHT.text, linewidth=0.9)
            if decimals is not None:
                reach = max(end for end in (bar.value, bar.high, bar.most, 0.0) if np.isfinite(end))
                axes.annotate(
                    numbers.number(bar.value, decimals), (reach, y), xytext=(5, 0), textcoords="offset points",
                    va="center", fontsize=SMALL, color=LIGHT.text, annotation_clip=False,
                )  # fmt: skip
        axes.set_yticks(place, [wrapped(bar.name, letters) for bar in bars])
        for tick in axes.get_yticklabels():
            tick.set_color(LIGHT.text)
            tick.set_fontsize(SMALL if small or len(bars) > 12 else NORMAL)
            tick.set_linespacing(0.95)
        axes.set_xlabel(axis)
        axes.set_ylim(-0.6, len(bars) - 0.4)
        axes.set_xlim(low - (0.03 * (high - low) if low < 0 else 0.0), high + 0.03 * (high - low))
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(_few_ticks(3 if small else 5))

    keys = {"value": axis, "low": "95 % interval, lower end", "high": "95 % interval, upper end"}
    keys |= {"least": "lowest member", "most": "highest member"}
    behind = Data({"name": [bar.name for bar in bars]} | {n: [getattr(b, k) for b in bars] for k, n in keys.items()})
    return picture(draw, width, 44 + (20 if small else 23) * len(bars), alt, title, data=behind)


def _few_ticks(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10])
