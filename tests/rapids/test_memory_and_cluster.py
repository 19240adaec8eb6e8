# ruff: noqa: TID251 - looks at what the door calls
"""What the shared memory and the cluster of GPUs lean on in RAPIDS and torch."""

from __future__ import annotations

import ctypes
import inspect
from pathlib import Path

import pytest

from pipeline.backend.cluster import ComputeConfig, cluster_spec


def test_the_drivers_pool_is_a_resource_that_every_library_can_draw_from():
    import rmm

    assert issubclass(rmm.mr.CudaAsyncMemoryResource, rmm.mr.DeviceMemoryResource)
    inspect.signature(rmm.mr.set_current_device_resource).bind(None)


def test_rmm_has_the_functions_that_torch_calls():
    """torch looks them up by name when it first needs memory; rmm's own module makes the allocator of a GPU build."""
    import torch
    from rmm.librmm import _logger

    library = ctypes.CDLL(str(Path(_logger.__file__).parent / "_torch_allocator.so"))
    assert library.allocate
    assert library.deallocate

    names = inspect.signature(torch.cuda.memory.CUDAPluggableAllocator.__init__).parameters
    assert {"alloc_fn_name", "free_fn_name"} <= set(names)
    inspect.signature(torch.cuda.memory.change_current_allocator).bind(None)


def test_cupy_takes_an_allocator_of_a_number_of_bytes():
    from rmm.allocators.cupy import rmm_cupy_allocator

    inspect.signature(rmm_cupy_allocator).bind(512)


@pytest.mark.parametrize("gpus", [1, 4, 8])
def test_the_cluster_of_gpus_takes_what_it_is_given(gpus):
    from dask_cuda import LocalCUDACluster
    from distributed import LocalCluster

    spec = cluster_spec("gpu", ComputeConfig(workers=gpus, memory="4GB"))
    known = {*inspect.signature(LocalCUDACluster.__init__).parameters, *inspect.signature(LocalCluster).parameters}
    assert set(spec.kwargs) <= known - {"kwargs", "self"}
    assert gpus == 1 or spec.class_path == f"{LocalCUDACluster.__module__.partition('.')[0]}.LocalCUDACluster"
