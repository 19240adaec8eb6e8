"""Quantile regression forests: weights by brute force, limits, worlds with a known spread."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models import _leaves
from models._leaves import WHOLE, LeafMembers, LeafWeights, leaf_arrays
from pipeline.backend import get_backend
from pipeline.backend._wrapped import PerOutput
from pipeline.backend.estimators import Estimator
from pipeline.errors import DataError
from pipeline.prediction.members import crps_ensemble


def brute_weights(forest, train: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Weights of all train rows for every asked row, shape (asked, row), tree by tree."""
    weights = np.zeros((len(asked), len(train)))
    for tree in forest.estimators_:
        theirs, mine = tree.apply(train), tree.apply(asked)
        for row, leaf in enumerate(mine):
            inside = theirs == leaf
            weights[row, inside] += 1 / inside.sum() / len(forest.estimators_)
    return weights


def dense(found: LeafWeights, leaves: np.ndarray, count: int) -> np.ndarray:
    weights = np.zeros((len(leaves), count))
    asked, row, weight = (np.asarray(part) for part in found.entries(leaves))
    np.add.at(weights, (asked, row), weight / WHOLE)
    return weights


def grown(backend, X, y, **options):
    options = {"n_estimators": 30, "random_state": 0, "min_samples_leaf": 5, **options}
    return backend.estimator("RandomForestRegressor", **options).fit(backend.asarray(X), backend.asarray(y))


def members_of(forest, trees, X, y, asked, count, backend):
    """Members of outputs, shape (member, asked, output)."""
    y = y.reshape(len(y), -1)
    arrays = leaf_arrays("l", forest, trees, *(backend.asarray(part) for part in (X, y, y)))
    kept = LeafMembers.of(forest, arrays, "l")
    drawn = backend.to_host(kept.draw(backend.asarray(asked), count))
    return backend.to_host(kept.targets)[drawn]


@pytest.fixture
def small():
    """A forest of scikit-learn on forty rows, its rows, and nine others."""
    rng = np.random.default_rng(4)
    X, asked = (rng.normal(size=(n, 3)).astype(np.float32) for n in (40, 9))
    y = (X[:, 0] + 0.3 * rng.normal(size=40)).astype(np.float32)
    return grown(get_backend("cpu"), X, y, n_estimators=7, min_samples_leaf=3), X, y, asked


def test_weights_are_those_of_a_loop_over_trees(small):
    forest, X, _, asked = small
    found = LeafWeights.of(forest.apply(X), np.full(7, 1 / 7))
    expected = brute_weights(forest.native, X, asked)
    np.testing.assert_allclose(dense(found, forest.apply(asked), 40), expected, atol=1e-10)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0)
    assert (expected > 0).sum(axis=1).max() < 40  # some rows share no leaf


def test_members_are_the_quantiles_of_the_weighted_truth(small):
    forest, X, y, asked = small
    weights, order = brute_weights(forest.native, X, asked), np.argsort(y, kind="stable")
    found = members_of(forest, 7, X, y, asked, 11, get_backend("cpu"))[..., 0]
    for row in range(len(asked)):
        share = np.cumsum(weights[row][order])
        expected = [y[order][np.argmax(share > (m + 0.5) / 11)] for m in range(11)]
        np.testing.assert_array_equal(found[:, row], expected)


def test_the_order_of_train_rows_changes_nothing(small):
    forest, X, y, asked = small
    mixed = np.random.default_rng(1).permutation(40)
    cpu = get_backend("cpu")
    np.testing.assert_array_equal(
        members_of(forest, 7, X, y, asked, 20, cpu), members_of(forest, 7, X[mixed], y[mixed], asked, 20, cpu)
    )


def test_blocks_make_no_difference_and_a_row_is_answered_alone_as_among_others(small, monkeypatch):
    forest, X, y, asked = small
    cpu = get_backend("cpu")
    whole = members_of(forest, 7, X, y, asked, 20, cpu)
    alone = [members_of(forest, 7, X, y, asked[row : row + 1], 20, cpu)[:, 0] for row in range(9)]
    np.testing.assert_array_equal(np.stack(alone, axis=1), whole)
    monkeypatch.setattr(_leaves, "ENTRIES", 30)
    monkeypatch.setattr(_leaves, "LOOKED_UP", 20)
    np.testing.assert_array_equal(members_of(forest, 7, X, y, asked, 20, cpu), whole)


def test_a_leaf_that_no_train_row_reaches_has_no_weight_and_only_such_leaves_are_refused():
    found = LeafWeights.of(np.array([[0, 4], [0, 2], [3, 2]]), np.array([0.5, 0.5]))
    drawn = found.draw(np.array([[0, 9], [1, 4], [3, 2]]), 4)
    assert drawn.T.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [1, 2, 2, 2]]
    with pytest.raises(DataError, match="expected every row to share a leaf with a train row, got one that shares non"):
        found.draw(np.array([[0, 2], [1, 9]]), 2)


def test_of_a_large_leaf_rows_that_lie_evenly_stand_for_all(monkeypatch):
    found = LeafWeights.of(np.array([[0, 0]] * 12 + [[1, 0]] * 3), np.array([0.5, 0.5]))
    monkeypatch.setattr(_leaves, "MOST", 4)
    asked = np.array([[0, 0], [1, 0]])
    weights = dense(found, asked, 15) * 8
    assert np.flatnonzero(weights[0]).tolist() == [1, 4, 5, 7, 9, 10, 13]  # of twelve rows and of fifteen
    np.testing.assert_allclose(weights[0][[1, 4, 5, 7, 9, 10, 13]], [2, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(weights.sum(axis=1), 8)
    assert found.draw(asked, 4).T.tolist() == [[1, 5, 9, 13], [5, 12, 13, 14]]


def test_weights_need_nothing_beyond_the_array_standard(small, strict_backend):
    forest, X, _, asked = small
    leaves, mine, shares = forest.apply(X), forest.apply(asked), np.full(7, 1 / 7)
    plain = LeafWeights.of(leaves, shares).draw(mine, 13)
    xp = strict_backend.xp
    found = LeafWeights.of(xp.asarray(leaves), xp.asarray(shares)).draw(xp.asarray(mine), 13)
    np.testing.assert_array_equal(np.asarray(found), plain)


def test_leaves_as_large_as_the_train_split_are_the_climatology(backend):
    rng = np.random.default_rng(0)
    X, y, asked = (rng.normal(size=shape).astype(np.float32) for shape in ((60, 2), (60,), (4, 2)))
    forest = grown(backend, X, y, min_samples_leaf=60)
    found = members_of(forest, 30, X, y, asked, 60, backend)[..., 0]
    np.testing.assert_array_equal(found, np.repeat(np.sort(y)[:, None], 4, axis=1))


def test_a_constant_target_is_answered_with_certainty(backend):
    X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    y = np.full((50, 2), 3.5, np.float32)
    np.testing.assert_array_equal(members_of(grown(backend, X, y), 30, X, y, X[:5], 10, backend), 3.5)


def sine(n: int, seed: int):
    """sin(x) with noise of deviation .1 + .3 |sin x|: inputs, truth, mean, deviation."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 2 * np.pi, size=(n, 1)).astype(np.float32)
    mean = np.sin(X[:, 0].astype(float))
    sd = 0.1 + 0.3 * np.abs(mean)
    return X, (mean + sd * rng.normal(size=n)).astype(np.float32), mean, sd


def normal_crps(mean, sd, truth):
    z = (truth - mean) / sd
    below = 0.5 * (1 + np.vectorize(math.erf)(z / np.sqrt(2)))
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return float(np.mean(sd * (z * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi))))


def covered(members, truth) -> float:
    """Share of truth inside the central 90 % of forty members: two left out on either side."""
    assert len(members) == 40
    ordered = np.sort(members, axis=0)
    return float(np.mean((truth >= (ordered[1] + ordered[2]) / 2) & (truth <= (ordered[-3] + ordered[-2]) / 2)))


def test_noise_that_changes_is_recovered_and_beats_one_deviation(backend):
    X, y, _, _ = sine(2500, 0)
    asked, truth, mean, sd = sine(1200, 1)
    forest = grown(backend, X, y, n_estimators=40, min_samples_leaf=30)
    members = members_of(forest, 40, X, y, asked, 40, backend)[..., 0]
    spread = members.std(axis=0)
    assert np.corrcoef(spread, sd)[0, 1] > 0.93
    for low, high in ((0.1, 0.15), (0.15, 0.3), (0.3, 0.4)):  # calm, between, noisy
        part = (sd >= low) & (sd <= high)
        # Leaves are as wide as their rows are few: where the sine is steep they add to the spread.
        assert 0.9 < np.sqrt(np.mean(spread[part] ** 2) / np.mean(sd[part] ** 2)) < 1.2
    error = 3 * np.sqrt(0.9 * 0.1 / len(truth))
    assert covered(members, truth) == pytest.approx(0.9, abs=error + 0.01)
    answered = backend.to_host(forest.predict(backend.asarray(asked)))
    one = normal_crps(answered, np.sqrt(np.mean((answered - truth) ** 2)), truth)
    crps, best = float(np.mean(crps_ensemble(members, truth))), normal_crps(mean, sd, truth)
    assert best < crps < 1.04 * best
    assert crps < one - 0.25 * (one - best)


def test_friedmans_first_world_is_covered_and_scored_close_to_the_oracle(backend):
    from sklearn.datasets import make_friedman1

    X, mean = make_friedman1(3000, n_features=5, noise=0.0, random_state=0)
    truth = mean + 3.0 * np.random.default_rng(1).normal(size=3000)
    X, truth = X.astype(np.float32), truth.astype(np.float32)
    forest = grown(backend, X[:2000], truth[:2000], n_estimators=50, min_samples_leaf=5, max_features=0.6)
    members = members_of(forest, 50, X[:2000], truth[:2000], X[2000:], 40, backend)[..., 0]
    # The forest does not know the mean: its spread is that of the noise and of its own error together.
    error = float(np.sqrt(np.mean((members.mean(axis=0) - mean[2000:]) ** 2)))
    assert error < 2.0
    assert covered(members, truth[2000:]) == pytest.approx(0.9, abs=3 * np.sqrt(0.9 * 0.1 / 1000) + 0.02)
    crps = float(np.mean(crps_ensemble(members, truth[2000:])))
    oracle = normal_crps(mean[2000:], 3.0, truth[2000:])
    reachable = normal_crps(members.mean(axis=0), np.hypot(3.0, error), truth[2000:])
    assert oracle < crps < 1.03 * reachable


def test_trees_of_an_output_weigh_as_it_varies():
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)).astype(np.float32)
    y = (rng.normal(size=(50, 2)) * np.array([3.0, 1.0])).astype(np.float32)
    cpu = get_backend("cpu")
    several = PerOutput(lambda column: RandomForestRegressor(4, min_samples_leaf=5, random_state=column)).fit(X, y)
    forest = Estimator(cpu, "RandomForestRegressor", several)
    shares = leaf_arrays("l", forest, 4, X, y, y)["l_shares"]
    variance = y.astype(float).var(axis=0)
    np.testing.assert_allclose(shares, np.repeat(variance / variance.sum(), 4) / 4)
    expected = sum(
        share * brute_weights(part, X, X[:6])
        for share, part in zip(variance / variance.sum(), several.estimators, strict=True)
    )
    found = LeafWeights.of(forest.apply(X), shares)
    np.testing.assert_allclose(dense(found, forest.apply(X[:6]), 50), expected, atol=1e-10)
