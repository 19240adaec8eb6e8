import numpy as np
import pytest
import torch
from torch import nn

from pipeline.attribution import ATTRIBUTIONS
from pipeline.attribution.known.methods import Asked, Skipped, Variant, ask, variants
from pipeline.attribution.known.result import Row
from pipeline.attribution.known.settings import OF_CELLS, OF_IMAGES
from pipeline.attribution.maps import MapMethod
from pipeline.errors import ConfigError, UnknownNameError

SLOPES = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0])


def part(count, seed=0, sign=1.0):
    """A linear network without an intercept: what each cell adds is its slope times its value."""
    layer = nn.Linear(5, 1, bias=False)
    layer.load_state_dict({"weight": sign * SLOPES[None]})
    inputs = torch.randn(count, 1, 1, 5, generator=torch.Generator().manual_seed(seed))
    truth = (sign * SLOPES * inputs[:, 0, 0]).double().detach().numpy()
    return Asked(nn.Sequential(nn.Flatten(1), layer, nn.Flatten(0)), inputs, inputs[:2], truth)


@pytest.fixture
def plugin():
    """Registers a method whose answer is what the class says."""

    def make(name, **attributes):
        ATTRIBUTIONS.register(name)(type("Plugin", (MapMethod,), attributes))
        return name

    return make


@pytest.mark.parametrize("table", [OF_CELLS, OF_IMAGES])
def test_no_method_is_passed_over(table):
    found = list(variants(table))
    assert {each.method for each in found} >= set(ATTRIBUTIONS.names())
    assert all(each.reason for each in found if isinstance(each, Skipped))


def test_methods_that_need_a_model_or_tell_of_channels_are_named(plugin):
    plugin("of_forests", needs=frozenset({"trees"}))
    found = {each.method: each for each in variants(())}
    assert found["of_forests"] == Skipped("of_forests", "it needs a model that is trees, and this is a network")
    assert found["permutation"].reason == "it tells of channels, not of cells"
    assert {"gradient", "integrated_gradients", "occlusion"} <= {
        name for name, each in found.items() if isinstance(each, Variant)
    }


def test_a_new_method_is_tried_without_being_in_the_table(plugin):
    plugin("mine", attribute=lambda self, subject, inputs, which, baseline: 2.0 * inputs)
    found = next(each for each in variants(OF_CELLS) if each.method == "mine")
    answer = ask(found, (part(6),), seed=0)
    np.testing.assert_allclose(answer.values, 2.0 * part(6).inputs.reshape(6, 5).numpy())


def test_only_what_is_asked_for():
    assert [each.method for each in variants(OF_CELLS, ("gradient", "occlusion"))] == ["gradient", "occlusion"]
    with pytest.raises(UnknownNameError, match="Did you mean 'gradient'"):
        list(variants(OF_CELLS, ("gradiant",)))


@pytest.mark.parametrize(
    "variant",
    [
        Variant("input_x_gradient"),
        Variant("integrated_gradients", {"steps": 8}),
        Variant("expected_gradients", {"draws": 4}),
        Variant("occlusion", {"patch": 1}),
    ],
    ids=lambda variant: variant.method,
)
def test_of_a_linear_network_every_departure_is_the_truth(variant):
    parts = (part(7), part(5, seed=1, sign=-1.0))
    answer = ask(variant, parts, seed=0)
    truth = np.concatenate([each.truth for each in parts])
    np.testing.assert_allclose(answer.values, truth, atol=1e-5)
    (row,) = Row.all_of(answer, truth, seed=0)
    assert row.mean == pytest.approx(1.0)
    assert row.ranks == pytest.approx(1.0)
    assert row.samples == 12
    if "gradients" in variant.method:
        assert answer.gap < 1e-5
    else:
        assert np.isnan(answer.gap)


def test_the_gap_is_the_most_that_is_missed(plugin):
    plugin("short", complete=True, attribute=lambda self, subject, inputs, which, baseline: 0.0 * inputs)
    asked = part(9)
    whole = asked.truth.sum(1)
    assert ask(Variant("short"), (asked,), seed=0).gap == pytest.approx(np.abs(whole).max() / whole.std(), rel=1e-4)


def test_drawn_baselines_move_the_departure():
    asked = part(6)
    answer = ask(Variant("input_x_gradient", baseline="draws"), (asked,), seed=0)
    away = (asked.inputs - asked.draws.mean(0)).reshape(6, 5)
    np.testing.assert_allclose(answer.values, away * SLOPES, atol=1e-5)


def test_slow_methods_take_the_first_samples_of_each_part():
    answer = ask(Variant("gradient", most=6), (part(8), part(4, seed=1)), seed=0)
    assert answer.samples.tolist() == [0, 1, 2, 3, 8, 9]
    assert answer.values.shape == (6, 5)
    truth = np.concatenate([part(8).truth, part(4, seed=1).truth])
    assert Row.all_of(answer, truth, seed=0)[0].samples == 6


def test_the_sign_is_turned_where_the_answer_is_negative():
    asked = part(20)
    plain, turned = (ask(Variant("input_x_gradient", turned=turned), (asked,), seed=0) for turned in (False, True))
    signs = np.sign(asked.truth.sum(1))
    assert set(signs) == {-1.0, 1.0}
    np.testing.assert_allclose(turned.values, plain.values * signs[:, None])


def test_methods_of_strength_are_held_against_the_magnitude(plugin):
    plugin("strong", kind="strength", attribute=lambda self, subject, inputs, which, baseline: inputs)
    answer = ask(Variant("strong"), (part(6),), seed=0)
    assert [row.against for row in Row.all_of(answer, part(6).truth, seed=0)] == ["its magnitude"]
    both = ask(Variant("strong", against=("its positive part", "its magnitude")), (part(6),), seed=0)
    assert len(Row.all_of(both, part(6).truth, seed=0)) == 2


def test_a_method_that_cannot_says_why(plugin):
    def attribute(self, subject, inputs, which, baseline):
        raise ConfigError("it wants a convolution.\nAnd more.")

    plugin("choosy", attribute=attribute)
    assert ask(Variant("choosy"), (part(3),), seed=0) == Skipped("choosy", "it wants a convolution.")


def test_options_that_a_method_lacks_are_told():
    found = ask(Variant("gradient", {"colour": "red"}), (part(3),), seed=0)
    assert isinstance(found, Skipped)
    assert found.method == "gradient (colour: red)"
    assert "colour" in found.reason


def test_an_error_of_ours_is_not_swallowed(plugin):
    def attribute(self, subject, inputs, which, baseline):
        raise RuntimeError("a bug")

    plugin("broken", attribute=attribute)
    with pytest.raises(RuntimeError, match="a bug"):
        ask(Variant("broken"), (part(3),), seed=0)
