from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import CalibrationError
from pipeline.metrics.blocks import months
from pipeline.uncertainty.calibration._groups import filled, groups_of

TRUTH = np.random.default_rng(0).normal(size=(400, 2, 3, 4))


def test_all_together_without_by(samples_of):
    groups = groups_of(samples_of(TRUTH), ())
    assert groups.shape == (1, 1)
    assert groups.name(0, 0) == "all"
    assert (groups.of_time == 0).all()
    assert (groups.of_cell == 0).all()


def test_sums_of_seasons_and_cells_are_those_of_a_loop(samples_of):
    mask = np.ones((3, 4), bool)
    mask[0, 1] = False
    samples = samples_of(TRUTH, mask=mask, lat=(10.0, 70.0))
    groups = groups_of(samples, ("season", "cell"))
    found, plain = groups.sums(TRUTH), groups.sums(TRUTH, by_area=False)
    season = np.array(["DJF", "MAM", "JJA", "SON"])[months(samples.time) % 12 // 3]
    area = np.cos(np.deg2rad(np.linspace(10.0, 70.0, 3)))[:, None] * np.ones(4)
    for target in range(2):
        for when, name in enumerate(groups.times):
            for where, (row, column) in enumerate(np.argwhere(mask)):
                expected = TRUTH[season == name, target, row, column].sum()
                assert plain[target, when, where] == pytest.approx(expected)
                weighted = expected * area[row, column] / area[mask].mean()
                assert found[target, when, where] == pytest.approx(weighted)
    assert groups.name(0, 2) == "DJF, cell 2"


def test_months_and_regions(samples_of):
    region = np.array([[0, 0, 1, 1], [0, 0, 1, -1], [-1, -1, -1, -1]])
    samples = samples_of(TRUTH, regions=("west", "east"), region=region)
    groups = groups_of(samples, ("month", "region"))
    assert groups.shape == (12, 3)
    assert groups.cells == ("west", "east", "elsewhere")
    assert groups.name(11, 1) == "month 12, east"
    np.testing.assert_array_equal(groups.of_cell, [[0, 0, 1, 1], [0, 0, 1, 2], [2, 2, 2, 2]])
    np.testing.assert_array_equal(groups.of_time[:3], [11, 11, 11])


def test_groups_are_of_the_time_that_the_first_answer_is_for(samples_of):
    time = np.array(["1991-11-30", "1991-12-01"], "datetime64[ns]")
    later = samples_of(TRUTH[:2], time=time, leads=(1, 40))
    assert groups_of(later, ("season",)).of_time.tolist() == [0, 0]
    assert groups_of(samples_of(TRUTH[:2], time=time), ("season",)).of_time.tolist() == [3, 0]


def test_values_are_spread_to_their_groups_and_are_missing_outside(samples_of):
    mask = np.ones((3, 4), bool)
    mask[2, 3] = False
    samples = samples_of(TRUTH, mask=mask)
    groups = groups_of(samples, ("season", "cell"))
    values = np.random.default_rng(1).normal(size=(2, *groups.shape))
    spread = groups.spread(values, TRUTH)
    assert spread.shape == TRUTH.shape
    assert np.isnan(spread[:, :, 2, 3]).all()
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    for day, target, row, column in [(0, 0, 0, 0), (100, 1, 2, 1), (399, 1, 1, 3)]:
        assert spread[day, target, row, column] == values[target, groups.of_time[day], number[row, column]]
    assert groups_of(samples, ("cell",)).spread(values[:, :1], TRUTH, np.float32).shape == (1, 2, 3, 4)


def test_a_group_without_values_learns_from_its_cells_and_cells_without_from_all(samples_of, winters):
    truth = TRUTH[:120].copy()
    truth[:, 0, 1, 2] = np.nan
    samples = samples_of(truth, time=winters(2))
    groups = groups_of(samples, ("season", "cell"))
    known = np.isfinite(truth)
    whole = {}
    for chosen in groups.selections(known):
        for place in chosen.places:
            assert (chosen.target, *place) not in whole
            whole[chosen.target, *place] = chosen
    assert len(whole) == 2 * 4 * 12
    dead = 1 * 4 + 2
    for (_, _, where), chosen in whole.items():
        assert chosen.rows.all()  # only winters: the other seasons take them too
        assert len(chosen.cells) == (12 if (chosen.target, where) == (0, dead) else 1)
    np.testing.assert_array_equal(whole[1, 0, 3].of(truth)[:, 0], truth[:, 1, 0, 3])


def test_sums_of_empty_groups_are_filled_from_all_times_then_from_all_cells():
    count = np.array([[[2.0, 0.0, 1.0], [0.0, 0.0, 3.0]]])
    total = np.array([[[4.0, 0.0, 5.0], [0.0, 0.0, 9.0]]])
    counts, totals = filled(count, total)
    np.testing.assert_array_equal(counts, [[[2.0, 6.0, 1.0], [2.0, 6.0, 3.0]]])
    np.testing.assert_array_equal(totals, [[[4.0, 18.0, 5.0], [4.0, 18.0, 9.0]]])


def test_groups_that_exclude_each_other_are_refused(samples_of):
    samples = samples_of(TRUTH)
    with pytest.raises(CalibrationError, match=r"expected one of month and season .* got both. Take the finer one"):
        groups_of(samples, ("month", "season"))
    with pytest.raises(CalibrationError, match=r"expected one of cell and region .* got both"):
        groups_of(samples, ("cell", "region"))


def test_groups_that_the_data_do_not_have_are_refused(samples_of):
    with pytest.raises(CalibrationError, match=r"expected regions .* got an experiment without. Name regions"):
        groups_of(samples_of(TRUTH), ("region",))
    tiles = replace(samples_of(TRUTH), time=np.arange(400))
    with pytest.raises(CalibrationError, match="expected dates for groups by season or month, got numbered tiles"):
        groups_of(tiles, ("season",))


def test_few_values_and_targets_without_any_are_refused(samples_of):
    truth = TRUTH.copy()
    truth[5:, 1, 0, 0] = np.nan
    groups = groups_of(samples_of(truth), ("cell",))
    with pytest.raises(
        CalibrationError, match=r"expected 30 values .* got 5 in the group all, cell 0\. Calibrate with"
    ):
        groups.enough(np.isfinite(truth), 30)
    groups.enough(np.isfinite(truth), 5)
    truth[:, 1] = np.nan
    with pytest.raises(CalibrationError, match="got 0 in the group"):
        groups.enough(np.isfinite(truth), 5)
