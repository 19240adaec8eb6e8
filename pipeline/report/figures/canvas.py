"""The sheet figures are drawn on: 72 dots an inch, so that one point is one pixel of the page."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pipeline.report import numbers, palette
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import Data
from pipeline.report.figures.plot import Plot
from pipeline.report.palette import LIGHT, Theme

SMALL, NORMAL = 9.5, 10.5
# The browser sets the text of SVG figures, in the font of the page.
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib as mpl

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "finescale",
        "font.family": "DejaVu Sans",
        "font.size": NORMAL,
        "axes.unicode_minus": True,
        "axes.formatter.useoffset": False,
        "text.parse_math": False,  # A dollar in a name is a dollar.
        "path.simplify_threshold": 0.3,
    }
    with mpl.rc_context(settings):
        yield


def sheet(width: int, height: int) -> Any:
    """Return an empty matplotlib figure of that many pixels, with a clear background."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    return figure


def add_axes(figure: Any, left: float, top: float, right: float, bottom: float, theme: Theme = LIGHT) -> Any:
    """Return axes with those margins in pixels: a light grid, no frame."""
    width, height = figure.get_size_inches() * 72
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )
    plain(axes, theme)
    return axes


def plain(axes: Any, theme: Theme = LIGHT) -> None:
    """Take the frame away and lay a light grid beneath."""
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(visible=True, color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=SMALL, colors=theme.muted, pad=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(theme.muted)
        axis.label.set_fontsize(SMALL)
        axis.labelpad = 4
        axis.offsetText.set_color(theme.muted)


def picture(
    draw: Callable[[Any], None], width: int, height: int, alt: str, title: str = "", *, data: Data | None = None,
    plot: Plot | None = None,
) -> Picture:  # fmt: skip
    """Draw a line figure once and return it as SVG in both themes.

    Parameters
    ----------
    draw : callable
        Gets the empty figure and draws on it with the light theme's colours.
    data : Data, optional
        The numbers that are drawn.
    plot : Plot, optional
        What a browser draws in its place.
    """
    with _settings():
        figure = sheet(width, height)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = _slim(buffer.getvalue())
    return Picture(
        text.encode(), palette.to_dark(text).encode(), "image/svg+xml", width, height, alt, title, data, plot
    )


def raster(
    draw: Callable[[Any, Theme], None], width: int, height: int, alt: str, title: str = "", *, data: Data | None = None
) -> Picture:  # fmt: skip
    """Draw a map once a theme and return it as lossless WebP with two pixels a point."""
    images = []
    for theme in (palette.LIGHT, palette.DARK):
        with _settings():
            figure = sheet(width, height)
            draw(figure, theme)
            buffer = io.BytesIO()
            figure.savefig(
                buffer,
                format="webp",
                dpi=144,
                pil_kwargs={"lossless": True, "quality": 40, "method": 3, "exact": False},
            )
        images.append(buffer.getvalue())
    return Picture(images[0], images[1], "image/webp", width, height, alt, title, data)


def _slim(svg: str) -> str:
    """Drop what browsers do not need: the prolog, metadata, ids that nothing points to, digits behind a hundredth."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([\w-]+)"', lambda match: match[0] if match[1] in used else "", svg)
    # In tags alone: a number that is written on the figure keeps its digits.
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), svg)
    svg = svg.replace("'DejaVu Sans', 'DejaVu Sans'", "'DejaVu Sans'").replace("'DejaVu Sans'", _FONTS)
    return re.sub(r"\s*\n\s*", "\n", svg)


def wrapped(name: str, width: int = 20, lines: int = 2) -> str:
    r"""Return a model's or channel's name on at most ``lines`` lines of ``width`` letters.

    Of a longer name the start and the end are kept, since names of one kind often differ in their end.

    Examples
    --------
    >>> wrapped("a_model_with_a_very_long_name+deep_ensemble", 16)
    'a model with a\n\u2026+ deep ensemble'
    """
    shown = numbers.label(name)
    parts = textwrap.wrap(shown, width, break_long_words=True) or [name]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], "\u2026" + shown[-(width - 1) :].strip()]
    return "\n".join(parts)


def text_width(text: str, size: float = NORMAL) -> float:
    """Return about how many pixels wide a line of text is; the browser sets it, in a font of its own."""
    return 0.56 * size * len(text)


def label_room(names: Sequence[str], width: int = 20, lines: int = 2, size: float = NORMAL) -> float:
    """Return the pixels that the longest wrapped name needs."""
    shown = (line for name in names for line in wrapped(name, width, lines).split("\n"))
    return max((text_width(line, size) for line in shown), default=text_width("x", size)) + 14


def apart(positions: Sequence[float], gap: float, least: float = -math.inf) -> list[float]:
    """Return the positions moved as little as needed to stand ``gap`` apart and none below ``least``, order kept.

    Examples
    --------
    >>> apart([1.0, 1.1, 5.0], 1.0)
    [0.55, 1.55, 5.0]
    >>> apart([0.0, 0.1, 5.0], 1.0, least=0.5)
    [0.5, 1.5, 5.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    groups: list[tuple[float, int]] = []  # Middle and number of labels of each heap.
    for i in order:
        groups.append((positions[i], 1))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2 - 1e-9:
            (middle, count), (below, many) = groups.pop(), groups.pop()
            groups.append(((middle * count + below * many) / (count + many), count + many))
    places = [middle + gap * (k - (count - 1) / 2) for middle, count in groups for k in range(count)]
    moved = [0.0] * len(positions)
    for rank, i in enumerate(order):
        moved[i] = max(places[rank], least)
        least = moved[i] + gap
    return moved


def name_ends(axes: Any, ends: Sequence[tuple[float, str, str]], *, shift: float = 6) -> None:
    """Write names behind the right edge, each at the height of its line's end, none over another or the axis' numbers.

    Parameters
    ----------
    ends : sequence of (value, name, colour)
        Where each line ends, in data coordinates; call this once limits and scale stand.
    """
    height = axes.get_position().height * axes.figure.get_size_inches()[1] * 72
    points = axes.transData.transform([(axes.get_xlim()[1], end[0]) for end in ends])
    fractions = axes.transAxes.inverted().transform(points)[:, 1]
    for place, (_, name, colour) in zip(apart(list(fractions), 13 / height, 7 / height), ends, strict=True):
        axes.annotate(
            name, (1, place), xycoords="axes fraction", xytext=(shift, 0), textcoords="offset points",
            va="center", fontsize=SMALL, color=colour, annotation_clip=False,
        )  # fmt: skip
