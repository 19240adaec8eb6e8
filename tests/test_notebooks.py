"""Every notebook runs from top to bottom, in a fresh process, as plain Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    # The last expression of a cell is shown; here that it has a value is enough.
    code = "space = {'__name__': '__main__'}\n"
    for number, cell in enumerate(cells(path, "code")):
        code += f"exec(compile({cell!r}, 'cell {number}', 'exec'), space)\n"
    code += "assert space['run'].name in space['run']._repr_html_()\n"
    (tmp_path / "notebook.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "notebook.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "are told" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_what_it_printed(path):
    tree = json.loads(path.read_text())
    assert all(cell["outputs"] == [] for cell in tree["cells"] if cell["cell_type"] == "code")
    assert cells(path, "markdown")[0].startswith("# ")
    assert str(ROOT) not in path.read_text()


def test_there_is_one():
    assert [path.stem for path in NOTEBOOKS] == ["first_steps"]
