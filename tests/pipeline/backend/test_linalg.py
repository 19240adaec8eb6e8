from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.linalg import CholeskyFactor


def definite(size: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(3 * size, size))
    return rows.T @ rows


@pytest.mark.parametrize("place", [np.asarray, array_api_strict.asarray], ids=["numpy", "strict"])
def test_one_factor_solves_for_many_right_sides(place):
    matrix, right = definite(7), np.random.default_rng(1).normal(size=(7, 40))
    found = CholeskyFactor(place(matrix)).solve(place(right))
    assert type(found) is type(place(right))
    np.testing.assert_allclose(matrix @ np.asarray(found), right, rtol=1e-9, atol=1e-10)


def test_each_backend_finds_the_same(backend):
    matrix, right = definite(30), np.random.default_rng(1).normal(size=(30, 5))
    found = backend.to_host(CholeskyFactor(backend.asarray(matrix)).solve(backend.asarray(right)))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-8, atol=1e-10)


def test_a_matrix_that_is_not_positive_definite_is_refused_on_each_backend(backend):
    with pytest.raises(np.linalg.LinAlgError):
        CholeskyFactor(backend.asarray(np.array([[1.0, 2.0], [2.0, 1.0]])))
