"""Baselines by name: what they are made of, and of what they are not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution.baseline import BASELINES, make_baseline
from pipeline.errors import UnknownNameError
from pipeline.samples import Samples


@pytest.fixture
def train(samples):
    """Four years of days; the value of the first channel is the phase of the year."""
    count = 1461
    time = np.datetime64("2001-01-01", "ns") + np.arange(count) * np.timedelta64(1, "D")
    day = np.arange(count) % 365.25 / 365.25
    inputs = np.random.default_rng(3).normal(size=(count, 3, 3, 4)).astype(np.float32)
    inputs[:, 0] = day[:, None, None]
    return Samples("train", inputs, None, None, time, day, samples.schema)


def made(name, train, samples, context, draws=5):
    return make_baseline(name, train, samples, draws, context)


def test_zero_and_climatology(train, samples, context):
    which = torch.arange(len(samples))
    zero = made("zero", train, samples, context)
    assert zero.at(0, which).shape == samples.inputs.shape
    assert not zero.at(0, which).any()
    mean = made("climatology", train, samples, context)
    np.testing.assert_allclose(mean.at(0, which)[3], train.inputs.mean(axis=0), atol=1e-5)


def test_the_day_of_year_has_its_own_mean(train, samples, context):
    found = made("day_of_year", train, samples, context).at(0, torch.arange(len(samples)))
    # Days around New Year are those of the end of the year too.
    middle = samples.day > 0.06
    np.testing.assert_allclose(found[middle][:, 0, 0, 0], samples.day[middle], atol=2e-3)
    assert found[0, 0, 0, 0] == pytest.approx(0.5, abs=0.02)


def test_draws_are_days_of_the_train_split(train, samples, context):
    found = made("train_draws", train, samples, context)
    assert found.count == 5
    known = {day.tobytes() for day in train.inputs}
    drawn = [field[0].numpy().tobytes() for field in found.fields]
    assert set(drawn) <= known
    assert len(set(drawn)) == 5
    assert found.thinned(2).count == 2
    again = made("train_draws", train, samples, context)
    torch.testing.assert_close(found.fields, again.fields, rtol=0, atol=0)
    assert made("train_draws", train.take(slice(0, 3)), samples, context).count == 3


@pytest.mark.parametrize("name", BASELINES.names())
def test_no_baseline_knows_the_test_set(name, train, samples, context):
    one = made(name, train, samples, context)
    other = made(name, train, samples.with_inputs(samples.inputs + 100), context)
    torch.testing.assert_close(one.fields, other.fields, rtol=0, atol=0)
    assert one.words
    assert one.name == name


def test_a_whole_year_is_averaged_in_blocks(train, samples, context, monkeypatch):
    whole = made("climatology", train, samples, context)
    monkeypatch.setattr("pipeline.attribution.baseline._BYTES", 8 * 36 * 100)
    torch.testing.assert_close(made("climatology", train, samples, context).fields, whole.fields)


def test_an_unknown_baseline_says_what_is_near(train, samples, context):
    with pytest.raises(UnknownNameError, match=r"unknown baseline 'climatolgy'\. Did you mean 'climatology'\?"):
        made("climatolgy", train, samples, context)


def test_every_day_of_a_single_day_train_split_takes_the_nearest(train, samples, context):
    one = train.take(slice(200, 201))
    found = made("day_of_year", one, replace(samples), context)
    np.testing.assert_allclose(found.at(0, torch.arange(2))[1], one.inputs[0])
