"""Mahalanobis distance and residual against closed forms, brute force and scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from pipeline.novelty.climate import Climate, Moments


def fitted(rows, phase=None, harmonics=0, groups=None, **options):
    phase = np.zeros(len(rows)) if phase is None else phase
    groups = np.zeros(rows.shape[1], int) if groups is None else groups
    return Climate.fit(Moments.of(rows, phase, harmonics), groups, **{"most": rows.shape[1], **options})


def measured(climate, rows, phase=None):
    phase = np.zeros(len(rows)) if phase is None else phase
    return tuple(np.asarray(part) for part in climate.distances(rows, phase))


@pytest.fixture
def mixing():
    return np.random.default_rng(5).normal(size=(6, 6))


@pytest.fixture
def rows(mixing):
    return np.random.default_rng(6).normal(size=(5000, 6)) @ mixing + 4.0


def test_with_all_components_it_is_the_mahalanobis_distance(rows, mixing):
    new = np.random.default_rng(7).normal(size=(40, 6)) @ mixing
    distance, residual = measured(fitted(rows, explained=1.0), new)
    inverse = np.linalg.inv(np.cov(rows.T))
    wanted = [np.sqrt((row - rows.mean(axis=0)) @ inverse @ (row - rows.mean(axis=0))) for row in new]
    np.testing.assert_allclose(distance, wanted, rtol=1e-8)
    np.testing.assert_allclose(residual, 0.0, atol=1e-6)


def test_components_and_residual_are_those_of_scikit_learn(rows):
    climate = fitted(rows, most=3, explained=1.0)
    pca = PCA(3, svd_solver="full").fit(rows)
    new = rows[:50] + 1.0
    distance, residual = measured(climate, new)
    scores = pca.transform(new)
    np.testing.assert_allclose(distance, np.sqrt((scores**2 / pca.explained_variance_).sum(axis=1)), rtol=1e-8)
    rest = np.linalg.norm(new - pca.inverse_transform(scores), axis=1)
    np.testing.assert_allclose(residual * climate.scale[0], rest, rtol=1e-8)
    np.testing.assert_allclose(climate.explained, pca.explained_variance_ratio_.sum(), rtol=1e-8)


def test_squares_of_normal_samples_are_chi_squared_with_as_many_degrees_as_components(mixing):
    train, new = (np.random.default_rng(seed).normal(size=(20_000, 6)) @ mixing for seed in (1, 2))
    climate = fitted(train, most=4, explained=1.0)
    distance, residual = measured(climate, new)
    assert stats.kstest(distance**2, stats.chi2(4).cdf).pvalue > 0.01
    # The residual has the variance that is left.
    left = climate.total - float(climate.variance.sum())
    np.testing.assert_allclose((residual**2).mean(), left, rtol=0.05)


def test_scaling_and_turning_features_moves_nothing(rows):
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(6, 6)))[0]
    known = measured(fitted(rows, most=3), rows[:30])
    for changed in (rows @ turn, 1000.0 * rows + 7.0):
        for one, other in zip(known, measured(fitted(changed, most=3), changed[:30]), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-7)
    # Groups are on scales of their own.
    groups = np.array([0, 0, 0, 1, 1, 2])
    stretched = rows * np.array([5.0, 5.0, 5.0, 0.01, 0.01, 100.0])
    one, other = (measured(fitted(part, groups=groups, most=3), part[:30]) for part in (rows, stretched))
    np.testing.assert_allclose(other, one, rtol=1e-7)


def test_an_annual_cycle_is_taken_away(rows):
    phase = np.random.default_rng(9).random(len(rows))
    cycle = np.cos(2 * np.pi * phase)[:, None] * np.arange(6.0) * 30
    plain = measured(fitted(rows, phase, 2, most=4), rows[:100], phase[:100])
    risen = measured(fitted(rows + cycle, phase, 2, most=4), (rows + cycle)[:100], phase[:100])
    np.testing.assert_allclose(risen, plain, rtol=1e-6)


def test_leaving_out_by_subtraction_is_fitting_on_the_rest(rows):
    phase = np.random.default_rng(9).random(len(rows))
    whole, part = Moments.of(rows, phase, 1), Moments.of(rows[:700], phase[:700], 1)
    left = Climate.fit(whole - part, np.zeros(6, int), most=4)
    rest = fitted(rows[700:], phase[700:], 1, most=4)
    both = [measured(climate, rows[:50], phase[:50]) for climate in (left, rest)]
    np.testing.assert_allclose(*both, rtol=1e-7)
    np.testing.assert_allclose((part + (whole - part)).square, whole.square, rtol=1e-12)


def test_a_feature_that_never_varied_is_told_by_the_residual(rows):
    constant = np.concatenate([rows, np.full((len(rows), 2), 3.0)], axis=1)
    climate = fitted(constant, groups=np.array([0] * 6 + [1, 2]))
    assert climate.scale[6] == 1.0
    same, moved = constant[:20], constant[:20] + np.array([0.0] * 6 + [0.5, 0.0])
    (_, before), (_, after) = measured(climate, same), measured(climate, moved)
    np.testing.assert_allclose(after**2 - before**2, 0.25, rtol=1e-6)


def test_a_component_that_is_rounding_without_a_block_is_no_divisor(rows):
    """What varies in one year alone is told by the residual from the other years."""
    rows = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
    rows[:500, 6] = np.random.default_rng(1).normal(size=500)
    whole, part = (Moments.of(some, np.zeros(len(some)), 0) for some in (rows, rows[:500]))
    climate = Climate.fit(whole, np.arange(7), most=7, explained=1.0)
    held = Climate.fit(whole - part, np.arange(7), most=7, scale=climate.scale, count=climate.count)
    assert (climate.count, held.count) == (7, 6)
    distance, residual = measured(held, rows[:500])
    assert distance.max() < 20
    np.testing.assert_allclose(residual, np.abs(rows[:500, 6]) / climate.scale[6], rtol=1e-3, atol=1e-6)


def test_where_nothing_varies_there_is_no_component():
    climate = fitted(np.full((200, 3), 2.0))
    distance, residual = measured(climate, np.array([[2.0, 2.0, 2.0], [2.0, 2.0, 6.0]]))
    assert (climate.variance.shape, climate.explained) == ((0,), 1.0)
    np.testing.assert_allclose(distance, 0.0)
    np.testing.assert_allclose(residual, [0.0, 4.0], atol=1e-6)


def test_fewer_samples_than_features_have_no_more_components_than_asked():
    few = np.random.default_rng(3).normal(size=(30, 100))
    climate = fitted(few, most=3)
    distance, residual = measured(climate, np.random.default_rng(4).normal(size=(50, 100)))
    assert climate.components.shape == (100, 3)
    assert np.isfinite(distance).all()
    assert (residual > 0).all()


def test_a_missing_value_gives_a_missing_distance(rows):
    broken = rows[:3].copy()
    broken[1, 2] = np.nan
    for part in measured(fitted(rows, most=2), broken):
        assert np.isfinite(part).tolist() == [True, False, True]
    nothing = measured(fitted(np.zeros((200, 6))), broken)
    assert np.isfinite(nothing[0]).tolist() == [True, False, True]


def test_it_runs_on_any_array(rows, strict_backend):
    phase = np.random.default_rng(9).random(len(rows))
    known = measured(fitted(rows, phase, 1, most=3), rows[:20], phase[:20])
    found = fitted(strict_backend.asarray(rows), phase, 1, most=3).distances(
        strict_backend.asarray(rows[:20]), phase[:20]
    )
    for one, other in zip(known, found, strict=True):
        np.testing.assert_allclose(strict_backend.to_host(other), one, rtol=1e-8)
