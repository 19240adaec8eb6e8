from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import CalibrationError
from pipeline.uncertainty.calibration._blocks import Draws, block_numbers, masses, needed, thresholds
from pipeline.uncertainty.calibration._groups import groups_of


def brute(score, block, weight, level):
    """Return the quantile of sum_k sum_i w_ki / ((K + 1) W_k) delta_ki + delta_inf / (K + 1), from its definition."""
    names = np.unique(block)
    for threshold in np.sort(score):
        mass = 0.0
        for name in names:
            own = block == name
            mass += weight[own][score[own] <= threshold].sum() / weight[own].sum() / (len(names) + 1)
        if mass >= level - 1e-12:
            return threshold
    return np.inf


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8, 0.875, 0.88, 0.95])
def test_thresholds_are_those_of_the_definition(level):
    rng = np.random.default_rng(0)
    block = np.repeat(np.arange(7), rng.integers(1, 9, 7)) * 3  # numbers need not be close
    score, weight = rng.normal(size=len(block)), rng.uniform(0.5, 2.0, len(block))
    mass, count = masses(block, weight)
    assert count == 7
    assert mass.sum() == pytest.approx(7 / 8)
    assert thresholds(score, mass, np.array([level]))[0] == brute(score, block, weight, level)


@pytest.mark.parametrize(("count", "level"), [(9, 0.9), (19, 0.9), (94, 0.9), (38, 0.95), (99, 0.99), (3, 0.5)])
def test_without_blocks_it_is_the_score_of_the_ordinary_rank(count, level):
    score = np.random.default_rng(1).normal(size=count)
    mass, draws = masses(None, np.full(count, 2.0))
    assert draws == count
    rank = int(np.ceil((count + 1) * level - 1e-9))
    assert thresholds(score, mass, np.array([level]))[0] == np.sort(score)[rank - 1]


@pytest.mark.parametrize("miss", [0.5, 0.2, 0.1, 0.05, 0.03, 0.01])
def test_as_many_draws_as_are_needed_and_no_fewer_make_a_finite_threshold(miss):
    for count, finite in ((needed(miss), True), (needed(miss) - 1, False)):
        if count:
            mass, _ = masses(np.arange(count), np.ones(count))
            assert np.isfinite(thresholds(np.arange(count, dtype=float), mass, np.array([1.0 - miss])))[0] == finite


def test_years_go_from_december_and_seasons_are_of_one_year(samples_of, winters):
    rng = np.random.default_rng(0)
    time = np.datetime64("1990-11-30", "ns") + np.arange(400) * np.timedelta64(1, "D")
    truth = rng.normal(size=(400, 1, 1, 2))
    samples = samples_of(truth, time=time)
    kind, year = block_numbers("years", samples, truth)
    assert (kind, year[0], year[1], year[365], year[366]) == ("years", 0, 1, 1, 2)
    kind, season = block_numbers("seasons", samples, truth)
    assert kind == "seasons"
    assert season[[0, 1, 90, 91]].tolist() == [0, 1, 1, 2]
    samples = samples_of(rng.normal(size=(600, 1, 1, 2)), time=winters(10))
    kind, number = block_numbers("auto", samples, np.asarray(samples.target))
    assert kind == "years"
    np.testing.assert_array_equal(number, np.repeat(np.arange(10), 60))


def test_runs_outlast_the_memory_of_errors_or_of_their_size(samples_of, winters):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(240, 1, 1, 3))
    samples = samples_of(noise, time=winters(4))
    kind, short = block_numbers("auto", samples, noise)
    slow = np.repeat(rng.normal(size=(24, 1, 1, 1)), 10, axis=0) + 0.1 * noise
    _, long = block_numbers("auto", samples, slow)
    sizes = np.repeat(np.exp(rng.normal(size=(24, 1, 1, 1))), 10, axis=0)
    _, calm = block_numbers("auto", samples, noise * sizes)
    assert kind == "runs"
    assert short.max() > 2 * long.max()
    assert short.max() > 1.5 * calm.max()
    for number in (short, long, calm):
        assert (np.diff(number) >= 0).all()
        assert (np.diff(number)[59::60] == 1).all()  # none goes from one winter to the next


def test_errors_of_targets_of_any_size_count_alike(samples_of):
    rng = np.random.default_rng(1)
    slow = np.repeat(rng.normal(size=(30, 1, 1, 1)), 10, axis=0)
    error = np.concatenate([slow, 1e4 * rng.normal(size=(300, 1, 1, 1))], axis=1)
    error[5] = np.nan
    _, number = block_numbers("auto", samples_of(error), error)
    _, other = block_numbers("auto", samples_of(error), error * np.array([1e6, 1.0])[:, None, None])
    np.testing.assert_array_equal(number, other)


def test_tiles_are_draws_of_their_own_and_have_no_years(samples_of):
    error = np.random.default_rng(0).normal(size=(6, 1, 2, 2))
    tiles = replace(samples_of(error), time=np.arange(6))
    kind, number = block_numbers("auto", tiles, error)
    assert (kind, number.tolist()) == ("samples", [0, 1, 2, 3, 4, 5])
    with pytest.raises(
        CalibrationError, match=r"expected dates for blocks of years, got numbered tiles\. Take blocks: auto"
    ):
        block_numbers("years", tiles, error)


def test_few_blocks_are_refused_with_how_many_it_takes(samples_of, winters):
    truth = np.random.default_rng(0).normal(size=(120, 1, 1, 2))
    samples = samples_of(truth, time=winters(2))
    draws = Draws(groups_of(samples, ()), np.isfinite(truth), block_numbers("years", samples, truth)[1])
    with pytest.raises(
        CalibrationError,
        match=r"expected 9 blocks of time or more for intervals of 90%, got 2 \(years\) in the group all, which bear "
        r"66% at most\. Calibrate with folds: 5",
    ):
        draws.enough(0.9, 0.1, "years")
    with pytest.raises(CalibrationError, match=r"expected 19 blocks .* which bear 33% at most"):
        draws.enough(0.9, 0.05, "years")
    assert draws.enough(0.6, 0.4, "years") == 2


def test_blocks_without_values_are_no_draws(samples_of, winters):
    truth = np.random.default_rng(0).normal(size=(180, 1, 1, 2))
    truth[:60, 0, 0, 1] = np.nan
    samples = samples_of(truth, time=winters(3))
    draws = Draws(groups_of(samples, ("cell",)), np.isfinite(truth), block_numbers("years", samples, truth)[1])
    with pytest.raises(CalibrationError, match=r"got 2 \(years\) in the group all, cell 1"):
        draws.enough(0.9, 0.1, "years")
