"""Work that is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(*words: str, cwd: Path | None = None) -> str:
    """Run this Python with some arguments; return what it printed.

    Raises
    ------
    RuntimeError
        If it ends with a fault; its last words are told.
    """
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, cwd=cwd)
    if done.returncode:
        raise RuntimeError(f"expected {' '.join(words)} to end with 0, got {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
