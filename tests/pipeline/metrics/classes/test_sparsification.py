"""Sparsification by entropy: loops, an oracle, an entropy that says nothing."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.integrate

from pipeline.prediction import Prediction


def _two(truth, first, weights=None, make=None):
    case = make(truth=truth, classes=2, weights=weights)
    return replace(case, prediction=Prediction("categorical", {"probabilities": np.stack([first, 1.0 - first])}))


def _loop(entropy, wrong, area):
    """Return the area between both curves by leaving out one cell after the other."""
    under = []
    for order in (np.argsort(-entropy), np.argsort(-wrong.astype(int))):
        a, w = area[order], (area * wrong)[order]
        rest, bad = np.cumsum(a[::-1])[::-1], np.cumsum(w[::-1])[::-1]
        share = np.concatenate([1 - rest / rest[0], [1.0]])
        error = np.concatenate([bad / rest, [(bad / rest)[-1]]]) / (bad[0] / rest[0])
        under.append(np.trapezoid(error, share))
    return under[0] - under[1]


def test_it_is_near_what_a_loop_over_cells_gives(make_class_case, class_score, flat):
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 40)
    case = make_class_case(n=300, missing=0.1, weights=weights, seed=1)
    truth, predicted, chance, area = flat(case)
    expected = _loop(-(chance * np.log(chance)).sum(axis=1), truth != predicted, area)
    assert expected > 0.2
    assert class_score("ause_entropy", case)[0] == pytest.approx(expected, abs=0.005)


def test_an_oracle_that_is_unsure_where_it_is_wrong_has_none(make_class_case, class_score):
    truth = (np.random.default_rng(2).random((60, 40)) < 0.3).astype(float)  # it says the first class throughout
    sure = _two(truth, np.where(truth > 0, 0.6, 0.95), make=make_class_case)
    assert class_score("ause_entropy", sure)[0] == pytest.approx(0.0, abs=1e-9)
    rate, turned = truth.mean(), _two(truth, np.where(truth > 0, 0.95, 0.6), make=make_class_case)
    # Of one that is surest where it is wrong the error rate rises to 1 while right cells are left out.
    rising = scipy.integrate.quad(lambda f: min(1.0, rate / (1 - f)) / rate, 0, 1)[0]
    falling = scipy.integrate.quad(lambda f: max(0.0, (rate - f) / (1 - f)) / rate, 0, 1)[0]
    assert class_score("ause_entropy", turned)[0] == pytest.approx(rising - falling, rel=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_an_entropy_that_is_the_same_everywhere_says_nothing(rate, make_class_case, class_score):
    truth = (np.random.default_rng(3).random((500, 40)) < rate).astype(float)
    found = class_score("ause_entropy", _two(truth, np.full(truth.shape, 0.7), make=make_class_case))[0]
    wrong = truth.mean()
    falling = scipy.integrate.quad(lambda f: max(0.0, (wrong - f) / (1 - f)) / wrong, 0, wrong)[0]
    assert found == pytest.approx(1.0 - falling, rel=1e-6)
    assert found == pytest.approx(1.0 - wrong / 2, abs=0.12)


def test_all_wrong_and_none_wrong_and_no_truth(make_class_case, class_score):
    truth = np.zeros((20, 40))
    for first, expected in ((0.9, 0.0), (0.1, 0.0)):
        case = _two(truth, np.full(truth.shape, first), make=make_class_case)
        assert class_score("ause_entropy", case)[0] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(class_score("ause_entropy", make_class_case(n=5, missing=1.1))[0])
