"""A headless Chromium for tests of pages: the one of the system, for none is downloaded."""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without the last ones it calls home at every start.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str:
    """Return where Chromium is; the test is skipped where there is none."""
    found = (shutil.which(name) for name in NAMES)
    path = os.environ.get("FINESCALE_CHROMIUM") or next((one for one in found if one), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return path
