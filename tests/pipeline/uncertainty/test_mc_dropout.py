"""Draws of thinned networks: their moments in closed form, the same units for all samples, and who is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import CalibrationError
from pipeline.model_config import ModelConfig
from pipeline.uncertainty._weights import DrawsConfig
from pipeline.uncertainty.mc_dropout import McDropout

SHARE = 0.3


def thinned(width):
    return nn.Sequential(nn.Dropout(SHARE), nn.Linear(width, 1, bias=False))


@pytest.fixture
def problem(make_numbers, numbers_model):
    random = np.random.default_rng(0)
    features = random.normal(size=(40, 6))
    model = numbers_model(lambda: thinned(6))
    return model, make_numbers(features, features.sum(axis=1)), model.network.inner[1].weight.detach().numpy()[0]


def fitted(model, samples, context, draws):
    method = McDropout(DrawsConfig(draws=draws))
    return method.fit(lambda count: [model], samples, samples, context)


def test_mean_and_variance_are_those_of_the_masks(problem, context):
    model, samples, weight = problem
    draws = 1000
    said = fitted(model, samples, context, draws).predict(samples, context)
    terms = samples.inputs[..., 0, 0] * weight
    # A unit that stays is scaled by 1 / (1 - p): its mean is kept and its variance p / (1 - p) times its square.
    sd = np.sqrt((terms**2).sum(axis=1) * SHARE / (1 - SHARE))
    assert said.family == "members"
    np.testing.assert_allclose(said.mean()[:, 0, 0, 0], terms.sum(axis=1), atol=5 * sd.max() / draws**0.5)
    np.testing.assert_allclose(np.sqrt(said.variance()[:, 0, 0, 0]), sd, rtol=5 / (2 * draws) ** 0.5)


def test_a_draw_is_one_network_for_all_samples(problem, context):
    model, samples, weight = problem
    method = fitted(model, samples, context, 8)
    members = method.predict(samples, context).members[:, :, 0, 0, 0]
    features = samples.inputs[..., 0, 0]
    for member in members:
        effective, *_ = np.linalg.lstsq(features, member, rcond=None)
        np.testing.assert_allclose(features @ effective, member, atol=1e-9)
        kept = np.isclose(effective, weight / (1 - SHARE), atol=1e-9)
        assert (kept | np.isclose(effective, 0.0, atol=1e-9)).all()
    part = method.predict(samples.take(slice(5, 9)), context).members[:, :, 0, 0, 0]
    np.testing.assert_allclose(part, members[:, 5:9], atol=1e-12)


def test_the_fitted_network_stays_as_it_is(problem, context):
    model, samples, _ = problem
    before = model.predict(samples, context).mean()
    fitted(model, samples, context, 3).predict(samples, context)
    np.testing.assert_array_equal(model.predict(samples, context).mean(), before)
    assert isinstance(model.network.inner[0], nn.Dropout)


def test_whole_maps_are_left_out_where_training_did(make_numbers, numbers_model, context):
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout2d(SHARE)

        def forward(self, features):
            maps = features[:, :2, None, None].expand(-1, -1, 3, 3)
            return self.dropout(maps).std(dim=(2, 3)).sum(dim=1, keepdim=True)

    model = numbers_model(Maps)
    samples = make_numbers(np.random.default_rng(1).normal(size=(10, 2)), np.zeros(10))
    said = fitted(model, samples, context, 20).predict(samples, context)
    np.testing.assert_allclose(said.members, 0.0, atol=1e-12)  # all cells of a map stay or go together


def test_saved_and_loaded_draws_the_same(problem, context, tmp_path):
    model, samples, _ = problem
    method = fitted(model, samples, context, 5)
    method.save(tmp_path)
    again = McDropout(DrawsConfig(draws=5)).load(tmp_path, lambda count: [model], context)
    np.testing.assert_array_equal(again.predict(samples, context).members, method.predict(samples, context).members)


class _Options(ModelConfig):
    dropout: float = 0.0
    large_scale_dropout: float = 0.0
    width: int = 3


def test_a_network_without_dropout_is_refused_before_any_work():
    assert McDropout().why_not(_Options()) == (
        "expected a network trained with dropout, got none. Set dropout or large_scale_dropout above 0, such as 0.1, or "
        "take swag."
    )
    assert McDropout().why_not(_Options(large_scale_dropout=0.1)) is None
    assert "dropout, which this kind of model has none of" in McDropout().why_not(ModelConfig())


def test_a_network_without_dropout_is_refused_when_its_options_did_not_say(make_numbers, numbers_model, context):
    model = numbers_model(lambda: nn.Linear(2, 1))
    samples = make_numbers(np.ones((5, 2)), np.ones(5))
    wanted = (
        r"^numbers: expected a network trained with dropout, got none\. Set its dropout above 0, such as 0\.1, or take "
        r"swag\.$"
    )
    with pytest.raises(CalibrationError, match=wanted):
        fitted(model, samples, context, 3)


def test_draws_do_not_touch_the_callers_random_numbers(problem, context):
    model, samples, _ = problem
    method = fitted(model, samples, context, 3)
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    method.predict(samples, context)
    assert torch.equal(torch.rand(3), expected)
