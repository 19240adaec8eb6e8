"""The tutorial can be typed as it stands, in one empty folder; the how-tos' examples work."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs/how_to.md").read_text(encoding="utf-8")
SMALL = ("training.epochs=1", "models.unet.epochs=1", "uncertainty=[]", "compute.threads=1")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.timeout(900)
def test_the_tutorial_can_be_typed(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FINESCALE_", "PREFECT_"))}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FINESCALE_CACHE": str(tmp_path / "cache")}

    def typed(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    typed("-c", blocks(TUTORIAL, "python")[0])
    lines = [line for block in blocks(TUTORIAL, "bash") for line in block.splitlines()]
    assert len(lines) == 10
    answers = {}
    for line in lines:
        words = shlex.split(line)
        assert words.pop(0) == "finescale"
        if words[0] == "run" and "--dry-run" not in words:  # as it is typed, but for how long it learns
            words += ["--no-server", *(word for text in SMALL for word in ("--set", text))]
        answers[line] = typed("-m", "flows.cli", *words)
    assert "2001-01-01 to 2006-12-31" in answers["finescale data check my-reanalysis my-observations"]
    assert "byte for byte the same" in answers["finescale check-leakage my-first"]
    assert answers["finescale run my-first"].splitlines()[-1].startswith("report: ")
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert len(runs) == 2
    assert "seed" in typed("-m", "flows.cli", "runs", "compare", *runs)
    shutil.copy(tmp_path / "reanalysis.nc", tmp_path / "new_reanalysis.nc")
    typed("-m", "flows.cli", "predict", runs[0], "--input", "new_reanalysis.nc", "--to", "fine.nc")
    assert (tmp_path / "fine.nc").stat().st_size > 0


def test_the_catalog_entry_of_the_how_to_fits_the_schema(tmp_path):
    from pipeline.data.catalog import Catalog

    path = tmp_path / "data_catalog.yaml"
    path.write_text(blocks(HOW_TO, "yaml")[0], encoding="utf-8")
    entry = Catalog.load(path)["my-era5"]
    assert entry.variables["z"].source == "oro"
    assert yaml.safe_load(blocks(HOW_TO, "yaml")[0])["schema_version"] == 1


def test_the_model_of_the_how_to_is_fitted_saved_and_asked(tmp_path, make_samples):
    import numpy as np

    from models import MODELS
    from pipeline.backend import get_backend
    from pipeline.model import Context
    from pipeline.registry import load_plugins

    path = tmp_path / "how_to_model.py"
    path.write_text(blocks(HOW_TO, "python")[0], encoding="utf-8")
    load_plugins([path])
    kind = MODELS.get("middle")
    context = Context(get_backend("cpu"), name="middle", folder=tmp_path)
    train, new = make_samples(60), make_samples(5, seed=1, name="test")
    model = kind(kind.Config(share=0.9)).fit(train, train, context)
    answer = model.predict(new, context)
    assert answer.mean().shape == new.target.shape
    model.save(tmp_path)
    again = kind.load(tmp_path, context).predict(new, context)
    np.testing.assert_array_equal(np.asarray(answer.mean()), np.asarray(again.mean()))
    truth = train.target[:][:, :, train.schema.mask]
    assert (np.asarray(answer.mean())[0][:, train.schema.mask] >= np.median(truth, axis=0)).mean() > 0.95
