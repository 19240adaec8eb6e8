from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from pydantic import ValidationError

from pipeline.backend import cluster
from pipeline.backend.cluster import ClusterSpec, ComputeConfig, cluster_spec, limit_threads, map_tasks, open_client
from pipeline.errors import MissingExtraError, WorkerError


def task(number: int) -> tuple[int, str | None]:
    """Return the number and the threads its process may take, unless it is an unlucky one."""
    if number == 2:
        os._exit(1)
    if number == 3:
        raise ValueError("three")
    time.sleep(0.05)
    return number, os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("workers", [4, 8])
def test_several_gpus_are_one_process_each(workers):
    spec = cluster_spec("gpu", ComputeConfig(workers=workers, memory="8GiB"))
    assert spec.class_path == "dask_cuda.LocalCUDACluster"
    assert not spec.in_process
    assert spec.kwargs["n_workers"] == workers
    assert spec.kwargs["threads_per_worker"] == 1
    assert spec.kwargs["memory_limit"] == "8GiB"
    assert "processes" not in spec.kwargs


def test_one_worker_on_either_side_is_this_process():
    for side in ("cpu", "gpu"):
        spec = cluster_spec(side, ComputeConfig(threads=3))
        assert spec.in_process
        assert spec == ClusterSpec(None, threads=3)


def test_several_cpu_workers_are_quiet_processes_of_this_machine_alone():
    spec = cluster_spec("cpu", ComputeConfig(workers=2))
    assert spec.class_path == "distributed.LocalCluster"
    assert spec.kwargs["processes"] is True
    assert spec.kwargs["host"] == "127.0.0.1"
    assert spec.kwargs["dashboard_address"] is None
    assert "memory_limit" not in spec.kwargs


def test_a_scheduler_that_runs_is_reached_even_for_one_worker():
    spec = cluster_spec("gpu", ComputeConfig(scheduler="tcp://host:8786"))
    assert spec.address == "tcp://host:8786"
    assert not spec.in_process


def test_a_compute_section_is_checked():
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        ComputeConfig(workers=0)
    with pytest.raises(ValidationError, match="'auto', 'cpu' or 'gpu'"):
        ComputeConfig(backend="tpu")
    with pytest.raises(ValidationError, match="Extra inputs"):
        ComputeConfig(worker=2)


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


def test_a_worker_that_dies_takes_its_own_task_alone():
    told: list[int] = []
    spec = cluster_spec("cpu", ComputeConfig(workers=2, threads=2))
    results = map_tasks(task, [(number,) for number in range(6)], spec, lambda index, _: told.append(index))
    threads = os.environ.get("OMP_NUM_THREADS", "2")  # the environment wins
    assert [results[number] for number in (0, 1, 4, 5)] == [(number, threads) for number in (0, 1, 4, 5)]
    assert isinstance(results[2], WorkerError)
    assert "the worker of task 2 died" in str(results[2])
    assert isinstance(results[3], ValueError)
    assert sorted(told) == list(range(6))


class Deserted:
    """A client whose scheduler or workers are gone."""

    def __init__(self, failure: Exception | None):
        self.failure = failure

    def nthreads(self):
        if self.failure is not None:
            raise self.failure
        return {}


@pytest.mark.parametrize("failure", [None, OSError("scheduler is gone")])
def test_without_workers_tasks_are_given_up_after_a_while(monkeypatch, failure):
    monkeypatch.setattr(cluster, "GRACE", 0.3)
    told: list[int] = []
    results = cluster._on_workers(Deserted(failure), divmod, [(1, 2), (3, 4)], lambda index, _: told.append(index))
    assert [str(result) for result in results] == [
        f"task {number} was given up: no worker was left for 0 s." for number in (0, 1)
    ]
    assert all(isinstance(result, WorkerError) for result in results)
    assert told == [0, 1]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    import distributed

    def no_answer(address, timeout):
        raise OSError("Timed out")

    monkeypatch.setattr(distributed, "Client", no_answer)
    with (
        pytest.raises(WorkerError, match=r"expected a Dask scheduler at 'tcp://127\.0\.0\.1:9', got no answer"),
        open_client(ClusterSpec(None, address="tcp://127.0.0.1:9")),
    ):
        pass


def test_a_cluster_library_that_is_missing_is_named():
    with (
        pytest.raises(MissingExtraError, match="2 workers need no_such_cluster, which is not installed"),
        open_client(ClusterSpec("no_such_cluster.Cluster", workers=2)),
    ):
        pass


def test_workers_that_do_not_start_are_an_error_of_ours(monkeypatch):
    import distributed

    def full(**kwargs):
        raise RuntimeError("no ports left")

    monkeypatch.setattr(distributed, "LocalCluster", full)
    with (
        pytest.raises(WorkerError, match="expected 3 workers to start, got RuntimeError: no ports left"),
        open_client(cluster_spec("cpu", ComputeConfig(workers=3))),
    ):
        pass
    assert WorkerError.exit_code == 1


def test_the_compute_section_imports_neither_torch_nor_dask():
    code = (
        "import sys; import pipeline.backend.cluster;"
        "print([m for m in ('torch', 'dask', 'distributed', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.gpu
def test_tasks_run_on_a_gpu_of_their_own():
    from pipeline.backend import get_backend, why_no_gpu

    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    import torch

    if torch.cuda.device_count() < 2:  # asked here alone, to choose what can be tested
        pytest.skip("needs two GPUs")
    spec = cluster_spec("gpu", ComputeConfig(workers=2))
    seen = map_tasks(os.environ.get, [("CUDA_VISIBLE_DEVICES",), ("CUDA_VISIBLE_DEVICES",)], spec)
    assert get_backend("gpu").name == "gpu"
    assert all(isinstance(devices, str) for devices in seen)
