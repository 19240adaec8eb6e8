import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from pipeline.attribution.known.score import agreement, wanted
from pipeline.attribution.likeness import correlations


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 30)).round(1)  # with ties
    return truth + rng.normal(size=truth.shape), truth


def test_both_correlations_are_scipy_s(pair):
    estimate, truth = pair
    found = agreement(estimate, truth, seed=0)
    np.testing.assert_allclose(found.pearson, [pearsonr(a, b)[0] for a, b in zip(*pair, strict=True)])
    np.testing.assert_allclose(found.spearman, [spearmanr(a, b)[0] for a, b in zip(*pair, strict=True)])
    assert found.mean == pytest.approx(found.pearson.mean())
    assert found.ranks == pytest.approx(found.spearman.mean())
    assert found.low_tail == pytest.approx(np.quantile(found.pearson, 0.05))


def test_the_interval_is_that_of_a_mean(pair):
    found = agreement(*pair, seed=0)
    half = 1.96 * found.pearson.std() / np.sqrt(40)
    assert found.low == pytest.approx(found.mean - half, abs=0.25 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.25 * half)
    again = agreement(*pair, seed=0)
    assert (again.low, again.high) == (found.low, found.high)


def test_the_scale_does_not_matter_and_the_sign_does(pair):
    estimate, truth = pair
    found = correlations(estimate, truth)
    np.testing.assert_allclose(correlations(1e-6 * estimate + 3.0, truth), found, rtol=1e-6)
    np.testing.assert_allclose(correlations(-estimate, truth), -found)


def test_a_constant_answer_has_no_correlation(pair):
    estimate, truth = pair
    estimate[3] = 0.1
    found = agreement(estimate, truth, seed=0)
    assert np.isnan(found.pearson[3])
    assert np.isnan(found.spearman[3])
    assert len(found.known) == 39
    assert found.mean == pytest.approx(np.delete(found.pearson, 3).mean())


def test_of_constants_alone_nothing_is_known():
    found = agreement(np.zeros((3, 4)), np.random.default_rng(0).normal(size=(3, 4)), seed=0)
    assert np.isnan([found.mean, found.low, found.high, found.low_tail, found.ranks]).all()


def test_what_it_is_held_against():
    truth = np.array([[-2.0, 0.0, 3.0]])
    assert wanted(truth, "truth").tolist() == [[-2.0, 0.0, 3.0]]
    assert wanted(truth, "its positive part").tolist() == [[0.0, 0.0, 3.0]]
    assert wanted(truth, "its magnitude").tolist() == [[2.0, 0.0, 3.0]]
