"""Rows on disk are those of the array that was written, however they are asked for."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import array_namespace, get_backend
from pipeline.errors import DataError
from pipeline.rows import Stored, store, whole
from pipeline.rows.parts import blocks

CPU = get_backend("cpu")
VALUES = np.random.default_rng(3).normal(size=(50, 3, 4)).astype(np.float32)


@pytest.fixture
def stored(tmp_path) -> Stored:
    with store(tmp_path / "rows.npy", VALUES.shape) as add:
        for start in range(0, 50, 7):
            add(VALUES[start : start + 7])
    return Stored.open(tmp_path / "rows.npy", CPU)


@pytest.mark.parametrize(
    "key",
    [
        slice(None), slice(3, 9), slice(40, 10, -3), slice(7, 7), 5, -1, np.int64(2), [4, 4, 2], np.array([9, 10, 11, 3]),
        np.arange(50) % 3 == 0, (slice(2, 5), 1), (slice(2, 5), ..., 0), ([3, 1], slice(None), 2), (7, 1, slice(1, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_rows_are_those_of_the_array(stored, key):
    np.testing.assert_array_equal(stored[key], VALUES[key])


def test_numpy_reads_what_is_written(stored):
    np.testing.assert_array_equal(np.load(stored.path, allow_pickle=False), VALUES)
    np.save(stored.path, VALUES[:5].astype(np.float64), allow_pickle=False)
    np.testing.assert_array_equal(Stored.open(stored.path, CPU)[:], VALUES[:5])


def test_large_runs_are_read_in_pieces(stored, monkeypatch):
    monkeypatch.setattr("pipeline.rows.stored.PIECE", 100)  # two rows of 48 bytes
    np.testing.assert_array_equal(stored[:], VALUES)
    order = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(stored[order], VALUES[order])


def test_what_is_read_is_the_reader_s_own(stored):
    stored[:][...] = 0.0
    np.testing.assert_array_equal(stored[:], VALUES)


def test_blocks_and_the_namespace_are_those_of_arrays(stored):
    assert array_namespace(stored) is array_namespace(VALUES)
    assert (stored.shape, stored.ndim, stored.nbytes, len(stored)) == (VALUES.shape, 3, VALUES.nbytes, 50)
    np.testing.assert_array_equal(np.concatenate([stored[part, ...] for part in blocks(stored)]), VALUES)


def test_chosen_and_made_rows_are_read_when_they_are_asked_for(stored):
    index = np.array([30, 2, 2, 9])
    seen = []

    def doubled(values, positions):
        seen.append(positions.tolist())
        return 2.0 * values[:, 0] + positions[:, None]

    made = stored.take(index).take(np.array([False, True, True, True])).map(doubled, (4,))
    assert made.shape == (3, 4)
    assert not seen
    np.testing.assert_array_equal(made[1:], 2.0 * VALUES[[2, 9], 0] + [[1], [2]])
    assert seen == [[1, 2]]
    np.testing.assert_array_equal(whole(made), 2.0 * VALUES[index[1:], 0] + np.arange(3)[:, None])


def test_nothing_brings_in_all_rows_by_accident(stored):
    with pytest.raises(TypeError, match=r"expected some rows of \(50, 3, 4\).*whole\(rows\) reads them"):
        np.isfinite(stored)
    with pytest.raises(TypeError, match="rows chosen first"):
        stored[..., 0]
    assert whole(VALUES) is VALUES


@pytest.mark.parametrize(("shape", "rows"), [((3, 2), 2), ((1, 2), 2)])
def test_a_file_has_the_rows_that_it_says(tmp_path, shape, rows):
    with pytest.raises(ValueError, match=f"expected {shape[0]} rows, got {rows}"), store(tmp_path / "a", shape) as add:
        add(np.zeros((rows, 2), np.float32))


def test_rows_of_another_kind_are_refused(tmp_path):
    with store(tmp_path / "a", (1, 2)) as add:
        with pytest.raises(ValueError, match=r"expected rows of \(2,\) float32, got \(2,\) float64"):
            add(np.zeros((1, 2)))
        with pytest.raises(ValueError, match=r"got \(3,\) float32"):
            add(np.zeros((1, 3), np.float32))
        add(np.zeros((1, 2), np.float32))


def test_files_that_hold_no_rows_are_refused(tmp_path, stored):
    path = tmp_path / "other"
    path.write_bytes(b"no numbers")
    with pytest.raises(DataError, match="expected an npy file, got"):
        Stored.open(path, CPU)
    np.save(tmp_path / "f.npy", np.asfortranarray(VALUES), allow_pickle=False)
    with pytest.raises(DataError, match="in C order"):
        Stored.open(tmp_path / "f.npy", CPU)
    with pytest.raises(DataError, match="No such file"):
        Stored.open(tmp_path / "none.npy", CPU)
    os.truncate(stored.path, stored.start + VALUES.nbytes - 1)
    with pytest.raises(DataError, match="it was cut short"):
        Stored.open(stored.path, CPU)


def test_a_file_that_shrinks_later_is_told_of(stored):
    os.truncate(stored.path, stored.start + VALUES.nbytes - 1)
    with pytest.raises(DataError, match="got its end"):
        stored[-1]


MEMORY = """
import sys, resource
from pathlib import Path
import numpy as np
from pipeline.backend import get_backend
from pipeline.rows.parts import blocks
from pipeline.rows import Stored
rows = Stored.open(Path(sys.argv[1]), get_backend("cpu"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(float(rows[part].sum(dtype=np.float64)) for part in blocks(rows))
print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_pass_over_a_large_file_takes_the_memory_of_a_block(tmp_path):
    row = np.ones((1, 256, 1024), np.float32)  # 1 MiB
    with store(tmp_path / "large.npy", (200, 256, 1024)) as add:
        for _ in range(200):
            add(row)
    root = Path(__file__).resolve().parents[3]
    env = {**os.environ, "PYTHONPATH": str(root)}
    words = [sys.executable, "-c", MEMORY, str(tmp_path / "large.npy")]
    total, grown = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.split()
    assert float(total) == 200 * 2**18
    assert int(grown) < 32 * 1024  # KiB; the file has 200 MiB
