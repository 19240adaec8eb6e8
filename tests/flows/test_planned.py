"""Explanations of a plan: names, checks, baselines, and what is refused before data are read."""

import copy

import pytest

from flows.load import load_experiment
from flows.plan import make_plan
from pipeline.attribution.checks import CHECKS
from pipeline.errors import ConfigError, UserError
from pipeline.experiment import Experiment


@pytest.fixture(scope="module")
def base():
    return load_experiment("tiny").experiment.model_dump(mode="json", by_alias=True)


def plan(base, *entries, **changed):
    tree = copy.deepcopy({**base, **changed, "explain": list(entries)})
    return make_plan(Experiment.model_validate(tree), where="tiny.yaml").explanations


def test_every_model_that_can_is_explained_by_all_checks_from_climatology(base):
    found = plan(base, {"method": "integrated_gradients"}, {"method": "permutation"})
    assert [(one.model, one.name) for one in found if one.method == "integrated_gradients"] == [
        ("unet", "integrated_gradients")
    ]
    assert {one.model for one in found if one.method == "permutation"} == set(base["models"])
    assert found[0].checks == CHECKS.names()
    assert found[0].baseline == "climatology"


def test_a_method_twice_is_numbered_and_a_name_is_kept(base):
    found = plan(
        base,
        {"method": "gradient"},
        {"method": "gradient", "of": "log_variance"},
        {"method": "gradient", "name": "north", "region": {"lat": [42, 44]}, "checks": []},
    )
    assert [one.name for one in found] == ["gradient", "gradient_2", "north"]
    assert found[2].checks == ()
    with pytest.raises(ConfigError, match=r"explain\.1: name: expected a name of its own, got 'gradient'"):
        plan(base, {"method": "gradient"}, {"method": "occlusion", "name": "gradient", "models": ["unet"]})


def test_lrp_starts_from_zero(base):
    assert plan(base, {"method": "lrp"})[0].baseline == "zero"
    with pytest.raises(ConfigError, match="lrp: baseline: expected zero, which is all"):
        plan(base, {"method": "lrp", "baseline": "climatology"})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"method": "integrated_gradient"}, r"Did you mean 'integrated_gradients'\?"),
        ({"method": "gradient", "models": ["ridge"]}, r"needs a model with the trait differentiable, and 'ridge'"),
        ({"method": "gradient", "baseline": "zeros"}, r"unknown baseline 'zeros'\. Did you mean 'zero'\?"),
        ({"method": "gradient", "checks": ["deletions"]}, r"Did you mean 'deletion'\?"),
        ({"method": "gradient", "of": "log_odds"}, "predictions of numbers have"),
        ({"method": "gradient", "of": "rain_amount"}, r"predictions of the family \w+ have"),
        ({"method": "permutation", "of": "log_variance"}, r"permutation: of: expected mean, which is all"),
        ({"method": "occlusion", "patsh": 3}, r"patsh.*patch"),
    ],
)
def test_what_cannot_be_is_refused_first(base, entry, message):
    with pytest.raises(UserError, match=message):
        plan(base, entry)


def test_a_method_that_no_model_can_serve_is_refused(base):
    few = {name: model for name, model in base["models"].items() if model["kind"] != "unet"}
    with pytest.raises(UserError, match="needs a model with the trait differentiable; no model has it"):
        plan(base, {"method": "gradient"}, models=few, uncertainty=[])
