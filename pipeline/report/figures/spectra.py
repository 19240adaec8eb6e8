"""Power spectra: how much fields vary at every wavelength, truth and models in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import numbers
from pipeline.report.figures import Picture, cues
from pipeline.report.figures.behind import below
from pipeline.report.figures.canvas import SMALL, add_axes, label_room, name_ends, picture, wrapped

WIDTH, HEIGHT = 720, 330
_NAME = 36
_DECADES = 3  # that are shown below the weakest of the truth


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One line.

    Parameters
    ----------
    name, colour : str
        Whose it is, and its colour in the light theme.
    wavelength, power : ndarray, shape (wavelength,)
        [km], decreasing, and power spectral density.
    strong : bool
        Whether the line is thick: the truth and the model that the report is about.
    cue : int
        Which dash, for models of one colour.
    """

    name: str
    colour: str
    wavelength: np.ndarray
    power: np.ndarray
    strong: bool = False
    cue: int = 0


def spectra(lines: Sequence[Spectrum], unit: str, alt: str) -> Picture:
    """Draw spectra on logarithmic axes, long waves left and short ones right, each named at its end.

    Parameters
    ----------
    lines : sequence of Spectrum
        The first is the truth's: power far below its weakest is drawn at the lower edge.
    unit : str
        Printed units of the power.
    """
    known = lines[0].power[lines[0].power > 0]
    floor = float(known.min()) / 10**_DECADES if len(known) else 0.0

    def draw(figure: Any) -> None:
        from matplotlib.ticker import LogLocator, NullLocator

        axes = add_axes(figure, 62, 8, max(142.0, label_room([line.name for line in lines], _NAME, 1, SMALL)), 40)
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = []
        for line in reversed(lines):
            power = np.where(line.power > floor, line.power, floor or np.nan)
            axes.plot(
                line.wavelength, power, color=line.colour, linewidth=2.2 if line.strong else 1.3, marker="o",
                linestyle=cues.dash(line.cue), markersize=3.6 if line.strong else 2.4,
            )  # fmt: skip
            if np.isfinite(power[-1]):
                ends.append((float(power[-1]), wrapped(line.name, _NAME, 1), line.colour))
        waves = lines[0].wavelength
        axes.set_xlim(float(waves[0]) * 1.04, float(waves[-1]) / 1.04)
        ticks = round_waves(float(waves[-1]), float(waves[0]))
        axes.set_xticks(ticks, [numbers.number(tick, 0 if tick >= 10 else None) for tick in ticks])
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: power_of_ten(value))
        axes.set_xlabel("wavelength [km]")
        axes.set_ylabel(f"power spectral density [{unit}]")
        axes.yaxis.label.set_fontsize(SMALL)
        name_ends(axes, ends)

    power = f"power spectral density [{unit}]"
    data = below({"line": line.name, "wavelength [km]": line.wavelength, power: line.power} for line in lines)
    return picture(draw, WIDTH, HEIGHT, alt, data=data)


def round_waves(low: float, high: float) -> list[float]:
    """Return wavelengths one can say between two, at most eight, the shortest first.

    Examples
    --------
    >>> round_waves(110.0, 980.0)
    [150.0, 200.0, 300.0, 500.0, 700.0]
    >>> round_waves(10.0, 2000.0)
    [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]
    """
    decades = [10.0**k for k in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)]
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
        found = [step * decade for decade in decades for step in steps if low <= step * decade <= high]
        if len(found) <= 8:
            break
    return found or [low, high]


def power_of_ten(value: float) -> str:
    """Return a tick's label.

    Examples
    --------
    >>> power_of_ten(100.0), power_of_ten(1e5), power_of_ten(0.5), power_of_ten(1e-4)
    ('100', '10⁵', '0.5', '10⁻⁴')
    """
    if 1e-2 <= value < 1e3:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = numbers.superscript(int(exponent))
    return f"10{power}" if mantissa == "1" else f"{mantissa}\u00d710{power}"
