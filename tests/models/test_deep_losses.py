"""Losses of every form in a deep model's options, members, and networks that draw their own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import nn

from models._deep import DeepConfig, DeepModel
from models.deepesd import DeepESD, DeepESDConfig
from pipeline.errors import DataError
from pipeline.samples import Affine
from pipeline.training.losses import LOSSES

QUICK = {"epochs": 3, "batch_size": 32, "lr": 3e-3, "filters": (8, 4)}
SPECS = [
    "mae",
    {"kind": "huber", "delta": 0.5},
    [{"kind": "mae", "weight": 0.5}, {"kind": "mse", "weight": 1.0}],
    {"kind": "energy_score", "members": 3, "joint": True},
]


class DrawsNetwork(nn.Module):
    """Answers a learned mean with fresh noise round it, a member a draw."""

    def __init__(self, cells):
        super().__init__()
        self.mean, self.spread, self.draws = nn.Linear(1, cells), nn.Parameter(torch.ones(cells)), 4

    def forward(self, inputs):
        mean = self.mean(inputs.mean((1, 2, 3), keepdim=True)[:, :, 0])[:, :, None]
        return mean + self.spread * torch.randn(len(inputs), self.draws, 1, len(self.spread), device=inputs.device)


class Draws(DeepModel):
    """A model whose network draws its own members: more of them for a prediction."""

    def build(self, layout, parameters):
        return DrawsNetwork(layout.cells)

    def asker(self, network, context):
        network.draws = 7
        return network


@pytest.fixture
def drawn(make_samples, context):
    model = Draws(DeepConfig(epochs=1, loss={"kind": "fair_crps", "members": 4}))
    return model.fit(make_samples(60), make_samples(20, seed=1), context)


def host(context, prediction):
    return {name: context.backend.to_host(array) for name, array in prediction.parameters.items()}


@pytest.mark.parametrize(
    ("loss", "warned"),
    [("normal_nll", True), ("mixture_nll", True), ("mse", False), ("quantile", False), ("bernoulli_gamma_nll", False)],
)
def test_rain_below_zero_is_warned_of(nested, context, loss, warned):
    samples = nested.samples(8, amounts=True)
    said = []
    context = replace(context, warn=said.append)
    DeepESD(DeepESDConfig(**QUICK | {"epochs": 1}, loss=loss)).fit(samples, samples, context)
    assert bool(said) == warned
    assert all("rain values below zero. Take a loss such as bernoulli_gamma_nll" in text for text in said)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_options_with_any_form_of_loss_load_back(spec):
    config = DeepESDConfig(loss=spec)
    assert config.loss == spec
    assert DeepESDConfig.model_validate_json(config.model_dump_json()) == config
    assert DeepESDConfig.model_validate(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "hubber"}, r"unknown loss 'hubber'\. Did you mean 'huber'\?"),
        ({"kind": "huber", "dleta": 1}, r"loss 'huber': dleta: unknown key\. Did you mean 'delta'\?"),
        ([{"kind": "mse"}, {"kind": "normal_nll"}], r"expected losses of the same family"),
        (3, r"expected the name of a loss, a mapping .*, got 3"),
    ],
)
def test_a_loss_is_checked_when_the_options_are_made(spec, message):
    with pytest.raises(ValidationError, match=message) as caught:
        DeepESDConfig(loss=spec)
    assert [fault["loc"] for fault in caught.value.errors()] == [("loss",)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_form_is_fitted_saved_and_told(make_samples, context, tmp_path, spec):
    model = DeepESD(DeepESDConfig(**QUICK, loss=spec))
    model.fit(make_samples(60), make_samples(20, seed=1), context)
    folder = tmp_path / "saved"
    folder.mkdir()
    model.save(folder)
    loaded, test = DeepESD.load(folder, context), make_samples(5, seed=2)
    assert isinstance(model.summary()["loss"], str)
    assert loaded.summary() == model.summary()
    mine, theirs = (host(context, each.predict(test, context)) for each in (model, loaded))
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name])


@pytest.mark.parametrize("kind", [kind for kind in LOSSES.names() if not LOSSES.get(kind).of_classes])
def test_every_loss_trains_a_network_and_answers_its_family(make_samples, context, kind):
    def amounts(samples):
        units = Affine(np.full((1, 1, 1), 2.0, np.float32), np.zeros((1, 1, 1), np.float32))
        target = context.backend.asarray(np.maximum(context.backend.to_host(samples.target), 0.0))
        return replace(samples, target=target, schema=replace(samples.schema, target_affine=units))

    train, validation, test = (amounts(make_samples(n, seed)) for n, seed in ((80, 0), (20, 1), (9, 2)))
    model = DeepESD(DeepESDConfig(**QUICK, loss=kind)).fit(train, validation, context)
    prediction = model.predict(test, context)
    assert prediction.family == LOSSES.get(kind)().family
    inside = test.schema.mask
    for array in host(context, prediction).values():
        assert array.shape[-4:] == (9, 1, *inside.shape)
        assert np.isfinite(array[..., inside]).all()
        assert np.isnan(array[..., ~inside]).all()
    mean = model.network(test, context)(context.backend.to_torch(test.inputs)).detach().cpu().numpy()
    expected = context.backend.to_host(prediction.mean())
    np.testing.assert_allclose(mean[..., inside], expected[..., inside], rtol=1e-4, atol=1e-5)


def test_members_are_joined_along_time(make_samples, context):
    loss = {"kind": "fair_crps", "members": 3}
    model = DeepESD(DeepESDConfig(**QUICK, loss=loss)).fit(make_samples(60), make_samples(20, seed=1), context)
    test = make_samples(70, seed=2)  # batches of 32, 32 and 6
    members = host(context, model.predict(test, context))["members"]
    assert members.shape == (3, 70, 1, *test.schema.mask.shape)
    last = host(context, model.predict(test.take(slice(64, 70)), context))["members"]
    np.testing.assert_allclose(members[:, 64:], last, rtol=1e-5, atol=1e-6)


def test_losses_know_where_cells_lie_and_their_units(make_samples, context):
    samples = make_samples(8)
    scale = np.random.default_rng(1).uniform(1, 2, samples.schema.mask.shape)[None].astype(np.float32)
    affine = Affine(scale, np.full((1, 1, 1), 3.0, np.float32))
    samples = replace(samples, schema=replace(samples.schema, target_affine=affine))
    model = DeepESD(DeepESDConfig(**QUICK)).fit(samples, samples, context)
    place, mask = model._tensors(samples, context).place, samples.schema.mask
    np.testing.assert_array_equal(place.index.cpu().numpy(), np.flatnonzero(mask))
    np.testing.assert_array_equal(place.scale.cpu().numpy(), scale[:, mask])
    assert (place.shift == 3.0).all()
    assert place.shift.shape == place.scale.shape == (1, mask.sum())
    assert place.shape == mask.shape
    bare = make_samples(8)
    model.fit(bare, bare, context)
    assert model._tensors(bare, context).place.scale is None


def test_a_loss_that_does_not_suit_the_target_says_so(make_samples, context):
    samples = make_samples(20)  # anomalies: negative numbers
    model = DeepESD(DeepESDConfig(**QUICK, loss="bernoulli_gamma_nll"))
    with pytest.raises(DataError, match=r"^bernoulli_gamma_nll: expected a target whose numbers are amounts"):
        model.fit(samples, samples, context)


def test_draws_of_a_prediction_follow_from_seed_and_date_alone(drawn, make_samples, context):
    test = make_samples(12, seed=2)
    inside = test.schema.mask
    torch.manual_seed(1)
    before = torch.get_rng_state()
    whole = host(context, drawn.predict(test, context))["members"][..., inside]
    assert torch.equal(torch.get_rng_state(), before)
    assert whole.shape[:2] == (7, 12)
    drawn.config = drawn.config.model_copy(update={"batch_size": 5})
    np.testing.assert_array_equal(host(context, drawn.predict(test, context))["members"][..., inside], whole)
    part = host(context, drawn.predict(test.take([8, 3]), context))["members"][..., inside]
    np.testing.assert_array_equal(part, whole[:, [8, 3]])
    other = host(context, drawn.predict(test, replace(context, seed=99)))["members"][..., inside]
    assert (other != whole).mean() > 0.99
    noise = whole - whole.mean(0)
    assert (np.abs(noise[:, 0] - noise[:, 1]) > 1e-6).mean() > 0.99  # no two dates share theirs


def test_the_mean_of_a_network_that_draws_repeats(drawn, make_samples, context):
    test = make_samples(4, seed=2)
    network, inputs = drawn.network(test, context), context.backend.to_torch(test.inputs)
    assert torch.equal(network(inputs), network(inputs))
