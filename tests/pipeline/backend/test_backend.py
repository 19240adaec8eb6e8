from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

import pipeline.backend as door
from pipeline.backend import _gpu, array_namespace, block_bytes, get_backend, why_no_gpu
from pipeline.errors import BackendUnavailableError, ConfigError


@pytest.fixture
def fresh(monkeypatch):
    """The door as a new process finds it, with a torch that is told what to see."""
    for cached in (door._gpu_reason, door._automatic, door._build):
        cached.cache_clear()
    monkeypatch.delenv("FINESCALE_BACKEND", raising=False)
    yield monkeypatch
    for cached in (door._gpu_reason, door._automatic, door._build):
        cached.cache_clear()


def test_a_backend_is_made_once_and_pickles_to_its_name(backend):
    assert get_backend(backend.name) is backend
    assert pickle.loads(pickle.dumps(backend)) is backend
    assert len(pickle.dumps(backend)) < 200


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"expected a backend of auto, cpu, gpu, got 'gpus'. Did you mean 'gpu'\?"):
        get_backend("gpus")


def test_the_environment_decides_for_auto_alone(fresh):
    fresh.setenv("FINESCALE_BACKEND", "cpu")
    assert get_backend("auto").name == "cpu"
    fresh.setenv("FINESCALE_BACKEND", "tpu")
    assert get_backend("cpu").name == "cpu"
    with pytest.raises(ConfigError, match=r"got 'tpu' \(from FINESCALE_BACKEND\)"):
        get_backend("auto")


def test_auto_takes_the_cpu_and_names_what_is_missing_once(fresh, caplog):
    fresh.setattr(_gpu, "missing", lambda: "cudf is not installed")
    with caplog.at_level(logging.INFO, logger="pipeline.backend"):
        assert get_backend().name == "cpu"
        assert get_backend().name == "cpu"
    assert [record.message for record in caplog.records] == ["backend: cpu, because cudf is not installed"]


def test_an_explicit_gpu_that_is_not_there_says_why_and_what_to_do(fresh):
    fresh.setattr(_gpu, "missing", lambda: "torch sees no CUDA device (driver too old)")
    with pytest.raises(BackendUnavailableError, match=r"driver too old.*pip install -c constraints.txt '\.\[gpu\]'"):
        get_backend("gpu")
    assert BackendUnavailableError.exit_code == 2


def torch_that(sees: bool, *, cuda: str | None = "13.0", words: str = "") -> types.SimpleNamespace:
    def init():
        if words:
            raise RuntimeError(words)

    return types.SimpleNamespace(
        __version__="2.13.0",
        version=types.SimpleNamespace(cuda=cuda),
        cuda=types.SimpleNamespace(is_available=lambda: sees, init=init),
    )


def library(failure: BaseException | None):
    def import_module(name):
        if failure is not None and name == "cudf":
            raise failure
        return types.SimpleNamespace()

    return import_module


@pytest.mark.parametrize(
    ("torch", "failure", "expected"),
    [
        (torch_that(False, cuda=None), None, "torch 2.13.0 is built without CUDA"),
        (torch_that(False, words="The NVIDIA driver is too old\nmore"), None, r"too old\)$"),
        (torch_that(False), None, "^torch sees no CUDA device$"),
        (torch_that(True), ModuleNotFoundError("x", name="cudf"), "^cudf is not installed$"),
        (torch_that(True), ModuleNotFoundError("x", name="rmm"), "^rmm is not installed, which cudf needs$"),
        (torch_that(True), OSError("libnvJitLink.so.13: no such file"), "cudf does not import .OSError: libnvJit"),
    ],
)
def test_what_is_missing_is_said_in_the_words_of_who_misses_it(monkeypatch, torch, failure, expected):
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(_gpu.importlib, "import_module", library(failure))
    monkeypatch.setitem(sys.modules, "cupy", cupy_with(1))
    with pytest.raises(ValueError, match=expected):
        raise ValueError(_gpu.missing())


def cupy_with(devices: int | Exception) -> types.SimpleNamespace:
    def count():
        if isinstance(devices, Exception):
            raise devices
        return devices

    return types.SimpleNamespace(
        cuda=types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=count)),
    )


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (1, None),
        (0, "cupy sees no CUDA device"),
        (
            RuntimeError("cudaErrorInsufficientDriver"),
            "cupy sees no CUDA device (RuntimeError: cudaErrorInsufficientDriver)",
        ),
    ],
)
def test_cupy_is_asked_too(monkeypatch, devices, expected):
    monkeypatch.setitem(sys.modules, "torch", torch_that(True))
    monkeypatch.setattr(_gpu.importlib, "import_module", library(None))
    monkeypatch.setitem(sys.modules, "cupy", cupy_with(devices))
    assert _gpu.missing() == expected


def test_the_cpu_backend_imports_no_torch_and_no_rapids():
    code = (
        "import sys; from pipeline.backend import get_backend; get_backend('cpu');"
        "print([m for m in ('torch', 'cupy', 'cudf', 'cuml', 'dask', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_why_no_gpu_is_a_sentence_or_nothing():
    reason = why_no_gpu()
    assert reason is None or len(reason) > 10


def test_arrays_go_in_and_come_back(backend):
    host = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = backend.asarray(host)
    assert there.dtype == backend.xp.float32
    assert backend.asarray([1, 2], dtype=backend.xp.float64).dtype == backend.xp.float64
    np.testing.assert_array_equal(backend.to_host(there), host)
    assert isinstance(backend.to_host(there), np.ndarray)


def test_a_tensor_and_its_array_are_the_same_memory(backend):
    array = backend.asarray(np.zeros((2, 3), np.float32))
    tensor = backend.to_torch(array)
    assert tensor.device.type == backend.torch_device
    tensor[0, 1] = 5.0
    assert float(array[0, 1]) == 5.0
    again = backend.from_torch(tensor.requires_grad_())
    again[1, 2] = 7.0
    assert float(array[1, 2]) == 7.0


def test_a_read_only_array_is_copied_before_torch_may_write_to_it(backend):
    if backend.name == "gpu":
        pytest.skip("cupy has no read-only arrays")
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    backend.to_torch(array)[0] = 9.0
    np.testing.assert_array_equal(array, [1, 1, 1])


def test_a_flipped_view_is_copied_as_torch_has_no_negative_strides(backend):
    array = backend.asarray(np.arange(4, dtype=np.float32))[::-1]
    assert backend.to_torch(array).tolist() == [3.0, 2.0, 1.0, 0.0]


FRAME = {"day": [1, 2, 3, 4], "site": ["a", "b", "a", "b"], "rain": [1.0, None, 3.0, 5.0]}


def test_the_verbs_of_frames_mean_the_same_on_both_sides(backend, tmp_path):
    frame = backend.xdf.DataFrame(FRAME)
    filled = frame.fillna({"rain": 0.0})
    means = backend.to_host_frame(filled.groupby("site").rain.mean().sort_index())
    assert means.tolist() == [2.0, 2.5]
    rolled = backend.to_host_frame(filled.rain.rolling(2).sum())
    assert rolled.tolist()[1:] == [1.0, 3.0, 8.0]
    names = backend.xdf.DataFrame({"site": ["a", "b"], "height": [10, 20]})
    merged = filled.merge(names, on="site").sort_values("day")
    assert backend.to_host_frame(merged).height.tolist() == [10, 20, 10, 20]
    merged.to_parquet(tmp_path / "frame.parquet")
    read = backend.xdf.read_parquet(tmp_path / "frame.parquet")
    both = backend.to_host_frame(backend.xdf.concat([read, read]))
    assert len(both) == 8
    days = backend.to_host_frame(backend.xdf.DataFrame({"t": backend.xdf.to_datetime(["2001-01-02"])}))
    assert days.t.dt.day.tolist() == [2]


def test_the_namespace_follows_the_data(backend):
    array = backend.asarray([1.0])
    assert array_namespace(array, None) is backend.xp
    import array_api_strict

    assert array_namespace(array_api_strict.asarray([1.0])) is array_api_strict


def test_memory_is_drawn_from_one_pool_or_it_is_said(monkeypatch, caplog):
    done: list[object] = []

    def refuse(allocator):
        raise RuntimeError("Can't swap an already initialized allocator")

    class Pool:
        pass

    rmm = types.ModuleType("rmm")
    current: list[object] = ["the driver"]
    rmm.mr = types.SimpleNamespace(
        get_current_device_resource=lambda: current[-1],
        set_current_device_resource=current.append,
        CudaAsyncMemoryResource=Pool,
    )
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(memory=types.SimpleNamespace()))
    torch.cuda.memory.change_current_allocator = refuse
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(set_allocator=done.append))
    modules = {
        "rmm": rmm,
        "rmm.allocators": types.ModuleType("rmm.allocators"),
        "rmm.allocators.cupy": types.SimpleNamespace(rmm_cupy_allocator="for cupy"),
        "rmm.allocators.torch": types.SimpleNamespace(rmm_torch_allocator="for torch"),
        "cupy": cupy,
        "torch": torch,
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    _gpu.share_memory()
    assert isinstance(current[-1], Pool)
    assert done == ["for cupy"]
    assert "torch keeps a memory pool of its own: RuntimeError: Can't swap" in caplog.text
    torch.cuda.memory.change_current_allocator = done.append
    _gpu.share_memory()
    assert done[1:] == ["for cupy", "for torch"]
    assert len(current) == 2  # the pool that is there already serves on: a second would starve it


def test_float32_keeps_its_bits():
    import torch

    before = torch.backends.cudnn.conv.fp32_precision
    try:
        _gpu.exact_float32()
        assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.backends.cudnn.rnn.fp32_precision == "ieee"
    finally:
        torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = before


@pytest.mark.gpu
def test_one_pool_serves_cupy_and_torch():
    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    import torch

    backend, rmm = get_backend("gpu"), pytest.importorskip("rmm")
    assert isinstance(rmm.mr.get_current_device_resource(), rmm.mr.CudaAsyncMemoryResource)
    assert torch.cuda.memory.get_allocator_backend() == "pluggable"
    array = backend.xp.ones(10)
    assert float(backend.to_torch(array).sum()) == 10.0


@pytest.mark.gpu
def test_a_convolution_in_float32_has_its_24_bits():
    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    import torch

    device = get_backend("gpu").torch_device
    generator = torch.Generator().manual_seed(0)
    fields = torch.randn(4, 64, 32, 32, generator=generator, dtype=torch.float64)
    kernel = torch.randn(64, 64, 3, 3, generator=generator, dtype=torch.float64)
    exact = torch.nn.functional.conv2d(fields, kernel)
    found = torch.nn.functional.conv2d(fields.float().to(device), kernel.float().to(device)).cpu().double()
    # TF32 would be off by 1e-3 of the largest value.
    assert float((found - exact).abs().max() / exact.abs().max()) < 1e-5


def test_blocks_fit_a_cache_on_the_host_and_are_large_on_a_device(backend):
    blocks = {"cpu": 2**20, "gpu": 2**28}
    assert block_bytes(backend.asarray(np.zeros(2))) == blocks[backend.name]
