"""How many runs of a served machine are at work at a time: others wait for their turn."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER, COUNT = "FINESCALE_SLOTS", "FINESCALE_AT_ONCE"
_PAUSE = 1.0


@contextmanager
def turn() -> Iterator[None]:
    """Wait until fewer runs are at work than may be, and hold a place among them while the block lasts.

    The folder of the places and their number stand in the environment; without them nobody waits. A place is a lock
    on a file, which the system frees when its process ends, however that ends.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        yield
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    count = max(1, int(os.environ.get(COUNT, "1")))
    file, told = None, False
    while file is None:
        file = _free(Path(folder), count)
        if file is None:
            if not told:
                log.info("waits for its turn: %d at work already, and --at-once is %d", count, count)
                told = True
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(file)


def _free(folder: Path, count: int) -> int | None:
    for number in range(count):
        file = os.open(folder / f"place-{number}", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file
    return None
