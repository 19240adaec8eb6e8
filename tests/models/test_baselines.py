"""Climatology, persistence and interpolation against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models._seasonal import cycle_at, fit_cycle
from models.climatology import Climatology, ClimatologyConfig
from models.interpolation import Interpolation, InterpolationConfig, fit_lines
from models.persistence import Persistence
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid


def test_a_cycle_is_the_least_squares_fit_of_each_column_over_its_own_days(backend):
    rng = np.random.default_rng(0)
    day = rng.random(60)
    columns = rng.normal(size=(60, 4))
    columns[rng.random(columns.shape) < 0.3] = np.nan
    columns[:, 3] = np.nan
    angle = 2 * np.pi * day[:, None] * np.array([1, 2])
    waves = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(60, 4)
    design = np.concatenate([np.ones((60, 1)), waves], axis=1)
    found = backend.to_host(fit_cycle(backend.asarray(columns), day, 2, backend))
    for column in range(3):
        known = np.isfinite(columns[:, column])
        expected = np.linalg.lstsq(design[known], columns[known, column], rcond=None)[0]
        np.testing.assert_allclose(found[:, column], expected, atol=1e-9)
    np.testing.assert_array_equal(found[:, 3], 0)
    again = backend.to_host(cycle_at(backend.asarray(found), day, backend))
    np.testing.assert_allclose(again, design @ found, atol=1e-12)


def test_climatology_finds_the_mean_and_spread_of_the_season(splits, context, with_truth):
    day = np.arange(1460) % 365 / 365
    rng = np.random.default_rng(0)
    warm, calm = 3 * np.cos(2 * np.pi * day), 1 + 0.5 * np.sin(2 * np.pi * day)
    few = splits[0].take(np.zeros(1460, dtype=int))
    few = replace(few, day=day)
    train = with_truth(
        few, lambda truth: truth * 0 + (warm + calm * rng.normal(size=1460))[:, None, None, None], context
    )
    model = Climatology(ClimatologyConfig(harmonics=2)).fit(train, train, context)
    prediction = model.predict(train, context)
    mean, sd = (context.backend.to_host(prediction.parameters[name])[:, 0, 4, 4] for name in ("mean", "sd"))
    np.testing.assert_allclose(mean, warm, atol=0.15)
    np.testing.assert_allclose(sd, calm, atol=0.15)
    assert model.summary() == {"distribution": "normal", "harmonics": 2, "days": 1460}


def test_climatology_takes_no_more_harmonics_than_a_season_carries(make_samples, context):
    samples = make_samples(50, backend=context.backend)  # fifty days in a row
    model = Climatology(ClimatologyConfig(harmonics=5)).fit(samples, samples, context)
    assert model.summary()["harmonics"] < 5
    ahead = replace(samples, day=samples.day + 10 / 365)
    assert np.nanmax(np.abs(context.backend.to_host(model.predict(ahead, context).mean()))) < 10


def test_climatology_without_harmonics_is_mean_and_deviation(splits, context):
    model = Climatology(ClimatologyConfig(harmonics=0)).fit(*splits, context)
    parameters = model.predict(splits[1], context).parameters
    truth = context.backend.to_host(splits[0].target)[:, 0, 4, 4]
    assert float(parameters["mean"][5, 0, 4, 4]) == pytest.approx(truth.mean(), abs=1e-5)
    assert float(parameters["sd"][5, 0, 4, 4]) == pytest.approx(truth.std(), rel=1e-5)


def test_persistence_is_the_step_before_and_the_mean_where_there_is_none(splits, context):
    train, validation = splits
    model = Persistence(Persistence.Config(harmonics=0)).fit(train, validation, context)
    prediction = model.predict(validation, context)
    assert prediction.family == "point"
    mean = context.backend.to_host(prediction.mean())
    before = context.backend.to_host(validation.target)
    np.testing.assert_array_equal(mean[1], before[0])
    level = np.mean(context.backend.to_host(train.target), axis=0)
    np.testing.assert_allclose(mean[0], level, atol=1e-6)
    np.testing.assert_allclose(mean[50], level, atol=1e-6)  # the first day of the next season


def test_persistence_says_when_there_is_nothing_to_persist(splits, context, said):
    model = Persistence().fit(*splits, context)
    future = replace(splits[1], name="future", target=None, previous=None)
    assert np.isfinite(context.backend.to_host(model.predict(future, context).mean())[:, 0, 4, 4]).all()
    assert said == ["model: the split 'future' has no truth to persist, so its forecast is the mean."]


def test_lines_are_those_of_least_squares(backend):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    y[rng.random(y.shape) < 0.2] = np.nan
    x[:, 2] = 4.0
    slope, intercept = (backend.to_host(part) for part in fit_lines(backend.asarray(x), backend.asarray(y), backend.xp))
    for column in range(2):
        known = np.isfinite(y[:, column])
        expected = np.polyfit(x[known, column], y[known, column], 1)
        np.testing.assert_allclose([slope[column], intercept[column]], expected, atol=1e-12)
    assert (slope[2], intercept[2]) == (0.0, pytest.approx(np.nanmean(y[:, 2])))


def test_interpolation_undoes_a_line_on_a_field_that_is_linear_in_space(splits, context, with_truth):
    """Bilinear interpolation is exact on planes, so inside the coarse grid the truth is met exactly."""
    train, validation = splits
    rng = np.random.default_rng(0)
    tilt = rng.normal(size=(len(train), 3))

    def plane(grid: Grid) -> np.ndarray:
        lat, lon = np.meshgrid(grid.lat - 43, grid.lon, indexing="ij")
        return tilt[:, :1, None] + tilt[:, 1:2, None] * lat + tilt[:, 2:, None] * lon

    inputs = np.array(context.backend.to_host(train.inputs))
    inputs[:, 0] = plane(train.schema.input_grid)
    samples = replace(train, inputs=context.backend.asarray(inputs))
    samples = with_truth(samples, lambda truth: truth * 0 + 5 - 2 * plane(train.schema.target_grid)[:, None], context)
    model = Interpolation().fit(samples, validation, context)
    mean = context.backend.to_host(model.predict(samples, context).mean())
    truth = context.backend.to_host(samples.target)
    np.testing.assert_allclose(mean[:, :, 1:-1, 1:-1], truth[:, :, 1:-1, 1:-1], atol=1e-4)
    assert model.summary()["channels"] == ["tas"]


def test_the_spread_of_interpolation_is_its_train_error(splits, context):
    train, validation = splits
    model = Interpolation().fit(train, validation, context)
    mean, sd = (context.backend.to_host(model.predict(train, context).parameters[name]) for name in ("mean", "sd"))
    error = np.sqrt(np.mean((mean - context.backend.to_host(train.target)) ** 2, axis=0))
    inside = train.schema.mask
    np.testing.assert_allclose(sd[3, :, inside], error[:, inside].T, rtol=1e-4)


def test_interpolation_takes_the_channel_it_is_told(splits, context):
    model = Interpolation(InterpolationConfig(variable="psl")).fit(*splits, context)
    assert model.summary()["channels"] == ["psl"]


def test_interpolation_without_the_channel_names_those_there_are(splits, context):
    model = Interpolation(InterpolationConfig(variable="ta"))
    with pytest.raises(ConfigError, match=r"expected the channel 'ta'.*Did you mean 'tas'\? Known: tas, psl, hus850"):
        model.fit(*splits, context)


def test_samples_on_another_grid_are_refused(splits, context):
    model = Interpolation().fit(*splits, context)
    moved = Grid(splits[0].schema.input_grid.lat + 1, splits[0].schema.input_grid.lon)
    elsewhere = replace(splits[1], schema=replace(splits[1].schema, input_grid=moved))
    with pytest.raises(DataError, match="Regrid them to the same one"):
        model.predict(elsewhere, context)
