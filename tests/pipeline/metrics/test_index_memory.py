"""Indices and spectra of a long fine field: little memory beside it, and little time."""

import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipeline.metrics import indices
from pipeline.metrics.spectra import annuli, power

ROOT = Path(__file__).parents[3]
DAYS, SIDE = 1096, 48
SHARE = (3650 * 128 * 128) // indices._VALUES  # in how many parts a field of ten years is worked on


def _peak(work):
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("units", ["mm d-1", "degC"])
def test_indices_take_less_than_three_fields_of_memory(units, monkeypatch):
    field = np.random.default_rng(0).gamma(0.5, 8.0, (DAYS, SIDE * SIDE)).astype(np.float32)
    time = np.datetime64("1990-01-01", "D") + np.arange(DAYS)
    kind = {"mm d-1": "precipitation", "degC": "temperature"}[units]
    names = [name for name, index in indices.INDICES.items() if index.quantity in ("any", kind)]
    indices.indices_of_years(names, field[:10, :1], time[:10], units)  # units are read, modules imported
    monkeypatch.setattr(indices, "_VALUES", field.size // SHARE)
    peak = _peak(lambda: indices.indices_of_years(names, field, time, units))
    assert field.nbytes + peak < 3 * field.nbytes
    monkeypatch.setattr(indices, "_VALUES", field.size)
    assert peak < _peak(lambda: indices.indices_of_years(names, field, time, units)) / 4


def test_spectra_take_less_than_three_fields_of_memory():
    field = np.random.default_rng(0).normal(size=(DAYS, SIDE, SIDE)).astype(np.float32)
    rings, known = annuli((SIDE, SIDE), (10.0, 10.0)), np.ones(field.shape, bool)
    assert field.nbytes + known.nbytes + _peak(lambda: power(field, known, rings)) < 3 * field.nbytes


@pytest.mark.slow
def test_ten_years_of_128_cells_a_side_are_quick_and_lean():
    command = [sys.executable, "-m", "benchmarks.indices"]
    printed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    seconds, memory = (float(re.search(f"{words} ([0-9.]+)", printed)[1]) for words in ("together:", "held:"))
    assert seconds < 20.0
    assert 1.0 < memory < 3.0  # the field itself is part of it
