"""What every model that is a network does, tried on DeepESD."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.deepesd import DeepESD, DeepESDConfig
from pipeline.errors import DataError, TrainingError
from pipeline.metrics import METRICS, Case
from pipeline.uncertainty.deep_ensemble import DeepEnsemble

QUICK = {"epochs": 4, "batch_size": 32, "lr": 3e-3, "filters": (8, 4)}


@pytest.fixture
def fit(make_samples, context):
    def fit(**options):
        model = DeepESD(DeepESDConfig(**QUICK | options))
        return model.fit(make_samples(120), make_samples(60, seed=1, name="validation"), context)

    return fit


def test_the_loss_decides_the_family(fit, make_samples, context):
    test = make_samples(5, seed=2)
    assert fit(loss="mse").predict(test, context).family == "point"
    prediction = fit(loss="beta_nll").predict(test, context)
    assert prediction.family == "normal"
    assert (context.backend.to_host(prediction.parameters["sd"])[:, :, test.schema.mask] > 0).all()


def test_an_unknown_loss_is_refused_with_the_near_one():
    with pytest.raises(ValidationError, match=r"unknown loss 'normal_nl'\. Did you mean 'normal_nll'\?"):
        DeepESDConfig(loss="normal_nl")


def test_a_split_without_truth_cannot_be_learned_from(make_samples, context):
    silent = replace(make_samples(8), target=None)
    with pytest.raises(DataError, match=r"^train: expected a target to learn from, got a split without truth\.$"):
        DeepESD().fit(silent, silent, context)


def test_a_failing_fit_says_which(make_samples, context):
    train = make_samples(64)
    train.inputs[5] = math.nan
    with pytest.raises(TrainingError, match=r"^fit model, member 0: expected a finite loss, got train nan"):
        DeepESD(DeepESDConfig(**QUICK)).fit(train, make_samples(8, seed=1), context)


def test_predictions_do_not_depend_on_the_batch(fit, make_samples, context):
    model, test = fit(), make_samples(70, seed=2)
    whole = model.predict(test, context).parameters["mean"]
    model.config = model.config.model_copy(update={"batch_size": 9})
    inside = test.schema.mask
    np.testing.assert_allclose(
        context.backend.to_host(model.predict(test, context).parameters["mean"])[:, :, inside],
        context.backend.to_host(whole)[:, :, inside],
        atol=1e-5,
    )


def test_two_targets_are_kept_apart(make_samples, context):
    train, validation = make_samples(200, targets=2), make_samples(60, seed=1, targets=2)
    model = DeepESD(DeepESDConfig(**QUICK | {"epochs": 30})).fit(train, validation, context)
    mean = context.backend.to_host(model.predict(validation, context).mean())[:, :, train.schema.mask]
    truth = np.asarray(validation.target)[:, :, train.schema.mask]
    for mine in (0, 1):
        own, other = (np.mean((mean[:, mine] - truth[:, which]) ** 2) for which in (mine, 1 - mine))
        assert own < 0.5 * other


def test_cells_count_by_their_area_in_the_loss(fit, make_samples, context):
    test = make_samples(5, seed=2)
    area = fit(epochs=1)._tensors(test, context).place.area.cpu().numpy()
    lat = np.broadcast_to(test.schema.target_grid.lat[:, None], test.schema.mask.shape)[test.schema.mask]
    np.testing.assert_allclose(area / area[0], np.cos(np.deg2rad(lat)) / np.cos(np.deg2rad(lat[0])), rtol=1e-5)
    assert area.mean() == pytest.approx(1.0, rel=1e-5)


def test_members_differ_and_repeat(fit, make_samples, context):
    test = make_samples(5, seed=2)
    train, validation = make_samples(120), make_samples(60, seed=1)

    def mean(member):
        model = DeepESD(DeepESDConfig(**QUICK)).fit(train, validation, replace(context, member=member))
        return context.backend.to_host(model.predict(test, context).mean())

    assert np.array_equal(mean(0), mean(0), equal_nan=True)
    assert not np.array_equal(mean(0), mean(1), equal_nan=True)


def test_weights_start_from_the_members_seed_alone(fit):
    torch.manual_seed(1)
    first = fit(epochs=1)
    torch.manual_seed(2)
    second = fit(epochs=1)
    assert all(
        torch.equal(a, b) for a, b in zip(first._network.parameters(), second._network.parameters(), strict=True)
    )


def test_the_learning_curve_is_saved_and_the_summary_survives(fit, context, tmp_path):
    model = fit()
    folder = tmp_path / "saved"
    folder.mkdir()
    model.save(folder)
    rows = list(csv.DictReader((folder / "history.csv").open()))
    assert list(rows[0]) == ["epoch", "train_loss", "validation_loss", "lr", "seconds"]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4]
    assert DeepESD.load(folder, context).summary() == model.summary()
    assert model.summary()["epochs"] == 4
    assert model.summary()["validation_loss"] == min(float(row["validation_loss"]) for row in rows)


def test_loading_leaves_the_callers_random_numbers_alone(fit, context, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    fit(epochs=1).save(folder)
    before = torch.get_rng_state()
    DeepESD.load(folder, context)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_network_takes_the_channels_as_they_come(fit, make_samples, context):
    model, test = fit(), make_samples(5, seed=2)
    order = [2, 0, 1]
    shuffled = replace(
        test,
        inputs=test.inputs[:, order],
        schema=replace(test.schema, channels=tuple(test.schema.channels[i] for i in order)),
    )
    one, other = (model.network(each, context)(context.backend.to_torch(each.inputs)) for each in (test, shuffled))
    torch.testing.assert_close(one, other)
    assert (one[..., ~torch.as_tensor(test.schema.mask)] == 0).all()


def test_gradients_of_the_network_are_finite_differences(fit, make_samples, context):
    model, test = fit(), make_samples(2, seed=2)
    network = model.network(test, context).double()
    inputs = context.backend.to_torch(test.inputs).double().requires_grad_()
    network(inputs).sum().backward()
    step = torch.zeros_like(inputs)
    step[1, 2, 3, 1] = 1e-6
    with torch.no_grad():
        slope = (network(inputs + step).sum() - network(inputs - step).sum()) / 2e-6
    assert inputs.grad[1, 2, 3, 1].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-8)
    assert inputs.grad[0].abs().sum() > 0


def test_integrated_gradients_are_complete(fit, make_samples, context):
    from captum.attr import IntegratedGradients

    model, test = fit(), make_samples(3, seed=2)
    network = model.network(test, context)
    inputs = context.backend.to_torch(test.inputs)
    values, gap = IntegratedGradients(lambda x: network(x).sum((1, 2, 3))).attribute(
        inputs, n_steps=64, return_convergence_delta=True
    )
    difference = network(inputs).sum((1, 2, 3)) - network(torch.zeros_like(inputs)).sum((1, 2, 3))
    assert values.sum((1, 2, 3)).tolist() == pytest.approx(difference.tolist(), rel=0.05, abs=0.05)
    assert gap.abs().max() < 0.05 * difference.abs().max()


def test_a_batch_norm_network_predicts_from_what_it_saved(fit, make_samples, context, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    model, test = fit(norm="batch", dropout=0.3), make_samples(5, seed=2)
    model.save(folder)
    for name, array in DeepESD.load(folder, context).predict(test, context).parameters.items():
        np.testing.assert_array_equal(array, model.predict(test, context).parameters[name])


def test_point_members_make_an_ensemble_without_a_density(make_samples, context):
    train, validation, test = (make_samples(60, seed=seed) for seed in (0, 1, 2))
    members = [
        DeepESD(DeepESDConfig(**QUICK, loss="mse")).fit(train, validation, replace(context, member=number))
        for number in range(3)
    ]
    ensemble = DeepEnsemble().fit(lambda count, part: members, train, validation, context)
    alone, together = members[0].predict(test, context), ensemble.predict(test, context)
    assert (alone.family, together.family) == ("point", "members")
    aleatoric, epistemic = together.variances()
    assert aleatoric is None
    inside = test.schema.mask
    spread = np.stack([context.backend.to_host(member.predict(test, context).mean()) for member in members])
    np.testing.assert_allclose(
        context.backend.to_host(epistemic)[..., inside], spread[..., inside].var(axis=0), rtol=1e-3, atol=1e-7
    )
    applying = {}
    for name, prediction in (("alone", alone), ("together", together)):
        rows = prediction.map(lambda array: array[..., 0, :, :][..., inside])
        case = Case(rows, test.target[:, 0][..., inside], rows)
        applying[name] = {metric for metric in METRICS.names() if METRICS.get(metric)().applies(case, "degC")}
    missing = applying["together"] - applying["alone"]
    assert missing >= {"spread_skill", "coverage_90", "width_90", "crps_fair", "crpss"}
    assert "nll" not in applying["together"] | applying["alone"]
    assert {"rmse", "crps"} <= applying["alone"]


@pytest.mark.parametrize(
    "loss", ["mse", {"kind": "quantile", "count": 5}, {"kind": "fair_crps", "members": 3}], ids=str
)
def test_no_flow_below_none_is_predicted(make_series, context, loss):
    from dataclasses import replace

    from models.mlp import MLP, MLPConfig
    from pipeline.samples import Affine

    def dry(samples):
        """The same, with numbers whose zero lies at -1: much of what a network says is below."""
        shape = (len(samples.schema.targets), *samples.schema.mask.shape)
        affine = Affine(np.full(shape, 2.0, np.float32), np.full(shape, 2.0, np.float32))
        return replace(samples, schema=replace(samples.schema, target_affine=affine))

    train, check = (dry(make_series(120, seed, backend=context.backend)) for seed in (0, 1))
    model = MLP(MLPConfig(epochs=3, loss=loss, hidden=(8,))).fit(train, check, context)
    answer = model.predict(check, context)
    low = np.asarray(context.backend.to_host(answer.quantile(0.01)))
    assert low.min() == -1.0
    other = replace(check.schema, target_units=("K",) * len(check.schema.targets))
    train, check = (replace(samples, schema=other) for samples in (train, check))
    free = MLP(MLPConfig(epochs=3, loss=loss, hidden=(8,))).fit(train, check, context).predict(check, context)
    unbound = np.asarray(context.backend.to_host(free.quantile(0.01)))
    assert unbound.min() < -1.0
    for name in set(free.parameters) - {"centre"}:
        expected = np.maximum(context.backend.to_host(free.parameters[name]), np.float32(-1.0))
        np.testing.assert_array_equal(context.backend.to_host(answer.parameters[name]), expected)
    np.testing.assert_array_less(context.backend.to_host(free.mean()), context.backend.to_host(answer.mean()) + 1e-6)
