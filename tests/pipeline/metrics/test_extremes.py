import array_api_strict
import numpy as np
import pytest

from pipeline.metrics import METRICS
from pipeline.metrics.extremes import resampled_quantile


def _brute(values, counts, level):
    found = np.full((counts.shape[1], values.shape[1]), np.nan)
    for resample in range(counts.shape[1]):
        for cell in range(values.shape[1]):
            series = np.repeat(values[:, cell], counts[:, resample])
            series = series[~np.isnan(series)]
            if len(series):
                found[resample, cell] = np.quantile(series, level)
    return found


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 7))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 3] = np.nan
    values[:, 4] = np.round(values[:, 4])
    values[1:, 5] = np.nan
    return values, rng.multinomial(60, [1 / 60] * 60, size=25).T.astype(np.int32)


@pytest.mark.parametrize("level", [0.0, 0.02, 0.3, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("kind", [np.asarray, array_api_strict.asarray])
def test_resampled_quantiles_are_those_of_the_repeated_series(level, kind, drawn):
    values, counts = drawn
    found = np.asarray(resampled_quantile(kind(values), kind(counts), level))
    np.testing.assert_allclose(found, _brute(values, counts, level), atol=1e-12)


def test_chunks_of_cells_give_the_same(drawn, monkeypatch):
    whole = resampled_quantile(*drawn, 0.02)
    monkeypatch.setattr("pipeline.metrics.extremes._LIMIT", 50)
    np.testing.assert_array_equal(resampled_quantile(*drawn, 0.02), whole)


def test_counts_beyond_16_bits_give_the_same(drawn):
    values, counts = drawn
    many = counts * 2000  # a resample of 120 000 times, of which a cell lacks a fifth
    found = resampled_quantile(values, many, 0.3)
    np.testing.assert_allclose(found, _brute(values, many, 0.3), atol=1e-12)


@pytest.mark.parametrize(("name", "level"), [("bias_q02", 0.02), ("bias_q98", 0.98)])
def test_quantile_bias_looks_at_times_with_truth_only(name, level, make_case):
    case = make_case("point")
    counts = np.ones((len(case.truth), 1), np.int32)
    found = METRICS.get(name)().cells(case, counts)
    paired = np.where(np.isfinite(case.truth), case.mean, np.nan)
    expected = np.nanquantile(paired, level, axis=0) - np.nanquantile(case.truth, level, axis=0)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)
