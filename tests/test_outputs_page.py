"""What docs/outputs.md says in Python works, in its order, on a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows import load_run, run_experiment

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    changed = {"models.unet.epochs": 1, "explain": [{"method": "permutation", "models": ["ridge"], "days": 8}]}
    made = run_experiment("tiny", changed, out=out, progress=False)
    (out / "run").symlink_to(made.path)
    return out


def test_every_example_runs(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(BLOCKS) == 5
    # The one for ONNX Runtime knows nothing of Finescale.
    assert not re.search(r"(import|from) (flows|models|pipeline)", BLOCKS[-1])


def test_the_example_for_onnx_holds_for_one_network_too(folder):
    (folder / "one").mkdir()
    load_run(folder / "run").model("unet").export(folder / "one/bundle", ("onnx",))
    done = subprocess.run([sys.executable, "-c", BLOCKS[-1]], cwd=folder / "one", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_file_of_a_run_is_named(folder):
    there = {path.name for path in (folder / "run").iterdir() if not path.name.startswith(".")}
    named = set(re.findall(r"^\| `([^`/]+)", PAGE, flags=re.MULTILINE)) | set(re.findall(r", `([\w.]+)`", PAGE))
    assert there <= named, there - named


def test_every_column_is_named(folder):
    for name in ("scores.csv", "comparisons.csv"):
        columns = (folder / "run" / name).read_text().splitlines()[0].split(",")
        assert {column for column in columns if f"`{column}`" not in PAGE} == set()


def test_every_file_of_a_bundle_is_named(folder):
    said = json.loads((folder / "bundle" / "manifest.json").read_text())
    for file in said["files"]:
        assert file.split("/")[0] in PAGE, file


def test_every_link_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
