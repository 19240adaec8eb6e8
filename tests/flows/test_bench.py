"""``finescale bench``: what it prints, writes and refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.speed import SPEED
from flows.bench import BENCHMARKS, DATASET, Request, correlation_of, listed, start
from flows.cli import run_command
from flows.sources import open_sources
from pipeline.attribution.known.settings import Settings
from pipeline.data.catalog import Catalog
from pipeline.errors import BackendUnavailableError, ChecksumError, DataError
from pipeline.progress import silent

FILES = ["table.md", "result.json", "histograms.svg", "histograms-dark.svg", "maps.webp", "maps-dark.webp"]


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command line in this process; return exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["finescale", *words])
        code = run_command()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch, tmp_path):
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))


def test_without_a_name_they_are_listed(call):
    code, out, _ = call("bench")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [*BENCHMARKS, *SPEED.names(), "all", "rapids"]
    assert listed() == out.rstrip("\n")


def test_a_benchmark_of_speed_leaves_a_table_and_everything_as_json(call, tmp_path):
    words = ("--size", "tiny", "--backend", "cpu", "--out", str(tmp_path / "found"))
    code, out, err = call("bench", "standardise", *words)
    assert (code, err) == (0, "")
    folder = tmp_path / "found" / "standardise-tiny-cpu"
    assert out.splitlines()[-2:] == [str(folder / "table.md"), str(folder / "result.json")]
    assert (folder / "table.md").read_text(encoding="utf-8") in out
    tree = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert tree["machine"]["cores"] >= 1
    assert {"numpy", "torch", "xarray"} <= set(tree["machine"]["versions"])
    assert len(tree["rows"][0]["seconds"]["ours"]) >= 3


def test_rapids_says_that_it_needs_a_gpu(call, tmp_path):
    code, _, err = call("bench", "rapids", "--backend", "cpu", "--out", str(tmp_path / "found"))
    assert code == 2
    assert "expected a GPU, got --backend cpu" in err
    assert not (tmp_path / "found").exists()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_leaves_table_json_and_figures(name, call, tmp_path):
    words = ("--steps", "10", "--samples", "6", "--method", "gradient", "--method", "integrated_gradients")
    code, out, _ = call("bench", name, *words, "--backend", "cpu", "--out", str(tmp_path / "found"))
    assert code == 0
    folder = tmp_path / "found" / f"{name}-small"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert out.splitlines()[-len(FILES) :] == [str(folder / file) for file in FILES]
    assert (folder / "table.md").read_text(encoding="utf-8") in out
    tree = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert tree["benchmark"] == name
    assert {row["method"].split(" (")[0] for row in tree["rows"]} >= {"gradient", "integrated_gradients"}
    assert tree["numbers"]["steps"] == 10


def test_it_says_that_the_correlation_is_made(tmp_path):
    asked = Settings(steps=10, samples=5, methods=("gradient",))
    written = start(Request("attribution", asked, "cpu", None, tmp_path), silent)
    assert dict(written.result.facts)["correlation"].startswith("a made correlation")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attributoin"], "unknown benchmark 'attributoin'. Did you mean 'attribution'?"),
        (["attribution", "--method", "gradiant"], "Did you mean 'gradient'?"),
        (["attribution", "--size", "tiny"], "expected small or full for attribution"),
        (["crps", "--samples", "5"], "--samples is an option of the benchmarks attribution"),
        (["attribution", "--size", "huge"], "Invalid value for '--size'"),
        (["attribution", "--samples", "1"], "Invalid value for '--samples'"),
        (["attribution", "--backend", "tpu"], "expected a backend of auto, cpu, gpu, got 'tpu'"),
        (["attribution", "--data", "no_such_folder"], "expected a folder that mirrors the catalog's files"),
    ],
)
def test_what_a_user_gets_wrong_ends_with_2(words, message, call, tmp_path):
    code, _, err = call("bench", *words, "--out", str(tmp_path / "found"))
    assert code == 2
    assert message in err
    assert not (tmp_path / "found").exists()


def test_a_gpu_that_is_not_there_is_no_reason_to_take_the_cpu(monkeypatch, tmp_path):
    from pipeline import backend

    backend._build.cache_clear()
    monkeypatch.setattr(backend, "_gpu_reason", lambda: "there is none")
    with pytest.raises(BackendUnavailableError, match="there is none"):
        start(Request("attribution", Settings(), "gpu", None, tmp_path), silent)


def test_a_file_that_is_another_is_refused(tmp_path):
    sources = open_sources(mirror=tmp_path)
    path = tmp_path / sources.catalog[DATASET].files[0].path
    path.parent.mkdir(parents=True)
    np.savez(path, covariance=np.eye(2), mask=np.ones((1, 2)))
    with pytest.raises(ChecksumError, match=DATASET):
        correlation_of(sources, 0, silent)


@pytest.fixture
def own(tmp_path):
    """Sources whose covariance is a file of this test, without a checksum."""

    def make(**arrays):
        np.savez(tmp_path / "own.npz", **arrays)
        entry = {
            "format": "npz",
            "files": [{"path": str(tmp_path / "own.npz")}],
            "variables": {"covariance": {"units": "1"}},
            "licence": "CC0-1.0",
        }
        return replace(open_sources(), catalog=Catalog(tmp_path / "data_catalog.yaml", {DATASET: entry}))

    return make


def test_a_file_that_is_there_is_taken(own):
    covariance = np.array([[4.0, 1.0, 0.0], [1.0, 1.0, 0.2], [0.0, 0.2, 1.0]])
    found = correlation_of(own(covariance=covariance, mask=np.array([[1, 0], [1, 1]], bool)), 0, silent)
    np.testing.assert_allclose(found.matrix, [[1.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 1.0]])
    assert found.mask.tolist() == [[True, False], [True, True]]
    assert not found.made
    assert "measured" in found.words


def test_a_file_without_a_mask_is_refused(own):
    with pytest.raises(DataError, match="got no mask"):
        correlation_of(own(covariance=np.eye(2)), 0, silent)
