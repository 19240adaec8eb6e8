"""Time and memory of all climate indices and the power spectrum: `python -m benchmarks.indices`.

It makes a daily field of ten years on 128 x 128 cells, works out every index of a year, taking the field for
precipitation and then for temperature, and the power spectral density of every day. Beside the seconds stands
what a copy of the same bytes takes on this machine; memory is the most that was held, the field itself included,
as a multiple of the field.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.metrics.indices import INDICES, indices_of_years
from pipeline.metrics.spectra import annuli, power
from pipeline.stage import peak_memory

SPACING = 12.5  # km
FIELDS = 73  # days made or transformed at a time


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Parameters
    ----------
    seconds : dict of str to float
        By what was done.
    copy : float
        Seconds of a copy of the same bytes.
    memory : float
        The most memory held, in sizes of the field.
    """

    seconds: dict[str, float]
    copy: float
    memory: float


def made(days: int, side: int, seed: int = 0) -> np.ndarray:
    """Return a made field, float32 (time, lat, lon): dry half of the time, else exponential amounts."""
    rng = np.random.default_rng(seed)
    field = np.empty((days, side, side), np.float32)
    for start in range(0, days, FIELDS):
        part = field[start : start + FIELDS]
        part[:] = 16.0 * np.maximum(rng.random(part.shape, np.float32) - 0.5, 0.0) ** 2
    return field


def measure(days: int, side: int) -> Figures:
    """Work out all indices and the spectrum of a made field."""
    with peak_memory() as before:
        pass
    with peak_memory() as most:
        field = made(days, side)
        seconds = _timed(field)
    copy = _seconds(lambda: np.array(field))
    return Figures(seconds, copy, (most.mib - before.mib) * 2**20 / field.nbytes)


def _timed(field: np.ndarray) -> dict[str, float]:
    """Return the seconds of each part."""
    days, side = field.shape[:2]
    dates = np.datetime64("1990-01-01", "D") + np.arange(days)
    rows = field.reshape(days, -1)
    rings, known = annuli((side, side), (SPACING, SPACING)), np.ones((FIELDS, side, side), bool)

    def indices(kind: str, units: str) -> None:
        names = [name for name, index in INDICES.items() if index.quantity in ("any", kind)]
        indices_of_years(names, rows, dates, units)

    def spectrum() -> None:
        for start in range(0, days, FIELDS):
            part = field[start : start + FIELDS]
            power(part, known[: len(part)], rings)

    return {
        "indices of precipitation": _seconds(lambda: indices("precipitation", "mm d-1")),
        "indices of temperature": _seconds(lambda: indices("temperature", "degC")),
        "power spectral density": _seconds(spectrum),
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--days", type=int, default=3650)
    parser.add_argument("--side", type=int, default=128)
    asked = parser.parse_args()
    found = measure(asked.days, asked.side)
    print(f"field: {asked.days} days of {asked.side} x {asked.side} cells, float32")
    for name, seconds in found.seconds.items():
        print(f"{name}: {seconds:.1f} s")
    print(f"together: {sum(found.seconds.values()):.1f} s; a copy of the same bytes: {found.copy:.2f} s")
    print(f"most memory held: {found.memory:.2f} times the field")


if __name__ == "__main__":
    main()
