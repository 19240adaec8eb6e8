"""The mean over each coarse cell is the coarse value: rules, geometry, and the way through a whole model."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models._constraint import ConstraintConfig, check_units, constrain
from models._layout import Layout
from models.deepesd import DeepESD, DeepESDConfig
from models.unet import UNet, UNetConfig
from pipeline.errors import ConfigError, DataError
from pipeline.samples import Affine, Samples
from pipeline.training.losses import make_loss
from pipeline.uncertainty.deep_ensemble import DeepEnsemble

KINDS = ("additive", "multiplicative", "softmax")
SIZE = 4
QUICK = {"epochs": 2, "batch_size": 16, "filters": (4, 2)}


class Answers(nn.Module):
    """Answers what it was given, whatever it is asked."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = nn.Parameter(output.clone())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.output.expand(len(inputs), *self.output.shape[1:])


def held(samples: Samples, kind: str, output: torch.Tensor, loss: str = "mse") -> Answers:
    config = ConstraintConfig(kind=kind, channel=None)
    network = Answers(output)
    constrain(network, Layout.of(samples.schema), make_loss(loss), config)
    return network


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amounts", [False, True], ids=["K", "mm"])
def test_rules_are_their_formulas_cell_by_cell(nested, kind, amounts):
    samples, grid = nested.samples(5, amounts=amounts), nested.grid
    numbers = torch.randn(5, 1, 1, grid.area.size, generator=torch.Generator().manual_seed(1))
    answer = held(samples, kind, numbers)(torch.as_tensor(samples.inputs)).detach().numpy().reshape(5, *grid.shape)
    affine = samples.schema.target_affine
    scale, shift = affine.scale[0].astype(np.float64), affine.shift[0].astype(np.float64)
    z, x = numbers.numpy().reshape(5, *grid.shape), nested.coarse(samples)[:, 0]
    raw = {
        "additive": z * scale + shift,
        "multiplicative": scale * np.logaddexp(0, z + shift / scale),
        "softmax": np.exp(z.astype(np.float64)),
    }[kind]
    mean = nested.means(raw)
    for day, row, column in np.ndindex(5, 8, 12):
        block = (day, row // SIZE, column // SIZE)
        value = raw[day, row, column]
        value = value + (x[block] - mean[block]) if kind == "additive" else value * x[block] / mean[block]
        number = (value - shift[row, column]) / scale[row, column]
        assert answer[day, row, column] == pytest.approx(number, rel=1e-5, abs=1e-5)
    # Left over behind the last whole block: as the network said.
    assert (answer[:, 8] == z[:, 8]).all()
    assert (answer[:, :, 12] == z[:, :, 12]).all()


@pytest.mark.parametrize("loss", ["mse", "normal_nll", {"kind": "fair_crps", "members": 3}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amounts", [False, True], ids=["K", "mm"])
def test_the_block_mean_holds_from_the_network_to_units(nested, context, kind, loss, amounts):
    train, test = nested.samples(amounts=amounts), nested.samples(30, seed=2, amounts=amounts)
    model = DeepESD(DeepESDConfig(**QUICK, loss=loss, constraint={"kind": kind}))
    prediction = model.fit(train, nested.samples(20, seed=1, amounts=amounts), context).predict(test, context)
    far = nested.far(prediction, test)
    assert (far <= 1e-5 * np.abs(nested.coarse(test))).all()
    if loss not in ("mse", "normal_nll"):
        members = np.asarray(nested.units(prediction, test).parameters["members"])
        np.testing.assert_allclose(
            nested.means(members), np.broadcast_to(nested.coarse(test), (3, 30, 1, 2, 3)), rtol=1e-5
        )


def test_the_block_mean_holds_absolutely_in_degrees(nested, context):
    """In degC, where a coarse value may be near zero."""
    splits = []
    for n, seed in ((40, 0), (20, 1), (30, 2)):
        samples = nested.samples(n, seed)
        affines = {}
        for name in ("channel_affine", "target_affine"):
            affine = getattr(samples.schema, name)
            affines[name] = Affine(affine.scale, (affine.shift.astype(np.float64) - 285.0).astype(np.float32))
        splits.append(replace(samples, schema=replace(samples.schema, **affines)))
    train, validation, test = splits
    model = DeepESD(DeepESDConfig(**QUICK, constraint={"kind": "additive"}))
    far = nested.far(model.fit(train, validation, context).predict(test, context), test)
    assert far.max() < 1e-5


def test_without_the_constraint_it_does_not_hold(nested, context):
    train, test = nested.samples(amounts=True), nested.samples(30, seed=2, amounts=True)
    model = DeepESD(DeepESDConfig(**QUICK)).fit(train, nested.samples(20, seed=1, amounts=True), context)
    assert nested.far(model.predict(test, context), test).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_differences(nested, kind):
    samples = nested.samples(2, amounts=True)
    inputs = torch.as_tensor(samples.inputs).double()
    numbers = torch.randn(
        2, 1, 1, nested.grid.area.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    network = held(samples, kind, numbers).double()
    pick = torch.randn(2, 1, 1, nested.grid.area.size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def value(x, output):
        with torch.no_grad():
            network.output.copy_(output)
        return (network(x) * pick).sum()

    x = inputs.clone().requires_grad_()
    value(x, numbers).backward()
    slopes = network.output.grad.clone()
    for place in ((0, 0, 0, 17), (1, 0, 0, 116)):  # the last one is left over
        step = torch.zeros_like(numbers)
        step[place] = 1e-6
        expected = (value(inputs, numbers + step) - value(inputs, numbers - step)).item() / 2e-6
        assert slopes[place].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)
    step = torch.zeros_like(inputs)
    step[1, 1, 1, 2] = 1e-6
    expected = (value(inputs + step, numbers) - value(inputs - step, numbers)).item() / 2e-6
    assert x.grad[1, 1, 1, 2].item() == pytest.approx(expected, rel=1e-5)
    assert (x.grad[:, 0] == 0).all()  # the other channel has no part in it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e4, -1e4, 1e30])
def test_huge_answers_do_not_overflow(nested, kind, size):
    samples = nested.samples(3, amounts=True)
    numbers = torch.randn(1, 1, 1, nested.grid.area.size, generator=torch.Generator().manual_seed(1)) * abs(size) + size
    network = held(samples, kind, numbers)
    answer = network(torch.as_tensor(samples.inputs))
    answer.sum().backward()
    assert torch.isfinite(answer).all()
    assert torch.isfinite(network.output.grad).all()
    if kind == "softmax" and size == 1e4:
        naive = numbers.double().exp()
        assert torch.isinf(naive).any()
        units = answer[:, 0, 0, :].reshape(3, *nested.grid.shape).detach().numpy() * samples.schema.target_affine.scale
        np.testing.assert_allclose(nested.means(units), nested.coarse(samples)[:, 0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["multiplicative", "softmax"])
def test_amounts_stay_amounts_and_dry_stays_dry(nested, kind):
    samples = nested.samples(4, amounts=True)
    inputs = torch.as_tensor(samples.inputs).clone()
    inputs[0, 1] = 0.0  # no rain at all
    inputs[1, 1] = -1e-7  # what rounding leaves of none
    numbers = 3 * torch.randn(4, 1, 1, nested.grid.area.size, generator=torch.Generator().manual_seed(1))
    answer = held(samples, kind, numbers)(inputs).reshape(4, *nested.grid.shape)[:, :8, :12]
    assert (answer >= 0).all()
    assert (answer[:2] == 0).all()
    assert (answer[2:] > 0).all()


def test_half_precision_costs_no_digits(nested, context):
    train, test = nested.samples(), nested.samples(10, seed=2)
    model = DeepESD(DeepESDConfig(**QUICK, precision="bfloat16", constraint={"kind": "additive"}))
    prediction = model.fit(train, nested.samples(20, seed=1), context).predict(test, context)
    assert (nested.far(prediction, test) <= 1e-5 * nested.coarse(test)).all()
    network = model._network
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(context.backend.to_torch(test.inputs))
    assert output.dtype == torch.float32
    numbers = output.detach()[:, 0, 0].reshape(10, *nested.grid.shape).cpu().numpy().astype(np.float64)
    affine = test.schema.target_affine
    np.testing.assert_allclose(
        nested.means(numbers * affine.scale[0] + affine.shift[0]), nested.coarse(test)[:, 0], rtol=1e-6
    )


def test_a_saved_model_keeps_it(nested, context, tmp_path):
    test = nested.samples(10, seed=2)
    config = UNetConfig(epochs=1, width=2, depth=1, large_scale=(2,), constraint={"kind": "softmax"})
    model = UNet(config).fit(nested.samples(), nested.samples(20, seed=1), context)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    loaded = UNet.load(tmp_path / "saved", context)
    assert loaded.config == model.config
    mine, theirs = (each.predict(test, context) for each in (model, loaded))
    for name, array in mine.parameters.items():
        np.testing.assert_array_equal(array, theirs.parameters[name])
    assert (nested.far(theirs, test) <= 1e-5 * nested.coarse(test)).all()
    network = loaded.network(test, context)(context.backend.to_torch(test.inputs))
    np.testing.assert_allclose(network.detach().numpy(), theirs.mean(), rtol=1e-5, atol=1e-6)


def test_weights_are_the_same_with_and_without_and_copies_hold_too(nested, context):
    train, test = nested.samples(), nested.samples(10, seed=2)
    held_one, free = (
        DeepESD(DeepESDConfig(**QUICK, constraint=constraint)).fit(train, nested.samples(20, seed=1), context)._network
        for constraint in ({"kind": "additive"}, None)
    )
    assert held_one.state_dict().keys() == free.state_dict().keys()
    inputs = context.backend.to_torch(test.inputs)
    other = copy.deepcopy(held_one).double()
    torch.testing.assert_close(other(inputs.double()).float(), held_one(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", ["mse", "normal_nll"])
def test_the_mean_of_an_ensemble_keeps_it(nested, context, loss):
    train, validation, test = nested.samples(), nested.samples(20, seed=1), nested.samples(30, seed=2)
    config = DeepESDConfig(**QUICK, loss=loss, constraint={"kind": "additive"})
    members = [DeepESD(config).fit(train, validation, replace(context, member=number)) for number in range(3)]
    ensemble = DeepEnsemble().fit(lambda count, part: members, train, validation, context)
    prediction = ensemble.predict(test, context)
    assert prediction.members.shape[0] == 3
    assert (nested.far(prediction, test) <= 1e-5 * nested.coarse(test)).all()


def test_several_targets_have_a_channel_each(nested, context):
    train, test = nested.samples(amounts=True, targets=2), nested.samples(10, seed=2, amounts=True, targets=2)
    for channel in (None, {"pr": "pr", "tas": "tas"}):
        config = DeepESDConfig(**QUICK, constraint={"kind": "additive", "channel": channel})
        model = DeepESD(config).fit(train, nested.samples(20, seed=1, amounts=True, targets=2), context)
        assert nested.far(model.predict(test, context), test).max() < 1e-5
    crossed = DeepESDConfig(**QUICK, constraint={"kind": "additive", "channel": {"pr": "tas", "tas": "pr"}})
    model = DeepESD(crossed).fit(train, nested.samples(20, seed=1, amounts=True, targets=2), context)
    mean = np.asarray(nested.units(model.predict(test, context), test).mean())
    np.testing.assert_allclose(nested.means(mean), nested.coarse(test)[:, ::-1], atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            "bernoulli_gamma_nll",
            r"expected a loss of family point, normal, members with a mean to hold, got one of 'bern",
        )
    ],
)
def test_a_loss_of_wet_and_dry_is_refused(loss, message):
    with pytest.raises(ValidationError, match=message):
        DeepESDConfig(loss=loss, constraint={"kind": "softmax"})


@pytest.mark.parametrize(
    ("channel", "targets", "message"),
    [
        ("tass", 1, r"expected an input channel that is a field .* target 'tas', got 'tass'\. Did you mean 'tas'\?"),
        ("tas", 2, r"expected one channel for each of the targets \['tas', 'pr'\], got 'tas'\. Write \{tas: <channel>"),
        ({"tas": "tas"}, 2, r"expected a channel for each of the targets \['tas', 'pr'\], got \{'tas': 'tas'\}"),
    ],
)
def test_an_unknown_channel_is_refused(nested, context, channel, targets, message):
    samples = nested.samples(8, targets=targets)
    config = DeepESDConfig(**QUICK, constraint={"kind": "additive", "channel": channel})
    with pytest.raises(ConfigError, match=rf"^constraint\.channel: {message}"):
        DeepESD(config).fit(samples, samples, context)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel_affine": None}, r"expected inputs with one way to units .* Set prepare\.inputs\.anomaly: none\."),
        ({"target_affine": None}, r"expected target with one way to units .* Set prepare\.target\.anomaly: none\."),
        ({"channel_units": ("Pa", "degC")}, r"channel 'tas' in the units of the target 'tas', 'K', got 'degC'\."),
        ({"mask": np.arange(117).reshape(9, 13) != 5}, r"inside the mask of the target, got 1 of 96 outside"),
    ],
    ids=["inputs", "target", "units", "mask"],
)
def test_what_cannot_be_held_is_refused(nested, context, change, message):
    samples = nested.samples(8)
    samples = replace(samples, schema=replace(samples.schema, **change))
    model = DeepESD(DeepESDConfig(**QUICK, constraint={"kind": "additive"}))
    with pytest.raises(DataError, match=rf"^constraint.*{message}"):
        model.fit(samples, samples, context)


def test_the_root_of_a_channel_is_no_block_mean(nested, context):
    samples = nested.samples(8)
    schema = samples.schema
    affine = replace(schema.channel_affine, transforms=("sqrt",) * len(schema.channels))
    samples = replace(samples, schema=replace(schema, channel_affine=affine))
    model = DeepESD(DeepESDConfig(**QUICK, constraint={"kind": "additive"}))
    with pytest.raises(
        DataError, match=r"^constraint: expected the channel 'tas' as it is, got its sqrt: .* out of prep"
    ):
        model.fit(samples, samples, context)


def test_cells_without_a_way_to_units_are_refused(nested, context):
    samples = nested.samples(8)
    samples.schema.target_affine.scale[0, 3, 3] = np.nan
    with pytest.raises(DataError, match=r"^constraint: expected a finite scale in every block, got NaN"):
        held(samples, "additive", torch.zeros(8, 1, 1, 117))


@pytest.mark.parametrize("kind", ["multiplicative", "softmax"])
def test_negative_values_are_no_amounts(nested, context, kind):
    samples = nested.samples(8)
    affine = replace(samples.schema.channel_affine, shift=samples.schema.channel_affine.shift - 285)
    samples = replace(samples, schema=replace(samples.schema, channel_affine=affine))
    model = DeepESD(DeepESDConfig(**QUICK, constraint={"kind": kind}))
    with pytest.raises(DataError, match=rf"^constraint {kind}: expected coarse values that are not negative, got -"):
        model.fit(samples, samples, context)


def test_units_are_compared_by_target(nested):
    schema = nested.samples(2, targets=2).schema
    check_units(ConstraintConfig(kind="additive"), schema)
    with pytest.raises(DataError, match=r"channel 'pr' in the units of the target 'pr', 'K', got 'm'"):
        check_units(ConstraintConfig(kind="additive"), replace(schema, channel_units=("Pa", "K", "m")))
