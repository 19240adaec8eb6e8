"""Workers that somebody else started are looked at before they get work."""

from __future__ import annotations

import platform
from types import SimpleNamespace

import pytest

from pipeline import __version__
from pipeline.backend.cluster import ClusterSpec, client, one_cluster, open_client
from pipeline.backend.cluster.checks import TOKEN, Sight, check_workers, look
from pipeline.errors import WorkerError

GOOD = {"host": {"python": platform.python_version() + ".final.0"}}


class Fake:
    """A client of workers in this process: of each what it says of its versions, and how it looks at files."""

    status = "running"
    scheduler = SimpleNamespace(address="tcp://host:8786")

    def __init__(self, versions=None, looks=None):
        self.versions = versions or {"tcp://a:1": GOOD, "tcp://b:1": GOOD}
        self.looks = {"tcp://a:1": look, "tcp://b:1": look} | (looks or {})
        self.asked: list[list[str]] = []

    def get_versions(self, check):
        return {"workers": self.versions}

    def run(self, function, path, workers, on_error):
        assert on_error == "return"
        self.asked.append(workers)
        return {worker: self.looks[worker](path) for worker in workers}

    def nthreads(self):
        return dict.fromkeys(self.looks, 1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def check(fake, folder=None):
    check_workers(fake, ["tcp://a:1", "tcp://b:1"], folder)


def test_workers_that_see_the_folder_are_taken_and_nothing_is_left_in_it(tmp_path):
    check(Fake(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_with_another_disk_is_named(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    fake = Fake(looks={"tcp://b:1": lambda path: look(str(elsewhere / TOKEN))})
    with pytest.raises(
        WorkerError, match=r"worker tcp://b:1 does not see the run folder .*Put runs on a path that all"
    ):
        check(fake, tmp_path)
    assert not (tmp_path / TOKEN).exists()


def test_a_file_of_that_name_from_another_time_does_not_count(tmp_path):
    fake = Fake(looks={"tcp://b:1": lambda path: Sight(__version__, "of an earlier run", True)})
    with pytest.raises(WorkerError, match="does not see the run folder"):
        check(fake, tmp_path)


def test_a_worker_that_may_only_read_is_named(tmp_path):
    fake = Fake(looks={"tcp://a:1": lambda path: Sight(__version__, look(path).token, False)})
    with pytest.raises(WorkerError, match=r"worker tcp://a:1 may not write to the run folder"):
        check(fake, tmp_path)


def test_a_worker_that_fails_at_it_is_named(tmp_path):
    fake = Fake(looks={"tcp://a:1": lambda path: OSError("stale handle")})
    with pytest.raises(WorkerError, match=r"worker tcp://a:1 could not answer \(OSError"):
        check(fake, tmp_path)


def test_what_a_worker_sees_of_a_file(tmp_path):
    assert look(str(tmp_path / "none")) == Sight(__version__, None, False)
    (tmp_path / "token").write_text("x")
    assert look(str(tmp_path / "token")) == Sight(__version__, "x", True)


def test_a_worker_of_another_python_is_named():
    fake = Fake({"tcp://a:1": GOOD, "tcp://b:1": {"host": {"python": "2.7.18.final.0"}}})
    with pytest.raises(WorkerError, match=r"worker tcp://b:1 runs Python 2\.7, the run Python 3\."):
        check(fake)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Sight("0.0.1", None, False), rf"worker tcp://b:1 has Finescale 0\.0\.1, the run {__version__}; install the same"),
        (ModuleNotFoundError("pipeline"), rf"ModuleNotFoundError.*; it needs Finescale {__version__} in its environment"),
        (None, "worker tcp://b:1 could not answer"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shared", [True, False])
def test_a_worker_without_our_version_is_named(answer, message, shared, tmp_path):
    with pytest.raises(WorkerError, match=message):
        check(Fake(looks={"tcp://b:1": lambda path: answer}), tmp_path if shared else None)


def test_workers_of_a_scheduler_are_looked_at_once_and_those_that_join_later_when_they_do(monkeypatch, tmp_path):
    fake, spec = Fake(), ClusterSpec(None, address="tcp://host:8786")
    monkeypatch.setattr(client, "_reach", lambda distributed, address: fake)
    with one_cluster(tmp_path):
        for _ in range(2):
            with open_client(spec):
                pass
        fake.versions = fake.versions | {"tcp://c:1": GOOD}
        fake.looks["tcp://c:1"] = lambda path: Sight(__version__, None, False)
        with pytest.raises(WorkerError, match=r"worker tcp://c:1 does not see"), open_client(spec):
            pass
    assert fake.asked == [["tcp://a:1", "tcp://b:1"], ["tcp://c:1"]]
