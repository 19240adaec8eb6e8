"""Expected calibration errors and parts of the Brier score of classes, against loops and known forecasts."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.metrics.classes.calibration import WIDTH_BINS
from pipeline.metrics.classes.reliability import reliability

NAMES = ("ece", "ece_mass", "brier_reliability", "brier_resolution")


def _rows(case, flat):
    truth, predicted, chance, weights = flat(case)
    rows = [(chance[:, of], truth == of) for of in range(chance.shape[1])]
    return [*rows, (chance.max(axis=1), truth == predicted)], weights


def _error(chance, event, weights, groups):
    total = 0.0
    for index in groups:
        if len(index):
            p, o = (np.average(values[index], weights=weights[index]) for values in (chance, event))
            total += weights[index].sum() / weights.sum() * abs(p - o)
    return total


def test_ece_is_what_a_loop_over_bins_of_equal_width_gives(make_class_case, class_score, flat):
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    case = make_class_case(n=50, missing=0.1, weights=weights, seed=1)
    rows, area = _rows(case, flat)
    expected = []
    for chance, event in rows:
        number = np.minimum((chance * WIDTH_BINS).astype(int), WIDTH_BINS - 1)
        expected.append(_error(chance, event, area, [np.flatnonzero(number == of) for of in range(WIDTH_BINS)]))
    overall, each = class_score("ece", case)
    np.testing.assert_allclose([*each, overall], expected, rtol=1e-10)


def test_ece_of_equal_mass_is_near_a_loop_over_sorted_probabilities(make_class_case, class_score, flat):
    case = make_class_case(n=400, seed=2, sharp=2.5)
    rows, area = _rows(case, flat)
    expected = [_error(p, event, area, np.array_split(np.argsort(p), WIDTH_BINS)) for p, event in rows]
    overall, each = class_score("ece_mass", case)
    np.testing.assert_allclose([*each, overall], expected, atol=0.004)
    assert min(expected) > 0.02


def test_ece_of_equal_mass_is_exact_where_probabilities_are_few(make_class_case, class_score):
    """Probabilities of 0.5 to 0.9, a fifth each, true 0.1 too seldom: every bin is off by as much."""
    rng = np.random.default_rng(3)
    chance = np.repeat([0.5, 0.6, 0.7, 0.8, 0.9], 2000).reshape(50, 200)
    case = make_class_case(truth=(rng.random(chance.shape) >= chance - 0.1).astype(float), classes=2)
    case = replace(case, prediction=case.prediction.map(lambda _: np.stack([chance, 1.0 - chance])))
    events = (case.truth == 0).reshape(5, 2000).mean(axis=1)
    overall, each = class_score("ece_mass", case)
    assert overall == pytest.approx(np.abs(events - [0.5, 0.6, 0.7, 0.8, 0.9]).mean(), rel=1e-9)
    assert each[0] == pytest.approx(overall, rel=1e-9)
    assert overall == pytest.approx(0.1, abs=0.02)


def test_who_is_as_often_right_as_sure_has_none(make_class_case, class_score):
    rng = np.random.default_rng(4)
    first = rng.uniform(0.02, 0.98, (3000, 40))
    case = make_class_case(truth=1.0 * (rng.random(first.shape) > first), classes=2)
    case = replace(case, prediction=case.prediction.map(lambda _: np.stack([first, 1.0 - first])))
    for name in ("ece", "ece_mass"):
        assert class_score(name, case)[0] < 0.006
    halved = case.prediction.map(lambda p: 0.5 + (p - 0.5) / 2)
    expected = np.abs(np.maximum(first, 1 - first) - 0.5).mean() / 2  # half of what it is surer than a coin
    for name in ("ece", "ece_mass"):
        assert class_score(name, replace(case, prediction=halved))[0] == pytest.approx(expected, abs=0.01)


def test_the_error_of_the_picture_is_that_of_ten_bins(make_class_case, flat):
    case = make_class_case(n=30, seed=5)
    rows, area = _rows(case, flat)
    for (chance, event), found in zip(rows, reliability(case).error, strict=True):
        number = np.minimum((chance * 10).astype(int), 9)
        assert found == pytest.approx(_error(chance, event, area, [np.flatnonzero(number == of) for of in range(10)]))


def test_parts_of_all_classes_add_up_to_their_brier_scores(make_class_case, class_score, flat):
    weights = np.random.default_rng(6).uniform(0.5, 2.0, 40)
    case = make_class_case(n=60, missing=0.1, weights=weights, seed=6)
    truth, _, _, area = flat(case)
    whole, each = class_score("brier", case)
    (reliability_, of_reliability), (resolution, of_resolution) = (
        class_score(f"brier_{part}", case) for part in ("reliability", "resolution")
    )
    share = np.array([np.average(truth == of, weights=area) for of in range(3)])
    uncertainty = share * (1.0 - share)
    np.testing.assert_allclose(of_reliability - of_resolution + uncertainty, each, rtol=1e-10)
    assert reliability_ - resolution + uncertainty.sum() == pytest.approx(whole, rel=1e-10)


def test_sure_and_right_resolves_all_there_is(make_class_case, class_score):
    truth = np.random.default_rng(7).integers(0, 3, (30, 40))
    case = make_class_case(truth=truth, predicted=truth)
    share = np.bincount(truth.ravel(), minlength=3) / truth.size
    assert class_score("brier_reliability", case)[0] == 0.0
    assert class_score("brier_resolution", case)[0] == pytest.approx((share * (1 - share)).sum())
    assert [class_score(name, case)[0] for name in ("ece", "ece_mass", "ause_entropy")] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_without_truth_there_is_none(name, make_class_case, class_score):
    case = make_class_case(n=5, missing=1.1)
    overall, each = class_score(name, case)
    assert np.isnan(overall)
    assert np.isnan(each).all()
