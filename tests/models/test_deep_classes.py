"""What every model that is a network does with classes, tried on DeepESD."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.deepesd import DeepESD, DeepESDConfig
from pipeline.errors import ConfigError, DataError
from pipeline.prediction.categorical import entropy
from pipeline.training.losses import LOSSES
from pipeline.uncertainty.deep_ensemble import DeepEnsemble

QUICK = {"epochs": 3, "batch_size": 16, "lr": 3e-3, "filters": (8, 4)}


@pytest.fixture
def make(make_classes, context):
    """Factory of samples whose first rows are outside of the mask."""

    def make(n, seed=0, name="train"):
        samples = make_classes(n, seed, name=name, backend=context.backend)
        mask = samples.schema.mask.copy()
        mask[0, :3] = False
        target = context.backend.to_host(samples.target).copy()
        target[:, :, ~mask] = np.nan
        return replace(samples, target=context.backend.asarray(target), schema=replace(samples.schema, mask=mask))

    return make


@pytest.fixture
def fit(make, context):
    def fit(context=context, **options):
        return DeepESD(DeepESDConfig(**QUICK | options)).fit(make(40), make(16, 1, "validation"), context)

    return fit


@pytest.mark.parametrize("loss", [kind for kind in LOSSES.names() if LOSSES.get(kind).of_classes])
def test_every_loss_of_classes_trains_a_network_that_answers_probabilities(fit, make, context, loss):
    test = make(20, 2)  # batches of 16 and 4
    prediction = fit(loss=loss).predict(test, context)
    assert prediction.family == "categorical"
    chances = context.backend.to_host(prediction.parameters["probabilities"])
    inside = test.schema.mask
    assert chances.shape == (3, 20, 1, *inside.shape)
    assert chances.dtype == np.float32
    assert np.isnan(chances[..., ~inside]).all()
    np.testing.assert_allclose(chances[..., inside].sum(axis=0), 1.0, rtol=1e-5)
    mean = context.backend.to_host(prediction.mean())
    assert np.isnan(mean[..., ~inside]).all()
    assert set(np.unique(mean[..., inside])) <= {0.0, 1.0, 2.0}


def test_batches_are_joined_along_time(fit, make, context):
    model, test = fit(), make(20, 2)
    whole = context.backend.to_host(model.predict(test, context).parameters["probabilities"])
    last = context.backend.to_host(model.predict(test.take(slice(16, 20)), context).parameters["probabilities"])
    np.testing.assert_allclose(whole[:, 16:], last, rtol=1e-5, atol=1e-6)


def test_it_learns_what_a_cell_shows(make, context):
    """The made classes stand out of their noise: a few epochs tell most of them."""
    model = DeepESD(DeepESDConfig(**QUICK | {"epochs": 20, "lr": 1e-2}, loss="cross_entropy"))
    test = make(30, 2, "test")
    prediction = model.fit(make(100), make(16, 1, "validation"), context).predict(test, context)
    truth, inside = context.backend.to_host(test.target), test.schema.mask
    usual = -sum(share * np.log(share) for share in test.schema.class_shares)
    assert np.nanmean(context.backend.to_host(prediction.nll(test.target))[..., inside]) < 0.9 * usual
    found = context.backend.to_host(prediction.mean())
    assert (found == truth)[..., inside].mean() > 0.75


def test_without_a_loss_the_task_decides_and_the_options_say_which(fit, make_samples, context, tmp_path):
    model = fit()
    chosen = {"kind": "cross_entropy", "weights": "inverse_sqrt"}
    assert DeepESDConfig().loss is None
    assert model.config.loss == chosen
    assert model.summary()["loss"] == "cross_entropy (weights inverse_sqrt)"
    model.save(tmp_path)
    loaded = DeepESD.load(tmp_path, context)
    assert loaded.config == model.config
    of_numbers = DeepESD(DeepESDConfig(**QUICK)).fit(make_samples(40), make_samples(20, seed=1), context)
    assert of_numbers.config.loss == "normal_nll"
    assert of_numbers.summary()["loss"] == "normal_nll"


def test_a_saved_model_answers_the_same_probabilities(fit, make, context, tmp_path):
    model, test = (
        fit(loss=[{"kind": "cross_entropy", "weights": [1, 2, 3], "weight": 0.5}, {"kind": "dice"}]),
        make(5, 2),
    )
    model.save(tmp_path)
    before, after = (each.predict(test, context) for each in (model, DeepESD.load(tmp_path, context)))
    for name, array in before.parameters.items():
        np.testing.assert_array_equal(context.backend.to_host(array), context.backend.to_host(after.parameters[name]))


def test_the_network_answers_probabilities_with_a_gradient(fit, make, context):
    model, test = fit(), make(4, 2)
    network, inputs = model.network(test, context), context.backend.to_torch(test.inputs).requires_grad_()
    chances = network(inputs)
    assert chances.shape == (4, 3, *test.schema.mask.shape)
    expected = context.backend.to_host(model.predict(test, context).parameters["probabilities"])[:, :, 0]
    inside = test.schema.mask
    found = chances.detach().cpu().numpy()
    np.testing.assert_allclose(found[..., inside], np.moveaxis(expected, 0, 1)[..., inside], rtol=1e-5, atol=1e-6)
    assert (found[..., ~inside] == 0).all()
    chances[1, 2].sum().backward()
    assert (inputs.grad[1] != 0).any()
    assert (inputs.grad[0] == 0).all()


def test_an_ensemble_of_classes_answers_their_mean_probabilities(fit, make, context):
    members = [fit(context=replace(context, member=number)) for number in range(3)]
    train, test = make(40), make(5, 2)
    together = DeepEnsemble().fit(lambda count, part: members, train, train, context).predict(test, context)
    assert (together.family, together.class_count, together.member_count) == ("categorical_mixture", 3, 0)
    alone = [context.backend.to_host(member.predict(test, context).parameters["probabilities"]) for member in members]
    found = context.backend.to_host(together.parameters["probabilities"])
    np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-5)
    assert not np.allclose(alone[0], alone[1], equal_nan=True)
    inside = test.schema.mask
    aleatoric, epistemic = (context.backend.to_host(part)[..., inside] for part in together.uncertainties())
    doubt = np.mean([entropy(one)[..., inside] for one in alone], axis=0)
    np.testing.assert_allclose(aleatoric, doubt, rtol=1e-5)
    np.testing.assert_allclose(aleatoric + epistemic, entropy(found)[..., inside], atol=1e-6)
    assert epistemic.max() > 0.0


def test_a_loss_of_the_other_task_is_refused(fit, make_samples, context):
    with pytest.raises(
        ConfigError, match=r"^mse is a loss of numbers; a segmentation needs one of cross_entropy, dice"
    ):
        fit(loss="mse")
    with pytest.raises(ConfigError, match=r"^dice is a loss of classes, for a segmentation; a target of numbers needs"):
        DeepESD(DeepESDConfig(**QUICK, loss="dice")).fit(make_samples(20), make_samples(20, seed=1), context)


def test_weights_of_another_number_of_classes_are_refused(fit):
    with pytest.raises(
        ConfigError, match=r"^weights: expected 3 numbers, .* background, cyclone, river .*, got \[1\.0,"
    ):
        fit(loss={"kind": "focal", "weights": [1, 2]})


@pytest.mark.parametrize("split", ["train", "validation"])
def test_labels_out_of_range_are_refused_in_every_split_that_is_learned_from(make, context, split):
    splits = {"train": make(8), "validation": make(8, 1, "validation")}
    target = context.backend.to_host(splits[split].target).copy()
    target[3, 0, 5, 5] = 3.0
    splits[split] = replace(splits[split], target=context.backend.asarray(target))
    message = rf"^expected labels .* 0 background, 1 cyclone, 2 river, got 3 in {split}, where 1 of \d+ labels are none"
    with pytest.raises(DataError, match=message):
        DeepESD(DeepESDConfig(**QUICK)).fit(splits["train"], splits["validation"], context)


def test_classes_have_no_mean_that_a_constraint_could_hold(fit):
    constraint = {"kind": "additive", "channel": "tmq"}
    with pytest.raises(
        ConfigError, match=r"^constraint additive: expected a loss of family .*, got one of 'categorical'"
    ):
        fit(constraint=constraint)
    with pytest.raises(ValidationError, match="got one of 'categorical'"):
        DeepESDConfig(loss="dice", constraint=constraint)


def test_missing_labels_do_not_poison_the_fit(make, context):
    train = make(40)
    target = context.backend.to_host(train.target).copy()
    target[7] = np.nan
    target[np.random.default_rng(0).random(target.shape) < 0.3] = np.nan
    train = replace(train, target=context.backend.asarray(target))
    model = DeepESD(DeepESDConfig(**QUICK, loss="jaccard")).fit(train, make(16, 1), context)
    assert all(bool(torch.isfinite(weight).all()) for weight in model._network.parameters())
