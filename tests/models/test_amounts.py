"""Precipitation and several targets with every classical model, scalars among the channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import MODELS
from models._classical import Table
from models._layout import Layout
from models._normal import amounts, least
from models.climatology import Climatology, ClimatologyConfig
from pipeline.backend import get_backend
from pipeline.model import Context
from pipeline.prepare.quantiles import midpoints
from pipeline.samples import Affine

CONTEXT = Context(get_backend("cpu"), name="model")
NORMAL = ("interpolation", "ridge", "pca_ridge", "random_forest")
CLASSICAL = ("climatology", "persistence", "quantile_mapping", "bcsd", "analogs", *NORMAL)


def rainy(samples, shift=0.0):
    """Samples whose last target is precipitation: what is above 0.5, cubed; dry is ``-shift / scale``."""
    schema, target, inputs = samples.schema, np.array(samples.target), np.array(samples.inputs)
    previous = np.array(samples.previous)
    scale = np.full((len(schema.targets), 1, 1), 4.0, np.float32)
    away = np.zeros_like(scale)
    away[-1] = shift
    for part in (target, previous):
        part[:, -1] = (np.maximum(part[:, -1] - 0.5, 0) ** 3 * 2 - shift) / 4
    place = schema.channels.index(schema.targets[-1])
    inputs[:, place] = np.maximum(inputs[:, place], 0) ** 2
    channels = (len(schema.channels), *schema.input_grid.shape)
    units = list(schema.channel_units)
    units[place] = "mm d-1"
    schema = replace(
        schema,
        target_units=(*schema.target_units[:-1], "mm d-1"),
        channel_units=tuple(units),
        target_affine=Affine(scale, away),
        channel_affine=Affine(np.ones(channels, np.float32), np.zeros(channels, np.float32)),
    )
    parts = {"target": target.astype(np.float32), "previous": previous.astype(np.float32)}
    return replace(samples, inputs=inputs.astype(np.float32), schema=schema, **parts)


@pytest.fixture(scope="module")
def world(make_samples):
    return {
        (targets, shift): tuple(rainy(make_samples(200, seed=seed, targets=targets), shift) for seed in range(3))
        for targets in (1, 2)
        for shift in (0.0, 1.5)
    }


def fitted(kind, world, **options):
    train, validation, _ = world
    model = MODELS.get(kind)
    return model(model.Config.model_validate(options)).fit(train, validation, CONTEXT)


def in_units(prediction, samples):
    affine = samples.schema.target_affine
    return prediction.affine(affine.scale, affine.shift)


@pytest.mark.parametrize("kind", CLASSICAL)
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_no_precipitation_is_below_zero(kind, shift, world):
    test = world[1, shift][2]
    prediction = in_units(fitted(kind, world[1, shift]).predict(test, CONTEXT), test)
    mean = np.asarray(prediction.mean())[:, :, test.schema.mask]
    assert mean.min() >= -1e-6
    assert np.asarray(prediction.quantile(0.05))[:, :, test.schema.mask].min() >= -1e-6
    assert mean.std() > 0 or kind == "climatology"


@pytest.mark.parametrize("kind", CLASSICAL)
def test_temperature_and_precipitation_together(kind, world):
    """Two targets at once are what each of them is alone, but for what is chosen on both."""
    train, validation, test = world[2, 0.0]
    options = {"alphas": [10.0]} if kind == "ridge" else {"neighbours": [5]} if kind == "analogs" else {}
    prediction = fitted(kind, world[2, 0.0], **options).predict(test, CONTEXT)
    both = np.asarray(prediction.mean())
    assert both.shape == test.target.shape
    assert prediction.family in ("point", "members")
    assert np.asarray(in_units(prediction, test).mean())[:, 1, test.schema.mask].min() >= -1e-6
    if kind in ("random_forest", "pca_ridge"):  # components, or the choice, of both together
        return

    def one(samples, place):
        part = slice(place, place + 1)
        affine = samples.schema.target_affine
        schema = replace(
            samples.schema,
            targets=samples.schema.targets[part],
            target_units=samples.schema.target_units[part],
            target_affine=Affine(affine.scale[part], affine.shift[part]),
        )
        return replace(samples, target=samples.target[:, part], previous=samples.previous[:, part], schema=schema)

    for place in (0, 1):
        own = {"distribution": "empirical"} if kind == "climatology" else {}
        alone = fitted(kind, [one(part, place) for part in (train, validation)] + [None], **options, **own)
        mean = np.asarray(alone.predict(one(test, place), CONTEXT).mean())
        np.testing.assert_allclose(mean[:, 0], both[:, place], atol=2e-6)


@pytest.mark.parametrize("kind", NORMAL)
def test_precipitation_is_answered_by_its_mean_unless_asked_otherwise(kind, world):
    test = world[1, 0.0][2]
    auto, normal = (fitted(kind, world[1, 0.0], **more) for more in ({}, {"distribution": "normal"}))
    first, second = (model.predict(test, CONTEXT) for model in (auto, normal))
    assert (first.family, second.family) == ("point", "normal")
    np.testing.assert_array_equal(np.asarray(first.mean()), np.asarray(second.mean()))
    assert auto.summary()["distribution"] == "point"


@pytest.mark.parametrize("kind", NORMAL)
def test_temperature_can_be_answered_by_its_mean_too(kind, make_samples):
    parts = [make_samples(80, seed=seed) for seed in (0, 1)]
    assert fitted(kind, [*parts, None], distribution="point").predict(parts[1], CONTEXT).family == "point"
    assert fitted(kind, [*parts, None]).predict(parts[1], CONTEXT).family == "normal"


def test_zero_is_found_from_units_and_else_from_the_numbers(world):
    train = world[2, 1.5][0]
    table = Table(CONTEXT.backend, Layout.of(train.schema))
    truth, cells = table.columns(train.target), table.layout.cells
    assert amounts(train.schema) == (False, True)
    bound = least(table, train.schema, truth)
    assert np.isneginf(bound[:cells]).all()
    np.testing.assert_allclose(bound[cells:], -1.5 / 4)
    unknown = replace(train.schema, target_affine=None)
    assert np.isneginf(least(table, unknown, truth)).all()  # some numbers are negative: an anomaly
    np.testing.assert_array_equal(least(table, unknown, np.abs(truth))[cells:], 0)


def test_the_empirical_climatology_is_the_train_quantiles_and_beats_the_normal_one(world):
    train, _, test = world[1, 0.0]
    model = fitted("climatology", world[1, 0.0], members=20)
    members = np.asarray(model.predict(test, CONTEXT).members)
    assert members.shape == (20, 200, 1, 8, 10)
    day = 3
    twelfths = (train.day * 12).astype(int)
    own = np.flatnonzero(np.bincount(twelfths, minlength=12) >= 20)
    apart = np.abs(int(test.day[day] * 12) - own)
    best = own[np.minimum(apart, 12 - apart).argmin()]
    gap = np.abs(twelfths - best)
    near = np.minimum(gap, 12 - gap) <= 1
    expected = np.quantile(np.asarray(train.target, float)[near, 0, 4, 4], midpoints(20))
    np.testing.assert_allclose(np.sort(members[:, day, 0, 4, 4]), expected, atol=1e-6)
    normal = fitted("climatology", world[1, 0.0], distribution="normal")
    scores = [np.nanmean(np.asarray(one.predict(test, CONTEXT).crps(test.target))) for one in (model, normal)]
    assert scores[0] < 0.85 * scores[1]
    assert model.summary() == {"distribution": "empirical", "days": 200, "members": 20, "windows": len(own)}


def test_an_empty_cell_takes_the_mean_of_the_others(world):
    train, validation, test = world[1, 0.0]
    target = np.array(train.target)
    target[:, :, 4, 4] = np.nan
    model = Climatology(ClimatologyConfig(members=5)).fit(replace(train, target=target), validation, CONTEXT)
    members = np.asarray(model.predict(test, CONTEXT).members)[:, 0, 0]
    others = test.schema.mask.copy()
    others[4, 4] = False
    ordered = np.sort(members, axis=0)
    np.testing.assert_allclose(ordered[:, 4, 4], ordered[:, others].mean(axis=1), rtol=1e-5)


def test_a_channel_without_a_place_enters_distances_once(make_samples):
    """However many coarse cells there are, the day of the year weighs as one number in analogs."""
    samples = make_samples(60, further=True)
    table = Table(CONTEXT.backend, Layout.of(samples.schema))
    fields = len(samples.schema.channels) - len(samples.schema.scalars)
    rows = table.rows(samples)
    assert rows.shape == (60, fields * 20 + 2)
    np.testing.assert_array_equal(rows[:, -2:], np.asarray(samples.inputs)[:, -2:, 0, 0])
    model = fitted("analogs", (samples, samples, None), neighbours=[2], components=500)
    nearest = np.argsort(np.linalg.norm(rows[:, None] - rows[None], axis=2), axis=1)[:, :2]
    members = np.asarray(model.predict(samples, CONTEXT).members)[:, :, 0, 4, 4]
    np.testing.assert_allclose(members.T, np.asarray(samples.target)[nearest, 0, 4, 4], atol=1e-6)
