"""Pictures along time: the split, a cell's series with its bands, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data, below
from pipeline.report.figures.canvas import SMALL, add_axes, name_ends, picture, text_width
from pipeline.report.figures.plot import Plot, Trace
from pipeline.report.figures.spectra import power_of_ten
from pipeline.report.palette import LIGHT, STRONG

WIDE = 1060
_BESIDE = 16
_FEW = 200  # points, which may have marks


@dataclass(frozen=True)
class Span:
    """One split on the timeline: ISO dates of both ends, and its number of samples if known."""

    name: str
    first: str
    last: str
    count: int | None


@dataclass(frozen=True, eq=False)
class Series:
    """Truth, mean and quantiles at one cell, all of shape (time,).

    Parameters
    ----------
    time : ndarray
        ``datetime64``.
    bands : tuple of (ndarray, ndarray, str)
        Lower and upper bound of each band and its name, the widest first; may be empty.
    """

    time: np.ndarray
    truth: np.ndarray
    mean: np.ndarray
    bands: tuple[tuple[np.ndarray, np.ndarray, str], ...]


def timeline(spans: Sequence[Span], alt: str) -> Picture:
    """Draw the splits as bars on one axis of time; those that would cover one another stand on rows of their own."""
    tones = {"train": LIGHT.muted, "validation": STRONG[4][0]}
    edges = [(_day(span.first), _day(span.last) + 1) for span in spans]
    start, end = min(first for first, _ in edges), max(last for _, last in edges)
    labels = [_label(span, first, last, start, end) for span, (first, last) in zip(spans, edges, strict=True)]
    rows = _rows([((first, last), (low, high)) for (first, last), (_, low, high) in zip(edges, labels, strict=True)])
    count = max(rows) + 1

    def draw(figure: Any) -> None:
        axes = add_axes(figure, _BESIDE, 26, _BESIDE, 26)
        for span, row, (first, last), (text, low, high) in zip(spans, rows, edges, labels, strict=True):
            colour = tones.get(span.name, STRONG[0][0])
            axes.barh([-row], [last - first], left=[first], height=0.6, color=colour, linewidth=0)
            axes.annotate(
                text,
                ((low + high) / 2, 0.36 - row),
                ha="center",
                va="bottom",
                fontsize=SMALL + 0.5,
                color=LIGHT.text,
                annotation_clip=False,
            )
        axes.xaxis_date()
        axes.set_xlim(start, end)
        axes.set_ylim(0.6 - count, 0.5)
        axes.set_yticks([])
        dates(axes)

    data = Data(
        {
            "split": [span.name for span in spans],
            "first": [span.first for span in spans],
            "last": [span.last for span in spans],
            "samples": ["" if span.count is None else span.count for span in spans],
        }
    )
    return picture(draw, WIDE, 92 + 44 * (count - 1), alt, data=data)


def _day(date: str) -> int:
    """Return the days since 1970 of an ISO date; the 30 February of other calendars is the last of the month."""
    month = np.datetime64(date[:7], "M")
    first, after = (int(part.astype("datetime64[D]").astype(int)) for part in (month, month + 1))
    return first + min(int(date[8:10]), after - first) - 1


def _label(span: Span, first: int, last: int, start: int, end: int) -> tuple[str, float, float]:
    """Return the name of a bar and from where to where it reaches, in days: over its middle, inside the picture."""
    count = f", {span.count:,} samples" if span.count is not None else ""
    text = span.name + (count if last - first > 0.2 * (end - start) else "")
    half = text_width(text, SMALL + 0.5) / 2 * (end - start) / (WIDE - 2 * _BESIDE)
    middle = (first + last) / 2
    if end - start > 2 * half:
        middle = min(max(middle, start + half), end - half)
    return text, middle - half, middle + half


def _rows(bars: Sequence[tuple[tuple[float, float], ...]]) -> list[int]:
    """Return the row of each bar: the first in which neither it nor its name covers another's.

    Examples
    --------
    >>> _rows([((0, 5), (1, 4)), ((5, 8), (4, 9)), ((2, 4), (2, 4)), ((9, 12), (8, 13))])
    [0, 0, 1, 1]
    """
    taken: list[list[tuple[tuple[float, float], ...]]] = []
    found = []
    for bar in bars:
        free = (k for k, row in enumerate(taken) if not any(_covers(bar, other) for other in row))
        row = next(free, len(taken))
        if row == len(taken):
            taken.append([])
        taken[row].append(bar)
        found.append(row)
    return found


def _covers(bar: tuple[tuple[float, float], ...], other: tuple[tuple[float, float], ...]) -> bool:
    return any(a[0] < b[1] and b[0] < a[1] for a, b in zip(bar, other, strict=True))


def series(data: Series, colour: str, unit: str, alt: str) -> Picture:
    """Draw a cell's truth, prediction and bands, each named at the right end."""

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 48, 8, 92, 28)
        for k, (low, high, _) in enumerate(data.bands):
            axes.fill_between(data.time, low, high, color=colour, alpha=0.18 if k == 0 else 0.3, linewidth=0)
        axes.plot(data.time, data.mean, color=colour, linewidth=1.6)
        axes.plot(data.time, data.truth, color=LIGHT.truth, linewidth=1, marker="o", markersize=2.2)
        axes.set_ylabel(unit)
        axes.set_xlim(data.time[0], data.time[-1])
        ends = [(_last(data.truth), "truth", LIGHT.truth), (_last(data.mean), "prediction", colour)]
        if data.bands:
            ends += [(_last(high), name, LIGHT.muted) for _, high, name in data.bands]
        name_ends(axes, ends)
        dates(axes)

    return picture(draw, WIDE, 250, alt, data=numbers_of(data, unit), plot=plot_of(data, colour, unit))


def numbers_of(data: Series, axis: str, names: tuple[str, str] = ("truth", "prediction"), source: str = "") -> Data:
    """Return the numbers of a series: its times, truth, mean and the ends of its bands."""
    columns: dict[str, Any] = {"time": data.time, f"{names[0]}: {axis}": data.truth, f"{names[1]}: {axis}": data.mean}
    for low, high, name in data.bands:
        columns |= {f"{name}, lower end: {axis}": low, f"{name}, upper end: {axis}": high}
    return Data(columns, source=source)


def plot_of(data: Series, colour: str, axis: str, names: tuple[str, str] = ("truth", "prediction")) -> Plot:
    """Return a series as a plot: bands below, the prediction, the truth on top."""
    few = len(data.time) <= _FEW
    traces = [Trace(name, colour, data.time, None, low, high) for low, high, name in data.bands]
    traces.append(Trace(names[1], colour, data.time, data.mean, width=1.7, marks=few))
    traces.append(Trace(names[0], LIGHT.truth, data.time, data.truth, width=1.1, marks=few))
    return Plot(traces, "time", axis)


def learning(curves: Mapping[str, pd.DataFrame], colour: str, alt: str, title: str) -> Picture:
    """Draw the losses of every member over epochs: validation solid, train faint; a dot at the lowest."""

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 58, 8, 62, 40)
        from matplotlib.ticker import MaxNLocator

        ends: dict[str, list[float]] = {"validation": [], "train": []}
        for history in curves.values():
            epoch = history["epoch"].to_numpy(float)
            for name, line, tone in (("train", 1.0, LIGHT.muted), ("validation", 1.5, colour)):
                loss = history[f"{name}_loss"].to_numpy(float)
                axes.plot(epoch, loss, color=tone, linewidth=line, alpha=0.85)
                if np.isfinite(loss).any():
                    ends[name].append(_last(loss))
            if np.isfinite(loss).any():
                best = int(np.nanargmin(loss))
                axes.plot([epoch[best]], [loss[best]], "o", color=colour, markersize=4.5)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        lowest, highest = _reach(curves)
        if _uneven(lowest, highest):
            axes.set_yscale("log")
            plain_log(axes.yaxis, lowest, highest)
        tones = {"validation": colour, "train": LIGHT.muted}
        name_ends(axes, [(float(np.mean(v)), name, tones[name]) for name, v in ends.items() if v], shift=4)

    data = below(
        {
            "member": name,
            "epoch": history["epoch"],
            "train loss": history["train_loss"],
            "validation loss": history["validation_loss"],
        }
        for name, history in curves.items()
    )
    return picture(draw, 344, 260, alt, title, data=data, plot=_learning_plot(curves, colour))


def _learning_plot(curves: Mapping[str, pd.DataFrame], colour: str) -> Plot:
    traces = []
    for split, tone, width in (("train", LIGHT.muted, 1.0), ("validation", colour, 1.5)):
        for name, history in curves.items():
            whose = f"{split}, {name}" if len(curves) > 1 else split
            epoch, loss = (history[key].to_numpy(float) for key in ("epoch", f"{split}_loss"))
            traces.append(Trace(whose, tone, epoch, loss, width=width))
    return Plot(traces, "epoch", "loss", log=_uneven(*_reach(curves)))


def _reach(curves: Mapping[str, pd.DataFrame]) -> tuple[float, float]:
    """Return the lowest and the highest loss."""
    parts = [history[["train_loss", "validation_loss"]].to_numpy(float).ravel() for history in curves.values()]
    lowest, highest = (float(bound) for bound in np.nanquantile(np.concatenate(parts), [0, 1]))
    return lowest, highest


def _uneven(lowest: float, highest: float) -> bool:
    """Whether losses need a logarithmic axis: one bad first epoch must not flatten the rest."""
    return lowest > 0 and highest > 8 * lowest


def plain_log(axis: Any, low: float, high: float) -> None:
    """Put plain numbers on a logarithmic axis, at 1, 2 and 5 where there are few powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 1000 * low else (1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}" if 1e-4 <= value < 1e6 else power_of_ten(value))


def dates(axes: Any, most: int = 10) -> None:
    """Put few and short dates on the horizontal axis."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=most)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else 0.0
