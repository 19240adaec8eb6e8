"""Work by model: here or on workers, with the same answers and the same progress."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from flows.stages import _workers
from flows.stages._workers import each
from pipeline.backend.cluster import ComputeConfig
from pipeline.errors import WorkerError
from pipeline.run_folder import RunFolder


class Bar:
    """What a reader sees: how far it is, and the notes beside it."""

    def __init__(self):
        self.total, self.done, self.notes = 0.0, 0.0, []

    @contextmanager
    def __call__(self, title, total=None):
        self.total = total
        yield self

    def advance(self, amount=1.0, note=""):
        self.done += amount
        self.notes.append(note)


def doubled(space, name, tick):
    """Two steps of work on a name."""
    tick(f"{name}: one")
    tick(f"{name}: two")
    return name * 2


@pytest.fixture
def space_of(tmp_path):
    def make(workers):
        return SimpleNamespace(
            run=RunFolder.create(tmp_path, "small"),
            backend=SimpleNamespace(name="cpu"),
            plan=SimpleNamespace(experiment=SimpleNamespace(compute=ComputeConfig(workers=workers))),
            progress=Bar(),
        )

    return make


@pytest.fixture
def cluster(monkeypatch):
    """Stands for the workers: does tasks here, the last first, and keeps what they were handed."""
    handed = []

    def map_tasks(function, tasks, spec, on_done):
        handed.extend(tasks)
        outcomes = {}
        for index in reversed(range(len(tasks))):
            _, _, work, item = tasks[index]
            outcomes[index] = work(None, item, lambda note: None) if item != "c" else WorkerError("died")
            on_done(index, outcomes[index])
        return [outcomes[index] for index in range(len(tasks))]

    monkeypatch.setattr(_workers, "map_tasks", map_tasks)
    return handed


def test_here_every_step_is_told(space_of):
    space = space_of(1)
    assert each(space, "explain", doubled, {"a": 2, "b": 2}) == ["aa", "bb"]
    assert (space.progress.total, space.progress.done) == (4, 4)
    assert space.progress.notes == ["a: one", "a: two", "b: one", "b: two"]


def test_on_workers_the_answers_are_in_order_and_an_item_counts_all_of_its_steps(space_of, cluster):
    space = space_of(2)
    assert each(space, "explain", doubled, {"a": 2, "b": 3}) == ["aa", "bb"]
    assert (space.progress.total, space.progress.done) == (5, 5)
    assert space.progress.notes == ["b", "a"]
    # A path that means the same on every host, and no array.
    assert cluster[0] == (str(space.run.path.resolve()), "explain", doubled, "a")


def test_the_first_that_fails_ends_it_when_the_others_are_done_and_half_files_are_gone(space_of, cluster):
    space = space_of(2)
    half = space.run / "predictions" / f"{_temporary()}half.nc"
    half.parent.mkdir()
    half.touch()
    with pytest.raises(WorkerError, match="died"):
        each(space, "predict", doubled, {"c": 1, "a": 1})
    assert space.progress.done == 2
    assert not half.exists()


def _temporary() -> str:
    from pipeline.files import TEMPORARY

    return TEMPORARY
