"""What the Tab key offers: right, fast and without errors."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import typer.main

from flows.cli import app
from flows.commands import complete
from flows.load import shipped
from pipeline.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]


class Context(typer.Context):
    """A context that holds what was typed before."""

    def __init__(self, **params):
        super().__init__(typer.main.get_command(app))
        self.params = params


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_RUNS", raising=False)


@pytest.fixture
def runs(tmp_path):
    made = [RunFolder(tmp_path / "runs" / f"{name}-20260101T000000Z-aaaaaa") for name in ("tiny", "quickstart")]
    for run in made:
        (run / "stages").mkdir(parents=True)
        (run / "models/unet").mkdir(parents=True)
        (run / "models/unet+deep_ensemble").mkdir()
        (run / "scores.csv").write_text("model,split,variable,group,metric,value\nunet,test,tas,all,rmse,1\n")
    (tmp_path / "runs/notes").mkdir()
    return made


def test_experiments_shipped_and_own(tmp_path):
    assert complete.experiments(Context(), "") == sorted(shipped())
    assert complete.experiments(Context(), "qu") == ["quickstart"]
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "data_catalog.yaml").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/other.yml").touch()
    assert complete.experiments(Context(), "mi") == ["mine.yaml"]
    assert complete.experiments(Context(), "data") == []
    assert complete.experiments(Context(), "sub/") == ["sub/other.yml"]


def test_runs_by_the_start_of_their_names(runs, tmp_path, monkeypatch):
    assert complete.runs(Context(), "") == sorted(run.name for run in runs)
    assert complete.runs(Context(), "ti") == [runs[0].name]
    assert complete.run_experiments(Context(), "") == ["quickstart", "tiny"]
    monkeypatch.chdir("/")
    assert complete.runs(Context(out=tmp_path / "runs"), "q") == [runs[1].name]
    monkeypatch.setenv("FINESCALE_RUNS", str(tmp_path / "runs"))
    assert complete.runs(Context(), "q") == [runs[1].name]


def test_models_and_scores_of_the_run_on_the_line(runs):
    assert complete.models(Context(run="tiny"), "") == ["unet", "unet+deep_ensemble"]
    assert complete.models(Context(bundle=str(runs[0].path)), "unet+") == ["unet+deep_ensemble"]
    assert complete.models(Context(), "") == []
    assert complete.scores(Context(runs=["tiny"]), "") == ["rmse"]


def test_datasets_are_those_of_the_catalogs(tmp_path):
    from flows.sources import open_sources

    assert complete.datasets(Context(), "") == sorted(open_sources().catalog)
    (tmp_path / "data_catalog.yaml").write_text("schema_version: 1\nmy-own: {format: netcdf}\n")
    assert complete.datasets(Context(), "my") == ["my-own"]
    (tmp_path / "other.yaml").write_text("only: {}\n")
    assert complete.datasets(Context(catalog=tmp_path / "other.yaml"), "") == ["only"]


def test_benchmarks_are_those_that_are_listed():
    from flows.bench import listed

    names = re.findall(r"^(\S+)", listed(), flags=re.MULTILINE)
    assert complete.benches(Context(), "") == sorted(names)


def test_backends():
    assert complete.backends(Context(), "g") == ["gpu"]


OFFERS = [complete.experiments, complete.runs, complete.run_experiments, complete.models, complete.scores, complete.datasets,
          complete.benches]  # fmt: skip


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("text", ["", "no/such/folder/x", "\x00", "~", "../../../../../x"])
@pytest.mark.parametrize("params", [{}, {"run": "\x00", "out": "\x00"}, {"run": 3, "runs": 3, "out": 3, "catalog": 3}])
def test_nothing_that_is_typed_raises(offer, text, params):
    assert isinstance(offer(Context(**params), text), list)


def asked(words, last):
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "_FINESCALE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(last),
    }  # fmt: skip
    code = "import sys\nsys.argv = ['finescale']\nfrom flows.cli import main\ntry:\n    main()\nfinally:\n    print('MODULES', *sys.modules, file=sys.stderr)"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["finescale", "ru"], "run"),
        (["finescale", "run", "quick"], "quickstart"),
        (["finescale", "data", "show", "synthetic-fi"], "synthetic-fine"),
        (["finescale", "report", "tiny", "--format", "h"], "html"),
        (["finescale", "run", "tiny", "--backend", "g"], "gpu"),
        (["finescale", "runs", "show", "ti"], "tiny-20260101T000000Z-aaaaaa"),
    ],
)
def test_a_shell_is_answered_without_what_takes_long(words, offered, runs):
    done = asked(words, len(words) - 1)
    assert offered in done.stdout.split()
    heavy = {"torch", "numpy", "pandas", "xarray", "prefect", "matplotlib", "yaml"}
    assert heavy.isdisjoint(done.stderr.split("MODULES")[1].split())
