"""Parameters of ARMA and Holt-Winters: known processes, statsmodels' own, and cuML's through a stand-in."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.backend.tsa import fit_arma, fit_holt_winters, gains_of_states
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
def test_gains_are_those_of_statsmodels_in_error_correction_form(options, names):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(size=(200, 2)), axis=0) + rng.normal(size=(200, 2))
    told = []
    fit = fit_holt_winters(values, get_backend("cpu"), done=told.append, **options)
    for place in range(2):
        native = ExponentialSmoothing(values[:, place], initialization_method="estimated", **names).fit().params
        assert fit.level_gain[place] == native["smoothing_level"]
        slope = native["smoothing_level"] * native["smoothing_trend"] if "trend" in options else 0.0
        assert fit.trend_gain[place] == slope
        assert fit.season_gain[place] == (native["smoothing_seasonal"] if "period" in options else 0.0)
        damping = {"damped": native["damping_trend"], "additive": 1.0}.get(options.get("trend"), 0.0)
        assert fit.damping[place] == damping
    assert (told, fit.fallback) == ([1, 1], None)


def test_short_or_missing_series_are_refused():
    backend = get_backend("cpu")
    with pytest.raises(DataError, match="expected series of 24 steps or more, got 20"):
        fit_holt_winters(np.zeros((20, 1)), backend, period=12)
    with pytest.raises(DataError, match="expected series without missing values"):
        fit_holt_winters(np.full((20, 1), np.nan), backend)


def smoothed(series, period, alpha, beta, gamma):
    """The recursion of cuML's hw_eval.cuh: states from the step `period` on, its own form of beta and gamma."""
    level, trend = series[:period].mean(0), np.zeros(series.shape[1])
    season, kept = series[:period] - level, []
    for step in range(period, len(series)):
        before, old = level, season[step % period]
        level = alpha * (series[step] - old) + (1 - alpha) * (before + trend)
        trend = beta * (level - before) + (1 - beta) * trend
        season[step % period] = gamma * (series[step] - level) + (1 - gamma) * old
        kept.append((level, trend, season[step % period].copy()))
    return [np.stack(part) for part in zip(*kept, strict=True)]


def test_gains_are_recovered_from_the_states_that_cuml_keeps():
    series = np.random.default_rng(3).normal(size=(90, 3)) + np.arange(90)[:, None] * 0.1
    found = gains_of_states(series, *smoothed(series, 6, 0.3, 0.2, 0.4), np)
    for gain, expected in zip(found, (0.3, 0.3 * 0.2, 0.4 * (1 - 0.3)), strict=True):
        np.testing.assert_allclose(gain, expected, rtol=1e-9)


class StandIn:
    """cuml.tsa's two classes as their source has them: parameters by dictionary, states by series and step."""

    def __init__(self, endog, *, order=None, fit_intercept=True, output_type=None, **options):
        assert output_type == "cupy"
        self.endog, self.order, self.options = endog, order, options
        self.fit_intercept = fit_intercept

    def fit(self):
        if self.order is None:
            assert self.options == {"seasonal": "additive", "seasonal_periods": 6, "start_periods": 2, "ts_num": 3}
            states = smoothed(np.array(self.endog).T, 6, 0.3, 0.2, 0.4)
            self.level, self.trend, self.season = (part.T for part in states)
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
    parts["cuml.tsa.holtwinters"] = {"ExponentialSmoothing": StandIn}
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


def test_cuml_smooths_what_it_can_and_statsmodels_the_rest(gpu):
    series = np.random.default_rng(3).normal(size=(90, 3))
    fit = fit_holt_winters(series, gpu, trend="additive", period=6)
    np.testing.assert_allclose(fit.trend_gain, 0.06, rtol=1e-9)
    assert fit.fallback is None
    other = fit_holt_winters(series, gpu, trend="damped", period=6)
    assert str(other.fallback).startswith(
        "ExponentialSmoothing runs on the CPU, not the GPU, because of trend='damped', period=6: cuML has"
    )
