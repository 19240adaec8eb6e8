"""Members from noise: the spread of a known world is found, and a member is the same whatever it is asked with."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.prediction.members import crps_ensemble
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty.engression import Engression, EngressionConfig

SD = 0.5


def world(make_numbers, count, seed, name="train"):
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 2))
    return make_numbers(features, features @ [1.0, -0.5] + SD * random.normal(size=count), name=name)


@pytest.fixture
def fitted(make_numbers, numbers_model, context):
    train, validation = world(make_numbers, 800, 0), world(make_numbers, 200, 1, "validation")
    model = numbers_model(
        lambda: nn.Linear(2, 1), config=TrainingConfig(batch_size=64, lr=0.02, epochs=30, schedule="cosine")
    )
    with torch.no_grad():
        model.network.inner.weight.copy_(torch.tensor([[1.0, -0.5]]))
    method = Engression(EngressionConfig(draws=100)).fit(lambda count: [model], train, validation, context)
    return method, world(make_numbers, 300, 2, "test"), model


def test_the_spread_of_a_known_world_is_found(fitted, context):
    method, test, _ = fitted
    said = method.predict(test, context)
    assert said.family == "members"
    spread = np.sqrt(said.variance()[:, 0, 0, 0])
    # Of this world: noise of one size, whichever of the two noises carries it.
    np.testing.assert_allclose(np.sqrt((spread**2).mean()), SD, rtol=0.1)
    best = SD / np.pi**0.5  # the CRPS of the truth's own distribution
    found = crps_ensemble(said.members, test.target, fair=True).mean()
    sampling = 0.3 * SD / 300**0.5
    assert found < 1.03 * best + 2 * sampling
    weights = method.arrays["state/inner.weight"].numpy()[0]
    np.testing.assert_allclose(weights, [1.0, -0.5], atol=0.08)


def test_a_member_is_the_same_whatever_it_is_asked_with(fitted, context):
    method, test, _ = fitted
    whole = method.predict(test, context).members
    part = method.predict(test.take(slice(10, 20)), context).members
    np.testing.assert_allclose(part, whole[:, 10:20], atol=1e-12)


def test_channels_are_found_by_their_names(fitted, context):
    from dataclasses import replace

    method, test, _ = fitted
    method.arrays["before"] = torch.tensor([5.0, 1e-9], dtype=torch.float64)
    noise = method.predict(test, context).members.std(axis=0).mean()
    turned = replace(test, schema=replace(test.schema, channels=("x1", "x0")))
    other = method.predict(turned, context).members.std(axis=0).mean()
    # The loud channel has the weight 1 in its own place; the network of this test reads by place, so -0.5 there.
    assert noise == pytest.approx(2 * other, rel=0.2)


def test_noise_behind_the_network_is_as_large_as_it_says(make_numbers, numbers_model, context):
    """A day's own deviation, .2 or .8, is in the data and in the network from which training goes on."""
    random = np.random.default_rng(4)
    loud = (np.arange(600) % 2).astype(float)
    features = np.stack([random.normal(size=600), loud], axis=1)
    sd = np.where(loud > 0.0, 0.8, 0.2)
    train = make_numbers(features, features[:, 0] + sd * random.standard_normal(600))
    config = TrainingConfig(batch_size=64, lr=1e-3, epochs=3)
    model = numbers_model(lambda: nn.Linear(2, 2), "normal_nll", config)
    with torch.no_grad():
        model.network.inner.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0 * np.log(4.0)]]))
        model.network.inner.bias.copy_(torch.tensor([0.0, 2.0 * np.log(0.2)]))
    # Hardly anything goes in, so that what is behind the network is all of the noise.
    method = Engression(EngressionConfig(draws=200, noise=1e-4)).fit(lambda count: [model], train, train, context)
    # 1 is the network's own deviation; it begins at the root mean square of 600 errors, give or take 3 %.
    assert method.arrays["behind"].numpy() == pytest.approx(1.0, abs=0.12)
    members = method.predict(train, context).members[:, :, 0, 0, 0]
    for size in (0.2, 0.8):
        assert members[:, sd == size].std(axis=0).mean() == pytest.approx(size, rel=0.12)


def test_saved_and_loaded_answers_the_same(fitted, context, tmp_path):
    method, test, model = fitted
    method.save(tmp_path)
    again = Engression().load(tmp_path, lambda count: [model], context)
    np.testing.assert_array_equal(again.predict(test, context).members, method.predict(test, context).members)


def test_a_network_without_a_mean_is_refused():
    from models.mlp import MLPConfig

    assert Engression().why_not(MLPConfig()) is None
    assert Engression().why_not(MLPConfig(loss="bernoulli_gamma_nll")) == (
        "expected a loss whose network answers a mean, got 'bernoulli_gamma_nll'. Take normal_nll, mse or huber; of "
        "amounts noise_unet."
    )
