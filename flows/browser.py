"""``finescale runs open``: a page in the browser, or how else to look at it."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import RunFolderError
from pipeline.run_folder import RunFolder


def report_of(run: RunFolder) -> Path:
    """Return the absolute path of a run's report.

    Raises
    ------
    RunFolderError
        If it has none; the message says which command makes it.
    """
    path = (run / "report.html").resolve()
    if path.is_file():
        return path
    scored = (run / "scores.csv").is_file()
    mend = f"finescale report {run.path}" if scored else f"finescale run --resume {run.path}"
    raise RunFolderError(f"expected report.html in {run.path}, and it is not there. To make it: {mend}")


def has_display(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return whether a browser can show a window: on Linux one needs a display, or is named in ``BROWSER``.

    Examples
    --------
    >>> has_display({}, "linux"), has_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux"), has_display({}, "darwin")
    (False, True, True)
    """
    if platform in ("darwin", "win32"):
        return True
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"))


def show(path: Path) -> bool:
    """Open ``path`` in the browser; return whether that could be begun."""
    return has_display() and webbrowser.open(path.as_uri())


def how_else(path: Path) -> str:
    """Return how to look at a page from a machine without a display."""
    return (
        "There is no display here to open it on. It is one file that needs nothing else: copy it to your own computer "
        f"(scp HOST:{path} .) and open it there."
    )
