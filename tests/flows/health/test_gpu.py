"""What the doctor says of GPUs."""

import pytest
from packaging.requirements import Requirement

from flows.health import gpu
from pipeline.backend.inventory import Driver, Gpu, Library, Torch

CARD = Gpu("NVIDIA H200", 140.4)
DRIVER = Driver("580.65", "13.0", (CARD, CARD))
ASKED = [Requirement("cudf-cu13==26.10.*; extra == 'gpu'")]


def test_a_machine_without_a_gpu_has_no_fault():
    assert gpu.driver_finding(None).state == "ok"
    found = gpu.torch_finding(Torch("2.13.0+cpu"), None)
    assert (found.state, found.found) == ("ok", "2.13.0+cpu, a CPU build; no GPU to see")
    assert gpu.library_finding(Library("cudf", "cudf-cu13"), ASKED, wanted=False).state == "ok"


def test_gpus_that_are_seen_are_counted():
    assert gpu.driver_finding(DRIVER).found == "580.65, serves CUDA 13.0; 2 x NVIDIA H200 (140.4 GiB)"
    assert gpu.torch_finding(Torch("2.13.0", "13.0", (CARD,)), DRIVER).found.endswith("sees NVIDIA H200 (140.4 GiB)")


def test_an_old_driver_is_named():
    found = gpu.driver_finding(Driver("535.1", "12.2", (CARD,)))
    assert found.state == "note"
    assert "needs a driver of 580 or newer" in found.wrong


def test_a_driver_that_does_not_answer_is_a_fault():
    found = gpu.driver_finding(Driver(fault="Failed to initialize NVML: Driver/library version mismatch"))
    assert found.state == "fault"
    assert "version mismatch" in found.wrong


@pytest.mark.parametrize(
    ("torch", "state", "words"),
    [
        (Torch("2.13.0+cpu"), "note", "cannot use"),
        (Torch("2.13.0", "13.0"), "fault", "the driver sees a GPU and torch none"),
        (Torch(fault="OSError: libcudart.so"), "fault", "libcudart"),
    ],
)
def test_a_gpu_that_torch_does_not_see(torch, state, words):
    found = gpu.torch_finding(torch, DRIVER)
    assert found.state == state
    assert words in found.wrong
    assert found.mend


@pytest.mark.parametrize(
    ("library", "state", "words"),
    [
        (Library("cudf", "cudf-cu13"), "note", "the gpu backend needs cudf-cu13"),
        (Library("cudf", "cudf-cu13", "26.8.1"), "fault", "==26.10.* is needed"),
        (
            Library("cudf", "cudf-cu13", "26.10.2", "ImportError: libcudf.so"),
            "fault",
            "it does not import: ImportError",
        ),
        (Library("cudf", "cudf-cu13", "26.10.2"), "ok", ""),
    ],
)
def test_rapids_libraries_on_a_machine_with_a_gpu(library, state, words):
    found = gpu.library_finding(library, ASKED, wanted=True)
    assert found.state == state
    assert words in found.wrong
    assert bool(found.mend) == (state != "ok")
