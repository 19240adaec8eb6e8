"""Years are left out together; of a short split blocks that keep neighbours together."""

import cftime
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.novelty.folds import folds_of_cells, folds_of_time


def test_a_winter_is_not_cut():
    time = np.arange("1980-12-01", "1990-12-01", dtype="datetime64[D]")
    folds = folds_of_time(time)
    assert (folds.kind, len(folds)) == ("years", 10)
    december = np.flatnonzero(time == np.datetime64("1984-12-15"))[0]
    january = np.flatnonzero(time == np.datetime64("1985-01-15"))[0]
    assert folds.of[december] == folds.of[january]
    assert (np.diff(folds.of) >= 0).all()


def test_many_years_are_left_out_several_at_a_time():
    folds = folds_of_time(np.arange("1900", "1990", dtype="datetime64[Y]").astype("datetime64[D]"))
    assert (folds.kind, np.bincount(folds.of).tolist()) == ("years", [9] * 10)


def test_of_few_years_every_fifth_of_twenty_blocks_is_left_out():
    time = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    folds = folds_of_time(time)
    assert (folds.kind, len(folds)) == ("blocks", 5)
    assert (np.flatnonzero(np.diff(folds.of)) + 1).tolist() == [-(-365 * k // 20) for k in range(1, 20)]


def test_other_calendars_and_tiles():
    time = np.array([cftime.datetime(2000 + k // 12, k % 12 + 1, 15, calendar="360_day") for k in range(72)])
    assert folds_of_time(time).kind == "years"
    assert folds_of_time(np.arange(200)).kind == "blocks"


def test_new_basins_are_asked_about_by_leaving_basins_out():
    assert len(folds_of_cells(5)) == 5
    with pytest.raises(DataError, match=r"expected 5 train basins or more, to leave them out in turn, got 4: how far"):
        folds_of_cells(4)
