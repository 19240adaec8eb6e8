"""Data larger than memory has room for: files in place of arrays, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.elsewhere import TestSource as Source
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.rows import Room, Rows, Stored

TINY = 4096  # bytes: nothing but a few numbers fits


@pytest.fixture
def made(field, split, cpu, tmp_path):
    """Return a function that prepares two datasets with gaps, in memory or in files."""

    def make(streamed, folder="files", **options):
        predictors = field("t", "q", seed=1)
        predictors["t"][40:44, 1, 2] = np.nan
        target = field("tas", seed=2, lat=(40.5, 41.5, 42.5, 43.5), lon=(1.0, 2.0, 3.0))
        target["tas"][100:103] = np.nan
        target["tas"][:, 0, 0] = np.nan
        (tmp_path / folder).mkdir(exist_ok=True)
        room = Room(cpu, TINY, tmp_path / folder) if streamed else None
        config = PrepareConfig(
            inputs=InputsConfig(missing="leave_out", **options.get("inputs", {})),
            target=TargetConfig(**options.get("target", {})),
        )
        elsewhere = {
            "warm": Source(
                [("era", field("t", "q", seed=3))],
                field("tas", seed=4, lat=target.lat.values, lon=target.lon.values),
                span=("1991", "1992"),
            )
        }
        return prepare(
            [("era", predictors)], target, tests=elsewhere, config=config, split=split, backend=cpu, room=room
        )

    return make


OPTIONS = [
    {},
    {"inputs": {"lags": [1, 2]}, "target": {"anomaly": "mean"}},
    {"inputs": {"anomaly": "day_of_year", "calendar": True}, "target": {"leads": [1, 3], "scale": "per_field"}},
]


def _same(one, two):
    assert isinstance(one, Rows) == (one is not None)
    assert np.array_equal(one[:], two, equal_nan=True)


@pytest.mark.parametrize("options", OPTIONS)
def test_samples_from_files_are_those_in_memory(made, options):
    files, arrays = made(True, **options), made(False, **options)
    assert isinstance(files.target, Rows)
    assert isinstance(files.steps.inputs, Stored)
    assert files.names == arrays.names == ("train", "validation", "test", "warm")
    for name in files.names:
        ours, theirs = files.samples(name), arrays.samples(name)
        assert not ours.in_memory
        assert theirs.in_memory
        assert ours.nbytes == theirs.nbytes
        for part in ("inputs", "target", "previous"):
            _same(getattr(ours, part), getattr(theirs, part))
        assert np.array_equal(files.truth(name), arrays.truth(name), equal_nan=True)
        assert np.array_equal(files.truth(name, slice(3, 9)), arrays.truth(name)[3:9], equal_nan=True)
    assert files.summary() == arrays.summary()


@pytest.mark.parametrize("options", OPTIONS)
def test_a_few_samples_of_files_are_held_in_memory(made, options):
    files, arrays = made(True, **options).samples("test"), made(False, **options).samples("test")
    few = files.take(np.array([7, 3, 4])).held()
    assert few.in_memory
    for part in ("inputs", "target", "previous"):
        assert np.array_equal(getattr(few, part), getattr(arrays, part)[[7, 3, 4]], equal_nan=True)


def test_what_lies_in_files_is_kept_without_a_copy(made, cpu, tmp_path):
    prepared = made(True)
    prepared.save(tmp_path / "kept")
    kept = tmp_path / "kept/prepared-inputs.npy"
    assert kept.samefile(prepared.steps.inputs.path)
    again = Prepared.load(tmp_path / "kept", cpu, Room(cpu, TINY, tmp_path))
    assert isinstance(again.target, Stored)
    assert np.array_equal(again.samples("train").inputs[:], prepared.samples("train").inputs[:])


def test_both_ways_keep_the_same_files(made, cpu, tmp_path):
    for streamed in (True, False):
        made(streamed).save(tmp_path / str(streamed))
    files = sorted(path.name for path in (tmp_path / "True").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "False").iterdir())
    for name in files:
        one, two = ((tmp_path / part / name).read_bytes() for part in ("True", "False"))
        assert name.endswith(".npy") or one == two
        assert not name.endswith(".npy") or np.array_equal(
            np.load(tmp_path / "True" / name), np.load(tmp_path / "False" / name), equal_nan=True
        )


def test_arrays_are_in_memory_as_long_as_there_is_room(made, cpu, tmp_path):
    made(False).save(tmp_path / "kept")
    size = (tmp_path / "kept/prepared-inputs.npy").stat().st_size
    found = Prepared.load(tmp_path / "kept", cpu, Room(cpu, 5 * size, tmp_path))
    assert isinstance(found.steps.inputs, np.ndarray)
