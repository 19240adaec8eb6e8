"""Colours: one a model in the whole report, two themes, and the colour maps of fields.

Line figures are drawn once, in the light theme; :func:`to_dark` swaps each colour for its dark
partner in the SVG text, so that both versions have the same shapes. Maps are drawn twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Theme:
    """Colours that are not data."""

    name: str
    surface: str
    text: str
    muted: str
    grid: str
    truth: str


LIGHT = Theme("light", "#ffffff", "#1b1d20", "#565c64", "#e2e4e7", "#0b0c0d")
DARK = Theme("dark", "#15171a", "#e7e9ec", "#a5acb5", "#33373d", "#fafbfc")

# Okabe and Ito's hues. On white, the pale ones are darkened until they reach 3:1, in the dark the
# deep ones are lightened; (light, dark).
STRONG = (
    ("#0072b2", "#3d9fdc"),
    ("#d55e00", "#f0843a"),
    ("#009e73", "#2cc295"),
    ("#b8578f", "#dd92bd"),
    ("#b27a00", "#e6a117"),
    ("#2b8cc4", "#7cc4ee"),
)
# Baselines: grey, in three tones.
QUIET = (("#62676f", "#9aa1aa"), ("#7c828b", "#7f8790"), ("#8d939c", "#b4bac2"))

# Classes: the background grey, the others Okabe and Ito's hues, those first that models seldom reach.
BACKGROUND = ("#e4e7ea", "#2c3036")
CLASSES = (STRONG[4], STRONG[5], STRONG[2], STRONG[3], STRONG[1], STRONG[0], ("#857f00", "#f0e442"))
# Right and wrong beside them: apart in lightness too, for eyes that see no hue.
HIT, MISS, FALSE_ALARM, OTHER = (
    ("#9aa1a9", "#6d747d"),
    ("#5b0f3f", "#f2a0cf"),
    ("#e0569b", "#a3226a"),
    ("#c9b458", "#8f7d26"),
)

_PARTNERS = {getattr(LIGHT, key): getattr(DARK, key) for key in ("surface", "text", "muted", "grid", "truth")}
_PARTNERS |= dict(STRONG) | dict(QUIET) | dict(CLASSES)

_SIGNED = {
    # cold-warm for differences of a field, purple-green for better-worse; the middle is the page.
    ("field", "light"): ("#08306b", "#3a86c0", "#a9cfe8", "#ffffff", "#f5bb9b", "#cf5246", "#6b0a1e"),
    ("field", "dark"): ("#b5dcfb", "#5aa5dc", "#245a86", "#15171a", "#8a3a2c", "#e3795c", "#ffd0b5"),
    ("skill", "light"): ("#40004b", "#8a5aa0", "#cdb8d8", "#ffffff", "#b5dfae", "#3c9a55", "#00441b"),
    ("skill", "dark"): ("#e6cdf2", "#ab7cc2", "#5b3a70", "#15171a", "#1f5f35", "#56b56d", "#c9f2c2"),
}


def model_colours(models: Sequence[str], baselines: Collection[str]) -> dict[str, str]:
    """Return the light colour of every model, in the order of the experiment.

    Examples
    --------
    >>> model_colours(["climatology", "unet"], {"climatology"})
    {'climatology': '#62676f', 'unet': '#0072b2'}
    """
    return {model: _tones(model, baselines)[number][0] for model, number, _ in _turns(models, baselines)}


def model_cues(models: Sequence[str], baselines: Collection[str]) -> dict[str, int]:
    """Return for every model how many before it have its colour: what hatches, markers and dashes tell apart.

    Examples
    --------
    >>> model_cues(["a", "b", "c", "d", "unet"], {"a", "b", "c", "d"})
    {'a': 0, 'b': 0, 'c': 0, 'd': 1, 'unet': 0}
    """
    return {model: turn for model, _, turn in _turns(models, baselines)}


def _tones(model: str, baselines: Collection[str]) -> tuple[tuple[str, str], ...]:
    return QUIET if model in baselines else STRONG


def _turns(models: Sequence[str], baselines: Collection[str]) -> list[tuple[str, int, int]]:
    """Return every model with the number of its tone, and how often all tones were given away before."""
    counts: Counter[bool] = Counter()
    found = []
    for model in models:
        quiet = model in baselines
        turn, number = divmod(counts[quiet], len(_tones(model, baselines)))
        found.append((model, number, turn))
        counts[quiet] += 1
    return found


def class_colours(count: int) -> tuple[tuple[str, str], ...]:
    """Return the colour of every class, light and dark: the background's, then hues, in turn where there are many.

    Examples
    --------
    >>> class_colours(3)
    (('#e4e7ea', '#2c3036'), ('#b27a00', '#e6a117'), ('#2b8cc4', '#7cc4ee'))
    """
    return (BACKGROUND, *(CLASSES[number % len(CLASSES)] for number in range(count - 1)))


def class_lines(count: int) -> tuple[str, ...]:
    """Return the light colour of the line of every class: that of its area, a readable grey for the background."""
    return (QUIET[0][0], *(light for light, _ in class_colours(count)[1:]))


def to_dark(svg: str) -> str:
    """Return an SVG drawn in the light theme with every colour's dark partner."""
    pattern = re.compile("|".join(re.escape(colour) for colour in _PARTNERS))
    return pattern.sub(lambda match: _PARTNERS[match[0]], svg)


def signed_map(kind: str, theme: Theme) -> Any:
    """Return a balanced diverging colour map whose middle is the page's own colour.

    Parameters
    ----------
    kind : {"field", "skill"}
        ``field``: blue below and red above zero. ``skill``: purple worse and green better.
    """
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(f"{kind}-{theme.name}", _SIGNED[kind, theme.name])


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2), 1 to 21.

    Examples
    --------
    >>> contrast("#000000", "#ffffff")
    21.0
    """
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)
