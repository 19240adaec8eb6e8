"""The events of one series as records: when, how long, how strong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.prepare.dates import elapsed
from pipeline.prepare.windows import segments, usual_step

Time = Any  # datetime64 or a cftime object


@dataclass(frozen=True)
class EventRecord:
    """One event of a series.

    Parameters
    ----------
    start, end, peak : datetime64 or cftime.datetime
        First and last step, and the step of the largest intensity.
    duration : int
        Steps from start to end, both counted; days where values are daily.
    maximum, mean, cumulative : float
        Of the intensity over the steps that have one; ``cumulative`` is its sum, in units times steps.
    level : int
        Highest class number of a step of the event, 1 where there is but one class.
    """

    start: Time
    end: Time
    peak: Time
    duration: int
    maximum: float
    mean: float
    cumulative: float
    level: int


def event_table(
    events: np.ndarray, intensity: np.ndarray, time: np.ndarray, levels: np.ndarray | None = None
) -> tuple[EventRecord, ...]:
    """Return the events of one series in order of time.

    A missing step inside an event counts in its duration and in nothing else. A gap in time ends an event.

    Parameters
    ----------
    events : ndarray of bool, shape (time,)
        Whether a step belongs to an event, as :meth:`EventLabel.events` gives for one cell.
    intensity : ndarray, shape (time,)
        How strong each step is, as :meth:`EventLabel.intensity` gives; NaN is missing.
    time : ndarray, shape (time,)
        Stamps.
    levels : ndarray, shape (time,), optional
        Class numbers, as :meth:`EventLabel.label` gives; NaN is missing.

    Raises
    ------
    DataError
        If they are not series of one length.

    Examples
    --------
    >>> time = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")
    >>> found = event_table(np.array([0, 1, 1, 1, 0, 0], bool), np.array([0.0, 1, 3, 2, 0, 0]), time)
    >>> [(str(e.start)[:10], str(e.peak)[:10], e.duration, e.maximum, e.mean, e.cumulative) for e in found]
    [('2001-01-02', '2001-01-03', 3, 3.0, 2.0, 6.0)]
    """
    shapes = [np.shape(part) for part in (events, intensity, time, *([] if levels is None else [levels]))]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise DataError(
            f"event_table: expected series of one length, got the shapes {shapes}; give one cell at a time."
        )
    count = elapsed(time)
    segment = segments(count, usual_step(count)) if len(time) > 1 else np.zeros(len(time), int)
    within = np.asarray(events, bool)
    change = np.ones(len(time), bool)
    change[1:] = (within[1:] != within[:-1]) | (segment[1:] != segment[:-1])
    starts = np.flatnonzero(change)
    ends = np.append(starts[1:], len(time))[within[starts]]
    strong = np.asarray(intensity, np.float64)
    return tuple(
        _record(slice(first, after), strong, time, levels)
        for first, after in zip(starts[within[starts]].tolist(), ends.tolist(), strict=True)
    )


def _record(part: slice, intensity: np.ndarray, time: np.ndarray, levels: np.ndarray | None) -> EventRecord:
    here = intensity[part]
    known = here[np.isfinite(here)]
    level = 1 if levels is None else int(np.max(levels[part], where=np.isfinite(levels[part]), initial=1))
    peak = part.start + (int(np.nanargmax(here)) if known.size else 0)
    nothing = float("nan")
    return EventRecord(
        start=time[part.start],
        end=time[part.stop - 1],
        peak=time[peak],
        duration=part.stop - part.start,
        maximum=float(known.max()) if known.size else nothing,
        mean=float(known.mean()) if known.size else nothing,
        cumulative=float(known.sum()) if known.size else nothing,
        level=level,
    )
