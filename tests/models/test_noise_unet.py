from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models._layout import Layout
from models.noise_unet import LEAK, NoiseUNet, NoiseUNetConfig, NoiseUNetNetwork
from pipeline.backend import get_backend
from pipeline.errors import ConfigError
from pipeline.model import Context
from pipeline.samples import Affine
from pipeline.training.losses import make_loss

QUICK = {"epochs": 15, "batch_size": 16, "lr": 1e-2, "width": 8, "depth": 1, "noise": 4}


@pytest.fixture
def layout(make_samples):
    return Layout.of(make_samples(2).schema)


def network(layout, members=2, **options):
    torch.manual_seed(0)
    config = NoiseUNetConfig(**{"width": 8, "depth": 2, "noise": 4} | options)
    made = NoiseUNetNetwork(layout, members, config, make_loss(config.loss)).eval()
    torch.nn.init.normal_(made.readout.weight)
    return made


def with_affine(layout, scale=2.0, shift=0.0):
    shape = (len(layout.targets), *layout.mask.shape)
    return replace(layout, target_affine=Affine(np.full(shape, scale, "f"), np.full(shape, shift, "f")))


@pytest.fixture(scope="module")
def context():
    return Context(get_backend("cpu"), seed=3, name="model")


@pytest.fixture(scope="module")
def fitted(make_samples, context):
    train, validation = make_samples(150, targets=2), make_samples(50, seed=1, targets=2)
    return NoiseUNet(NoiseUNetConfig(**QUICK, draws=12)).fit(train, validation, context)


def test_members_differ_and_repeat_with_the_generator(layout):
    made, inputs = network(layout), torch.randn(3, 3, 4, 5)
    torch.manual_seed(1)
    first = made(inputs, 5)
    torch.manual_seed(1)
    assert torch.equal(made(inputs, 5), first)
    assert not torch.allclose(made(inputs, 5), first)
    assert first.shape == (3, 5, 1, layout.cells)
    assert first.std(dim=1).min() > 1e-3
    assert made(inputs).shape == (3, 2, 1, layout.cells)


def test_the_mean_of_many_draws_settles(layout):
    made, inputs = network(layout), torch.randn(1, 3, 4, 5)
    torch.manual_seed(2)
    with torch.no_grad():
        one, other = (made(inputs, 400) for _ in range(2))
    error = (one.mean(1) - other.mean(1)).square().mean()
    expected = 2 * one.var(1).mean() / 400
    assert 0.3 * expected < error < 3 * expected


def test_draws_of_a_sample_are_its_own(layout):
    # Each sample is decoded with its own maps: in a batch as alone, given the same noise.
    made, inputs = network(layout), torch.randn(3, 3, 4, 5)
    torch.manual_seed(3)
    together = made(inputs, 4, common=True)
    for number in range(3):
        torch.manual_seed(3)
        torch.testing.assert_close(made(inputs[number : number + 1], 4, common=True)[0], together[number])


def test_noise_moves_regions_and_single_cells(layout):
    full = replace(layout, mask=np.ones_like(layout.mask))
    for silent, wide in (("fine", True), ("large", False)):
        made = network(full)
        torch.nn.init.zeros_(getattr(made, silent).weight)
        with torch.no_grad():
            draws = made(torch.zeros(1, 3, 4, 5), 300)[0, :, 0].reshape(300, 8, 10).numpy()
        near = [np.corrcoef(draws[:, r, c], draws[:, r, c + 1])[0, 1] for r in range(8) for c in (0, 2, 4, 6, 8)]
        assert bool(np.mean(near) > 0.5) is wide


def test_targets_of_a_member_belong_together(make_samples):
    made = network(Layout.of(make_samples(2, targets=2).schema))
    with torch.no_grad():
        made.readout.weight[1] = -made.readout.weight[0]
        draws = made(torch.zeros(1, 3, 4, 5), 50)[0]
    moved = draws - draws.mean(0)
    torch.testing.assert_close(moved[:, 0], -moved[:, 1], atol=1e-4, rtol=1e-3)


def test_learns_a_spread_that_covers_the_truth(fitted, make_samples, context):
    test = make_samples(100, seed=2, targets=2)
    prediction, inside = fitted.predict(test, context), test.schema.mask
    assert prediction.family == "members"
    members = context.backend.to_host(prediction.parameters["members"])[..., inside]
    assert members.shape == (12, 100, 2, inside.sum())
    truth = np.asarray(test.target)[..., inside]
    error = np.mean((members.mean(0) - truth) ** 2)
    assert error < 0.5 * truth.var()
    ratio = np.sqrt(np.mean(members.var(0, ddof=1)) * 13 / 12 / error)
    assert 0.5 < ratio < 1.5


def test_members_of_a_day_do_not_depend_on_the_other_days(fitted, make_samples, context):
    test = make_samples(6, seed=2, targets=2)
    whole, part = (fitted.predict(each, context).parameters["members"] for each in (test, test.take(slice(3, 5))))
    np.testing.assert_array_equal(context.backend.to_host(part), context.backend.to_host(whole)[:, 3:5])


def test_explanations_see_the_mean_of_steady_draws(fitted, make_samples, context):
    test = make_samples(4, seed=2, targets=2)
    module, inputs = fitted.network(test, context), context.backend.to_torch(test.inputs).requires_grad_()
    mean = module(inputs)
    torch.testing.assert_close(module(inputs[1:3]), mean[1:3], atol=1e-5, rtol=1e-4)
    mean.sum().backward()
    assert (inputs.grad.abs().sum((2, 3)) > 0).all()


def test_saved_and_loaded_members_are_the_same(fitted, make_samples, context, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    fitted.save(folder)
    test = make_samples(3, seed=2, targets=2)
    before, after = (model.predict(test, context) for model in (fitted, NoiseUNet.load(folder, context)))
    np.testing.assert_array_equal(before.parameters["members"], after.parameters["members"])


@pytest.mark.parametrize(("shift", "floor"), [(0.0, 0.0), (3.0, -1.5)])
def test_a_nonnegative_target_ends_at_zero_in_units(layout, shift, floor):
    layout = with_affine(layout, 2.0, shift)
    made, free = network(layout, nonnegative=("tas",)), network(layout)
    inputs = torch.randn(20, 3, 4, 5)
    torch.manual_seed(5)
    held = made(inputs, 3)
    torch.manual_seed(5)
    torch.testing.assert_close(held, free(inputs, 3).clamp(min=floor))
    assert (held == floor).any()
    assert (held > floor).any()


def test_a_dry_member_still_learns(layout):
    end = network(with_affine(layout), nonnegative=("tas",)).end
    given = torch.tensor([-2.0, -0.5, 0.5, 2.0])[None, :, None, None].expand(1, 4, 1, layout.cells)
    for training, slopes in ((True, [LEAK, LEAK, 1, 1]), (False, [0, 0, 1, 1])):
        leaf = given.clone().requires_grad_()
        answer = end.train(training)(leaf)
        torch.testing.assert_close(answer, given.clamp(min=0.0))
        answer.sum().backward()
        torch.testing.assert_close(leaf.grad[0, :, 0, 0], torch.tensor(slopes).float())


def test_other_targets_stay_free(make_samples):
    layout = with_affine(Layout.of(make_samples(2, targets=2).schema))
    end = network(layout, nonnegative=("psl",)).end
    members = torch.full((1, 2, 2, layout.cells), -3.0, requires_grad=True)
    answer = end.train()(members)
    assert (answer[:, :, 0] == -3).all()
    assert (answer[:, :, 1] == 0).all()
    answer.sum().backward()
    assert (members.grad[:, :, 0] == 1).all()
    torch.testing.assert_close(members.grad[:, :, 1], torch.full_like(members.grad[:, :, 1], LEAK))


def test_what_nonnegative_needs_is_said(layout):
    model = NoiseUNet(NoiseUNetConfig(nonnegative=("tsa",)))
    with pytest.raises(ConfigError, match=r"targets under nonnegative, got 'tsa'\. Did you mean 'tas'\?"):
        model.build(with_affine(layout), 2)
    with pytest.raises(ConfigError, match=r"'tas' in numbers that have one zero .*anomaly: none"):
        NoiseUNet(NoiseUNetConfig(nonnegative=("tas",))).build(layout, 2)


def test_only_losses_of_members_suit_it():
    with pytest.raises(ValidationError, match=r"expected a loss of members, .* got 'mse' of family 'point'"):
        NoiseUNetConfig(loss="mse")
    mixed = [{"kind": "fair_crps", "members": 3}, {"kind": "energy_score", "members": 3, "weight": 0.1}]
    assert NoiseUNetConfig(loss=mixed).loss == mixed
