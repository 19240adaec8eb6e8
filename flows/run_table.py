"""``finescale runs list``: runs as lines of text or as JSON; imports nothing that takes long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pipeline.run_folder import RunRecord

HEADS = ("run", "state", "age", "took", "size")
_LEAST = 40  # columns that a result needs beside the others; else it stands below
AT_WORK = "at work"


def state(record: RunRecord) -> str:
    """Return the state of a run in a word or two; an unfinished one may be at work."""
    return AT_WORK if record.state == "unfinished" and record.run.at_work() else record.state


def lines(
    records: Sequence[RunRecord], width: int | None = None, now: datetime | None = None, *, results: bool = True
) -> list[str]:
    """Return a head and one line a run; its result is cut to ``width`` columns, whole without one."""
    now = now or datetime.now(UTC)
    grid = [list(HEADS)]
    for record in records:
        old = "" if record.started is None else age((now - record.started).total_seconds())
        took = age(record.seconds) if record.seconds else ""
        grid.append([record.name, state(record), old, took, size(record.size)])
    widths = [max(len(row[column]) for row in grid) for column in range(len(HEADS))]
    words = ["result", *(" ".join(record.headline.split()) for record in records)]
    words = words if results else [""] * len(grid)
    room = None if width is None else width - sum(widths) - 2 * len(widths)
    below = room is not None and room < _LEAST
    told = []
    for row, result in zip(grid, words, strict=True):
        # Words to the left, amounts to the right.
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(wide) for cell, wide in zip(row[2:], widths[2:], strict=True)]
        line = "  ".join(cells).rstrip()
        if below:
            told.append(line)
            if result and row is not grid[0]:
                told.append(f"  {cut(result, (width or 0) - 2)}")
        else:
            told.append(f"{'  '.join(cells)}  {cut(result, room)}".rstrip())
    return told


def as_json(records: Sequence[RunRecord]) -> str:
    """Return the runs as a JSON list, the newest first, with everything a line says."""
    rows = [
        {
            "name": record.name,
            "path": str(record.run.path.resolve()),
            "experiment": record.experiment,
            "state": state(record),
            "started": None if record.started is None else record.started.isoformat(),
            "seconds": round(record.seconds, 3),
            "bytes": record.size,
            "headline": record.headline,
        }
        for record in records
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def cut(text: str, room: int | None) -> str:
    """Return ``text`` in at most ``room`` letters, whole without a room.

    Examples
    --------
    >>> cut("unet beats ridge", 11)
    'unet beats…'
    """
    return text if room is None or len(text) <= room else f"{text[: max(room - 1, 0)].rstrip()}…"


def age(seconds: float) -> str:
    """Return a length of time in its largest unit, days at most.

    Examples
    --------
    >>> age(0.4), age(61), age(7300), age(200000)
    ('0 s', '1 min', '2.0 h', '2 d')
    """
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86_400 else f"{seconds // 86_400:.0f} d"


def size(count: float) -> str:
    """Return a number of bytes in a unit that leaves few digits.

    Examples
    --------
    >>> size(812), size(164_000_000), size(5.2e9)
    ('812 B', '156 MiB', '4.8 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
