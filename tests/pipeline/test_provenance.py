import importlib.metadata
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import provenance
from pipeline.backend import get_backend
from pipeline.backend.cluster import ClusterRecord
from pipeline.provenance import DataSource, SourceCommit, collect, machine, source_commit, version

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x", *words], check=True)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "-q")
    (root / "a").write_text("a")
    git(root, "add", "a")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_collect_is_plain_json_with_all_parts():
    source = DataSource(
        "iberia", "a/b.nc", "https://example.org/b.nc", "ab", 3, "mirror", "CC-BY-4.0", "Someone (2020)"
    )
    found = collect(
        get_backend("cpu"),
        seed=7,
        started=STARTED,
        finished=STARTED,
        data=[source, {"dataset": "other", "bytes": 1}],
        fallbacks=["Ridge(positive=True) ran on the CPU"],
        warnings=["few samples"],
        failed_members=["unet/3"],
        plugins=["mine.py"],
        command=["finescale", "run", "a b.yaml"],
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["seeds"] == {"experiment": 7}
    assert found["data"][0]["licence"] == "CC-BY-4.0"
    assert found["data"][1] == {"dataset": "other", "bytes": 1}
    assert found["command"] == "finescale run 'a b.yaml'"
    assert found["started"] == found["finished"] == "2026-01-02T03:04:05+00:00"
    assert found["fallbacks"] == ["Ridge(positive=True) ran on the CPU"]
    assert (found["warnings"], found["failed_members"], found["plugins"]) == (["few samples"], ["unet/3"], ["mine.py"])
    assert found["device"]["backend"] == "cpu"
    assert found["device"]["gpus"] == []


def test_versions_are_those_of_the_installed_libraries():
    found = collect(get_backend("cpu"), seed=0, started=STARTED)
    assert found["libraries"]["numpy"] == importlib.metadata.version("numpy")
    assert all(found["libraries"].values())
    assert found["finished"] is None
    assert version("surely-not-a-library") is None


def test_no_home_folder_is_kept(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    monkeypatch.setattr("sys.argv", ["finescale", "run", "--data=/home/somebody/data"])
    found = collect(get_backend("cpu"), seed=0, started=STARTED, plugins=["/home/somebody/mine.py"])
    assert found["command"] == "finescale run --data=~/data"
    assert "somebody" not in json.dumps(found)


def test_the_cluster_stands_in_it():
    cluster = ClusterRecord("Dask scheduler", 6, None, "tls://head:8786")
    command = ["finescale", "run", "a", "--scheduler", "tls://head:8786"]
    found = collect(get_backend("cpu"), seed=0, started=STARTED, cluster=cluster, command=command)
    assert found["cluster"] == {
        "kind": "Dask scheduler",
        "workers": 6,
        "threads_a_worker": None,
        "scheduler": "tls://head:8786",
    }
    assert found["command"] == "finescale run a --scheduler tls://head:8786"
    assert "cluster" not in collect(get_backend("cpu"), seed=0, started=STARTED)


def test_the_commit_of_a_clean_and_a_changed_tree(repository):
    wanted = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert source_commit(repository) == SourceCommit(wanted, False)
    (repository / "a").write_text("b")
    assert source_commit(repository) == SourceCommit(wanted, True)


def test_a_folder_inside_somebodys_repository_has_no_commit(repository, monkeypatch):
    monkeypatch.setattr(provenance, "_pip_commit", lambda: None)
    inner = repository / "site-packages"
    inner.mkdir()
    assert source_commit(inner) == SourceCommit(None, None)


def test_no_repository_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_pip_commit", lambda: None)
    assert source_commit(tmp_path) == SourceCommit(None, None)


class Installed:
    def __init__(self, text):
        self.text = text

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.text


@pytest.mark.parametrize(
    ("text", "commit"),
    [('{"url": "x", "vcs_info": {"commit_id": "abc"}}', "abc"), ('{"url": "x", "dir_info": {}}', None), (None, None)],
)
def test_the_commit_that_pip_installed(tmp_path, monkeypatch, text, commit):
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed(text))
    assert source_commit(tmp_path) == SourceCommit(commit, None)


def test_machine_says_what_it_is(tmp_path):
    found = machine()
    assert found.cores >= 1
    assert found.memory_gib > 0.1
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU: 3 GHz\n")
    assert provenance._cpu_name(cpuinfo) == "Some CPU: 3 GHz"
    assert provenance._cpu_name(tmp_path / "none")
