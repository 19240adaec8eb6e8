import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from pipeline.errors import CalibrationError
from pipeline.prediction import Prediction
from pipeline.uncertainty.calibration import Evidence
from pipeline.uncertainty.calibration._adaptive import Course, follow
from pipeline.uncertainty.calibration._groups import groups_of
from pipeline.uncertainty.calibration.conformal import Conformal, ConformalConfig

PAIRS = 9
LEVELS = np.arange(21) / 20.0
WANTED = 2.0 * np.arange(1, PAIRS + 1) / 20.0
START = np.broadcast_to(WANTED[:, None, None], (PAIRS, 1, 1)).copy()


VALUES = np.concatenate([[-3.5], norm.ppf(LEVELS[1:-1]), [3.5]])


def nodes_of(shape):
    """Return the quantiles of a standard normal distribution, its ends at 3.5 deviations."""
    return np.broadcast_to(VALUES.reshape(21, 1, 1, 1, 1), (21, *shape)).copy()


def alone(truth, rate, delay=1):
    """Return the misses of the widest interval, and the levels, from a loop over days of one value."""
    level, levels, missed = WANTED[0], [], []

    def quantile(at):  # the line goes on beyond its ends
        piece = int(np.clip(np.floor(at * 20), 0, 19))
        return VALUES[piece] + (at * 20 - piece) * (VALUES[piece + 1] - VALUES[piece])

    for day, true in enumerate(truth):
        if day >= delay:
            level = float(np.clip(level + rate * (WANTED[0] - missed[day - delay]), -1.0, 1.0))
        levels.append(level)
        missed.append(float(not quantile(level / 2) <= true <= quantile(1.0 - level / 2)))
    for past in missed[-delay:]:
        level = float(np.clip(level + rate * (WANTED[0] - past), -1.0, 1.0))
    levels.append(level)  # when all is known
    return np.array(missed), np.array(levels)


@pytest.fixture
def run(samples_of):
    def go(truth, rate=0.02, delay=1, **options):
        samples = samples_of(truth, **options)
        return follow(
            nodes_of(truth.shape), truth, START, course=Course.of(samples, delay), groups=groups_of(samples, ()), rate=rate
        )  # fmt: skip

    return go


@pytest.mark.parametrize("delay", [1, 4])
def test_levels_are_those_of_a_plain_loop(run, delay):
    truth = np.random.default_rng(0).normal(0.0, 1.5, (300, 1, 1, 1))
    answer, last = run(truth, delay=delay)
    missed, levels = alone(truth.ravel(), 0.02, delay)
    low = np.interp(levels[:-1] / 2, LEVELS, VALUES)
    np.testing.assert_allclose(answer[0].ravel(), np.minimum(low, answer[1].ravel()), atol=1e-12)
    assert last[0].item() == pytest.approx(levels[-1])
    outside = ((truth < answer[0]) | (truth > answer[-1])).ravel()
    assert not (outside & (missed == 0.0)).any()  # a narrower interval may widen it, and nothing narrows it


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_under_drift_misses_come_back_to_what_is_wanted_as_the_theorem_says(run, rate, seed):
    """|mean missed - a| <= (max(a1, 1 - a1) + rate) / (T rate), Gibbs and Candes (2021), proposition 4.1."""
    rng = np.random.default_rng(seed)
    days = 1500
    truth = np.linspace(0.0, 3.0, days) + rng.normal(size=days) * np.linspace(1.0, 0.3, days)
    missed, levels = alone(truth, rate)
    bound = (max(WANTED[0], 1.0 - WANTED[0]) + rate) / (days * rate)
    assert abs(missed.mean() - WANTED[0]) <= bound
    answer, last = run(truth.reshape(-1, 1, 1, 1), rate=rate)
    assert last.item(0) == pytest.approx(levels[-1])
    outside = ((truth < answer[0].ravel()) | (truth > answer[-1].ravel())).mean()
    assert outside <= missed.mean()
    fixed = ((truth < norm.ppf(0.05)) | (truth > norm.ppf(0.95))).mean()
    assert fixed - WANTED[0] > 4 * abs(outside - WANTED[0])


def test_a_truth_far_off_is_reached_below_level_zero(run):
    truth = np.full((400, 1, 1, 1), 8.0)
    answer, levels = run(truth, rate=0.05)
    inside = (truth >= answer[0]) & (truth <= answer[-1])
    assert not inside[:5].any()
    assert inside[-100:].mean() >= 0.9
    assert levels.min() >= -1.0


def test_only_truth_that_is_known_by_then_is_used(run):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(60, 1, 2, 2))
    other = truth.copy()
    other[30] += 50.0
    for delay in (1, 3):
        before, after = run(truth, delay=delay)[0], run(other, delay=delay)[0]
        np.testing.assert_array_equal(before[:, : 30 + delay], after[:, : 30 + delay])
        assert (before[:, 30 + delay] != after[:, 30 + delay]).any()


def test_leads_wait_for_the_time_that_they_are_for(samples_of):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(60, 2, 1, 1))
    samples = samples_of(truth, leads=(1, 5))
    start = np.repeat(START, 2, axis=1)
    other = truth.copy()
    other[20] += 50.0
    first, second = (
        follow(nodes_of(truth.shape), each, start, course=Course.of(samples, 1), groups=groups_of(samples, ()), rate=0.1)[0]
        for each in (truth, other)
    )  # fmt: skip
    changed = (first != second).any(axis=0)[:, :, 0, 0]
    assert np.flatnonzero(changed[:, 0])[0] == 22  # for day 21, known on day 22
    assert np.flatnonzero(changed[:, 1])[0] == 26


def test_gaps_are_counted_in_time_and_not_in_samples(samples_of, winters):
    truth = np.random.default_rng(1).normal(size=(40, 1, 1, 1))
    samples = samples_of(truth, time=winters(2, 20))
    course = Course.of(samples, 30)
    known = course.known[:, 0]
    assert (known[:20] <= course.asked[20]).all()  # all of the first winter is known in the second
    assert (known[:20] > course.asked[19]).all()


def test_missing_truth_moves_nothing(run):
    truth = np.random.default_rng(1).normal(size=(50, 1, 1, 2))
    truth[10:40] = np.nan
    answer, _ = run(truth)
    np.testing.assert_array_equal(answer[:, 11:40], np.repeat(answer[:, 11:12], 29, axis=1))


def test_a_share_of_the_area_is_what_is_missed(run):
    truth = np.zeros((2, 1, 2, 1))
    truth[0, 0, 1] = 50.0
    answer, levels = run(truth, rate=0.2, lat=(0.0, 60.0))
    moved = 0.2 * (WANTED - 1.0 / 3.0)
    expected = np.interp(np.minimum(WANTED + moved, 1.0) / 2, LEVELS, VALUES)
    np.testing.assert_allclose(answer[:PAIRS, 1, 0, 0, 0], np.minimum.accumulate(expected[::-1])[::-1], atol=1e-12)
    assert levels[0, 0, 0] == pytest.approx(WANTED[0] + moved[0] + 0.2 * WANTED[0])


def test_groups_of_cells_go_their_own_ways(samples_of):
    truth = np.random.default_rng(2).normal(size=(200, 1, 1, 2))
    truth[:, :, :, 1] *= 4.0
    samples = samples_of(truth)
    groups = groups_of(samples, ("cell",))
    start = np.repeat(START, 2, axis=2)
    answer, levels = follow(nodes_of(truth.shape), truth, start, course=Course.of(samples, 1), groups=groups, rate=0.02)
    assert levels[0, 0, 0] > 0.02
    assert levels[0, 0, 1] < 0.02
    width = (answer[-1] - answer[0])[100:].mean(axis=0).ravel()
    assert width[1] > 1.3 * width[0]


def fitted(samples_of, context, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    truth = scale * rng.normal(size=(300, 1, 1, 3))
    said = Prediction("normal", {"mean": np.zeros(truth.shape, np.float32), "sd": np.ones(truth.shape, np.float32)})
    config = ConformalConfig(blocks="none", quantiles=19, adaptive={"rate": 0.02, "delay": 2})
    return Conformal(config).fit(Evidence(said, samples_of(truth), "validation"), context), said, truth


def test_the_calibration_follows_a_change_and_the_plain_one_does_not(samples_of, context):
    found, said, _ = fitted(samples_of, context)
    later = 2.0 * np.random.default_rng(5).normal(size=(300, 1, 1, 3)).astype(np.float32)
    plain = Conformal(found.config.model_copy(update={"adaptive": None}))
    plain.arrays = found.arrays
    held = []
    for each in (found, plain):
        answer = each.apply(said, samples_of(later), context)
        held.append(((later >= answer.quantile(0.05)) & (later <= answer.quantile(0.95)))[100:].mean())
    assert held[1] < 0.65
    assert held[0] > 0.82


def test_without_truth_the_last_level_holds_and_the_log_says_so(samples_of, context, caplog):
    found, said, truth = fitted(samples_of, context)
    blind = replace(samples_of(truth), target=None)
    with caplog.at_level(logging.INFO):
        answer = found.apply(said, blind, context).parameters["quantiles"]
    assert "unet: validation has no truth; adaptive levels stay as they were" in caplog.text
    np.testing.assert_array_equal(answer, np.repeat(answer[:, :1], 300, axis=1))


def test_asking_twice_answers_the_same(samples_of, context):
    found, said, truth = fitted(samples_of, context)
    first, second = (found.apply(said, samples_of(truth), context).parameters["quantiles"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_levels_at_the_end_of_the_evidence_are_kept_and_told(samples_of, context):
    found, _, _ = fitted(samples_of, context)
    told = found.summary()["adaptive"]
    assert told["rate"] == 0.02
    assert told["delay"] == 2
    assert told["misses"] == found.arrays["misses"][0, 0, 0]
    assert told["note"] == "scores of a test period use its own earlier truth"


def test_tiles_have_no_order_to_follow(samples_of):
    tiles = replace(samples_of(np.zeros((5, 1, 2, 2))), time=np.arange(5))
    with pytest.raises(CalibrationError, match="expected dates for adaptive levels, got numbered tiles"):
        Course.of(tiles, 1)
