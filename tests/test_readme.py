"""What the README and the documents say can be done, can be done."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_every_link_and_picture_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).is_file(), target


def test_every_make_target_named_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_examples_of_plugins_load(number, tmp_path):
    """Each is a file of its own; `...` in a class body is what the reader fills in."""
    path = tmp_path / "mine.py"
    path.write_text(blocks("python")[number], encoding="utf-8")
    code = f"from pipeline.registry import load_plugins; print(load_plugins([{str(path)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_catalog_example_fits_the_schema(tmp_path):
    from pipeline.data.catalog import Catalog

    path = tmp_path / "data_catalog.yaml"
    path.write_text(blocks("yaml")[0], encoding="utf-8")
    assert Catalog.load(path)["my-reanalysis"].variables["tas"].source == "t2m"


def test_the_experiment_example_fits_the_schema():
    from pipeline.experiment import Experiment
    from pipeline.schema import parse_yaml, read_yaml

    words = read_yaml(ROOT / "flows/experiments/tiny.yaml") | parse_yaml(blocks("yaml")[1])
    experiment = Experiment.model_validate(words)
    assert experiment.tests == ("test", "end_century")
    assert experiment.data.tests["end_century"].target is None
    assert experiment.changes[0].second == "end_century"


def test_the_reference_is_what_the_schemas_say():
    """Where this fails: finescale experiments keys > docs/reference.md."""
    from flows.reference import reference

    assert (ROOT / "docs/reference.md").read_text(encoding="utf-8") == reference()


def test_every_command_named_is_a_command():
    for line in re.findall(r"^finescale .*$", README, flags=re.MULTILINE):
        words = line.partition("#")[0].replace("|", " ").split()[1:]
        known = {"run", "runs", "report", "experiments", "data", "doctor", "bench", "check-leakage"}
        known |= {"predict", "bundle", "cordex", "serve"}
        assert words[0] in known, line
        group = words[0] if words[0] in {"runs", "experiments", "data", "cordex"} else None
        if group:
            for command in (word for word in words[1:] if word.islower() and not word.startswith("-")):
                done = subprocess.run(
                    [sys.executable, "-m", "flows.cli", group, command, "--help"], cwd=ROOT, capture_output=True
                )
                assert done.returncode == 0, line


def test_the_metric_of_the_readme_scores(tmp_path):
    import numpy as np

    from pipeline.metrics import METRICS, Case
    from pipeline.prediction import Prediction
    from pipeline.registry import load_plugins

    path = tmp_path / "readme_metric.py"
    path.write_text(blocks("python")[0], encoding="utf-8")
    load_plugins([path])
    metric = METRICS._entries.pop("within_one")()
    truth = np.zeros((2, 1))
    point = Prediction("point", {"mean": np.array([[0.5], [3.0]])})
    terms = metric.terms(Case(point, truth, point))
    total = tuple(term.sum(axis=0) for term in terms)
    assert float(metric.value(np.array([2.0]), total, np.ones(1))) == pytest.approx(0.5)
