"""Spans of dates that reach past the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.prepare.dates import DAY, calendar_of, iso, microseconds, parse
from pipeline.prepare.windows import TOLERANCE, usual_step


def beyond(
    spans: Mapping[str, tuple[str, str]], time: np.ndarray, months: Sequence[int] | None = None
) -> tuple[str, ...]:
    """Return a sentence on each span that begins before the data or ends after them.

    One and a half steps are allowed, for a stamp may stand at the begin or the end of its step. Where months are
    chosen, the others may be lacking.

    Parameters
    ----------
    spans : mapping of str to tuple of str
        First and last date, by the key of the experiment that says them; dates that the calendar has.
    time : ndarray, shape (time,)
        Ascending stamps of the data, of all months that they have.
    months : sequence of int, optional
        Months that are used.

    Examples
    --------
    >>> time = np.arange("2010-01-01", "2013-05-02", dtype="datetime64[D]").astype("datetime64[ns]")
    >>> beyond({"split.validation": ("2010", "2011"), "split.test": ("2012", "2015")}, time)
    ('split.test: asked for 2012 to 2015, the data end 2013-05-01.',)
    """
    if len(time) < 2:
        return ()
    count, calendar = microseconds(time), calendar_of(time)
    allowed = TOLERANCE * usual_step(count)
    if months is not None:
        allowed = max(allowed, (13 - len(set(months))) * 31 * DAY)
    notes = []
    for key, (first, last) in spans.items():
        begin, after = parse(first, calendar)[0], parse(last, calendar)[1]
        lacks = [f"begin {iso(time[0])}"] if count[0] - begin > allowed else []
        lacks += [f"end {iso(time[-1])}"] if after - count[-1] > allowed else []
        if lacks:
            notes.append(f"{key}: asked for {first} to {last}, the data {' and '.join(lacks)}.")
    return tuple(notes)
