"""All times of some cells, of arrays and of rows."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.rows import Held, Stored, by_columns, store

PARTS = [slice(0, 3), slice(3, 4), slice(4, 11)]


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(50, 11)).astype(np.float32)


@pytest.fixture
def stored(values, tmp_path):
    with store(tmp_path / "rows.npy", values.shape) as add:
        add(values)
    return Stored.open(tmp_path / "rows.npy", get_backend("cpu"))


def test_columns_of_an_array_are_views(values):
    for part, found in zip(PARTS, by_columns(values, PARTS), strict=True):
        assert found.base is values
        assert np.array_equal(found, values[:, part])


def test_columns_of_rows_are_those_of_the_array(values, stored, monkeypatch):
    monkeypatch.setattr("pipeline.rows.parts.BLOCK_BYTES", 8 * 11 * 7)  # seven rows at a time
    made = stored.map(lambda block, places: 2.0 * block).take(np.arange(40, -1, -2))
    expected = 2.0 * values[40::-2]
    for rows in (made, Held(expected, get_backend("cpu"))):
        for part, found in zip(PARTS, by_columns(rows, PARTS), strict=True):
            assert np.array_equal(found, expected[:, part])


def test_rows_are_read_once_and_no_file_is_left(values, stored, tmp_path):
    read = []
    rows = stored.map(lambda block, places: read.append(len(block)) or block)
    parts = by_columns(rows, PARTS)
    assert np.array_equal(np.concatenate(list(parts), axis=1), values)
    assert sum(read) == len(values)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]
