"""``finescale bench`` for benchmarks of speed: which there are, and the files they leave.

They live in the package ``benchmarks``, which is imported when one is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.backend import get_backend
from pipeline.errors import BackendUnavailableError
from pipeline.files import write_atomic

ALL, RAPIDS = "all", "rapids"
SECONDS = {"tiny": 0.2, "small": 6.0, "full": 20.0}
"""After so many seconds of a benchmark no further round begins, once there are three."""


@dataclass(frozen=True)
class Written:
    """The table of what was found, and the files that hold it."""

    table: str
    files: tuple[Path, ...]


def words() -> dict[str, str]:
    """Return what each benchmark of speed does, by name."""
    registry = _registry()
    found = {name: _first_line(registry.get(name)) for name in registry.names()}
    return found | {
        ALL: "all benchmarks of speed, in one table",
        RAPIDS: "cuML beside scikit-learn and cuDF beside pandas on climate-shaped data; needs a GPU",
    }


def knows(name: str) -> bool:
    """Whether a benchmark of that name is one of speed."""
    return name in (ALL, RAPIDS) or name in _registry()


def start(
    name: str, size: str, backend_name: str, out: Path, *, echo: Callable[[str], object] = lambda text: None
) -> Written:
    """Run one or ``all`` benchmarks of speed and write ``out/NAME-SIZE-BACKEND/table.md`` and ``result.json``.

    Parameters
    ----------
    name : str
        Of a benchmark, ``all`` or ``rapids``.
    size : {"tiny", "small", "full"}
        How much data.
    backend_name : str
        auto, cpu or gpu.
    out : Path
        Folder of results.
    echo : callable
        Told of each row once it is there, where there are several.

    Raises
    ------
    BackendUnavailableError
        If ``gpu`` is asked for and cannot be had, or ``rapids`` without one.
    """
    if name == RAPIDS:
        backend_name = "gpu" if backend_name == "auto" else backend_name
        if backend_name != "gpu":
            raise BackendUnavailableError(
                "bench rapids: expected a GPU, got --backend cpu. It sets cuML and cuDF beside scikit-learn and "
                "pandas; leave --backend out on a machine with a GPU and the extra [gpu]."
            )
    backend = get_backend(backend_name)
    table, case = (import_module(f"benchmarks.speed.{part}") for part in ("_table", "_case"))
    measured = import_module("benchmarks.speed._measure").measure
    if name == RAPIDS:
        makers: dict[str, Any] = dict(import_module("benchmarks.speed._rapids").CASES)
    else:
        registry = _registry()
        makers = {each: registry.get(each) for each in (registry.names() if name == ALL else (name,))}
    rows = []
    for each, make in makers.items():
        rows.append(measured(each, make, case.Scale(size), backend, SECONDS[size]))
        if len(makers) > 1:
            echo(table.line(rows[-1], backend))
    folder = out / f"{name}-{size}-{backend.name}"
    said = table.markdown(rows, backend, size)
    tree = json.dumps(table.tree(rows, backend, size), indent=1, allow_nan=False) + "\n"
    return Written(said, (_text(folder / "table.md", said), _text(folder / "result.json", tree)))


def _registry() -> Any:
    return import_module("benchmarks.speed").SPEED


def _first_line(make: Any) -> str:
    said: str = (make.__doc__ or "").strip().splitlines()[0]
    return said.removesuffix(".")


def _text(path: Path, text: str) -> Path:
    with write_atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
