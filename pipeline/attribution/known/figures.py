"""Figures of a benchmark: histograms of the agreement by method, and one sample's truth beside what methods say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attribution.known.result import Row
from pipeline.attribution.likeness import correlations

if TYPE_CHECKING:
    from pipeline.attribution.known.run import Finished
    from pipeline.grid import Grid
    from pipeline.report.figures import Picture
    from pipeline.report.palette import Theme

_COLUMNS = 3
_BINS = np.linspace(-1.0, 1.0, 51)


@dataclass(frozen=True, eq=False)
class Panel:
    """A map: what it is called, its values, NaN where there is nothing, and a line below the name."""

    name: str
    field: np.ndarray
    note: str = ""


def histograms(rows: Sequence[Row]) -> Picture:
    """Draw how often the correlation with the truth has which value, a small panel for each method.

    Parameters
    ----------
    rows : sequence of Row
        In this order; all panels have the same axes.
    """
    from pipeline.report.figures.canvas import SMALL, add_axes, picture, wrapped
    from pipeline.report.numbers import number as written
    from pipeline.report.palette import LIGHT, STRONG

    across = min(_COLUMNS, len(rows))
    down = -(-len(rows) // across)
    wide, tall, left, low = 224, 118, 12, 42
    width, height = left + across * wide, down * tall + low
    shares = [np.histogram(row.pearson[np.isfinite(row.pearson)], _BINS)[0] / row.samples for row in rows]
    most = max(float(share.max()) for share in shares) or 1.0

    def draw(figure: Any) -> None:
        figure.patch.set(alpha=1.0, facecolor=LIGHT.surface)
        for number, (row, share) in enumerate(zip(rows, shares, strict=True)):
            line, column = divmod(number, across)
            start, top = left + column * wide, line * tall
            axes = add_axes(figure, start, top + 38, width - start - wide + 16, height - top - tall)
            axes.stairs(share, _BINS, fill=True, color=STRONG[0][0])
            axes.set(xlim=(-1, 1), ylim=(0, 1.1 * most))
            axes.set_xticks([-0.5, 0, 0.5], ["\u22120.5", "0", "0.5"])
            axes.set_yticks([])
            axes.axvline(0, color=LIGHT.muted, linewidth=0.8)
            if np.isfinite(row.mean):
                axes.axvline(row.mean, color=STRONG[1][0], linewidth=1.6)
            if number + across < len(rows):
                axes.tick_params(labelbottom=False)
            said = f"r {written(row.mean, 2)}" + ("" if row.against == "truth" else f", with {row.against}")
            name = wrapped(row.method, 36, 1)
            axes.annotate(
                name, (0, 1), (0, 18), xycoords="axes fraction", textcoords="offset points", va="bottom",
                fontsize=SMALL, color=LIGHT.text,
            )  # fmt: skip
            axes.annotate(
                said, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", va="bottom",
                fontsize=SMALL, color=LIGHT.muted,
            )  # fmt: skip
        figure.text(
            left / width, 8 / height, "Pearson's r with what it is held against, over samples; orange: the mean",
            fontsize=SMALL, color=LIGHT.muted,
        )  # fmt: skip

    best = rows[0]
    alt = f"Histograms of the correlation with the truth for {len(rows)} variants; the best, {best.method}, has a mean "
    return picture(draw, width, height, f"{alt}of {best.mean:.2f}.")


def panels(finished: Finished, shape: tuple[int, int], mask: np.ndarray | None = None) -> tuple[Panel, ...]:
    """Return the truth and what every method says of one sample, as maps, each over its own root mean square.

    The sample is the one whose correlation under integrated gradients, or else the first method, is the median.

    Parameters
    ----------
    finished : Finished
        Of a benchmark.
    shape : tuple of int
        Of the map.
    mask : ndarray of bool, shape ``shape``, optional
        Where the cells are; all of it by default.
    """
    from pipeline.report.numbers import number as written

    answers = sorted(finished.answers, key=lambda each: each.variant.method != "integrated_gradients")
    shared = [place for place in answers[0].samples if all(place in each.samples for each in answers)]
    chosen = answers[0].values[np.isin(answers[0].samples, shared)]
    agreed = correlations(chosen, finished.truth[shared], constant=np.nan)
    sample = shared[int(np.argsort(agreed)[(len(agreed) - 1) // 2])]
    inside = np.ones(shape, bool) if mask is None else mask

    def on_map(values: np.ndarray) -> np.ndarray:
        field = np.full(shape, np.nan)
        size = float(np.sqrt(np.mean(values**2)))
        field[inside] = values / size if size > 0 else values
        return field

    truth = finished.truth[sample]
    made = [Panel("truth", on_map(truth))]
    order = {row.method: number for number, row in enumerate(finished.result.rows)}
    for answer in sorted(finished.answers, key=lambda each: order[each.variant.name]):
        values = answer.values[np.flatnonzero(answer.samples == sample)[0]]
        r = float(correlations(values[None], truth[None], constant=np.nan)[0])
        said = f"r {written(r, 2)}" if np.isfinite(r) else "constant"
        detail = f"; {answer.variant.detail}" if answer.variant.detail else ""
        made.append(Panel(answer.variant.method, on_map(values), said + detail))
    return tuple(made)


def maps(drawn: Sequence[Panel], grid: Grid | None = None, *, earth: bool = False) -> Picture:
    """Draw maps side by side with the same colours: blue below zero, red above, the page's own at zero.

    Parameters
    ----------
    drawn : sequence of Panel
        The truth first.
    grid : Grid, optional
        Where the cells lie; without it the maps are images.
    earth : bool
        Whether coastlines belong on it.
    """
    from pipeline.report.figures.canvas import SMALL, raster, wrapped
    from pipeline.report.figures.maps import Scale, bounds, coastlines, colour_bar, plot_grid

    across = _COLUMNS if grid is not None else 4
    down = -(-len(drawn) // across)
    wide, tall = (216, 112) if grid is not None else (150, 150)
    gap, head, low, side = 14, 36, 44, 12
    width, height = 2 * side + across * (wide + gap) - gap, down * (tall + head) + low + 6
    scale = Scale.of("field", "", *(panel.field for panel in drawn))

    def draw(figure: Any, theme: Theme) -> None:
        figure.patch.set(alpha=1.0, facecolor=theme.surface)
        for number, panel in enumerate(drawn):
            line, column = divmod(number, across)
            start, top = side + column * (wide + gap), line * (tall + head) + head
            axes = figure.add_axes((start / width, 1 - (top + tall) / height, wide / width, tall / height))
            axes.set_facecolor("none")
            colours = {"cmap": scale.colours(theme), "vmin": scale.low, "vmax": scale.high}
            if grid is None:
                axes.imshow(panel.field, interpolation="nearest", **colours)
            else:
                lon, lat, order = plot_grid(grid)
                box = bounds(lon, lat, 0.0)
                axes.pcolormesh(lon, lat, np.ma.masked_invalid(panel.field[order]), shading="nearest", **colours)
                if earth:
                    coastlines(axes, box, theme)
                axes.set(xlim=(box.west, box.east), ylim=(box.south, box.north))
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_color(theme.grid)
            most = int(wide / 5.4)  # letters of the small size
            note = panel.note if len(panel.note) <= most else panel.note[: most - 1] + "\u2026"
            for text, lift, colour in (
                (wrapped(panel.name, wide // 6, 1), 17, theme.text),
                (note, 4, theme.muted),
            ):
                axes.annotate(
                    text, (0, 1), (0, lift), xycoords="axes fraction", textcoords="offset points", va="bottom",
                    fontsize=SMALL, color=colour,
                )  # fmt: skip
        bar = figure.add_axes((side / width, 24 / height, min(320, width - 2 * side) / width, 8 / height))
        colour_bar(figure, bar, scale, theme)

    return raster(draw, width, height, f"What {len(drawn) - 1} variants say of one sample, beside the truth.")
