"""Blocks, rows and missing values of arrays on any device."""

import numpy as np

from pipeline.prepare.arrays import beside, rows, split_missing
from pipeline.rows.parts import blocks


def test_blocks_cover_every_row_once_and_stay_small(monkeypatch):
    monkeypatch.setattr("pipeline.rows.parts.BLOCK_BYTES", 8 * 12 * 3)
    values = np.zeros((10, 3, 4))
    assert [(part.start, part.stop) for part in blocks(values)] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert len(list(blocks(values, 36))) == 10
    assert len(list(blocks(np.zeros((5, 0))))) == 1


def test_rows_and_missing_values_follow_the_data(backend):
    values = backend.asarray(np.array([[1.0, np.nan], [np.inf, 4.0]], "float32"))
    filled, finite = (backend.to_host(part) for part in split_missing(values))
    assert filled.tolist() == [[1.0, 0.0], [0.0, 4.0]]
    assert finite.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert filled.dtype == finite.dtype == np.float64
    assert backend.to_host(rows(values, np.array([1, 0, 1])))[:, 1].tolist()[0] == 4.0
    assert type(beside([1, 2], values)) is type(values)
