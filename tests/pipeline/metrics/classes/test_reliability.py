import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from pipeline.metrics.classes.reliability import BINS, reliability
from pipeline.metrics.groups import make_groups


def test_curves_are_those_of_sklearn(make_class_case, flat):
    case = make_class_case(n=50, seed=3)
    truth, predicted, chance, _ = flat(case)
    found = reliability(case)
    rows = [(chance[:, of], truth == of) for of in range(3)] + [(chance.max(axis=1), truth == predicted)]
    for row, (probability, event) in enumerate(rows):
        true, mean = calibration_curve(event, probability, n_bins=BINS)
        there = np.isfinite(found.probability[row])
        np.testing.assert_allclose(found.frequency[row][there], true)
        np.testing.assert_allclose(found.probability[row][there], mean)


def test_errors_are_means_over_cells_by_area(make_class_case, flat):
    weights = np.random.default_rng(1).uniform(0.2, 2.0, 40)
    case = make_class_case(n=20, seed=4, missing=0.2, weights=weights)
    truth, _, chance, weight = flat(case)
    found = reliability(case)
    for of in range(3):
        error = 0.0
        for low in np.arange(BINS) / BINS:
            inside = (chance[:, of] >= low) & (chance[:, of] < low + 1 / BINS + (1e-9 if low == 0.9 else 0.0))
            if inside.any():
                total = weight[inside].sum()
                gap = (weight * chance[:, of])[inside].sum() - weight[inside & (truth == of)].sum()
                error += abs(gap / total) * total / weight.sum()
        assert found.error[of] == pytest.approx(error, rel=1e-9)
    np.testing.assert_allclose(np.nansum(found.area, axis=1), 1.0)
    assert found.sure == pytest.approx(np.average(chance.max(axis=1), weights=weight))
    assert found.right == pytest.approx(np.average(chance.argmax(axis=1) == truth, weights=weight))


def test_one_who_is_sure_and_right_has_no_error(make_class_case):
    truth = np.random.default_rng(2).integers(0, 3, (30, 40))
    found = reliability(make_class_case(truth=truth, predicted=truth))
    assert found.error.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert (found.sure, found.right) == (1.0, 1.0)
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_interval_holds_the_gap_and_is_paired_with_blocks(make_class_case):
    case = make_class_case(n=64, seed=5)
    time = np.arange(0, 640, 10)
    group = make_groups(time, np.zeros(64), seed=1, purpose="x", resamples=300, seasons=False)[0]
    found = reliability(case, group)
    assert found.low < found.sure - found.right < found.high
    # Blocks of one time: the interval is that of a plain bootstrap of the mean of times.
    chance, truth = case.prediction.parameters["probabilities"], case.truth
    gaps = (chance.max(axis=0) - (chance.argmax(axis=0) == truth)).mean(axis=1)
    spread = 1.96 * gaps.std(ddof=1) / np.sqrt(64)
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.15)


def test_all_times_at_once_are_those_in_parts(make_class_case, monkeypatch):
    from pipeline.metrics.classes import _cells

    whole = reliability(make_class_case(n=30, seed=6))
    monkeypatch.setattr(_cells, "_VALUES", 500)
    parts = reliability(make_class_case(n=30, seed=6))
    np.testing.assert_allclose(parts.error, whole.error)


def test_truth_that_is_not_known_counts_nothing(make_class_case):
    case = make_class_case(n=10, seed=7)
    case.truth[:, :20] = np.nan
    short = make_class_case(n=10, seed=7)
    np.testing.assert_allclose(reliability(case).error, reliability(short.select(slice(20, None), -1)).error)
