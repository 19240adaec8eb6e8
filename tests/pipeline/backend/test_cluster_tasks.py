"""Tasks in this process and on two processes of this machine, some of which die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.backend.cluster import ClusterSpec, ComputeConfig, cluster_spec, limit_threads, map_tasks, one_cluster
from pipeline.backend.cluster import tasks as module
from pipeline.errors import WorkerError


def kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def task(number: int, folder: str) -> tuple[int, str | None]:
    """Return the number and the threads its process may take; some are unlucky, once or for ever."""
    marks = Path(folder)
    (marks / f"{number}-{os.getpid()}").touch()
    if number == 1 and not (marks / "once").exists():
        (marks / "once").touch()
        kill_own_process()
    if number == 2:
        kill_own_process()
    if number == 3:
        raise ValueError("three")
    time.sleep(0.05)
    return number, os.environ.get("OMP_NUM_THREADS")


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def spec():
    """Two workers, started once for all tests of this file."""
    with one_cluster():
        yield cluster_spec("cpu", ComputeConfig(workers=2, threads=2))


def test_tasks_in_this_process_fail_alone_and_in_order():
    told: list[tuple[int, object]] = []
    results = map_tasks(
        divmod, [(7, 2), (1, 0), (9, 4)], ClusterSpec(None), lambda i, outcome: told.append((i, outcome))
    )
    assert (results[0], results[2]) == ((3, 1), (2, 1))
    assert isinstance(results[1], ZeroDivisionError)
    assert told == list(enumerate(results))


def test_an_interrupt_is_not_taken_for_a_failed_task():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_tasks(interrupt, [()], ClusterSpec(None))


def test_threads_are_held_to_a_number_and_given_back():
    import threadpoolctl

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}

    before = threads()
    with limit_threads(1):
        assert threads() == {1}
    assert threads() == before


def test_the_same_workers_serve_all_of_a_run(spec):
    first, second = (set(map_tasks(pid, [(0.2,), (0.2,)], spec)) for _ in range(2))
    assert len(first) == 2
    assert first == second


def pid(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_the_task_of_a_worker_that_dies_is_done_again_and_one_that_kills_three_is_given_up(spec, tmp_path, caplog):
    told: list[int] = []
    with caplog.at_level("WARNING"):
        results = map_tasks(
            task, [(number, str(tmp_path)) for number in range(6)], spec, lambda index, _: told.append(index)
        )
    threads = os.environ.get("OMP_NUM_THREADS", "2")  # the environment wins
    assert [results[number] for number in (0, 1, 4, 5)] == [(number, threads) for number in (0, 1, 4, 5)]
    assert isinstance(results[2], WorkerError)
    assert str(results[2]) == (
        "the worker of task 2 died 3 times, most often for want of memory; "
        "take fewer compute.workers or more compute.memory."
    )
    assert isinstance(results[3], ValueError)
    assert sorted(told) == list(range(6))
    tries = {number: len(list(tmp_path.glob(f"{number}-*"))) for number in range(6)}
    assert (tries[1], tries[2]) == (2, 3)
    assert caplog.messages.count("the worker of task 1 died; the task is done again") == 1
    assert caplog.messages.count("the worker of task 2 died; the task is done again") == 2


def test_what_runs_is_let_go_when_the_caller_is_stopped(spec):
    def stop(index, outcome):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_tasks(wait, [(0.0,), (0.2,), (0.2,)], spec, stop)
    assert map_tasks(wait, [(0.0,)], spec) == [0.0]


class Deserted:
    """A client without workers, or without a scheduler."""

    scheduler = SimpleNamespace(address="tcp://host:8786")

    def __init__(self, status: str = "running", failure: Exception | None = None):
        self.status, self.failure = status, failure

    def nthreads(self):
        if self.failure is not None:
            raise self.failure
        return {}


def test_without_workers_tasks_are_given_up_after_a_while(monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.3)
    told: list[int] = []
    results = module._Work(Deserted(), divmod, [(1, 2), (3, 4)], lambda index, _: told.append(index)).done()
    assert [str(result) for result in results] == [
        f"task {number} was given up: no worker was left for 0 s." for number in (0, 1)
    ]
    assert all(isinstance(result, WorkerError) for result in results)
    assert told == [0, 1]


@pytest.mark.parametrize("client", [Deserted("connecting"), Deserted(failure=OSError("gone"))])
def test_without_a_scheduler_the_work_ends_at_once(client):
    with pytest.raises(WorkerError, match=r"the Dask scheduler at tcp://host:8786 was lost, .*finescale run --resume"):
        module._Work(client, divmod, [(1, 2)], lambda index, _: None).done()


class Future:
    """A task whose result was there, and was lost with its worker before it could be had."""

    status = "finished"

    def __init__(self):
        self.asked = 0

    def result(self, timeout):
        self.asked += 1
        if self.asked == 1:
            raise TimeoutError
        return "made again"


def test_a_result_that_is_lost_with_its_worker_is_waited_for_and_not_taken_for_a_failure(monkeypatch):
    future = Future()
    client = Deserted()
    monkeypatch.setattr(client, "nthreads", lambda: {"tcp://a:1": 1})
    client.submit = lambda function, *task, **where: future
    work = module._Work(client, divmod, [(1, 2)], lambda index, _: None)
    monkeypatch.setattr(work, "_finished", lambda: [future])
    assert work.done() == ["made again"]
    assert future.asked == 2


def scheduler(folder: Path) -> tuple[subprocess.Popen, str]:
    """Start a Dask scheduler of its own process; return it and its address."""
    file = folder / "scheduler.json"
    words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    process = subprocess.Popen([sys.executable, "-m", *words, "--scheduler-file", str(file)], stderr=subprocess.DEVNULL)
    for _ in range(300):
        if file.is_file() and file.read_text():
            return process, json.loads(file.read_text())["address"]
        time.sleep(0.1)
    raise AssertionError("no scheduler")


@pytest.mark.slow
def test_a_scheduler_that_is_killed_in_the_middle_is_told_of(tmp_path):
    process, address = scheduler(tmp_path)
    words = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "5"]
    worker = subprocess.Popen(
        [sys.executable, "-m", *words],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        with pytest.raises(WorkerError, match=f"the Dask scheduler at {address} was lost"):
            map_tasks(
                time.sleep, [(0.0,), (60.0,)], ClusterSpec(None, address=address), lambda index, _: process.kill()
            )
    finally:
        worker.kill()
        process.kill()
        worker.wait()
        process.wait()
