"""Nothing after the train span has an influence on what is fitted."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.leakage import check_leakage
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TimeSplit, TrainSplit

CONFIGS = st.builds(
    PrepareConfig,
    inputs=st.builds(
        InputsConfig,
        anomaly=st.sampled_from(["none", "day_of_year"]),
        scale=st.sampled_from(["per_cell", "per_field"]),
        lags=st.sampled_from([[0], [0, 1], [1, 3]]),
        max_missing=st.just(0.5),
    ),
    target=st.builds(
        TargetConfig,
        anomaly=st.sampled_from(["none", "mean", "day_of_year"]),
        scale=st.sampled_from(["none", "per_cell", "per_field"]),
    ),
    harmonics=st.integers(0, 4),
)


def with_holes(data, generator):
    for name in data.data_vars:
        data[name] = data[name].where(generator.random(data[name].shape) > 0.002)
        data[name][dict(lat=0, lon=0)] = np.nan
    return data


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=CONFIGS, months=st.sampled_from([None, [12, 1, 2], [7]]), seed=st.integers(0, 2**31))
def test_values_after_the_train_span_change_nothing_fitted(field, split, cpu, config, months, seed):
    generator = np.random.default_rng(seed)
    predictors = [("era", with_holes(field("psl", "tas", seed=seed), generator))]
    target = with_holes(field("tas", seed=seed + 1, lat=(40.0, 41.0)), generator)
    report = check_leakage(predictors, target, config=config, split=split, months=months, backend=cpu, seed=seed)
    assert report.moved == ()
    inputs = {"train/steps", "train/windows"} if len(config.inputs.steps_back) > 1 else {"train/inputs"}
    assert inputs | {"train/target", "reference_mean", "input_mean", "mask"} <= set(report.compared)
    fitted = {"novelty/centre", "novelty/components", "novelty/train_distance", "novelty/train_residual", "novelty"}
    assert fitted <= set(report.compared) or months == [7]  # two Julys are too short to tell of unusual days


def test_the_check_finds_a_scaler_that_looks_ahead(field, split, cpu, monkeypatch):
    honest, config = TrainSplit.take, PrepareConfig(inputs=InputsConfig(anomaly="none"))
    monkeypatch.setattr(
        TrainSplit, "take", lambda self, values: values if values.shape[1] == 2 else honest(self, values)
    )
    report = check_leakage([("era", field("psl", "tas"))], field("tas"), config=config, split=split, backend=cpu)
    moved = {name for name in report.moved if not name.startswith("novelty")}
    assert moved == {"input_mean", "input_deviation", "channel_scale", "channel_shift", "train/inputs"}
    assert {"novelty/centre", "novelty/train_distance"} <= set(report.moved)


def test_the_check_finds_a_value_inside_the_train_span(field, cpu):
    """With the border one day early the last train day is replaced, and everything moves."""
    split = TimeSplit(("1990", "1991"), ("1992", "1992"), {"test": ("1993", "1993")})
    early = TimeSplit(("1990", "1991-12-30"), ("1992", "1992"), {"test": ("1993", "1993")})
    from pipeline.prepare import leakage

    generator = np.random.default_rng(0)
    data = field("tas")
    cut = leakage._replaced(data, early, generator, missing=0.0)
    kept = leakage._replaced(data, split, generator, missing=0.0)
    assert not (cut.tas[729] == data.tas[729]).any()
    assert (cut.tas[:729] == data.tas[:729]).all()
    assert (kept.tas[:730] == data.tas[:730]).all()
    assert not (kept.tas[730] == data.tas[730]).any()


@pytest.mark.parametrize("wrong", [slice(0, 3), np.arange(3), "train", None])
def test_nothing_can_be_fitted_on_anything_but_a_train_split(wrong):
    with pytest.raises(TypeError, match="is fitted on a TrainSplit alone, got "):
        Standardiser.fit(np.zeros((3, 1, 1, 1)), wrong, per="per_cell", names=["tas"])
