"""Maps of classes: truth, prediction and what is wrong, in one picture with one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.grid import Grid
from pipeline.report import palette
from pipeline.report.figures import Picture, maps
from pipeline.report.figures.behind import of_map
from pipeline.report.figures.canvas import SMALL, raster, text_width, wrapped
from pipeline.report.palette import Theme

UNKNOWN = -1
RIGHT, HIT, MISS, FALSE_ALARM, OTHER = range(5)
_ERRORS = (palette.BACKGROUND, palette.HIT, palette.MISS, palette.FALSE_ALARM, palette.OTHER)
_TITLE, _GAP, _KEY_ROW, _SWATCH = 17, 10, 17, 11


@dataclass(frozen=True, eq=False)
class ClassPanel:
    """Whole numbers on a grid with their colours.

    Parameters
    ----------
    codes : ndarray of int, shape (lat, lon)
        Places in ``colours``; -1 where nothing is known.
    title : str
        A word or two above the panel.
    colours : sequence of (str, str)
        Of every code, light and dark.
    """

    codes: np.ndarray
    title: str
    colours: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Key:
    """One entry below the panels: a name with its colour, light and dark; hatched where that is None."""

    name: str
    colour: tuple[str, str] | None


@dataclass(frozen=True)
class _Layout:
    """Where panels stand, in pixels from the upper left: (left, top), all of one size; and the key below or beside."""

    places: tuple[tuple[float, float], ...]
    wide: float
    tall: float
    height: int
    key: tuple[float, float]


def errors(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return what is right and wrong of every cell, as places in the colours of :func:`error_panel`.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (lat, lon)
        Numbers of classes, 0 the background, -1 where nothing is known.

    Examples
    --------
    >>> errors(np.array([[0, 1, 1, 0, 2, -1]]), np.array([[0, 1, 0, 1, 1, 0]])).tolist()
    [[0, 1, 2, 3, 4, -1]]
    """
    right = truth == predicted
    wrong = np.where(predicted == 0, MISS, np.where(truth == 0, FALSE_ALARM, OTHER))
    codes = np.where(right, np.where(truth == 0, RIGHT, HIT), wrong)
    return np.where((truth < 0) | (predicted < 0), UNKNOWN, codes)


def panels(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[ClassPanel, ClassPanel, ClassPanel]:
    """Return truth, prediction and what is wrong."""
    colours = palette.class_colours(classes)
    return (
        ClassPanel(truth, "Truth", colours),
        ClassPanel(predicted, "Prediction", colours),
        ClassPanel(errors(truth, predicted), "Errors", _ERRORS),
    )


def keys(shown: Sequence[ClassPanel], names: Sequence[str], unknown: str) -> tuple[Key, ...]:
    """Return what the key of panels says: all classes, the errors that there are, and what is not known.

    Parameters
    ----------
    shown : sequence of ClassPanel
        As :func:`panels` makes them; without errors where the third is left out.
    names : sequence of str
        Of the classes.
    unknown : str
        What hatched cells are.
    """
    found = [Key(name, colour) for name, colour in zip(names, palette.class_colours(len(names)), strict=True)]
    # Light grey is the background on all three: on the map of errors it is right there.
    for panel in shown[2:]:
        words = {HIT: "class found", MISS: "missed", FALSE_ALARM: "false alarm", OTHER: "wrong class"}
        found += [Key(word, _ERRORS[code]) for code, word in words.items() if (panel.codes == code).any()]
    if any((panel.codes == UNKNOWN).any() for panel in shown):
        found.append(Key(unknown, None))
    return tuple(found)


def class_maps(
    shown: Sequence[ClassPanel], key: Sequence[Key], grid: Grid, alt: str, title: str = "", *, width: int = maps.WIDTH,
    highest: int = 620, earth: bool = True, source: str = "",
) -> Picture:  # fmt: skip
    """Draw panels side by side where they are narrow, else below each other, with one key.

    Parameters
    ----------
    shown : sequence of ClassPanel
        All on ``grid``, which is no row of stations.
    key : sequence of Key
        What is written below.
    grid : Grid
        Of an image its pixels are drawn, the first row on top.
    highest : int
        Most pixels the picture may be high.
    earth : bool
        False for a made region, on which the coastlines of the Earth have no place.
    source : str
        Which file of the run folder holds the classes.
    """
    ratio = _ratio(grid)
    square = len(shown) == 3 and 0.7 < ratio < 1.4
    rows = [[(entry, wrapped(entry.name, 24, 1), 0.0)] for entry in key] if square else _key_rows(key, width)
    tall = _KEY_ROW * len(rows) + 4
    layout = _in_square(ratio, width, tall) if square else _layout(len(shown), ratio, width, highest - tall)
    height = layout.height + (0 if square else tall)

    def draw(figure: Any, theme: Theme) -> None:
        dark = int(theme is palette.DARK)
        for panel, (left, top) in zip(shown, layout.places, strict=True):
            box = (left / width, 1 - (top + layout.tall) / height, layout.wide / width, layout.tall / height)
            axes = figure.add_axes(box)
            _panel(axes, panel, grid, theme, dark, earth)
            figure.text(
                left / width, 1 - (top - 4) / height, panel.title, fontsize=SMALL, color=theme.muted, va="bottom"
            )
        _draw_key(figure, rows, layout.key, (width, height), theme, dark)

    codes = {f"{panel.title} [number]": np.where(panel.codes < 0, np.nan, panel.codes) for panel in shown}
    return raster(draw, width, height, alt, title, data=of_map(grid, codes, source))


def _ratio(grid: Grid) -> float:
    """Return how high a panel is for its width."""
    if grid.image:
        return grid.shape[0] / grid.shape[1]
    lon, lat, _ = maps.plot_grid(grid)
    box = maps.bounds(lon, lat, 0.0)
    stretch = 1 / max(np.cos(np.deg2rad((box.south + box.north) / 2)), 0.2)
    return float((box.north - box.south) / (box.east - box.west) * stretch)


def _layout(count: int, ratio: float, width: int, highest: float) -> _Layout:
    """Return places as large as they fit, side by side or below each other, whichever is larger."""
    across = (width - _GAP * (count - 1)) / count
    beside = min(across, (highest - _TITLE - _GAP) / ratio)
    room = (highest - (_TITLE + _GAP) * count) / count
    below = min(float(width), room / ratio)
    if beside >= below:
        tall = beside * ratio
        # Narrow strips stand together, not spread over the page.
        high = int(tall + _TITLE + _GAP)
        return _Layout(tuple((k * (beside + _GAP), _TITLE) for k in range(count)), beside, tall, high, (0.0, high))
    tall = below * ratio
    step = tall + _TITLE + _GAP
    high = int(count * step)
    return _Layout(tuple((0.0, _TITLE + k * step) for k in range(count)), below, tall, high, (0.0, high))


def _in_square(ratio: float, width: int, key: int) -> _Layout:
    """Return two panels above, the third below them, and the key beside it."""
    wide = (width - _GAP) / 2
    tall = wide * ratio
    second = _TITLE + tall + _GAP + _TITLE
    places = ((0.0, _TITLE), (wide + _GAP, _TITLE), (0.0, second))
    return _Layout(places, wide, tall, int(second + max(tall, key) + _GAP), (wide + _GAP, second))


def _panel(axes: Any, panel: ClassPanel, grid: Grid, theme: Theme, dark: int, earth: bool) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([pair[dark] for pair in panel.colours])
    axes.set_facecolor(theme.surface)
    axes.patch.set(hatch="//////", edgecolor=theme.muted, linewidth=0)  # what no cell covers is not known
    codes = np.ma.masked_less(panel.codes, 0)
    limits = {"vmin": -0.5, "vmax": len(panel.colours) - 0.5}
    if grid.image:
        axes.imshow(codes, cmap=colours, interpolation="nearest", aspect="auto", **limits)
    else:
        lon, lat, order = maps.plot_grid(grid)
        axes.pcolormesh(lon, lat, codes[order], cmap=colours, shading="nearest", rasterized=True, **limits)
        box = maps.bounds(lon, lat, 0.0)
        if earth:
            maps.coastlines(axes, box, theme)
        axes.set_xlim(box.west, box.east)
        axes.set_ylim(box.south, box.north)
    for spine in axes.spines.values():
        spine.set_color(theme.grid)
        spine.set_linewidth(0.8)
    axes.set_xticks([])
    axes.set_yticks([])


def _key_rows(key: Sequence[Key], width: int) -> list[list[tuple[Key, str, float]]]:
    """Return entries in rows, each with its text and its left edge."""
    rows: list[list[tuple[Key, str, float]]] = [[]]
    left = 0.0
    for entry in key:
        text = wrapped(entry.name, 34, 1)
        room = _SWATCH + 5 + text_width(text, SMALL) + 12
        if rows[-1] and left + room > width + 12:
            rows.append([])
            left = 0.0
        rows[-1].append((entry, text, left))
        left += room
    return rows


def _draw_key(
    figure: Any,
    rows: list[list[tuple[Key, str, float]]],
    corner: tuple[float, float],
    size: tuple[int, int],
    theme: Theme,
    dark: int,
) -> None:
    from matplotlib.patches import Rectangle

    (start, top), (width, height) = corner, size
    for number, row in enumerate(rows):
        middle = 1 - (top + _KEY_ROW * (number + 0.5)) / height
        for entry, text, shift in row:
            left = start + shift
            hatch = "" if entry.colour else "//////"
            face = entry.colour[dark] if entry.colour else theme.surface
            figure.add_artist(
                Rectangle(
                    (left / width, middle - _SWATCH / 2 / height), _SWATCH / width, _SWATCH / height, facecolor=face,
                    edgecolor=theme.muted, linewidth=0.5, hatch=hatch, transform=figure.transFigure,
                )
            )  # fmt: skip
            at = (left + _SWATCH + 5) / width
            figure.text(at, middle, text, fontsize=SMALL, color=theme.text, va="center_baseline")
