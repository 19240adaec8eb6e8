"""Parameters of ARMA and Holt-Winters: known processes, statsmodels' own, and cuML's ARIMA through a stand-in."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.backend.tsa import SmoothingStart, fit_arma, fit_holt_winters
from pipeline.errors import DataError


def arma(ar, ma, steps, seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    shocks, values = rng.normal(size=steps), np.zeros(steps)
    for step in range(2, steps):
        values[step] = shocks[step] + ma * shocks[step - 1] + ar[0] * values[step - 1] + ar[1] * values[step - 2]
    return values + mean


def test_parameters_of_known_processes_are_found(backend):
    series = np.stack([arma((0.5, 0.3), 0.4, 6000, mean=2.0), arma((0.8, 0.0), -0.3, 6000, seed=1)], axis=1)
    series[100:140, 0] = np.nan
    told = []
    fit = fit_arma(backend.asarray(series), (2, 1), backend, done=told.append)
    host = {name: backend.to_host(getattr(fit, name)) for name in ("mean", "ar", "ma", "variance")}
    np.testing.assert_allclose(host["mean"], [2.0, 0.0], atol=0.4)
    np.testing.assert_allclose(host["ar"].T, [[0.5, 0.3], [0.8, 0.0]], atol=0.09)
    np.testing.assert_allclose(host["ma"][0], [0.4, -0.3], atol=0.09)
    np.testing.assert_allclose(host["variance"], 1.0, rtol=0.05)
    assert fit.converged.all()
    assert sum(told) == 2


def test_without_a_mean_there_is_none(backend):
    fit = fit_arma(backend.asarray(arma((0.6, 0.0), 0.0, 800)[:, None]), (1, 0), backend, mean=False)
    assert backend.to_host(fit.mean).tolist() == [0.0]
    assert fit.ma.shape == (0, 1)
    assert float(fit.ar[0, 0]) == pytest.approx(0.6, abs=0.1)


def test_a_likelihood_that_cannot_be_computed_leaves_white_noise_and_is_told(monkeypatch):
    from statsmodels.tsa.arima.model import ARIMA

    def fail(self):
        raise np.linalg.LinAlgError("LU decomposition error")

    monkeypatch.setattr(ARIMA, "fit", fail)
    values = np.array([1.0, 3.0, np.nan, 5.0, 3.0, 3.0])[:, None]
    fit = fit_arma(values, (1, 0), get_backend("cpu"))
    assert fit.converged.tolist() == [False]
    assert (fit.mean[0], fit.ar[0, 0], fit.variance[0]) == pytest.approx((3.0, 0.0, 1.6))


def test_series_too_short_for_the_order_are_refused():
    with pytest.raises(
        DataError, match=r"more known values in every series than the 5 parameters of ARMA\(2, 1\), got 3"
    ):
        fit_arma(np.array([1.0, 2.0, 0.5, np.nan, np.nan, np.nan])[:, None], (2, 1), get_backend("cpu"))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {}),
        ({"trend": "additive"}, {"trend": "add"}),
        ({"trend": "damped"}, {"trend": "add", "damped_trend": True}),
        ({"period": 4}, {"seasonal": "add", "seasonal_periods": 4}),
    ],
)
@pytest.mark.parametrize("level", [0.5, np.nan])
def test_gains_are_those_of_statsmodels_from_the_same_start(options, names, level):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    rng, trend = np.random.default_rng(2), options.get("trend", "none")
    values = np.cumsum(rng.normal(size=(200, 2)), axis=0) + rng.normal(size=(200, 2))
    values[:6, 1], values[190:, 1] = np.nan, np.nan
    season, slope = np.array([1.0, -2.0, 0.5, 0.5]), 0.0 if trend == "damped" else 0.1
    begin = np.repeat(season[:, None], 2, axis=1) if "period" in options else np.zeros((1, 2))
    start, told = SmoothingStart(np.full(2, level), np.full(2, slope), begin), []
    fit = fit_holt_winters(values, start, get_backend("cpu"), trend=trend, done=told.append)
    for place, (first, stop) in enumerate(((0, 200), (6, 190))):
        own = np.roll(season, -first) if "period" in options else np.zeros(1)
        base = values[first, place] - own[0] - (slope if "trend" in names else 0.0)
        known = {"initialization_method": "known", "initial_level": base if np.isnan(level) else level}
        known |= {"initial_trend": slope} if "trend" in names else {}
        known |= {"initial_seasonal": own} if "period" in options else {}
        native = ExponentialSmoothing(values[first:stop, place], **known, **names).fit().params
        assert fit.level_gain[place] == native["smoothing_level"]
        gain = native["smoothing_level"] * native["smoothing_trend"] if "trend" in names else 0.0
        assert fit.trend_gain[place] == gain
        assert fit.season_gain[place] == (native["smoothing_seasonal"] if "period" in options else 0.0)
        damping = {"damped": native["damping_trend"], "additive": 1.0}.get(trend, 0.0)
        assert fit.damping[place] == damping
    assert (told, fit.fallback) == ([1, 1], None)


def test_short_or_missing_series_are_refused():
    backend, zero = get_backend("cpu"), np.zeros(1)
    with pytest.raises(DataError, match="expected series of 24 steps or more, got 20"):
        fit_holt_winters(np.zeros((20, 1)), SmoothingStart(zero, zero, np.zeros((12, 1))), backend)
    start, lost = SmoothingStart(zero, zero, np.zeros((1, 1))), np.zeros((20, 1))
    lost[7:9] = np.nan
    with pytest.raises(DataError, match="expected series without missing values between others, got 2 in one"):
        fit_holt_winters(lost, start, backend)
    with pytest.raises(DataError, match="expected series of 10 steps or more, got 0"):
        fit_holt_winters(np.full((20, 1), np.nan), start, backend)


class StandIn:
    """cuml.tsa's ARIMA as its source has it: parameters by dictionary."""

    def __init__(self, endog, *, order, fit_intercept=True, output_type=None):
        assert output_type == "cupy"
        self.endog, self.order, self.fit_intercept = endog, order, fit_intercept

    def fit(self):
        return self

    def get_fit_params(self):
        (p, _, q), count = self.order, self.endog.shape[1]
        found = {"sigma2": np.full(count, 2.0)}
        found |= {"mu": np.full(count, 1.0)} if self.fit_intercept else {}
        found |= {"ar": np.full((p, count), 0.25)} if p else {}
        return found | ({"ma": np.full((q, count), 0.1)} if q else {})


@pytest.fixture
def gpu(monkeypatch):
    """A gpu backend with NumPy for CuPy and StandIn for cuML."""
    import array_api_compat
    import array_api_compat.numpy

    parts = {"cuml": {}, "cuml.tsa": {}, "cuml.tsa.arima": {"ARIMA": StandIn}}
    for name, content in parts.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "cupy", np)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", array_api_compat.numpy)
    monkeypatch.setattr(array_api_compat, "cupy", array_api_compat.numpy, raising=False)
    return replace(get_backend("cpu"), name="gpu")


def test_cumls_intercept_is_turned_into_a_mean(gpu):
    series, told = np.random.default_rng(0).normal(size=(50, 3)), []
    fit = fit_arma(series, (2, 1), gpu, done=told.append)
    np.testing.assert_allclose(fit.mean, 1.0 / (1 - 0.5))
    assert (fit.ar.shape, fit.ma.shape, told) == ((2, 3), (1, 3), [3])
    plain = fit_arma(series, (1, 0), gpu, mean=False)
    assert (plain.mean.tolist(), plain.ma.shape) == ([0.0] * 3, (0, 3))


def test_smoothing_is_statsmodels_on_a_gpu_and_says_so(gpu):
    series = np.random.default_rng(3).normal(size=(90, 3))
    start = SmoothingStart(np.zeros(3), np.zeros(3), np.zeros((6, 3)))
    fit, same = (fit_holt_winters(series, start, each, trend="additive") for each in (gpu, get_backend("cpu")))
    np.testing.assert_array_equal(fit.season_gain, same.season_gain)
    assert str(fit.fallback) == (
        "ExponentialSmoothing runs on the CPU, not the GPU, because of initial states that are given: cuML works out "
        "its own."
    )
