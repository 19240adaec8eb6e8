"""Probabilities of classes: by hand, by loops, and against scipy."""

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from pipeline.errors import DataError
from pipeline.prediction import Prediction
from pipeline.prediction.categorical import entropy


def of(*columns, dtype=np.float64):
    """Return a prediction of one time, target and row; each argument has the probabilities of one cell."""
    return Prediction("categorical", {"probabilities": np.array(columns, dtype).T[:, None, None, None]})


def row(*values):
    return np.array(values, float)[None, None, None]


def test_the_most_likely_class_is_its_number_the_lowest_of_several():
    p = of([0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3], [0.1, np.nan, 0.9])
    np.testing.assert_array_equal(p.mean(), row(1, 0, 1, 0, np.nan))
    assert p.variances() == (None, None)
    assert p.variance() is None
    assert p.members is None
    assert (p.class_count, p.member_count, p.is_categorical) == (3, 0, True)


def test_the_likelihood_is_that_of_the_class_that_came():
    p = of([0.2, 0.5, 0.3], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3], [0.2, 0.5, 0.3], [0.2, 0.8, np.nan])
    found = p.nll(row(2, 0, 1, 3, np.nan, 1))
    np.testing.assert_allclose(found, row(-np.log(0.3), 0.0, np.inf, np.inf, np.nan, np.nan))
    assert not np.signbit(found[..., 1]).any()


def test_the_likelihood_is_scipys(make_prediction):
    p, rng = make_prediction("categorical"), np.random.default_rng(1)
    truth = rng.integers(0, 3, p.mean().shape).astype(float)
    chances = np.moveaxis(p.parameters["probabilities"], 0, -1)
    one_hot = np.eye(3)[truth.astype(int)]
    np.testing.assert_allclose(p.nll(truth), -stats.multinomial.logpmf(one_hot, 1, chances), rtol=1e-12)


def test_certain_classes_are_drawn_and_impossible_ones_never():
    draws = of([0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0], [0.5, np.nan, 0.5]).sample(500, seed=3)
    assert draws.shape == (500, 1, 1, 1, 4)
    first, second, third, unknown = np.moveaxis(draws[:, 0, 0, 0], -1, 0)
    assert (first == 1).all()
    assert set(second) == {0.0, 2.0}
    assert (third == 2).all()
    assert np.isnan(unknown).all()


def test_draws_are_independent_between_cells():
    draws = of([0.5, 0.5], [0.5, 0.5]).sample(4000, seed=1)[:, 0, 0, 0]
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.05


def test_probabilities_that_do_not_quite_sum_to_one_give_classes_that_are_there():
    draws = of([0.3, 0.3, 0.3]).sample(3000, seed=2)
    np.testing.assert_allclose([(draws == number).mean() for number in range(3)], 1 / 3, atol=0.03)


def test_entropy_is_scipys():
    chances = np.random.default_rng(0).dirichlet(np.ones(4), (3, 5))
    found = entropy(np.moveaxis(chances, -1, 0))
    np.testing.assert_allclose(found, stats.entropy(chances, axis=-1), rtol=1e-12)
    strict = entropy(array_api_strict.asarray(np.moveaxis(chances, -1, 0)))
    np.testing.assert_allclose(np.asarray(strict), found, rtol=1e-12)


def test_entropy_is_zero_for_certainty_and_largest_for_none():
    found = entropy(np.array([[1.0, 0.25, np.nan], [0.0, 0.25, 0.5], [0.0, 0.25, 0.3], [0.0, 0.25, 0.2]]))
    np.testing.assert_allclose(found, [0.0, np.log(4.0), np.nan], rtol=1e-12)
    assert not np.signbit(found[0])


def test_a_mixture_knows_less_than_its_parts(make_prediction):
    answers = [make_prediction("categorical", seed=seed) for seed in range(5)]
    mixed = answers[0].formulas.mix([answer.parameters for answer in answers])["probabilities"]
    parts = np.mean([entropy(answer.parameters["probabilities"]) for answer in answers], axis=0)
    assert (entropy(mixed) >= parts - 1e-12).all()  # entropy is concave
    np.testing.assert_allclose(mixed.sum(axis=0), 1.0, rtol=1e-12)
    expected = (answers[0].parameters["probabilities"][1, 2, 0, 1, 1] + sum(
        answer.parameters["probabilities"][1, 2, 0, 1, 1] for answer in answers[1:]
    )) / 5  # fmt: skip
    assert mixed[1, 2, 0, 1, 1] == pytest.approx(expected)


def test_a_target_that_was_scaled_or_shifted_is_refused_with_what_to_set():
    p = of([0.5, 0.5])
    assert p.affine(1.0, 0.0).parameters["probabilities"].tolist() == p.parameters["probabilities"].tolist()
    message = r"^expected a scale of 1 for a prediction of classes, which have no units, got 2\. Set prepare\.target: "
    with pytest.raises(DataError, match=message):
        p.affine(2.0, 0.0)
    with pytest.raises(DataError, match=r"^expected a shift of 0 .*, got -3\. .*\{anomaly: none, scale: none\}\.$"):
        p.affine(1.0, np.array([[[np.nan]], [[-3.0]]]))
