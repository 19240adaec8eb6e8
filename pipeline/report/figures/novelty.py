"""Novelty along time: every sample a point, the line that 99 % of train stay below, errors by colour and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.canvas import SMALL, add_axes, name_ends, picture, text_width
from pipeline.report.figures.lines import unbroken
from pipeline.report.figures.time import WIDE, Series, dates
from pipeline.report.palette import LIGHT, QUIET, STRONG

HEIGHT = 260
MOST = 1500  # points
_TONES = ((QUIET[2][0], 9.0), (STRONG[4][0], 16.0), (STRONG[1][0], 26.0))
"""Colour and area of the points of the lower half of errors, of the third quarter and of the highest."""
_FEW = 200  # points, which may be larger
_WIDE_RANGE = 5.0  # of values, beyond which an axis is logarithmic


@dataclass(frozen=True, eq=False)
class Track:
    """What is drawn; arrays of shape (time,).

    Parameters
    ----------
    time : ndarray
        Dates, or numbers of tiles.
    height : ndarray
        Where each point stands.
    error : ndarray or None
        Of each sample; None: all points are alike.
    season : ndarray or None
        A line through the values of the days around.
    """

    time: np.ndarray
    height: np.ndarray
    error: np.ndarray | None
    season: np.ndarray | None


def track(data: Track, what: str, unit: str, alt: str, title: str = "") -> Picture:
    """Draw it; ``what`` names the errors, ``unit`` their units."""
    every, kept = thinned(data.height)
    steps = _steps(data.error)
    tiles = data.time.dtype.kind in "iu"
    log = float(np.nanmax(_drawn(data), initial=1.0)) > _WIDE_RANGE
    ends = [(1.0, "99 % of train", LIGHT.text)]
    if data.season is not None and np.isfinite(data.season).any():
        ends.append((float(data.season[np.isfinite(data.season)][-1]), "91 days around", STRONG[0][0]))
    room = max(text_width(name, SMALL) for _, name, _ in ends) + 12

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 52, 30, room, 28 if not tiles else 40)
        axes.axhline(1.0, color=LIGHT.text, linewidth=1.1, linestyle=(0, (4, 3)))
        _points(axes, data, kept, steps)
        if len(ends) > 1 and data.season is not None:
            line = unbroken(Series(data.time, data.season, data.season, ()))
            axes.plot(line.time, line.mean, color=STRONG[0][0], linewidth=1.8)
        _scales(axes, data, log=log, tiles=tiles)
        name_ends(axes, ends)
        _key(axes, steps, what, unit)

    columns: dict[str, Any] = {"tile" if tiles else "time": data.time, "novelty": data.height}
    columns |= {} if data.error is None else {numbers.with_units(what, f"[{unit}]" if unit else ""): data.error}
    columns |= {} if data.season is None else {"novelty, 91 days around": data.season}
    behind = Data(columns, source="diagnostics/novelty.nc")
    shown = title + (f" (the highest of {every})" if every > 1 else "")
    return picture(draw, WIDE, HEIGHT, alt, shown, data=behind)


def thinned(height: np.ndarray) -> tuple[int, np.ndarray]:
    """Return how many neighbours share a point, and the positions of the highest of each such group.

    Examples
    --------
    >>> every, kept = thinned(np.arange(3000.0) % 7)
    >>> every, len(kept), kept[:3].tolist()
    (2, 1500, [1, 3, 5])
    """
    every = max(1, -(-len(height) // MOST))
    groups = np.array_split(np.arange(len(height)), -(-len(height) // every))
    filled = np.where(np.isfinite(height), height, -np.inf)
    return every, np.array([group[int(np.argmax(filled[group]))] for group in groups], int)


def _drawn(data: Track) -> np.ndarray:
    """Return all values that are drawn."""
    return data.height if data.season is None else np.concatenate([data.height, data.season])


def _steps(error: np.ndarray | None) -> tuple[float, float] | None:
    """Return the median and the upper quartile of the errors; None where there are none."""
    known = np.array([]) if error is None else error[np.isfinite(error)]
    return (float(np.quantile(known, 0.5)), float(np.quantile(known, 0.75))) if len(known) > 3 else None


def _points(axes: Any, data: Track, kept: np.ndarray, steps: tuple[float, float] | None) -> None:
    error = data.error if steps is not None and data.error is not None else np.full(len(data.time), np.nan)
    level = np.zeros(len(error), int) if steps is None else np.searchsorted(steps, error, side="right")
    level = np.where(np.isfinite(error), level, 0)
    larger = 2.0 if len(kept) <= _FEW else 1.0
    for number, (colour, area) in enumerate(_TONES):
        chosen = kept[level[kept] == number]
        axes.scatter(
            data.time[chosen], data.height[chosen], s=larger * area, color=colour, linewidth=0, zorder=2 + number
        )


def _scales(axes: Any, data: Track, *, log: bool, tiles: bool) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    from pipeline.report.figures.time import plain_log

    axes.set_ylabel("novelty")
    first, last = data.time[0], data.time[-1]
    if tiles:
        axes.set_xlabel("tile")
        axes.set_xlim(first - 0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    else:
        margin = max(
            (last - first) / 80, np.timedelta64(12, "h")
        )  # the first date's name leaves the axis' numbers free
        axes.set_xlim(first - margin, last + margin)
        dates(axes)
    if log:
        axes.set_yscale("log")
        drawn = _drawn(data)
        low, high = (float(end) for end in np.nanquantile(drawn[drawn > 0.0], [0, 1]))
        axes.set_ylim(min(low, 1.0) / 1.2, high * 1.25)
        plain_log(axes.yaxis, *axes.get_ylim())
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        top = float(np.nanmax(_drawn(data), initial=0.0))
        axes.set_ylim(0.0, max(top, 1.0) * 1.12)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _key(axes: Any, steps: tuple[float, float] | None, what: str, unit: str) -> None:
    """Say above the picture what colours and sizes mean."""
    if steps is None:
        return
    shown = [numbers.number(value, numbers.decimals_for(steps)) for value in steps]
    words = (f"below {shown[0]}", f"to {shown[1]}", numbers.with_units(f"above {shown[1]}", unit))
    height = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    width = axes.get_position().width * axes.figure.get_size_inches()[0] * 72
    place, above = 0.0, 1.0 + 14 / height
    axes.annotate(
        f"{what}:", (place, above), xycoords="axes fraction", va="center", fontsize=SMALL, color=LIGHT.muted,
        annotation_clip=False,
    )  # fmt: skip
    place += (text_width(f"{what}:", SMALL) + 14) / width
    for (colour, area), text in zip(_TONES, words, strict=True):
        axes.scatter([place], [above], s=area * 1.6, color=colour, linewidth=0, transform=axes.transAxes, clip_on=False)
        axes.annotate(
            text, (place, above), xycoords="axes fraction", xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=SMALL, color=LIGHT.muted, annotation_clip=False,
        )  # fmt: skip
        place += (text_width(text, SMALL) + 30) / width
