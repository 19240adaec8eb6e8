"""Predictors as channels."""

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.prepare.align import align
from pipeline.prepare.carried import channel_names, common_grid
from pipeline.prepare.config import InputsConfig, PrepareConfig, RegridConfig
from pipeline.prepare.inputs import build_inputs
from pipeline.prepare.making import prepare
from pipeline.prepare.powers import backward
from pipeline.prepare.splits import TimeSplit
from pipeline.rows import Room

PLAIN = PrepareConfig(inputs=InputsConfig(anomaly="none"))


def build(predictors, target, split, backend, config=None):
    axis = align(predictors, target, split, None)
    train = axis.split.train_split(axis.time)
    return axis, build_inputs(predictors, Grid.of(target), axis, config or PLAIN, train, Room(backend))


def test_channels_are_standardised_by_the_train_split(field, split, backend):
    data = field("tas", "psl")
    axis, inputs = build([("era", data)], field("t2m"), split, backend)
    train = axis.positions["train"]
    values = backend.to_host(inputs.values)
    assert inputs.transform.names == ("tas", "psl")
    assert inputs.transform.units == ("K", "K")
    np.testing.assert_allclose(values[train].mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(values[train].std(0), 1, atol=1e-4)
    raw = data.tas.values[axis.predictors[0]].astype(float)
    expected = (raw - raw[train].mean(0)) / raw[train].std(0)
    np.testing.assert_allclose(values[:, 0], expected, atol=2e-4)
    assert inputs.complete.all()


def test_anomalies_lose_their_season(field, split, backend):
    config = PrepareConfig(inputs=InputsConfig(anomaly="day_of_year", scale="per_field"))
    axis, inputs = build([("era", field("tas"))], field("t2m"), split, backend, config)
    values, season = backend.to_host(inputs.values)[:, 0, 1, 1], np.cos(2 * np.pi * axis.phase)
    assert abs(np.corrcoef(values, season)[0, 1]) < 0.05
    assert inputs.transform.anomaly.used == 2


def test_names_shared_by_two_datasets_are_qualified(field):
    predictors = [("era", field("tas", "psl")), ("ncep", field("tas", "hus"))]
    assert channel_names(predictors) == ("era:tas", "psl", "ncep:tas", "hus")


def test_the_same_variable_twice_is_refused(field):
    with pytest.raises(DataError, match=r"^expected predictors that differ, got \[\('era', 'tas'\)\] twice; "):
        channel_names([("era", field("tas")), ("era", field("tas"))])


def test_other_grids_are_carried_to_the_common_one(field, split, cpu):
    fine = field("psl", lat=tuple(np.arange(40.0, 44.1, 0.5)), lon=tuple(np.arange(0.0, 5.1, 0.5)))
    _, inputs = build([("era", field("tas")), ("ncep", fine)], field("t2m"), split, cpu)
    assert inputs.values.shape[1:] == (2, 3, 4)
    assert inputs.regridding == (
        {"dataset": "era", "grid": [3, 4], "method": "none", "cells_outside": 0},
        {"dataset": "ncep", "grid": [9, 11], "method": "bilinear", "cells_outside": 3},
    )


def test_the_common_grid_is_chosen_by_name(field):
    fine, target = field("psl", lat=(40.0, 41.0)), Grid.of(field("t2m", lon=(1.0, 2.0)))
    predictors = [("era", field("tas")), ("ncep", fine)]
    assert common_grid(predictors, target, RegridConfig()).shape == (3, 4)
    assert common_grid(predictors, target, RegridConfig(to="target")) is target
    assert common_grid(predictors, target, RegridConfig(to="ncep/psl")).shape == (2, 4)
    with pytest.raises(
        ConfigError,
        match=r"^prepare\.regrid\.to: expected 'target' or a dataset/variable, got 'ncep/tas'\. "
        r"Known: era/tas, ncep/psl\.$",
    ):
        common_grid(predictors, target, RegridConfig(to="ncep/tas"))


def test_cells_never_seen_in_training_are_always_zero(field, split, backend):
    data = field("sst")
    data.sst[dict(lat=0, lon=0)] = np.nan
    data.sst[dict(lat=0, lon=1, time=slice(None, 800))] = np.nan  # appears after the train span
    _, inputs = build([("era", data)], field("t2m"), split, backend)
    values = backend.to_host(inputs.values)
    assert (values[:, 0, 0, :2] == 0).all()
    assert backend.to_host(inputs.transform.unseen)[0].sum() == 2
    assert inputs.complete.all()


def test_steps_that_miss_a_value_are_marked(field, split, backend):
    data = field("tas", "psl")
    data.psl[dict(lat=1, lon=1, time=[3, 900])] = np.nan
    data.psl[dict(lat=1, lon=2, time=700)] = np.inf
    axis, inputs = build([("era", data)], field("t2m"), split, backend)
    missing = axis.time[~inputs.complete]
    assert (missing == data.time.values[[3, 700, 900]]).all()


def test_too_many_steps_without_a_value_are_an_error(field, split, cpu):
    data = field("tas", "psl")
    data.psl[dict(lat=1, lon=1, time=slice(0, 100))] = np.nan
    message = (
        r"^split 'train': 100 of 730 steps miss predictor values, most of them in 'psl'; "
        r"prepare\.inputs\.max_missing allows a share of 0\.1\. Leave that channel out, or raise it\.$"
    )
    with pytest.raises(DataError, match=message):
        build([("era", data)], field("t2m"), split, cpu)
    config = PrepareConfig(inputs=InputsConfig(max_missing=0.2))
    assert build([("era", data)], field("t2m"), split, cpu, config)[1].complete.sum() == 730 + 356 + 355 - 100


def test_a_channel_without_train_values_is_an_error(field, split, cpu):
    data = field("tas", "psl")
    data.psl[dict(time=slice(0, 800))] = np.nan
    with pytest.raises(DataError, match=r"^channel 'psl' has no finite value in the train split"):
        build([("era", data)], field("t2m"), split, cpu)


def test_a_field_with_levels_is_refused(field, split, cpu):
    data = field("tas").expand_dims(level=[850.0])
    message = r"^variable 'tas': expected dims \('time', 'lat', 'lon'\), got \('level', 'time', 'lat', 'lon'\); select"
    with pytest.raises(DataError, match=message):
        build([("era", data)], field("t2m"), split, cpu)


def test_dims_in_another_order_are_put_right(field, split, cpu):
    data = field("tas")
    _, straight = build([("era", data)], field("t2m"), split, cpu)
    _, turned = build([("era", data.transpose("lon", "time", "lat"))], field("t2m"), split, cpu)
    np.testing.assert_array_equal(straight.values, turned.values)


def test_the_lags_of_the_configuration_are_checked():
    assert InputsConfig(lags=[2, 0]).lags == [0, 2]
    for wrong in ([], [-1], [1, 1]):
        with pytest.raises(ValueError, match="expected different lags of 0 or more, got"):
            InputsConfig(lags=wrong)


def test_it_is_fitted_on_a_train_split_alone(field, cpu):
    from pipeline.prepare.inputs import InputTransform

    raw = np.zeros((4, 1, 3, 4), "float32")
    with pytest.raises(TypeError, match=r"^InputTransform is fitted on a TrainSplit alone, got \[0, 1\]; use "):
        InputTransform.fit(
            raw, [0, 1], PrepareConfig(), Grid.of(field("tas")), ["tas"], ["K"], np.ones(raw.shape[1:], bool)
        )


def test_data_without_a_grid_are_refused(field, cpu):
    split = TimeSplit(("1990", "1991"), ("1992", "1992"), {"test": ("1993", "1993")})
    with pytest.raises(DataError, match="expected dims lat and lon, y and x with 2-D lat and lon"):
        build([("era", field("tas").rename(lat="latitude"))], field("t2m"), split, cpu)


def test_a_root_is_taken_before_all_else(field, split, backend):
    data = field("tas", "pr")
    data["pr"] = (data.pr - 279.0).assign_attrs(units="mm d-1")  # some below zero
    config = PrepareConfig(inputs=InputsConfig(anomaly="none", transform={"pr": "sqrt"}))
    made = prepare([("era", data)], field("tas", seed=1), config=config, split=split, backend=backend)
    rooted = data.assign(pr=np.sqrt(np.maximum(data.pr, 0)).assign_attrs(units="mm d-1"))
    plain = PrepareConfig(inputs=InputsConfig(anomaly="none"))
    wanted = prepare([("era", rooted)], field("tas", seed=1), config=plain, split=split, backend=backend)
    for name in made.names:
        found, expected = (made.backend.to_host(side.samples(name).inputs) for side in (made, wanted))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    affine = made.schema.channel_affine
    assert wanted.schema.channel_affine.transforms == ()
    assert affine.transforms == tuple("sqrt" if name.startswith("pr") else "none" for name in made.schema.channels)
    samples = made.samples("test")
    place = made.schema.channels.index("pr")
    root = made.backend.to_host(samples.inputs)[:, place] * affine.scale[place] + affine.shift[place]
    expected = np.maximum(data.pr.sel(time=samples.time).values, 0)
    np.testing.assert_allclose(backward(root, affine.transform(place)), expected, atol=1e-4)
    encoded = made.encode([("era", data)])
    assert np.isfinite(made.backend.to_host(encoded.inputs)).all()


def test_a_transform_of_no_predictor_is_refused(field, split, cpu):
    config = PrepareConfig(inputs=InputsConfig(transform={"rain": "log1p"}))
    with pytest.raises(ConfigError, match=r"prepare.inputs.transform: no predictor 'rain'.* Known: tas"):
        prepare([("era", field("tas"))], field("tas"), config=config, split=split, backend=cpu)
