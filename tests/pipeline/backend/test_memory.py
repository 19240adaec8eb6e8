"""How much memory arrays may take."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import psutil
import pytest

from pipeline.backend import memory


@pytest.fixture
def meminfo(tmp_path):
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       24000000 kB\nMemAvailable:   8000000 kB\n", encoding="ascii")
    return path


def _limit(folder, names, most, taken, spare):
    folder.mkdir(parents=True)
    for name, value in zip(names, (most, taken), strict=True):
        (folder / name).write_text(f"{value}\n", encoding="ascii")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {spare}\nactive_file 7\n", encoding="ascii")


@pytest.mark.parametrize(
    ("text", "size"), [("1KiB", 1024), ("1.5 g", None), ("2 GB", 2 * 10**9), ("3gib", 3 * 2**30), ("17", 17)]
)
def test_a_size_is_a_number_with_a_unit(text, size):
    if size is None:
        with pytest.raises(ValueError, match=r"expected a size such as 4GiB or 500MB, got '1\.5 g'"):
            memory.parse_size(text)
    else:
        assert memory.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0GiB", "much", "-1GiB", "4 GiB each"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected a size such as 4GiB or 500MB"):
        memory.parse_size(text)


def test_what_is_available_is_what_the_machine_has_free(tmp_path, meminfo):
    assert memory.available(tmp_path / "none", meminfo) == 8_000_000 * 1024


@pytest.mark.parametrize(
    ("below", "names"),
    [("", ("memory.max", "memory.current")), ("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes"))],
)
def test_a_container_has_what_is_left_below_its_limit(tmp_path, meminfo, below, names):
    _limit(tmp_path / "cgroup" / below, names, most=2**30, taken=2**29, spare=2**20)
    assert memory.available(tmp_path / "cgroup", meminfo) == 2**29 + 2**20


def test_a_container_without_a_limit_has_what_the_machine_has(tmp_path, meminfo):
    _limit(tmp_path / "cgroup", ("memory.max", "memory.current"), most="max", taken=2**29, spare=0)
    assert memory.available(tmp_path / "cgroup", meminfo) == 8_000_000 * 1024


def test_this_process_has_some():
    assert 2**20 < memory.available() < 2**50


def test_processes_share_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 800)
    assert (memory.budget(None), memory.budget(None, processes=4)) == (400, 100)


def test_each_process_has_what_is_asked_for(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 800)
    assert memory.budget("1KiB", processes=4) == 1024


@pytest.mark.skipif(memory._trim() is None, reason="no C library that can be asked to give memory back")
def test_what_was_freed_goes_back_to_the_system():
    kept = [np.zeros(2000) for _ in range(6000)]  # 16 kB each, below what the C library maps by itself
    del kept[:-1]  # and the last one lies above them all
    held = psutil.Process().memory_info().rss
    memory.trim_host_memory()
    assert psutil.Process().memory_info().rss < held - 60 * 2**20
    assert len(kept) == 1


def test_cycles_do_not_keep_what_is_trimmed():
    class Holder:
        def __init__(self):
            self.itself = self

    def left():
        held = Holder()
        return weakref.ref(held)

    gc.disable()
    try:
        held = left()
        assert held() is not None
        memory.trim_host_memory()
        assert held() is None
    finally:
        gc.enable()
