"""What a line figure needs to be drawn by the reader's browser: lines, bands and axes, rounded to what can be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report import palette
from pipeline.report.figures import cues

_STEPS = 4000  # that a value is rounded to, over the range of its axis: half a pixel of a large screen


@dataclass(frozen=True, eq=False)
class Trace:
    """One line.

    Parameters
    ----------
    name, colour : str
        Whose it is, and its colour in the light theme.
    x, y : ndarray, shape (point,)
        ``x`` rises; NaN in ``y`` breaks the line.
    low, high : ndarray, shape (point,), optional
        A band around it, or alone where ``y`` is None.
    width : float
        Of the line [px].
    dash : int
        Which dash, as in :mod:`pipeline.report.figures.cues`.
    marks : bool
        Whether each point has a mark.
    """

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray | None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    width: float = 1.5
    dash: int = 0
    marks: bool = False


@dataclass(frozen=True, eq=False)
class Plot:
    """A picture of lines that can be zoomed and read.

    Parameters
    ----------
    traces : sequence of Trace
        The last is drawn on top.
    x, y : str
        Names of both axes with their units; ``x`` is ``"time"`` for dates.
    log : bool
        Whether the vertical axis is logarithmic.
    span, limits : tuple of float, optional
        Of both axes where they do not follow from the values.
    level : float, optional
        A line across.
    diagonal : bool
        Whether there is a line on which both axes agree.
    """

    traces: Sequence[Trace]
    x: str
    y: str
    log: bool = False
    span: tuple[float, float] | None = None
    limits: tuple[float, float] | None = None
    level: float | None = None
    diagonal: bool = False

    def spec(self) -> dict[str, Any]:
        """Return it as lists and numbers that JSON can hold.

        Examples
        --------
        >>> trace = Trace("ridge", "#0072b2", np.array([1.0, 2.0]), np.array([0.12345678, np.nan]))
        >>> spec = Plot([trace], "lead", "RMSE").spec()
        >>> spec["at"], spec["lines"][0]["y"]
        ([[1, 2]], [0.12346, None])
        """
        ats: list[list[Any]] = []
        lines = []
        digits = self._digits()
        for trace in self.traces:
            at = _times(trace.x) if trace.x.dtype.kind == "M" else _rounded(trace.x, _decimals(trace.x))
            if at not in ats:
                ats.append(at)
            line: dict[str, Any] = {"n": trace.name, "c": _both(trace.colour), "x": ats.index(at)}
            for key, values in (("y", trace.y), ("lo", trace.low), ("hi", trace.high)):
                if values is not None:
                    line[key] = _significant(values) if self.log else _rounded(values, digits)
            line |= {"w": trace.width} if trace.y is not None else {}
            if isinstance(cues.dash(trace.dash), tuple):
                line["d"] = [float(part) * 1.6 for part in cues.dash(trace.dash)[1]]
            lines.append(line | ({"m": 1} if trace.marks else {}))
        time = any(trace.x.dtype.kind == "M" for trace in self.traces)
        found: dict[str, Any] = {"at": ats, "lines": lines, "xl": "" if time else self.x, "yl": self.y}
        given = {"time": time, "log": self.log, "diagonal": self.diagonal}
        found |= {key: 1 for key, value in given.items() if value}
        numbers: Mapping[str, Any] = {"span": self.span, "limits": self.limits, "level": self.level}
        return found | {key: value for key, value in numbers.items() if value is not None}

    def _digits(self) -> int:
        parts = [v for trace in self.traces for v in (trace.y, trace.low, trace.high) if v is not None]
        return _decimals(np.concatenate([np.asarray(part, float).ravel() for part in parts]))


def _decimals(values: np.ndarray) -> int:
    """Return how many decimals can be told apart over the range of values."""
    finite = np.asarray(values, float)[np.isfinite(np.asarray(values, float))]
    width = float(np.ptp(finite)) if len(finite) else 0.0
    width = width or (abs(float(finite[0])) if len(finite) else 0.0) or 1.0
    return max(0, math.ceil(-math.log10(width / _STEPS)))


def _rounded(values: np.ndarray, digits: int) -> list[Any]:
    found = (round(float(value), digits) if math.isfinite(value) else None for value in np.asarray(values, float))
    return [int(value) if value is not None and value.is_integer() else value for value in found]


def _significant(values: np.ndarray) -> list[Any]:
    good = (math.isfinite(value) and value > 0 for value in np.asarray(values, float))
    return [float(f"{value:.4g}") if there else None for value, there in zip(values, good, strict=True)]


def _times(values: np.ndarray) -> list[int]:
    """Return seconds since 1970, UTC."""
    return [int(value) for value in values.astype("datetime64[s]").astype(np.int64)]


def _both(colour: str) -> list[str]:
    """Return a colour in both themes."""
    return [colour, palette.to_dark(colour)]
