"""Maps: one panel each, with its colour bar, coastlines and, where asked, dots on cells that may be nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.grid import Grid
from pipeline.report import coast, numbers
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import of_map
from pipeline.report.figures.canvas import raster
from pipeline.report.palette import Theme, signed_map
from pipeline.report.places import with_place

WIDTH = 344
_MOST_DOTS = 1500


@dataclass(frozen=True)
class Scale:
    """Colours and limits that several maps share.

    Parameters
    ----------
    low, high : float
        Limits.
    kind : {"field", "skill", "sequential", "spread"}
        ``field`` and ``skill`` are signed, with the page's colour at zero.
    units : str
        As in the data.
    clips : tuple of bool
        Whether values lie below and above the limits: an arrow at that end.
    """

    low: float
    high: float
    kind: str
    units: str
    clips: tuple[bool, bool]

    @classmethod
    def of(cls, kind: str, units: str, *fields: np.ndarray) -> Scale:
        """Return limits from the 2nd and 98th percentile of all fields; symmetric for signed kinds."""
        values = np.concatenate([np.asarray(field, float)[np.isfinite(field)].ravel() for field in fields])
        if not len(values):
            return cls(-1.0 if kind in {"field", "skill"} else 0.0, 1.0, kind, units, (False, False))
        if kind in {"field", "skill"}:
            high = _round_up(float(np.quantile(np.abs(values), 0.98))) or 1.0
            low = -high
        else:
            low, high = (float(bound) for bound in np.quantile(values, [0.02, 0.98]))
            low, high = (low, high) if high > low else (low - 0.5 * abs(low or 1), low + 0.5 * abs(low or 1))
        return cls(low, high, kind, units, (bool(values.min() < low), bool(values.max() > high)))

    def colours(self, theme: Theme) -> Any:
        """Return the matplotlib colour map."""
        from matplotlib import colormaps

        if self.kind in {"field", "skill"}:
            return signed_map(self.kind, theme)
        return colormaps["viridis" if self.kind == "sequential" else "cividis"]


@dataclass(frozen=True, eq=False)
class MapPanel:
    """A field on a grid.

    Parameters
    ----------
    field : ndarray, shape (lat, lon)
        NaN where there is nothing.
    title, alt : str
        What it is, and what it shows.
    unsure : ndarray of bool, shape (lat, lon), optional
        Cells that get a dot: their interval includes zero.
    ring : tuple of float, optional
        Longitude and latitude of a cell to mark.
    source : str
        Which file of the run folder holds the field, and which variable of it.
    """

    field: np.ndarray
    title: str
    alt: str
    unsure: np.ndarray | None = None
    ring: tuple[float, float] | None = None
    source: str = ""


def draw_map(
    panel: MapPanel, grid: Grid, scale: Scale, *, width: int = WIDTH, highest: int = 330, earth: bool = True
) -> Picture:
    """Draw one panel, ``width`` pixels wide and as high as the area is, at most ``highest``.

    ``earth`` is False for a made region, on which the coastlines of the Earth have no place.
    """
    grid, (field, unsure) = with_place(grid, panel.field, panel.unsure)
    panel = panel if field is None else replace(panel, field=field, unsure=unsure)
    lon, lat, order = plot_grid(grid)
    box = bounds(lon, lat, 0.08 if grid.stations else 0.0)
    stretch = 1 / max(np.cos(np.deg2rad((box.south + box.north) / 2)), 0.2)
    left, right, top, bottom = 34, 8, 4, 48
    room = width - left - right
    ideal = room * (box.north - box.south) / (box.east - box.west) * stretch
    tall = float(np.clip(ideal, 90, highest - top - bottom))
    wide = min(room, tall / ideal * room) if ideal > tall else room
    height = int(tall + top + bottom)

    def draw(figure: Any, theme: Theme) -> None:
        start = left + (room - wide) / 2
        axes = figure.add_axes((start / width, bottom / height, wide / width, tall / height))
        if grid.stations:
            _stations(axes, panel, lon, lat, scale, theme)
        else:
            _field(axes, panel, lon, lat, order, scale, theme)
        if earth:
            coastlines(axes, box, theme)
        _frame(axes, box, theme)
        bar = figure.add_axes((start / width, 20 / height, wide / width, 8 / height))
        colour_bar(figure, bar, scale, theme)

    unit = numbers.units(scale.units)
    title = f"{panel.title} [{unit}]" if unit else panel.title
    behind = of_map(grid, {title: panel.field, f"{panel.title}: dotted": panel.unsure}, panel.source)
    return raster(draw, width, height, panel.alt, title, data=behind)


def _field(axes: Any, panel: MapPanel, lon: Any, lat: Any, order: tuple[Any, Any], scale: Scale, theme: Theme) -> None:
    field = np.ma.masked_invalid(np.asarray(panel.field, float)[order])
    axes.set_facecolor("none")
    axes.pcolormesh(
        lon, lat, field, cmap=scale.colours(theme), vmin=scale.low, vmax=scale.high, shading="nearest", rasterized=True
    )
    if panel.unsure is not None:
        unsure = np.asarray(panel.unsure, bool)[order] & ~np.ma.getmaskarray(field)
        x, y = (lon, lat) if np.ndim(lon) == 2 else np.meshgrid(lon, lat)
        x, y = x[unsure], y[unsure]
        step = max(1, int(np.ceil(len(x) / _MOST_DOTS)))
        axes.scatter(x[::step], y[::step], s=2.6, color=theme.text, linewidths=0, alpha=0.75)
    if panel.ring is not None:
        east = panel.ring[0] + 360 * np.round((np.mean(lon) - panel.ring[0]) / 360)
        for colour, size, line in ((theme.surface, 11, 3.2), (theme.text, 11, 1.5)):
            axes.plot(
                [east],
                [panel.ring[1]],
                "o",
                markersize=size,
                markerfacecolor="none",
                color=colour,
                markeredgewidth=line,
            )


def _stations(axes: Any, panel: MapPanel, lon: Any, lat: Any, scale: Scale, theme: Theme) -> None:
    """Draw a disc at each station; one without a value is a ring."""
    axes.set_facecolor("none")
    values = np.asarray(panel.field, float).ravel()
    known = np.isfinite(values)
    x, y = lon.ravel(), lat.ravel()
    size = float(np.clip(1600 / len(values), 28, 90))
    axes.scatter(
        x[known], y[known], c=values[known], cmap=scale.colours(theme), vmin=scale.low, vmax=scale.high, s=size,
        edgecolors=theme.text, linewidths=0.6, zorder=3,
    )  # fmt: skip
    axes.scatter(x[~known], y[~known], s=size, facecolors="none", edgecolors=theme.muted, linewidths=0.8, zorder=3)
    if panel.unsure is not None:
        unsure = np.asarray(panel.unsure, bool).ravel() & known
        axes.scatter(x[unsure], y[unsure], s=4, color=theme.text, linewidths=0, zorder=4)
    if panel.ring is not None:
        axes.plot(
            [panel.ring[0]], [panel.ring[1]], "o", markersize=15, markerfacecolor="none", color=theme.text,
            markeredgewidth=1.5, zorder=5,
        )  # fmt: skip


def coastlines(axes: Any, box: coast.Box, theme: Theme) -> None:
    """Draw coastlines, and borders where the area is no continent."""
    from matplotlib.collections import LineCollection

    wide = box.east - box.west > 100
    axes.add_collection(LineCollection(coast.clipped("coast", box), colors=theme.text, linewidths=0.5 if wide else 0.8))
    if not wide:
        axes.add_collection(
            LineCollection(coast.clipped("border", box), colors=theme.muted, linewidths=0.6, linestyles=(0, (4, 2)))
        )


def _frame(axes: Any, box: coast.Box, theme: Theme) -> None:
    axes.set_xlim(box.west, box.east)
    axes.set_ylim(box.south, box.north)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
        spine.set_linewidth(0.8)
    axes.tick_params(length=0, labelsize=9, colors=theme.muted, pad=3)
    # Labels beside each other need more room than labels above each other.
    for axis, low, high, names, most in (
        (axes.xaxis, box.west, box.east, "EW", 4),
        (axes.yaxis, box.south, box.north, "NS", 5),
    ):
        ticks = _degree_ticks(low, high, most)
        axis.set_ticks(ticks, [_degrees(tick, names) for tick in ticks])
    _keep_corner_free(axes, box)


def _keep_corner_free(axes: Any, box: coast.Box) -> None:
    """Move labels at the ends of their axis inwards: they would touch in the lower left corner, or be cut off."""
    edge = 0.06
    for label, tick in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True):
        share = (tick - box.west) / (box.east - box.west)
        label.set_horizontalalignment("left" if share < edge else "right" if share > 1 - edge else "center")
    for label, tick in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True):
        share = (tick - box.south) / (box.north - box.south)
        label.set_verticalalignment("bottom" if share < edge else "top" if share > 1 - edge else "center")


def colour_bar(figure: Any, axes: Any, scale: Scale, theme: Theme) -> None:
    """Draw the colours of a scale into flat axes, with arrows where values lie beyond."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[scale.clips]
    mappable = ScalarMappable(Normalize(scale.low, scale.high), scale.colours(theme))
    bar = figure.colorbar(mappable, cax=axes, orientation="horizontal", extend=extend, extendfrac=0.04)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], symmetric=scale.low == -scale.high)
    ticks = [tick for tick in bar.locator.tick_values(scale.low, scale.high) if scale.low <= tick <= scale.high]
    step = ticks[1] - ticks[0] if len(ticks) > 1 else scale.high
    decimals = next((d for d in range(7) if abs(round(step, d) - step) < 1e-3 * abs(step)), 7)
    tiny = max(abs(scale.low), abs(scale.high)) < 1e-3
    bar.formatter = FuncFormatter(lambda value, _: numbers.number(value, None if tiny and value else decimals))
    bar.update_ticks()
    axes.tick_params(length=0, labelsize=9, colors=theme.muted, pad=3)


def plot_grid(grid: Grid) -> tuple[np.ndarray, np.ndarray, tuple[Any, Any]]:
    """Return longitudes and latitudes that rise, and the index that puts a field in that order."""
    if grid.lat.ndim == 2:
        lon = np.rad2deg(np.unwrap(np.deg2rad(grid.lon), axis=1))
        return lon, grid.lat, (slice(None), slice(None))
    lon = grid.lon.copy()
    if len(lon) > 1 and np.any(np.diff(lon) < 0):
        lon = np.rad2deg(np.unwrap(np.deg2rad(lon)))
    east, north = np.argsort(lon, kind="stable"), np.argsort(grid.lat, kind="stable")
    return lon[east], grid.lat[north], np.ix_(north, east)  # type: ignore[return-value]


def bounds(lon: np.ndarray, lat: np.ndarray, margin: float) -> coast.Box:
    """Return the bounds of a grid's cells; of 2-D coordinates their own, with a share of the extent around."""

    def half(values: np.ndarray) -> float:
        if values.ndim == 2:
            return max(margin * float(values.max() - values.min()), 0.5 if margin else 0.0)
        return float(np.median(np.diff(values))) / 2 if len(values) > 1 else 0.5

    x, y = half(lon), half(lat)
    return coast.Box(
        float(lon.min()) - x, float(lon.max()) + x, max(float(lat.min()) - y, -90.0), min(float(lat.max()) + y, 90.0)
    )


def _degree_ticks(low: float, high: float, most: int) -> Sequence[float]:
    span = high - low
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60) if span / s <= most), 90)
    first = np.ceil(low / step) * step
    return [float(tick) for tick in np.arange(first, high + 1e-9, step)]


def _degrees(value: float, names: str) -> str:
    value = (value + 180) % 360 - 180 if names == "EW" and not -180 <= value <= 180 else value
    text = f"{abs(round(value, 3)):g}\u00b0"
    return text if abs(value) < 1e-9 else text + (names[0] if value > 0 else names[1])


def _round_up(value: float) -> float:
    """Return ``value`` rounded up to two significant digits, so that limits are numbers one can say."""
    if value <= 0 or not np.isfinite(value):
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / unit - 1e-9) * unit)
