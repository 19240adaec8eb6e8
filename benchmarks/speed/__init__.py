"""Speed benchmarks by name: ``finescale bench NAME``, a file and a decorator each.

A benchmark is a function from a :class:`~benchmarks.speed._case.Scale` to a :class:`~benchmarks.speed._case.Case`:
what Finescale does, what others do for the same answer, and a limit that neither can pass. They take turns in one
process, and what is told of them are ratios.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.speed._case import Case, Scale
from pipeline.registry import Registry

SPEED: Registry[Callable[[Scale], Case]] = Registry("benchmark", "benchmarks.speed")
