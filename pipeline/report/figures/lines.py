"""Lines that are named at their ends: scores by lead, flow duration curves, shares of basins, hydrographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture, cues
from pipeline.report.figures.behind import Data, below
from pipeline.report.figures.canvas import SMALL, add_axes, name_ends, picture, text_width, wrapped
from pipeline.report.figures.plot import Plot, Trace
from pipeline.report.figures.time import Series, numbers_of, plot_of
from pipeline.report.palette import LIGHT

WIDTH, HEIGHT = 490, 300
_NAME = 20


@dataclass(frozen=True, eq=False)
class Line:
    """One line, maybe with a band.

    Parameters
    ----------
    name, colour : str
        Whose it is, and its colour in the light theme.
    x, y : ndarray, shape (point,)
        NaN breaks the line.
    low, high : ndarray, shape (point,), optional
        95\u00a0% interval, drawn as a band.
    strong : bool
        Whether the line is thick: the truth and the model that the report is about.
    dash : int
        Which dash, for lines of like colours; 0 is a whole line.
    """

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    strong: bool = False
    dash: int = 0


@dataclass(frozen=True)
class Axis:
    """How a picture of lines is laid out.

    Parameters
    ----------
    x, y : str
        Names of both axes with their units.
    level : float, optional
        What is worth a line across, such as zero.
    log : bool
        Whether the vertical axis is logarithmic.
    marks : bool
        Whether each point has a mark: where there are few.
    span : tuple of float, optional
        Of the horizontal axis; without it the axis counts whole steps.
    limits : tuple of float, optional
        Of the vertical axis.
    """

    x: str
    y: str
    level: float | None = None
    log: bool = False
    marks: bool = True
    span: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None


def lines(
    drawn: Sequence[Line], axis: Axis, alt: str, title: str = "", *, width: int = WIDTH, height: int = HEIGHT
) -> Picture:
    """Draw lines over one another, the strong ones on top, each named at its right end where there are several."""
    names = [wrapped(line.name, _NAME, 1) for line in drawn] if len(drawn) > 1 else [""]
    room = min(max(text_width(name, SMALL) for name in names) + 14, 0.36 * width)

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 52, 10, room, 40)
        if axis.log:
            axes.set_yscale("log")
        if axis.level is not None:
            axes.axhline(axis.level, color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
        for line in sorted(drawn, key=lambda line: line.strong):
            _line(axes, line, axis)
        _scales(axes, drawn, axis)
        ends = [(_last(line.y), name, line.colour) for line, name in zip(drawn, names, strict=True)]
        name_ends(axes, [end for end in ends if np.isfinite(end[0])])

    return picture(draw, width, height, alt, title, data=_numbers(drawn, axis), plot=_plot(drawn, axis))


def _numbers(drawn: Sequence[Line], axis: Axis) -> Data:
    """Return all lines below each other, each row with the name of its line."""
    ends = {"95 % interval, lower end": "low", "95 % interval, upper end": "high"}
    ends = ends if any(line.low is not None for line in drawn) else {}
    return below(
        {"line": line.name, axis.x: line.x, axis.y: line.y} | {name: getattr(line, end) for name, end in ends.items()}
        for line in drawn
    )


def _plot(drawn: Sequence[Line], axis: Axis) -> Plot:
    traces = [
        Trace(
            numbers.label(line.name), line.colour, np.asarray(line.x, float), line.y, line.low, line.high,
            2.2 if line.strong else 1.4, line.dash, axis.marks,
        )
        for line in sorted(drawn, key=lambda line: line.strong)
    ]  # fmt: skip
    return Plot(traces, axis.x, axis.y, log=axis.log, span=axis.span, limits=axis.limits, level=axis.level)


def _line(axes: Any, line: Line, axis: Axis) -> None:
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=line.colour, alpha=0.16, linewidth=0)
    axes.plot(
        line.x, line.y, color=line.colour, linewidth=2.2 if line.strong else 1.4, linestyle=cues.dash(line.dash),
        marker="o" if axis.marks else "", markersize=4 if line.strong else 2.6,
    )  # fmt: skip


def _scales(axes: Any, drawn: Sequence[Line], axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    axes.set_xlabel(axis.x)
    axes.set_ylabel(axis.y)
    every = np.concatenate([line.x for line in drawn])
    low, high = float(every.min()), float(every.max())
    room = 0.02 * (high - low) if axis.marks else 0.0
    axes.set_xlim(*axis.span) if axis.span else axes.set_xlim(low - room, high + room if high > low else high + 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=axis.span is None))
    if axis.limits is not None:
        axes.set_ylim(*axis.limits)
    if axis.log:
        _plain_log(axes)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        _plain_decimals(axes)
    axes.yaxis.set_minor_locator(NullLocator())


def _plain_decimals(axes: Any) -> None:
    """Write all ticks with the decimals of their step."""
    ticks = axes.get_yticks()
    step = abs(float(ticks[1] - ticks[0])) if len(ticks) > 1 else 1.0
    decimals = next((d for d in range(7) if abs(round(step, d) - step) < 1e-3 * step), 7)
    axes.yaxis.set_major_formatter(lambda value, _: numbers.number(value, decimals))


def _plain_log(axes: Any) -> None:
    from pipeline.report.figures.time import plain_log

    low, high = axes.get_ylim()
    plain_log(axes.yaxis, low, high)


def hydrograph(
    data: Series, colour: str, axis: str, alt: str, title: str = "", *,
    names: tuple[str, str] = ("truth", "prediction"), width: int = WIDTH, height: int = 250,
    limits: tuple[float, float] | None = None, mark: np.datetime64 | None = None, source: str = "",
) -> Picture:  # fmt: skip
    """Draw truth and prediction along time with their bands, broken where times are missing.

    Parameters
    ----------
    data : Series
        What is drawn, in the order of time.
    colour : str
        Of the model.
    axis : str
        Name and units of the values.
    names : tuple of str
        Of truth and prediction, at the right end.
    limits : tuple of float, optional
        Of the values, where several pictures share them.
    mark : datetime64, optional
        A time worth a line.
    source : str
        Which file of the run folder holds the values.
    """
    whole = unbroken(data)
    few = (len(whole.time) <= 130 and width > 700) or len(whole.time) <= 40

    def draw(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        from pipeline.report.figures.time import dates

        shown = [*names, *(name for *_, name in whole.bands)]
        room = max(text_width(wrapped(name, _NAME, 1), SMALL) for name in shown) + 12
        axes = add_axes(figure, 52, 10, min(room, 0.36 * width), 28)
        for k, (low, high, _) in enumerate(whole.bands):
            axes.fill_between(whole.time, low, high, color=colour, alpha=0.18 if k == 0 else 0.3, linewidth=0)
        if mark is not None:
            axes.axvline(mark, color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
        marker = {"marker": "o", "markersize": 2.4} if few else {}
        axes.plot(whole.time, whole.mean, color=colour, linewidth=1.7, **marker)
        axes.plot(whole.time, whole.truth, color=LIGHT.truth, linewidth=1.1, **marker)
        axes.set_ylabel(axis)
        axes.set_xlim(whole.time[0], whole.time[-1])
        if limits is not None:
            axes.set_ylim(*limits)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        _plain_decimals(axes)
        ends = [(_last(whole.truth), names[0], LIGHT.truth), (_last(whole.mean), names[1], colour)]
        ends += [(_last(high), name, LIGHT.muted) for _, high, name in whole.bands]
        name_ends(axes, [(end, wrapped(name, _NAME, 1), tone) for end, name, tone in ends if np.isfinite(end)])
        dates(axes, 4 if width < 400 else 6 if width < 700 else 10)

    names = (names[0], numbers.label(names[1]))
    behind, plot = numbers_of(data, axis, names, source), plot_of(whole, colour, axis, names)
    return picture(draw, width, height, alt, title, data=behind, plot=replace(plot, limits=limits))


def unbroken(data: Series) -> Series:
    """Return a series with a missing value in every gap, so that no line is drawn across it.

    Examples
    --------
    >>> day = np.array(["2001-01-01", "2001-01-02", "2001-01-03", "2001-01-07"], "datetime64[D]")
    >>> unbroken(Series(day, np.ones(4), np.ones(4), ())).truth.tolist()
    [1.0, 1.0, 1.0, nan, 1.0]
    """
    steps = np.diff(data.time)
    after = np.flatnonzero(steps > 1.5 * np.median(steps)) + 1 if len(steps) > 1 else np.array([], int)
    if not len(after):
        return data
    time = np.insert(data.time, after, data.time[after - 1] + np.median(steps))

    def broken(values: np.ndarray) -> np.ndarray:
        return np.insert(np.asarray(values, float), after, np.nan)

    bands = tuple((broken(low), broken(high), name) for low, high, name in data.bands)
    return Series(time, broken(data.truth), broken(data.mean), bands)


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else float("nan")
