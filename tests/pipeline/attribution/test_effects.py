"""Accumulated local effects and partial dependence, against functions whose effects are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution._effects import STANDARD
from pipeline.attribution.ale import Ale, AleConfig
from pipeline.attribution.partial_dependence import PartialDependence, PartialDependenceConfig
from pipeline.errors import ConfigError, DataError
from pipeline.samples import Affine

METHODS = (Ale, PartialDependence)


class OfMeans(torch.nn.Module):
    """Every cell is a function of the area-weighted means of the channels."""

    def __init__(self, function, area):
        super().__init__()
        self.function, self.area = function, torch.from_numpy(area / area.sum())

    def forward(self, inputs):
        means = torch.einsum("tcij,ij->ct", inputs.double(), self.area)
        return self.function(*means)[:, None, None, None].expand(-1, 1, 3, 4)


@pytest.fixture
def asked(formula, case, samples):
    """Return a function from a function of the three means to the case of it."""

    def make(function, samples=samples):
        return case(formula(OfMeans(function, samples.schema.input_grid.area)), samples=samples)

    return make


@pytest.fixture
def factor(question):
    return question.factors.sum()


def means_of(samples):
    area = samples.schema.input_grid.area
    return np.einsum("tcij,ij->tc", samples.inputs.astype(float), area / area.sum())


def centred(function, samples, place, at):
    """What the curve owes: the function at its points, less the mean over days of straight lines between them."""
    values = function(at)
    return values - np.interp(means_of(samples)[:, place], at, values).mean()


def curve(found, channel):
    (one,) = (curve for curve in found.curves if curve.channel == channel)
    return one


@pytest.mark.parametrize("method", METHODS)
def test_each_term_of_a_sum_is_found_exactly_and_without_doubt(asked, samples, factor, method):
    found = method().explain(asked(lambda a, before, b: torch.sin(9 * a) + 4 * b**2 + 3.0))
    for place, channel, term in ((0, "a", lambda a: np.sin(9 * a)), (2, "b", lambda b: 4 * b**2)):
        one = curve(found, channel)
        expected = factor * centred(term, samples, place, one.at)
        np.testing.assert_allclose(one.effect, expected, atol=2e-5)
        np.testing.assert_allclose(one.low, one.effect, atol=1e-5)
        np.testing.assert_allclose(one.high, one.effect, atol=1e-5)
        means = means_of(samples)[:, place]
        np.testing.assert_allclose((one.at[0], one.at[-1]), (means.min(), means.max()))
        assert len(one.at) == (13 if method is Ale else 20)  # 60 days make 12 bins of 5
        np.testing.assert_allclose(found.importance[place], np.interp(means, one.at, one.effect).std(), rtol=1e-5)
    np.testing.assert_allclose(curve(found, "a@-1").effect, 0.0, atol=1e-6)
    assert found.importance[1] < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_importance_of_a_linear_map_is_slope_times_deviation(asked, samples, factor, method):
    found = method().explain(asked(lambda a, before, b: 3 * a - 2 * before))
    expected = np.abs([3, -2, 0]) * means_of(samples).std(axis=0) * factor
    np.testing.assert_allclose(found.importance, expected, atol=1e-5)
    assert found.values is None
    assert "[degC]" in found.measure
    assert "standard deviation of the effect over days" in found.measure


def test_where_channels_go_together_ale_and_partial_dependence_differ_as_they_should(asked, samples, factor):
    """Of x1 * x2 with x2 = x1 + 1: ALE accumulates the slope x2 = x1 + 1, partial dependence has the mean of x2."""
    days = 600
    random = np.random.default_rng(0)
    values = random.uniform(-1, 1, days).astype(np.float32)
    inputs = random.normal(size=(days, 3, 3, 4)).astype(np.float32)
    inputs[:, 0], inputs[:, 2] = values[:, None, None], values[:, None, None] + 1
    wide = samples.take(np.zeros(days, int)).with_inputs(inputs)
    case = asked(lambda a, before, b: a * b, wide)
    local = curve(Ale(AleConfig(bins=40)).explain(case), "a")
    np.testing.assert_allclose(
        local.effect, factor * centred(lambda x: x**2 / 2 + x, wide, 0, local.at), atol=0.02 * factor
    )
    partial = curve(PartialDependence().explain(case), "a")
    slope = inputs[:, 2, 0, 0].mean(dtype=float)
    np.testing.assert_allclose(partial.effect, factor * centred(lambda x: slope * x, wide, 0, partial.at), atol=1e-5)
    assert np.abs(local.effect - np.interp(local.at, partial.at, partial.effect)).max() > 0.3 * factor
    for one in (local, partial):
        assert (one.low <= one.effect).all()
        assert (one.effect <= one.high).all()
    assert (partial.high - partial.low)[-1] > 0.01 * factor


def test_the_interval_of_local_effects_is_that_of_the_mean_of_a_bin(asked, samples, factor):
    days = 800
    random = np.random.default_rng(0)
    inputs = random.normal(size=(days, 3, 3, 4)).astype(np.float32)
    wide = samples.take(np.zeros(days, int)).with_inputs(inputs)
    one = curve(Ale(AleConfig(bins=1)).explain(asked(lambda a, before, b: a * b, wide)), "a")
    rise = factor * (one.at[1] - one.at[0]) * means_of(wide)[:, 2]
    width = (one.high - one.low) - 0.0
    # One bin: a straight line whose slope has the standard error of a mean.
    np.testing.assert_allclose(width.sum(), 2 * 1.96 * rise.std() / np.sqrt(days), rtol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_sees_patterns_alone_has_flat_curves(formula, case, samples, method):
    class Pattern(torch.nn.Module):
        def forward(self, inputs):
            return (inputs[:, :1] - inputs[:, :1, :1, :1]) * (inputs[:, 2:] - inputs[:, 2:, :, :1])

    found = method().explain(case(formula(Pattern())))
    for one in found.curves:
        np.testing.assert_allclose(one.effect, 0.0, atol=2e-6)
    assert found.numbers.std() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_a_channel_that_never_varies_has_one_point(asked, samples, method):
    inputs = samples.inputs.copy()
    inputs[:, 2] = 1.5
    found = method().explain(asked(lambda a, before, b: a + b, samples.with_inputs(inputs)))
    one = curve(found, "b")
    np.testing.assert_allclose(one.at, [1.5], rtol=1e-6)
    assert one.effect.tolist() == [0.0]
    assert found.importance[2] == 0.0


def test_points_are_in_units_where_the_mean_has_some(asked, samples):
    def at(affine):
        schema = replace(samples.schema, channel_affine=affine)
        found = PartialDependence().explain(asked(lambda a, before, b: a + b, replace(samples, schema=schema)))
        return curve(found, "a"), curve(found, "b")

    scale = np.broadcast_to(np.float32(4.0), (3, 3, 4)).copy()
    scale[2, 0, 0] = 5.0
    scale[0, 1, 1] = np.nan
    shift = np.full((3, 1, 1), 280.0, np.float32)
    plain = curve(PartialDependence().explain(asked(lambda a, before, b: a + b)), "a")
    assert plain.units == STANDARD
    own, uneven = at(Affine(scale, shift))
    assert (own.units, uneven.units) == ("K", STANDARD)
    np.testing.assert_allclose(own.at, plain.at * 4 + 280, rtol=1e-6)
    assert at(Affine(scale, shift, ("sqrt", "none", "none")))[0].units == STANDARD


@pytest.mark.parametrize("method", METHODS)
def test_channels_are_chosen_by_name_or_pattern_and_others_have_no_number(asked, method):
    case = asked(lambda a, before, b: a + before + b)
    found = method(method.Config(channels=["a*"])).explain(case)
    assert [one.channel for one in found.curves] == ["a", "a@-1"]
    assert np.isnan(found.importance).tolist() == [False, False, True]
    assert "1 of 3 channels are left out" in found.note
    found = method(method.Config(most=1)).explain(case)
    assert [one.channel for one in found.curves] == ["a"]
    with pytest.raises(ConfigError, match=r"got 'x\*', which none has.*Known: a, a@-1, b"):
        method(method.Config(channels=["a", "x*"])).explain(case)


def test_one_day_alone_is_refused(asked, samples):
    with pytest.raises(DataError, match="two days or more"):
        Ale().explain(asked(lambda a, before, b: a, samples.take([0])))


def test_checks_tell_of_empty_bins_and_of_channels_that_go_together(asked, samples):
    case = asked(lambda a, before, b: a)
    many, enough = (Ale(AleConfig(bins=bins)).explain(case).findings[0] for bins in (20, 4))
    assert [(one.passed, one.value) for one in (many, enough)] == [(True, 5.0), (True, 15.0)]
    few = Ale().explain(asked(lambda a, before, b: a, samples.take(slice(0, 4))))
    assert (few.findings[0].passed, few.findings[0].value) == (False, 4.0)
    assert not few.trusted
    apart = PartialDependence(PartialDependenceConfig(points=2)).explain(case).findings[0]
    means = np.corrcoef(means_of(samples).T)
    assert apart.passed
    np.testing.assert_allclose(apart.value, np.abs(means - np.eye(3)).max(), atol=1e-6)
    inputs = samples.inputs.copy()
    inputs[:, 1] = -inputs[:, 0] + 0.1 * inputs[:, 1]
    together = PartialDependence(PartialDependenceConfig(points=2)).explain(
        asked(lambda a, before, b: a, samples.with_inputs(inputs))
    )
    assert together.findings[0].passed is False
    assert not together.findings[0].essential
    assert not together.trusted


@pytest.mark.parametrize("name", ["ale", "partial_dependence"])
def test_any_model_is_served_and_asked_as_often_as_it_says(name, asked):
    method = ATTRIBUTIONS.get(name)()
    assert not method.needs
    case = asked(lambda a, before, b: a)
    case.model.traits = frozenset({"shared"})  # as a model without gradients
    found = method.explain(case)
    assert case.model.asked == {"ale": 2 * 3 + 1, "partial_dependence": 20 * 3 + 1}[name]  # 60 days are one pass
    assert found.importance[0] > 0
    assert len(found.numbers) == 60
