"""The table of docs/why_splits_by_time.md: days at random pretend, spans of time do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.random_days import row, series

PAGE = (Path(__file__).resolve().parents[2] / "docs/why_splits_by_time.md").read_text(encoding="utf-8")


def test_a_series_remembers_as_long_as_it_is_asked_to():
    values = series(40_000, 3, 20.0, np.random.default_rng(0))
    assert values.std() == pytest.approx(1.0, abs=0.05)
    lagged = [np.corrcoef(values[:-20, k], values[20:, k])[0, 1] for k in range(3)]
    assert np.mean(lagged) == pytest.approx(np.exp(-1), abs=0.05)


def test_the_page_has_the_numbers_of_the_script():
    found = row(20.0)
    values = (found.random_forest, found.by_time_forest, found.random_ridge, found.by_time_ridge)
    told = next(line for line in PAGE.splitlines() if line.startswith("| 20 days |"))
    assert [float(cell) for cell in told.split("|")[2:6]] == pytest.approx(values, abs=0.03)
    assert found.random_forest > 0.5 > 0.1 > found.by_time_forest
