import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.signal import lfilter

from pipeline.data.synthetic.fields import block_mean, correlation, kernel, persist, refine, smooth_noise


@pytest.mark.parametrize(("length", "spacing_error"), [(1.0, 2e-2), (2.0, 1e-3), (4.5, 1e-3)])
def test_moving_average_has_the_gaussian_correlation(length, spacing_error):
    distance = np.arange(12)
    assert correlation(length, 12)[0] == pytest.approx(np.exp(-(distance**2) / (2 * length**2)), abs=spacing_error)


@pytest.mark.parametrize("length", [0.3, 1.0, 3.0])
def test_correlation_is_the_kernel_with_itself(length):
    weight = kernel(length)
    size = 6
    rows = np.zeros((size, size + len(weight) - 1))
    for row in range(size):
        rows[row, row : row + len(weight)] = weight
    assert correlation(length, size) == pytest.approx(rows @ rows.T, abs=1e-12)


def test_smooth_noise_is_white_noise_averaged_along_each_axis():
    shape, lengths = (3, 5, 4), (1.2, 0.7)
    noise = smooth_noise(np.random.default_rng(3), shape, lengths)
    one, two = kernel(1.2), kernel(0.7)
    white = np.random.default_rng(3).standard_normal((3, 5 + len(one) - 1, 4 + len(two) - 1))
    for day in range(3):
        rows = np.array([np.convolve(column, one, mode="valid") for column in white[day].T]).T
        both = np.array([np.convolve(row, two, mode="valid") for row in rows])
        assert noise[day] == pytest.approx(both, abs=1e-12)


def test_smooth_noise_has_variance_one_and_its_correlation_up_to_the_edges():
    noise = smooth_noise(np.random.default_rng(0), (20000, 4, 3), (2.0, 1.0)).reshape(20000, -1)
    expected = np.kron(correlation(2.0, 4), correlation(1.0, 3))
    # The standard error of a covariance of 20000 draws is at most 0.01.
    assert np.cov(noise.T) == pytest.approx(expected, abs=0.045)


def test_persist_is_a_stationary_autoregression():
    innovation = np.random.default_rng(1).standard_normal((300, 2))
    driven = np.sqrt(1 - 0.8**2) * innovation
    driven[0] = innovation[0]
    assert persist(innovation, 0.8) == pytest.approx(lfilter([1.0], [1.0, -0.8], driven, axis=0), abs=1e-12)
    many = persist(np.random.default_rng(2).standard_normal((6, 40000)), 0.8)
    assert many.var(axis=1) == pytest.approx(np.ones(6), abs=0.03)


def test_persist_leaves_its_input_alone():
    innovation = np.ones((4, 1))
    persist(innovation, 0.5)
    assert (innovation == 1).all()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_refine_is_bilinear_interpolation_with_the_edge_held(factor):
    field = np.random.default_rng(0).standard_normal((4, 5))
    fine = [(np.arange(size * factor) + 0.5) / factor - 0.5 for size in field.shape]
    held = [np.clip(points, 0, size - 1) for points, size in zip(fine, field.shape, strict=True)]
    oracle = RegularGridInterpolator((np.arange(4), np.arange(5)), field)(tuple(np.meshgrid(*held, indexing="ij")))
    assert refine(field, factor) == pytest.approx(oracle, abs=1e-12)
    assert refine(np.stack([field, 2 * field]), factor)[1] == pytest.approx(2 * oracle, abs=1e-12)


def test_block_mean_is_the_mean_of_every_block():
    field = np.arange(24.0).reshape(4, 6)
    means = block_mean(field, 2)
    for row in range(2):
        for column in range(3):
            assert means[row, column] == field[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean()
