"""What stands of a cluster in a run's provenance."""

import pytest
import threadpoolctl
from pydantic import ValidationError

from pipeline.backend.cluster import ClusterRecord, ComputeConfig, cluster_record, cluster_spec


@pytest.fixture(autouse=True)
def no_threads_in_the_environment(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def record(backend, reached=None, **config):
    return cluster_record(cluster_spec(backend, ComputeConfig(**config)), reached)


@pytest.mark.parametrize(
    ("backend", "config", "expected"),
    [
        ("cpu", {"workers": 2}, ClusterRecord("LocalCluster", 2, 1)),
        ("cpu", {"workers": 2, "threads": 3}, ClusterRecord("LocalCluster", 2, 3)),
        ("gpu", {"workers": 8}, ClusterRecord("LocalCUDACluster", 8, 1)),
        ("cpu", {"threads": 4}, ClusterRecord("in this process", 1, 4)),
        ("gpu", {"threads": 4}, ClusterRecord("in this process", 1, 4)),
    ],
)
def test_kind_workers_and_threads_are_those_that_were_asked_for(backend, config, expected):
    assert record(backend, **config) == expected


def test_a_process_without_a_limit_has_the_threads_of_its_libraries():
    with threadpoolctl.threadpool_limits(limits=1):
        assert record("cpu").threads_a_worker == 1


def test_the_environment_of_workers_goes_before_what_is_asked_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert record("cpu", workers=2, threads=3).threads_a_worker == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert record("cpu", workers=2, threads=3).threads_a_worker == 3


def test_of_a_scheduler_workers_are_those_that_were_counted():
    found = record("cpu", 6, scheduler="tls://head.example:8786")
    assert found == ClusterRecord("Dask scheduler", 6, None, "tls://head.example:8786")
    assert record("cpu", workers=3, scheduler="tls://head.example:8786").workers is None
    assert record("cpu", 6, scheduler="tcp://10.0.0.1:8786", threads=2).threads_a_worker == 2


def test_an_address_with_a_password_is_refused_as_it_would_be_kept_with_the_run():
    with pytest.raises(ValidationError, match="without a user name or password, such as tls://host:8786"):
        ComputeConfig(scheduler="tls://me:secret@head.example:8786")
