"""Examples below the help of a command; a test holds that each of them can be typed."""

from __future__ import annotations


def examples(*lines: str) -> str:
    r"""Return an epilog whose lines stay as they are.

    Examples
    --------
    >>> examples("finescale doctor")
    '\x08\nExamples:\n  finescale doctor'
    """
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
