from __future__ import annotations

import gc

import pytest
import torch

from pipeline.backend import get_backend, why_no_gpu
from pipeline.backend.out_of_memory import is_out_of_memory

BLOCK = 48 * 2**20


class OutOfMemoryError(Exception):  # of CuPy, by its name alone
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError("std::bad_alloc: out_of_memory: CUDA error at: /rmm/cuda_async_view_memory_resource.hpp"), True),
        (RuntimeError("std::bad_alloc: out_of_memory: CUDA error"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"), True),
        (OutOfMemoryError("Out of memory allocating 8,000 bytes"), True),
        (RuntimeError("CUDA error: cudaErrorMemoryAllocation"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_it_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected


def test_it_is_what_torch_raises_on_the_host():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.fixture
def gpu():
    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    return get_backend("gpu")


@pytest.fixture
def small_pool(gpu):
    """The shared pool, held to somewhat more than one block, so that two libraries cannot have one each."""
    rmm = pytest.importorskip("rmm")
    gc.collect()
    before = rmm.mr.get_current_device_resource()
    rmm.mr.set_current_device_resource(rmm.mr.LimitingResourceAdaptor(before, BLOCK + BLOCK // 2))
    yield gpu
    gc.collect()
    rmm.mr.set_current_device_resource(before)


@pytest.mark.gpu
def test_what_torch_gives_back_cupy_can_have_and_the_other_way_round(small_pool):
    xp = small_pool.xp
    for _ in range(3):
        tensor = torch.empty(BLOCK, dtype=torch.uint8, device=small_pool.torch_device)
        del tensor
        array = xp.empty(BLOCK, dtype=xp.uint8)
        del array


@pytest.mark.gpu
def test_what_torch_holds_cupy_cannot_have_and_both_say_so(small_pool):
    xp = small_pool.xp
    tensor = torch.empty(BLOCK, dtype=torch.uint8, device=small_pool.torch_device)
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        xp.empty(BLOCK, dtype=xp.uint8)
    assert is_out_of_memory(caught.value)
    del tensor
    array = xp.empty(BLOCK, dtype=xp.uint8)
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(BLOCK, dtype=torch.uint8, device=small_pool.torch_device)
    assert is_out_of_memory(caught.value)
    del array
