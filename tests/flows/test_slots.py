"""Turns: as many runs at a time as may be, and a place is free when its process is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from flows import slots


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.setenv(slots.FOLDER, str(tmp_path / "turns"))
    monkeypatch.setattr(slots, "_PAUSE", 0.02)
    return tmp_path / "turns"


def test_without_a_folder_nobody_waits(monkeypatch):
    monkeypatch.delenv(slots.FOLDER, raising=False)
    with slots.turn(), slots.turn():
        pass


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_are_at_work_than_may_be(places, monkeypatch, count):
    monkeypatch.setenv(slots.COUNT, str(count))
    lock, at_work, most = threading.Lock(), 0, 0

    def work():
        nonlocal at_work, most
        with slots.turn():
            with lock:
                at_work += 1
                most = max(most, at_work)
            time.sleep(0.05)
            with lock:
                at_work -= 1

    threads = [threading.Thread(target=work) for _ in range(3 * count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (most, at_work) == (count, 0)


def test_who_waits_says_so_and_a_killed_process_leaves_its_place(places, caplog):
    code = "import time; from flows.slots import turn\nwith turn():\n print('in', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    threading.Timer(0.3, os.kill, (other.pid, signal.SIGKILL)).start()
    with caplog.at_level("INFO"), slots.turn():
        assert other.wait(10) == -signal.SIGKILL
    assert [record.getMessage() for record in caplog.records] == [
        "waits for its turn: 1 at work already, and --at-once is 1"
    ]
