"""What the doctor says of the machine."""

from datetime import UTC, datetime

import pytest

from flows.health import machine


def test_little_memory_is_a_note():
    assert machine.memory_finding(8 * 2**30, 16 * 2**30, 4).state == "ok"
    found = machine.memory_finding(2**30, 16 * 2**30, 4)
    assert (found.state, found.found) == ("note", "4 cores, 1.0 GiB free of 16.0 GiB")


def test_little_shared_memory_is_a_note(tmp_path, monkeypatch):
    assert machine.shared_finding(tmp_path).state == "ok"
    assert machine.shared_finding(tmp_path / "none") is None
    monkeypatch.setattr(machine, "LEAST_SHARED", 2**60)
    assert "--shm-size" in machine.shared_finding(tmp_path).mend


@pytest.mark.parametrize(
    ("encoding", "state"), [("utf-8", "ok"), ("ascii", "fault"), ("latin-1", "fault"), ("no", "fault")]
)
def test_a_screen_without_degree_signs_is_a_fault(encoding, state):
    assert machine.text_finding(encoding).state == state


def test_a_slow_clock_is_a_fault():
    assert machine.clock_finding(datetime(1970, 1, 1, tzinfo=UTC)).state == "fault"
    assert machine.clock_finding(datetime(2027, 1, 1, tzinfo=UTC)).state == "ok"


def test_variables_that_change_runs_are_told():
    assert "no variable" in machine.variables_finding({"HOME": "/"}).found
    told = machine.variables_finding({"OMP_NUM_THREADS": "1", "FINESCALE_BACKEND": "cpu", "HOME": "/"}).found
    assert told == "FINESCALE_BACKEND=cpu, OMP_NUM_THREADS=1"


@pytest.mark.parametrize(
    ("asked", "reason", "fault"),
    [
        (None, "none", False),
        ("cpu", "none", False),
        ("gpu", None, False),
        ("gpu", "no device", True),
        ("tpu", None, True),
    ],
)
def test_a_backend_that_is_not_there(asked, reason, fault):
    found = machine.backend_finding(asked, reason)
    assert (found is not None) == fault
    if fault:
        assert found.mend == "unset FINESCALE_BACKEND"


def test_a_worker_starts_only_when_asked_for():
    assert "not tried" in machine.workers_finding(False).found


@pytest.mark.timeout(120)
def test_a_worker_starts_and_answers():
    found = machine.workers_finding(True)
    assert found.state == "ok", found
    assert "answered 42" in found.found


def test_workers_that_do_not_start_are_a_fault(monkeypatch):
    from pipeline.backend.cluster import client
    from pipeline.errors import WorkerError

    def refuse(spec):
        raise WorkerError("no port")

    monkeypatch.setattr(client, "open_client", refuse)
    found = machine.workers_finding(True)
    assert (found.state, found.wrong) == ("fault", "WorkerError: no port")
