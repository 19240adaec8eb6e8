"""The target's way to the space of the samples and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.prediction import Prediction
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.dates import phase_of_year
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.transform import TargetTransform

TIME = np.arange("1990-01-01", "1993-01-01", dtype="datetime64[D]")
PHASE = phase_of_year(TIME)
TRAIN = TimeSplit(("1990", "1991"), ("1992-01", "1992-01"), {"t": ("1992-02", "1992-02")}).train_split(TIME)
OPTIONS = [
    (anomaly, scale) for anomaly in ("none", "mean", "day_of_year") for scale in ("none", "per_cell", "per_field")
]


def truth_of(seed, offset=280.0):
    generator = np.random.default_rng(seed)
    wave = 8 * np.cos(2 * np.pi * PHASE)[:, None, None, None]
    values = (offset + wave + generator.normal(size=(len(TIME), 2, 3, 2)) * [[[3.0]], [[0.5]]]).astype("float32")
    values[:, :, 0] = np.nan
    return values


def fit(truth, anomaly, scale):
    reference = Climatology.fit(truth, TRAIN, harmonics=2)
    config = TargetConfig(anomaly=anomaly, scale=scale)
    return TargetTransform.fit(truth, TRAIN, reference, config, ["tas", "tasmax"])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(OPTIONS), st.integers(0, 10**6), st.floats(-300, 300))
def test_predictions_of_the_transformed_truth_are_the_truth(option, seed, offset):
    truth = truth_of(seed, offset)
    transform = fit(truth, *option)
    moved = transform.forward(truth, PHASE)
    back = transform.to_units(Prediction("point", {"mean": moved}), PHASE).mean()
    np.testing.assert_allclose(back, truth, rtol=1e-5, atol=1e-5 * np.nanmax(np.abs(truth)))


@pytest.mark.parametrize("scale", ["none", "per_cell", "per_field"])
def test_what_is_subtracted_and_divided_by(scale):
    truth = truth_of(1)
    seen = truth[:730].astype(float)
    moved = fit(truth, "mean", scale).forward(truth, PHASE)
    anomaly = truth - seen.mean(0)
    axes = {"none": None, "per_cell": (0,), "per_field": (0, 2, 3)}[scale]
    deviation = 1.0 if axes is None else np.std(anomaly[:730, :, 1:], axis=axes, keepdims=True)
    np.testing.assert_allclose(moved[:, :, 1:], anomaly[:, :, 1:] / deviation, rtol=1e-3, atol=1e-4)
    assert moved.dtype == np.float32


def test_none_leaves_the_truth_as_it_is():
    truth = truth_of(2)
    np.testing.assert_array_equal(fit(truth, "none", "none").forward(truth, PHASE), truth)


def test_the_seasonal_cycle_is_gone_from_day_of_year_anomalies():
    truth = truth_of(3)
    moved = fit(truth, "day_of_year", "none").forward(truth, PHASE)[:, 0, 1, 1]
    assert abs(np.corrcoef(moved, np.cos(2 * np.pi * PHASE))[0, 1]) < 0.05


def test_a_normal_forecast_keeps_its_probabilities():
    truth = truth_of(4)
    transform = fit(truth, "day_of_year", "per_cell")
    moved = transform.forward(truth, PHASE)
    forecast = Prediction("normal", {"mean": moved * 0 + 0.3, "sd": moved * 0 + 0.8})
    np.testing.assert_allclose(transform.to_units(forecast, PHASE).cdf(truth), forecast.cdf(moved), atol=2e-4)


def test_nothing_is_predicted_where_there_was_no_truth():
    truth = truth_of(5)
    for option in OPTIONS:
        forecast = Prediction("point", {"mean": np.zeros_like(truth)})
        found = fit(truth, *option).to_units(forecast, PHASE).mean()
        assert np.isnan(found[:, :, 0]).all()
        assert np.isfinite(found[:, :, 1:]).all()


def test_members_go_back_with_their_own_axis():
    truth = truth_of(6)
    transform = fit(truth, "day_of_year", "per_field")
    members = np.stack([transform.forward(truth, PHASE)] * 3)
    back = transform.to_units(Prediction("members", {"members": members}), PHASE)
    np.testing.assert_allclose(back.members[2], truth, rtol=1e-5)


def test_cells_that_never_vary_are_divided_by_one():
    truth = truth_of(7)
    truth[:, 0, 1, 1] = 4.0
    transform = fit(truth, "mean", "per_cell")
    assert transform.constant == (1, 0)
    assert transform.scale[0, 1, 1] == 1


def test_it_is_fitted_on_a_train_split_alone():
    truth = truth_of(8)
    reference = Climatology.fit(truth, TRAIN, harmonics=2)
    with pytest.raises(TypeError, match=r"^TargetTransform is fitted on a TrainSplit alone, got None; use "):
        TargetTransform.fit(truth, None, reference, TargetConfig(), ["tas", "tasmax"])
