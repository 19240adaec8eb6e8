import array_api_strict
import numpy as np
import pytest
import scipy.stats

from pipeline.backend.special import to_host
from pipeline.metrics.wasserstein import wasserstein_distance


def _series(draws=3, times=40, cells=4, resamples=5, blocks=8, seed=0, missing=0.2):
    rng = np.random.default_rng(seed)
    truth = np.round(rng.gamma(0.5, 4.0, (times, cells)), 1)  # with ties, also between both
    truth[rng.random(truth.shape) < missing] = np.nan
    forecast = np.round(rng.gamma(0.6, 4.0, (draws, times, cells)), 1)
    drawn = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=resamples).T
    return forecast, truth, np.repeat(drawn, times // blocks, axis=0).astype(np.int32)


def _by_scipy(forecast, truth, counts):
    draws, _, cells = forecast.shape
    found = np.full((counts.shape[1], cells), np.nan)
    for resample in range(counts.shape[1]):
        for cell in range(cells):
            known = np.isfinite(truth[:, cell]) & (counts[:, resample] > 0)
            if known.any():
                often = counts[known, resample]
                x, y = forecast[:, known, cell].ravel(), truth[known, cell]
                found[resample, cell] = scipy.stats.wasserstein_distance(x, y, np.tile(often, draws), often)
    return found


@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize("blocks", [2, 8, 40])
def test_it_agrees_with_scipy_for_any_weights(draws, blocks):
    parts = _series(draws=draws, blocks=blocks)
    np.testing.assert_allclose(wasserstein_distance(*parts), _by_scipy(*parts), rtol=1e-10)


def test_one_draw_and_the_series_itself_is_the_mean_distance_of_the_sorted():
    forecast, truth, _ = _series(draws=1, missing=0.0)
    found = wasserstein_distance(forecast, truth, np.ones((40, 1), np.int32))
    expected = np.abs(np.sort(forecast[0], axis=0) - np.sort(truth, axis=0)).mean(axis=0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_a_shift_is_its_own_distance_whatever_the_order_of_days():
    _, truth, counts = _series(missing=0.0)
    shuffled = truth[np.random.default_rng(1).permutation(40)]
    whole = np.ones((40, 1), np.int32)
    np.testing.assert_allclose(wasserstein_distance((shuffled - 2.5)[None], truth, whole), 2.5, rtol=1e-12)
    np.testing.assert_allclose(wasserstein_distance((truth + 2.5)[None], truth, counts), 2.5, rtol=1e-12)


def test_many_values_are_worked_on_in_parts(monkeypatch):
    parts = _series()
    whole = wasserstein_distance(*parts)
    monkeypatch.setattr("pipeline.metrics.wasserstein._STEPS", 7)
    monkeypatch.setattr("pipeline.metrics.wasserstein._VALUES", 70)
    np.testing.assert_allclose(wasserstein_distance(*parts), whole, rtol=1e-12)


def test_a_cell_or_a_resample_without_truth_is_nan():
    forecast, truth, counts = _series(missing=0.0)
    truth[:, 2] = np.nan
    truth[5:, 1] = np.nan
    counts[:5, 3] = 0
    found = wasserstein_distance(forecast, truth, counts)
    assert np.isnan(found[:, 2]).all()
    assert np.isnan(found[3, 1])
    np.testing.assert_allclose(found, _by_scipy(forecast, truth, counts), rtol=1e-10)


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    for blocks in (2, 8):
        parts = _series(blocks=blocks)
        moved = [place(part) for part in parts]
        found = wasserstein_distance(*moved)
        assert type(found) is type(moved[0])
        np.testing.assert_allclose(to_host(found), wasserstein_distance(*parts), rtol=1e-12)


def test_a_prediction_that_is_not_finite_is_not_passed_over():
    forecast, truth, counts = _series(missing=0.0)
    forecast[1, 3, 2] = np.nan
    found = wasserstein_distance(forecast, truth, counts)
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(np.delete(found, 2, axis=1)).all()
