"""Calibration curve, PIT or rank histogram, spread against error, and what leaving out the least sure does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture, cues
from pipeline.report.figures.behind import Data, below
from pipeline.report.figures.canvas import SMALL, add_axes, picture
from pipeline.report.figures.plot import Plot, Trace
from pipeline.report.palette import LIGHT

WIDTH, HEIGHT = 344, 260


@dataclass(frozen=True, eq=False)
class Curve:
    """Share of truths at or below each forecast quantile, with its 95\u00a0% band; all of shape (level,).

    ``cue`` says which dash, for models of one colour.
    """

    model: str
    colour: str
    level: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cue: int = 0

    @property
    def gap(self) -> float:
        """Largest distance from the diagonal."""
        return float(np.nanmax(np.abs(self.observed - self.level)))


def calibration_curve(curves: Sequence[Curve], alt: str, title: str, height: int) -> Picture:
    """Draw calibration curves against the diagonal; the band of the first one."""

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 58, 8, 12, 40)
        axes.plot([0, 1], [0, 1], color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
        first = curves[0]
        axes.fill_between(first.level, first.low, first.high, color=first.colour, alpha=0.25, linewidth=0)
        for curve in reversed(curves):
            strong = curve is first
            axes.plot(
                curve.level, curve.observed, color=curve.colour, linewidth=2.2 if strong else 1.3,
                marker="o" if strong else None, markersize=3.5, alpha=1 if strong else 0.9,
                linestyle=cues.dash(curve.cue),
            )  # fmt: skip
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        ticks = [0, 0.25, 0.5, 0.75, 1]
        axes.set_xticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_yticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_xlabel("forecast probability")
        axes.set_ylabel("observed frequency")
        axes.text(0.03, 0.965, "observed more often", fontsize=SMALL, color=LIGHT.muted, va="top")
        axes.text(0.98, 0.03, "observed less often", fontsize=SMALL, color=LIGHT.muted, ha="right")

    data = below(
        {
            "model": curve.model,
            "forecast probability": curve.level,
            "observed frequency": curve.observed,
            "95 % interval, lower end": curve.low,
            "95 % interval, upper end": curve.high,
        }
        for curve in curves
    )
    traces = [
        Trace(
            numbers.label(curve.model), curve.colour, 100 * curve.level, 100 * curve.observed,
            100 * curve.low if curve is curves[0] else None, 100 * curve.high if curve is curves[0] else None,
            2.2 if curve is curves[0] else 1.3, curve.cue, curve is curves[0],
        )
        for curve in reversed(curves)
    ]  # fmt: skip
    plot = Plot(
        traces, "forecast probability [%]", "observed frequency [%]", span=(0.0, 100.0), limits=(0.0, 100.0),
        diagonal=True,
    )  # fmt: skip
    return picture(draw, WIDTH, height, alt, title, data=data, plot=plot)


def histogram(counts: np.ndarray, colour: str, axis: str, alt: str, title: str) -> Picture:
    """Draw a rank or PIT histogram as shares, with the line on which a perfect one lies."""

    def draw(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = add_axes(figure, 50, 8, 12, 40)
        share = counts / max(counts.sum(), 1)
        flat = 1 / len(counts)
        place = np.arange(len(counts))
        axes.bar(place, share, width=0.92, color=colour, linewidth=0)
        axes.axhline(flat, color=LIGHT.text, linewidth=1.2, linestyle=(0, (3, 3)))
        axes.set_ylim(0, max(share.max() * 1.15, flat * 1.6))
        axes.set_xlim(-0.6, len(counts) - 0.4)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(lambda value, _: numbers.percent(value))
        if axis.startswith("PIT"):
            axes.set_xticks([-0.5, (len(counts) - 1) / 2, len(counts) - 0.5], ["0", "0.5", "1"])
        else:
            step = max(1, len(counts) // 8)
            axes.set_xticks(place[::step], [str(rank + 1) for rank in place[::step]])
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(axis)
        axes.set_ylabel("share of truths")
        # Where the bars are lowest, the words lie on clear ground.
        thirds = [part.max() for part in np.array_split(share, 3)] if len(share) >= 3 else [0.0]
        lowest = int(np.argmin(thirds))
        at = (-0.5, (len(counts) - 1) / 2, len(counts) - 0.5)[lowest]
        axes.annotate(
            "if calibrated", (at, flat), xytext=(0, 4), textcoords="offset points",
            ha=("left", "center", "right")[lowest], fontsize=SMALL, color=LIGHT.text,
        )  # fmt: skip

    behind = Data(
        {axis: np.arange(1, len(counts) + 1), "truths": counts, "share of truths": counts / max(counts.sum(), 1)}
    )
    return picture(draw, WIDTH, HEIGHT, alt, title, data=behind)


def _free(at: tuple[np.ndarray, np.ndarray], places: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Return the first of some places [shares of the panel] where a word does not lie on the line through points.

    Examples
    --------
    >>> _free((np.array([0.1, 0.3]), np.array([0.95, 0.95])), ((0.03, 0.92), (0.03, 0.75)))
    (0.03, 0.75)
    """
    x, y = (np.linspace(part[:-1], part[1:], 50).ravel() if len(part) > 1 else part for part in at)
    for left, low in places:
        if not ((x > left - 0.03) & (x < left + 0.35) & (y > low - 0.04) & (y < low + 0.08)).any():
            return left, low
    return places[0]


def spread_error(spread: np.ndarray, error: np.ndarray, colour: str, unit: str, alt: str, title: str) -> Picture:
    """Draw the RMSE in bins of predicted spread against that spread; on the diagonal, spread tells error."""

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 50, 8, 12, 40)
        good = np.isfinite(spread) & np.isfinite(error)
        both = np.concatenate([spread[good], error[good]])
        low, high = both.min(), both.max()
        margin = 0.08 * (high - low) or 0.1 * high or 1.0
        limits = (max(low - margin, 0), high + margin)
        axes.plot(limits, limits, color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot(spread[good], error[good], color=colour, linewidth=1.6, marker="o", markersize=6)
        axes.set_xlim(*limits)
        axes.set_ylim(*limits)
        axes.set_xlabel(f"predicted spread{unit}")
        axes.set_ylabel(f"RMSE{unit}")
        from matplotlib.ticker import MaxNLocator

        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        span = limits[1] - limits[0]
        at = (spread[good] - limits[0]) / span, (error[good] - limits[0]) / span
        word = {"fontsize": SMALL, "color": LIGHT.muted, "transform": axes.transAxes}
        axes.text(*_free(at, ((0.03, 0.92), (0.03, 0.75), (0.2, 0.75), (0.3, 0.92))), "over-confident", **word)
        axes.text(*_free(at, ((0.65, 0.04), (0.65, 0.2), (0.48, 0.2), (0.4, 0.04))), "under-confident", **word)

    behind = Data({f"predicted spread{unit}": spread, f"RMSE{unit}": error})
    return picture(draw, WIDTH, HEIGHT, alt, title, data=behind)


def sparsification(
    share: np.ndarray, by_spread: np.ndarray, oracle: np.ndarray, colour: str, alt: str, title: str
) -> Picture:
    """Draw the RMSE of what is left, as a share of that of all, by the share that is left out.

    Parameters
    ----------
    share, by_spread, oracle : ndarray, shape (share,)
        What is left out; the error with the least sure, and with the largest errors, left out first.
    """

    def draw(figure: Any) -> None:
        axes = add_axes(figure, 58, 8, 12, 40)
        # With all left out there is no error.
        axes.plot(share[:-1], by_spread[:-1], color=colour, linewidth=2.2, label="least sure first")
        axes.plot(share[:-1], oracle[:-1], color=LIGHT.muted, linewidth=1.3, label="largest errors first")
        axes.plot([0, 1], [1, 1], color=LIGHT.muted, linewidth=1, linestyle=(0, (3, 3)), label="any first")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(0, max(1.06, 1.06 * float(np.nanmax(by_spread))))
        ticks = [0, 0.25, 0.5, 0.75, 1]
        axes.set_xticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_yticks(ticks, ["0", "25", "50", "75", "100 %"])
        axes.set_xlabel("left out")
        axes.set_ylabel("RMSE of the rest, of that of all")
        # Where the curves leave room differs: rain has it in the upper corner, warmth between them.
        axes.legend(loc="best", frameon=False, fontsize=SMALL, labelcolor=LIGHT.text, handlelength=1.6, borderpad=0.2)

    behind = Data(
        {"left out": share, "RMSE of the rest, least sure first": by_spread, "RMSE of the rest, largest first": oracle}
    )
    return picture(draw, WIDTH, HEIGHT, alt, title, data=behind)
