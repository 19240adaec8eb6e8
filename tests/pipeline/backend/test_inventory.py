"""What is told of GPUs and their libraries, where there may be none."""

import subprocess

import pytest

from pipeline.backend import inventory, why_no_gpu


def test_torch_is_told_as_it_is():
    found = inventory.torch()
    assert found.version.startswith("2.")
    assert not found.fault
    if why_no_gpu() is None:
        assert found.gpus
        assert found.cuda


def test_every_library_is_looked_at():
    found = {one.name: one for one in inventory.libraries()}
    assert set(found) == set(inventory.RAPIDS)
    assert all(one.version or not one.fault for one in found.values())


@pytest.mark.parametrize(
    ("listed", "head", "expected"),
    [
        ("", "", inventory.Driver()),
        ("A, 1024, 1.2\nB, [N/A], 1.2\n", "CUDA Version: 13.0 ", ("1.2", "13.0", ("A", "B"))),
        ("A, 1024, 1.2\n", "| CUDA UMD Version: 13.1 |", ("1.2", "13.1", ("A",))),
    ],
)
def test_answers_of_the_driver_are_read(listed, head, expected):
    found = inventory.parsed(listed, head)
    if isinstance(expected, tuple):
        assert (found.version, found.cuda, tuple(one.name for one in found.gpus)) == expected
        assert found.gpus[0].memory == 1.0
    else:
        assert found == expected


def test_a_driver_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(inventory.shutil, "which", lambda name: "/bin/nvidia-smi")

    def fail(*command):
        raise subprocess.CalledProcessError(9, command, "Failed to initialize NVML\n")

    monkeypatch.setattr(inventory, "_run", fail)
    assert inventory.driver().fault == "Failed to initialize NVML"
    monkeypatch.setattr(inventory.shutil, "which", lambda name: None)
    assert inventory.driver() is None
