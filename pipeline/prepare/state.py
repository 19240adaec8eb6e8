"""Arrays and facts on disk: safetensors and JSON under one name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backend import Backend
from pipeline.errors import DataError, require_format

FORMAT = 5
"""Counted up whenever what is stored changes: older data are refused, and not misread."""
Arrays = dict[str, Any]
Facts = dict[str, Any]


def write_state(stem: Path, arrays: Arrays, facts: Facts, backend: Backend) -> None:
    """Write arrays as safetensors and facts as JSON, under one name."""
    from safetensors.numpy import save_file

    host = {name: np.ascontiguousarray(backend.to_host(array)) for name, array in arrays.items()}
    save_file(host, stem.with_suffix(".safetensors"))
    stem.with_suffix(".json").write_text(json.dumps({"format": FORMAT, **facts}, indent=1) + "\n")


def read_state(stem: Path, *beside: str) -> tuple[Arrays, Facts]:
    """Return what :func:`write_state` wrote; the files ``beside`` it must be there too.

    Raises
    ------
    DataError
        If a file is missing.
    FormatError
        If another version of Finescale wrote them.
    """
    from safetensors.numpy import load_file

    names = (f"{stem.name}.json", f"{stem.name}.safetensors", *beside)
    missing = [name for name in names if not (stem.parent / name).is_file()]
    if missing:
        raise DataError(f"expected prepared data in {stem.parent}; {', '.join(missing)} is not there. Prepare again.")
    facts = json.loads(stem.with_suffix(".json").read_text())
    require_format(stem.parent, facts.get("format"), FORMAT)
    return load_file(stem.with_suffix(".safetensors")), facts
