import numpy as np
import pytest

from pipeline.attribution.known.correlation import RANK, Correlation, made_correlation, measured_correlation
from pipeline.errors import DataError


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_made_correlation_is_one(seed):
    made = made_correlation(seed)
    assert made.matrix.shape == (460, 460)
    assert made.mask.sum() == 460
    np.testing.assert_array_equal(made.matrix, made.matrix.T)
    np.testing.assert_array_equal(np.diag(made.matrix), 1.0)
    assert np.linalg.eigvalsh(made.matrix)[0] > 1e-4
    assert np.abs(made.matrix - np.eye(460)).max() < 1.0


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_made_correlation_has_the_rank_of_the_measured_one(seed):
    matrix = made_correlation(seed).matrix
    values = np.linalg.eigvalsh(matrix)
    assert values.sum() ** 2 / (values**2).sum() == pytest.approx(RANK, abs=0.1)


def test_near_cells_go_together_and_far_ones_may_oppose_each_other():
    made = made_correlation(0)
    row, column = np.nonzero(made.mask)
    beside = (np.abs(row[:, None] - row) == 0) & (np.abs(column[:, None] - column) == 1)
    tropics = np.abs(made.grid.lat[row]) < 30
    pairs = beside & tropics[:, None] & tropics
    assert made.matrix[pairs].min() > 0.2
    assert made.matrix.min() < -0.15


def test_it_depends_on_its_seed_alone():
    np.testing.assert_array_equal(made_correlation(1).matrix, made_correlation(1).matrix)
    assert not np.array_equal(made_correlation(1).mask, made_correlation(2).mask)


def test_a_measured_covariance_loses_its_variances():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)) * [1, 2, 3, 4, 5, 6]
    found = measured_correlation(np.cov(draws.T), np.ones((2, 3)), "a test")
    np.testing.assert_allclose(found.matrix, np.corrcoef(draws.T), atol=1e-9)
    assert found.mask.dtype == bool


def test_a_covariance_of_few_draws_is_made_definite():
    draws = np.random.default_rng(0).normal(size=(4, 9))
    found = measured_correlation(np.cov(draws.T), np.ones((3, 3)), "a test").matrix
    assert np.linalg.matrix_rank(np.corrcoef(draws.T)) < 9
    np.linalg.cholesky(found)
    np.testing.assert_allclose(found, np.corrcoef(draws.T), atol=1e-5)
    np.testing.assert_array_equal(np.diag(found), 1.0)


def test_every_so_manieth_cell_keeps_its_place_and_its_correlations():
    whole = made_correlation(0)
    some = whole.every(8)
    places = np.argwhere(whole.mask)[::8]
    np.testing.assert_array_equal(np.argwhere(some.mask), places)
    np.testing.assert_array_equal(some.matrix, whole.matrix[::8, ::8])
    field = some.on_map(np.arange(58.0))
    assert field[tuple(places[7])] == 7.0
    assert np.isnan(field).sum() == field.size - 58


@pytest.mark.parametrize(
    ("covariance", "mask", "message"),
    [
        (np.eye(3), np.ones((2, 2)), "expected a matrix of 4 x 4"),
        (np.diag([1.0, 0.0]), np.ones((1, 2)), "positive variances"),
        (np.full((2, 2), np.nan), np.ones((1, 2)), "finite numbers"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, mask, message):
    with pytest.raises(DataError, match=message):
        measured_correlation(covariance, mask, "a test")


def test_what_is_no_correlation_is_refused():
    with pytest.raises(DataError, match="ones on its diagonal"):
        Correlation(np.diag([1.0, 2.0]), np.ones((1, 2), bool), "a test", made=False)
    with pytest.raises(DataError, match="positive definite"):
        Correlation(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones((1, 2), bool), "a test", made=False)
