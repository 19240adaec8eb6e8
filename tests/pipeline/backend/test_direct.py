"""Files read straight into a device's memory: here by a stand-in for kvikIO that reads into the host's."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from pipeline.backend import direct, get_backend
from pipeline.errors import DataError
from pipeline.rows import Stored, keep_rows


class CuFile:
    """The part of kvikio.CuFile that is called, by its own names and order of arguments."""

    opened: ClassVar[list[str]] = []

    def __init__(self, file, flags="r"):
        self.opened.append(file)
        self._file = open(file, flags + "b")  # noqa: SIM115 - closed by the context

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def pread(self, buf, size=None, file_offset=0, task_size=None):
        self._file.seek(file_offset)
        found = self._file.read(size)
        buf[: len(found)] = np.frombuffer(found, np.uint8)
        return SimpleNamespace(get=lambda: len(found))


@pytest.fixture
def kvikio(monkeypatch):
    monkeypatch.setitem(sys.modules, "kvikio", SimpleNamespace(CuFile=CuFile, __spec__=SimpleNamespace()))
    monkeypatch.setattr(direct, "can_read", lambda device: True)
    CuFile.opened.clear()
    return CuFile


@pytest.fixture
def rows(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 3, 5)).astype(np.float32)
    keep_rows(tmp_path / "rows.npy", values, get_backend("cpu"))
    return values, Stored.open(tmp_path / "rows.npy", get_backend("cpu"))


@pytest.mark.parametrize("index", [slice(3, 30), np.array([7, 2, 3, 39]), np.array([], int)])
def test_rows_are_the_same_as_by_way_of_the_host(kvikio, rows, index):
    values, stored = rows
    assert np.array_equal(stored[index], values[index])
    assert len(kvikio.opened) == (1 if len(values[index]) else 0)


def test_a_file_that_ends_is_told_of(kvikio, rows):
    _, stored = rows
    stored.path.write_bytes(stored.path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"rows\.npy: expected .* bytes at .*; it was cut short"):
        stored[30:40]


def test_the_host_reads_for_itself():
    assert not direct.can_read("cpu")


@pytest.mark.gpu
def test_rows_reach_the_device_straight(tmp_path):
    pytest.importorskip("kvikio")
    backend = get_backend("gpu")
    values = np.random.default_rng(0).normal(size=(400, 30, 50)).astype(np.float32)
    keep_rows(tmp_path / "rows.npy", values, backend)
    stored = Stored.open(tmp_path / "rows.npy", backend)
    order = np.random.default_rng(1).permutation(400)[:64]
    assert np.array_equal(backend.to_host(stored[order]), values[order])
