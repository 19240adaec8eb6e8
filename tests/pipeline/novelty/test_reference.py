"""Shares of train samples that lie nearer, by season, and the one in a hundred that is unusual."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.novelty.reference import LEAST, Reference


def drawn(n, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    phase = rng.random(n)
    return np.abs(rng.normal(size=n)) * spread, np.abs(rng.normal(size=n)), phase


def test_shares_are_those_of_a_loop_over_the_train_samples_of_the_season():
    distance, residual, phase = drawn(4000, 1)
    reference = Reference(distance, residual, phase, 1.0)
    new = drawn(60, 2)
    found = reference.judge(*new)
    for k in range(60):
        middle = (np.floor(new[2][k] * 24) + 0.5) / 24
        near = [min(abs(one - middle), 1 - abs(one - middle)) <= 0.125 for one in phase]
        for name, own, known in (("distance", new[0], distance), ("residual", new[1], residual)):
            smaller = sum(1 for value, here in zip(known, near, strict=True) if here and value < own[k])
            assert getattr(found, f"{name}_share")[k] == smaller / (sum(near) + 1)


def test_one_in_a_hundred_of_the_same_kind_is_unusual():
    reference = Reference(*drawn(50_000, 3), 1.0)
    found = reference.judge(*drawn(50_000, 4))
    # Two tests of 1 % each would call 2 % unusual.
    assert abs(found.unusual.mean() - 0.01) < 4 * np.sqrt(0.01 * 0.99 / 50_000 + 0.01 * 0.99 / 12_500 / 4)
    assert ((found.share >= 0.99) == found.unusual).all()
    counts = np.histogram(found.share, 20, (0, 1))[0]
    assert np.abs(counts / 2500 - 1).max() < 0.1


def test_samples_are_compared_with_their_own_season():
    distance, residual, phase = drawn(8000, 5)
    winter = (phase < 0.125) | (phase > 0.875)
    distance = np.where(winter, 5 * distance, distance)
    found = Reference(distance, residual, phase, 1.0).judge(np.array([6.0, 6.0]), np.zeros(2), np.array([0.0, 0.5]))
    assert found.unusual.tolist() == [False, True]


def test_few_samples_are_compared_with_all_of_the_year():
    distance, residual, phase = drawn(300, 6)
    found = Reference(distance, residual, phase, 1.0).judge(np.array([1.0, 1.0]), np.zeros(2), np.array([0.1, 0.6]))
    assert found.distance_share[0] == found.distance_share[1] == (distance < 1.0).sum() / 301


def test_the_farthest_of_both_counts():
    reference = Reference(*drawn(2000, 7), 1.0)
    found = reference.judge(np.array([0.1, 9.0, 0.1]), np.array([0.1, 0.1, 9.0]), np.full(3, 0.5))
    assert found.unusual.tolist() == [False, True, True]
    assert found.novelty[1] > 2


def test_a_residual_of_rounding_is_usual_where_train_has_none():
    distance, _, phase = drawn(500, 8)
    reference = Reference(distance, np.zeros(500), phase, 2.0)
    found = reference.judge(np.full(3, 0.1), np.array([0.0, 1e-5, 0.1]), np.full(3, 0.5))
    assert found.unusual.tolist() == [False, False, True]


def test_missing_values_are_neither():
    reference = Reference(*drawn(500, 9), 1.0)
    found = reference.judge(np.array([[np.nan, 0.5]]), np.array([[0.1, np.nan]]), np.full((1, 2), 0.5))
    assert np.isnan(found.share).all()
    assert not found.unusual.any()


def test_too_few_samples_are_refused():
    Reference(*drawn(LEAST, 1), 1.0)
    with pytest.raises(
        DataError, match=r"expected 100 train samples or more, got 99: which of so few are the farthest"
    ):
        Reference(*drawn(99, 1), 1.0)
