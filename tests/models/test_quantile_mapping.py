"""Quantile mapping as a model: against loops over cells, in units, with precipitation and several targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.quantile_mapping import MappingConfig, QuantileMapping
from pipeline.backend import get_backend
from pipeline.errors import ConfigError
from pipeline.model import Context
from pipeline.prepare.powers import forward
from pipeline.prepare.quantiles import midpoints
from pipeline.prepare.regrid import Regridder
from pipeline.samples import Affine

CONTEXT = Context(get_backend("cpu"), name="quantile_mapping")


def fitted(train, **options):
    return QuantileMapping(MappingConfig(**options)).fit(train, train, CONTEXT)


def answer(model, samples):
    prediction = model.predict(samples, CONTEXT)
    assert prediction.family == "point"
    return np.asarray(prediction.mean())


def raised(samples, change):
    """Samples whose truth and coarse numbers are those of other units: the same values as before."""
    schema = samples.schema
    channels, targets = schema.channel_affine, schema.target_affine
    shape = (len(schema.channels), *schema.input_grid.shape)
    scale = np.broadcast_to(channels.scale * change, shape).astype(np.float32)
    inputs = ((np.asarray(samples.inputs) * channels.scale + channels.shift) - channels.shift) / scale
    return replace(
        samples,
        inputs=inputs.astype(np.float32),
        schema=replace(schema, channel_affine=Affine(scale, channels.shift), target_affine=targets),
    )


def test_each_cell_is_mapped_from_its_own_quantiles(nested):
    train, test = nested.samples(300, 0), nested.samples(40, 1)
    model = fitted(train, quantiles=30)
    schema, levels = train.schema, midpoints(30)
    regrid = Regridder.between(schema.input_grid, schema.target_grid, "bilinear")
    coarse, ahead = (regrid(nested.coarse(part))[:, 0] for part in (train, test))
    mean = nested.units(model.predict(test, CONTEXT), test).mean()[:, 0]
    truth = np.asarray(train.target, float)[:, 0] * schema.target_affine.scale[0] + schema.target_affine.shift[0]
    for row, column in ((0, 0), (3, 7), (8, 12)):
        source, target = (np.quantile(part[:, row, column], levels) for part in (coarse, truth))
        values = ahead[:, row, column]
        expected = np.interp(values, source, target)
        # Beyond the ends the correction of the end, in kelvin, holds.
        expected = np.where(values < source[0], values + target[0] - source[0], expected)
        expected = np.where(values > source[-1], values + target[-1] - source[-1], expected)
        np.testing.assert_allclose(mean[:, row, column], expected, atol=2e-3)


def test_numbers_in_other_scales_are_the_same_answer(nested):
    train, test = nested.samples(200, 0), nested.samples(30, 1)
    plain = answer(fitted(train), test)
    np.testing.assert_allclose(answer(fitted(raised(train, 3.0)), raised(test, 3.0)), plain, atol=2e-4)


def rooted(nested, samples, kind):
    """The same amounts, given to models as standardised roots or logarithms."""
    values = nested.coarse(samples)
    values = forward(np.where(values < 1e-4, 0.0, values), kind)
    mean, deviation = np.float32(1.3), np.float32(0.7)
    affine, inputs = samples.schema.channel_affine, np.array(samples.inputs)
    scale, shift = (np.broadcast_to(part, inputs.shape[1:]).copy() for part in (affine.scale, affine.shift))
    inputs[:, 1:] = (values - mean) / deviation
    scale[1:], shift[1:] = deviation, mean
    transforms = ("none", *(kind,) * (inputs.shape[1] - 1))
    return replace(
        samples, inputs=inputs, schema=replace(samples.schema, channel_affine=Affine(scale, shift, transforms))
    )


@pytest.mark.parametrize("kind", ["sqrt", "log1p"])
def test_a_root_of_the_coarse_amounts_changes_nothing(nested, kind, tmp_path):
    """What networks like to see is no business of a map between amounts."""
    train, test = nested.samples(300, 0, amounts=True), nested.samples(60, 1, amounts=True)
    train, test = (dried(nested, part, 1.0) for part in (train, test))
    train = replace(train, target=np.where(train.target < np.quantile(train.target, 0.3), 0.0, train.target))
    plain = answer(fitted(train), test)
    model = fitted(rooted(nested, train, kind))
    found = answer(model, rooted(nested, test, kind))
    assert 0.05 < (plain == 0).mean() < 0.95
    np.testing.assert_array_equal(found == 0, plain == 0)
    np.testing.assert_allclose(found, plain, rtol=2e-3, atol=2e-4)
    model.save(tmp_path)
    again = QuantileMapping.load(tmp_path, CONTEXT)
    np.testing.assert_array_equal(answer(again, rooted(nested, test, kind)), found)


def test_a_cell_that_never_has_a_value_takes_the_nearest(nested):
    """As over the sea, where observations that stand for a coarse model have none."""
    train, test = nested.samples(200, 0, amounts=True), nested.samples(20, 1, amounts=True)
    affine = train.schema.channel_affine
    scale, shift, place = affine.scale.copy(), affine.shift.copy(), (1, 0, 0)
    scale[place] = shift[place] = np.nan

    def without(samples, fill):
        inputs = np.array(samples.inputs)
        inputs[:, 1, 0, 0] = fill(samples)
        return inputs

    def gone(samples):
        schema = replace(samples.schema, channel_affine=Affine(scale, shift))
        return replace(samples, inputs=without(samples, lambda _: 0.0), schema=schema)

    def copied(samples):
        """The same field with the value of the nearest cell, east of it, written there."""
        return replace(samples, inputs=without(samples, lambda one: np.asarray(one.inputs)[:, 1, 0, 1]))

    found = answer(fitted(gone(train)), gone(test))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, answer(fitted(copied(train)), copied(test)), rtol=1e-5)


def test_it_gives_the_truths_distribution_not_its_days(nested):
    train = nested.samples(800, 0, amounts=True)
    found, truth = answer(fitted(train), train), np.asarray(train.target)
    assert (found >= 0).all()
    for level in (0.1, 0.5, 0.9, 0.99):
        np.testing.assert_allclose(*(np.quantile(part, level) for part in (found, truth)), rtol=0.05)
    np.testing.assert_allclose(found.std(axis=0) / truth.std(axis=0), 1.0, atol=0.12)


def dried(nested, samples, below):
    """Coarse amounts under a bound are zero, as numbers that were standardised and turned back."""
    affine = samples.schema.channel_affine
    shift = np.full_like(affine.shift, 1.7)  # dry is another number than zero
    values = nested.coarse(samples)
    inputs = np.array(samples.inputs)
    inputs[:, 1:] = (np.where(values < below, 0.0, values) - shift[1:]) / affine.scale[1:]
    return replace(samples, inputs=inputs, schema=replace(samples.schema, channel_affine=Affine(affine.scale, shift)))


def test_precipitation_is_dry_as_often_as_the_truth(nested):
    truth_dry = 0.35
    train = nested.samples(1000, 0, amounts=True)
    target = np.array(train.target)
    target[target < np.quantile(target, truth_dry, axis=0)] = 0
    train = replace(train, target=target)
    for below in (0.1, 2.6):  # next to never dry, and more often than the truth
        samples = dried(nested, train, below)
        found = answer(fitted(samples), samples)
        np.testing.assert_allclose((found == 0).mean(), truth_dry, atol=0.03)


def test_targets_have_maps_of_their_own(nested):
    train, test = nested.samples(200, 0, targets=2), nested.samples(30, 1, targets=2)
    both = answer(fitted(train), test)
    single = replace(
        train,
        target=train.target[:, 1:],
        schema=replace(
            train.schema,
            targets=("pr",),
            target_units=("K",),
            target_affine=Affine(train.schema.target_affine.scale[1:], train.schema.target_affine.shift[1:]),
        ),
    )
    np.testing.assert_allclose(both[:, 1:], answer(fitted(single), test), atol=1e-5)
    swapped = fitted(train, variable={"tas": "pr", "pr": "tas"})
    assert swapped.summary()["channels"] == ["pr", "tas"]


def test_a_season_of_its_own_and_what_it_says_of_itself(nested):
    model = fitted(nested.samples(400, 0), window="season", quantiles=20)
    assert model.summary() == {"channels": ["tas"], "amounts": [False], "windows": 4}


def test_options_that_name_nothing_are_refused(nested):
    train = nested.samples(30)
    with pytest.raises(ConfigError, match=r"quantile_mapping: expected the channel 'tos' among the inputs.*Known: psl"):
        fitted(train, variable="tos")
    with pytest.raises(ConfigError, match=r"expected targets in the option `variable`, got 'tax'.*mean 'tas'"):
        fitted(train, variable={"tax": "tas"})
