"""Intervals of differences from blocks of the differences themselves."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.metrics import Case
from pipeline.metrics._losses import Losses
from pipeline.metrics.blocks import make_blocks
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.groups import Group
from pipeline.metrics.paired import paired_interval
from pipeline.prediction import Prediction

TIME = np.arange("1993-01", "2003-01", dtype="datetime64[M]").astype("datetime64[ns]")
WEIGHTS = np.array([1.0, 3.0])


def slow(rng, memory=0.97):
    """A truth that swings for years: an AR(1) of months."""
    values = np.zeros(len(TIME))
    for month in range(1, len(TIME)):
        values[month] = memory * values[month - 1] + rng.normal()
    return values


def case(truth, error):
    usual = Prediction("normal", {"mean": np.zeros_like(truth), "sd": np.full_like(truth, 3.0)})
    return Case(Prediction("point", {"mean": truth + error}), truth, usual, units="K", time=TIME)


def compared(first, second, metric="rmse", **more):
    found = evaluate(
        {"a": {"x": first}, "b": {"x": second}}, split="test", time=TIME, weights=WEIGHTS, units={"x": "K"}, seed=1,
        metrics=("rmse", metric), reference="b", seasons=False, **more,
    )  # fmt: skip
    score = next(row for row in found.scores if row.metric == metric and row.model == "a")
    return score, next(row for row in found.comparisons if row.metric == metric), found


def test_a_difference_has_an_interval_where_a_score_has_none():
    rng = np.random.default_rng(0)
    truth = np.stack([slow(rng)] * 2, axis=1)
    score, row, found = compared(
        case(truth, rng.normal(size=truth.shape)), case(truth, 2 * rng.normal(size=truth.shape))
    )
    assert found.samplings[0].blocks < 8
    assert np.isnan(score.low)
    assert row.low < row.difference < row.high < 0.0


def skill(rng, error, memory=0.8):
    """Return the row of the skill of a forecast, that of the climatology's own, and the climatology's CRPS."""
    truth = np.stack([slow(rng, memory)] * 2, axis=1)
    usual, mean = case(truth, 0.0), truth + error(rng, truth)
    first = replace(usual, prediction=Prediction("normal", {"mean": mean, "sd": np.ones_like(mean)}))
    _, _, found = compared(first, replace(usual, prediction=usual.climatology), "crpss")
    rows = (next(row for row in found.scores if (row.model, row.metric) == (of, "crpss")) for of in "ab")
    return *rows, np.average(usual.climatology.crps(truth).mean(axis=0), weights=WEIGHTS)


def white(rng, truth):
    return rng.normal(size=truth.shape)


def test_a_skill_has_the_interval_of_its_difference_to_the_climatology():
    row, none, _ = skill(np.random.default_rng(0), white)
    assert 0.0 < row.low < row.value < row.high <= 1.0
    assert row.value - row.low == pytest.approx(row.high - row.value, rel=0.1)  # as that of a difference
    assert (none.low, none.value, none.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_without_an_error_of_the_climatology_there_is_no_skill_and_no_interval():
    truth = np.zeros((len(TIME), 2))
    usual = Prediction("normal", {"mean": truth, "sd": truth})
    exact = Case(usual, truth, usual, units="K", time=TIME)
    off = replace(exact, prediction=Prediction("normal", {"mean": truth + 1.0, "sd": truth + 1.0}))
    row, _, _ = compared(off, exact, "crpss")
    assert np.isnan([row.value, row.low, row.high]).all()


def test_a_skill_that_forgets_no_faster_than_the_truth_has_none():
    row, _, _ = skill(np.random.default_rng(0), lambda _, truth: 0.5 * truth, memory=0.999)
    assert np.isfinite(row.value)
    assert np.isnan(row.low)


def test_the_interval_of_a_skill_is_that_of_the_error_over_what_the_climatology_scores():
    """Of white errors around a truth that swings for years, and a right spread: their mean score is known."""
    expected, held = 1.0 / np.sqrt(np.pi), []
    for seed in range(60):
        row, _, usual = skill(np.random.default_rng([4, seed]), white)
        if np.isfinite(row.low):
            held.append((1.0 - row.high) * usual <= expected <= (1.0 - row.low) * usual)
    assert len(held) > 30
    assert np.mean(held) > 0.85


@pytest.mark.parametrize("metric", ["rmse", "mae", "crps"])
def test_it_is_as_wide_as_the_difference_varies_from_world_to_world(metric):
    """The interval's half width against the spread of the difference over many worlds of white errors."""
    gaps, halves = [], []
    for seed in range(40):
        rng = np.random.default_rng([2, seed])
        truth = np.stack([slow(rng)] * 2, axis=1)
        _, row, _ = compared(
            case(truth, rng.normal(size=truth.shape)), case(truth, 1.3 * rng.normal(size=truth.shape)), metric
        )
        gaps.append(row.difference)
        halves.append((row.high - row.low) / 2)
    assert np.mean(halves) == pytest.approx(1.96 * np.std(gaps), rel=0.35)


def test_the_difference_itself_is_that_of_the_scores():
    rng = np.random.default_rng(3)
    truth = np.stack([slow(rng)] * 2, axis=1)
    truth[5:9, 1] = np.nan
    first, second = (case(truth, size * rng.normal(size=truth.shape)) for size in (1.0, 1.5))
    _, row, _ = compared(first, second)
    errors = [
        np.sqrt(np.nansum(WEIGHTS * (c.mean - truth) ** 2) / (WEIGHTS * np.isfinite(truth)).sum())
        for c in (first, second)
    ]
    assert row.difference == pytest.approx(errors[0] - errors[1], rel=1e-9)
    assert row.low < row.difference < row.high


def test_a_difference_that_swings_as_long_has_none_either():
    rng = np.random.default_rng(4)
    truth = np.stack([slow(rng)] * 2, axis=1)
    swing = np.stack([np.linspace(0.0, 5.0, len(TIME))] * 2, axis=1)
    _, row, _ = compared(case(truth, swing), case(truth, 0.0 * swing))
    assert np.isnan(row.low)


def test_with_blocks_enough_it_is_as_it_was():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(len(TIME), 2))
    first, second = case(truth, rng.normal(size=truth.shape)), case(truth, 1.2 * rng.normal(size=truth.shape))
    score, row, found = compared(first, second)
    assert found.samplings[0].blocks >= 8
    assert np.isfinite(score.low)
    again = compared(replace(first, time=TIME), second)[1]
    assert (row.low, row.high) == (again.low, again.high)


def _moving(rng, size, terms):
    """Return a moving average of white noise, as errors of forecasts ``terms`` steps ahead are."""
    return np.convolve(rng.normal(size=size + terms - 1), np.ones(terms) / terms**0.5, "valid")


def _red(rng, size, memory):
    values = rng.normal(size=size + 50)
    for step in range(1, len(values)):
        values[step] += memory * values[step - 1]
    return values[50:] * (1.0 - memory**2) ** 0.5


@pytest.mark.parametrize(
    ("noise", "parameter"), [(_moving, 1), (_moving, 3), (_moving, 4), (_red, 0.5), (_red, 0.7)],
    ids=["white", "MA(3)", "MA(4)", "AR(0.5)", "AR(0.7)"],
)  # fmt: skip
def test_two_models_as_good_are_told_apart_in_five_cases_of_a_hundred(noise, parameter):
    """Errors of the same law, ten years of months: how often the interval leaves zero out, and from how few blocks."""
    time, wrong, some = TIME, 0, 0
    group = Group(("all",), np.arange(len(time)), make_blocks(time, np.zeros(len(time))), np.zeros((0, 1), np.int32))
    ones = np.ones(len(time))
    for seed in range(400):
        rng = np.random.default_rng([7, seed])
        first, second = (Losses(ones, {"rmse": noise(rng, len(time), parameter) ** 2}) for _ in range(2))
        found = paired_interval("rmse", first, second, group, time, seed=seed, purpose="test:x", resamples=300)
        some += bool(np.isfinite(found.low))
        wrong += bool(found.low > 0.0 or found.high < 0.0)
    assert some > 300
    assert 0.02 <= wrong / some <= 0.08  # 0.05 and its error of 0.011


@pytest.mark.parametrize("memory", [0.75, 0.85])
def test_few_long_blocks_make_it_wider_and_not_wrong(memory):
    """Differences that remember for 7 and for 12 months, over ten years: blocks are few, and intervals hold all the same."""
    ones, held, blocks = np.ones(len(TIME)), [], []
    group = Group(("all",), np.arange(len(TIME)), make_blocks(TIME, 0.0 * ones), np.zeros((0, 1), np.int32))
    for seed in range(300):
        gap = _red(np.random.default_rng([8, seed]), len(TIME), memory)
        own, other = Losses(ones, {"crps": gap}), Losses(ones, {"crps": 0.0 * ones})
        found = paired_interval("crps", own, other, group, TIME, seed=seed, purpose="test:x", resamples=300)
        blocks.append(len(make_blocks(TIME, gap)))
        if np.isfinite(found.low):
            held.append(found.low <= 0.0 <= found.high)
    assert np.median(blocks) <= 7
    assert len(held) > 220
    assert 0.85 <= np.mean(held) <= 0.97  # its own error is 0.02
