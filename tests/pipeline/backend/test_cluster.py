from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from pipeline.backend.cluster import ClusterSpec, ComputeConfig, cluster_spec, map_tasks, one_cluster, open_client
from pipeline.errors import MissingExtraError, WorkerError


@pytest.mark.parametrize("workers", [4, 8])
def test_several_gpus_are_one_process_each_from_one_pool_of_memory(workers):
    spec = cluster_spec("gpu", ComputeConfig(workers=workers, memory="8GiB"))
    assert spec.class_path == "dask_cuda.LocalCUDACluster"
    assert not spec.in_process
    assert spec.kwargs == {
        "n_workers": workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "silence_logs": 50,
        "memory_limit": 9 * 2**30,
        "rmm_async": True,
        "device_memory_limit": "default",
        "protocol": "tcp",
    }


def test_no_option_of_the_gpu_cluster_is_unknown_to_dask_cuda():
    found = importlib.util.find_spec("dask_cuda")
    if found is None or found.origin is None:
        pytest.skip("dask_cuda is not installed, so its source cannot be read")
    source = (Path(found.origin).parent / "local_cuda_cluster.py").read_text()
    cluster = next(node for node in ast.parse(source).body if getattr(node, "name", "") == "LocalCUDACluster")
    begin = next(node for node in cluster.body if getattr(node, "name", "") == "__init__")
    import distributed

    known = {argument.arg for argument in begin.args.args} | set(inspect.signature(distributed.LocalCluster).parameters)
    spec = cluster_spec("gpu", ComputeConfig(workers=8, memory="8GiB"))
    assert set(spec.kwargs) <= known
    # A pool of a fixed size and the asynchronous one exclude each other.
    assert "rmm_pool_size" in known
    assert "rmm_pool_size" not in spec.kwargs


def test_a_worker_may_hold_its_arrays_and_a_gibibyte_of_libraries():
    kwargs = cluster_spec("cpu", ComputeConfig(workers=2, memory="500MB")).kwargs
    assert kwargs["memory_limit"] == 500_000_000 + 2**30


def test_one_worker_on_either_side_is_this_process():
    for side in ("cpu", "gpu"):
        spec = cluster_spec(side, ComputeConfig(threads=3, memory="4GiB"))
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


class Counted:
    """Stands for a cluster class; counts how often it is started and closed."""

    def __init__(self, monkeypatch):
        import distributed

        self.started = self.closed = 0
        monkeypatch.setattr(distributed, "LocalCluster", self)
        monkeypatch.setattr(distributed, "Client", lambda cluster: Opened())

    def __call__(self, **kwargs):
        self.started += 1
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed += 1


class Opened:
    scheduler = SimpleNamespace(address="tcp://127.0.0.1:5")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_a_run_starts_one_cluster_when_it_is_first_needed_and_closes_it_at_its_end(monkeypatch):
    counted, spec = Counted(monkeypatch), cluster_spec("cpu", ComputeConfig(workers=2))
    with one_cluster() as shared:
        assert (counted.started, shared.address) == (0, None)
        with open_client(spec) as first:
            pass
        assert shared.address == "tcp://127.0.0.1:5"
        with open_client(spec) as second:
            assert second is first
        assert (counted.started, counted.closed) == (1, 0)
    assert (counted.started, counted.closed) == (1, 1)
    assert shared.address is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_cluster_of_a_run_is_closed_where_it_ends_early(monkeypatch, error):
    counted = Counted(monkeypatch)
    with pytest.raises(error), one_cluster(), open_client(cluster_spec("cpu", ComputeConfig(workers=2))):
        raise error
    assert (counted.started, counted.closed) == (1, 1)


def test_another_cluster_takes_the_place_of_the_one_before(monkeypatch):
    counted = Counted(monkeypatch)
    with one_cluster():
        for workers in (2, 3):
            with open_client(cluster_spec("cpu", ComputeConfig(workers=workers))):
                pass
        assert (counted.started, counted.closed) == (2, 1)


def test_outside_of_a_run_each_asks_for_its_own(monkeypatch):
    counted, spec = Counted(monkeypatch), cluster_spec("cpu", ComputeConfig(workers=2))
    for _ in range(2):
        with open_client(spec):
            pass
    assert (counted.started, counted.closed) == (2, 2)


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
