"""Every model with the trait ``stackable``: members trained as one are those trained one by one."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import MODELS
from models.deepesd import DeepESD, DeepESDConfig
from models.mlp import MLP
from models.ridge import Ridge
from models.unet import UNet, UNetConfig
from pipeline.errors import ConfigError, TrainingError
from pipeline.model import Timing
from pipeline.training import timing
from pipeline.training.loop import Tensors, train
from pipeline.training.stacked import train_together

QUICK = {"epochs": 2, "batch_size": 16, "lr": 3e-3, "width": 4, "depth": 2, "hidden": 4, "filters": (4, 2),
         "large_scale": (4,), "blocks": 1}  # fmt: skip
OWN = {
    "mlp": {"hidden": (6,)},
    "conv_lstm": {"hidden": (4,)},
    "convcnp": {"hidden": (4,)},
    "cgnet": {"blocks": (1, 1), "strides": (1, 1, 2)},
}
KINDS = [name for name in MODELS.names() if "stackable" in MODELS.get(name).traits]
DRAWS = {"noise_unet"}


def new(kind, **options):
    model = MODELS.get(kind)
    given = QUICK | OWN.get(kind, {}) | options
    return model(model.Config.model_validate({k: v for k, v in given.items() if k in model.Config.model_fields}))


@pytest.fixture
def splits_of(make_samples, make_series, make_classes, backend):
    """Return train and validation samples of the task that a model is for."""

    def make(kind):
        tasks = MODELS.get(kind).tasks
        if "segmentation" in tasks:
            return [make_classes(20, seed, shape=(8, 12), backend=backend) for seed in (0, 1)]
        if "series" in tasks:
            return [make_series(40, seed, gridded=kind == "cnn_lstm", backend=backend) for seed in (0, 1)]
        return [make_samples(40, seed, further=True, missing=0.1, backend=backend) for seed in (0, 1)]

    return make


def contexts_of(context, count=3):
    return [replace(context, member=member) for member in range(count)]


def double(tensors):
    place = tensors.place
    wide = {
        name: getattr(place, name).double() for name in ("area", "scale", "shift") if getattr(place, name) is not None
    }
    return Tensors(tensors.inputs.double(), tensors.target.double(), replace(place, **wide))


def test_all_networks_are_stackable():
    assert {"unet", "deepesd", "lstm", "gru", "mlp", "cgnet"} <= set(KINDS)
    assert set(KINDS) == {name for name in MODELS.names() if "differentiable" in MODELS.get(name).traits}


@pytest.mark.parametrize("kind", KINDS)
def test_members_as_one_are_members_one_by_one(kind, splits_of, context, monkeypatch):
    """In float64, where rounding hides nothing."""
    monkeypatch.setattr(timing, "ROUNDS", 1)
    monkeypatch.setattr(timing, "LASTING", 0.0)
    train_split, check = splits_of(kind)
    contexts = contexts_of(replace(context, folder=None))
    models = [new(kind) for _ in contexts]
    found = MODELS.get(kind).time_together(models, train_split, contexts)
    if kind in DRAWS:
        assert found == "it draws random numbers, which would not be those of a member alone"
        return
    assert isinstance(found, Timing)
    begun = [model._begin(train_split, each) for model, each in zip(models, contexts, strict=True)]
    loss, learned = begun[0][0], double(begun[0][1])
    seen = double(models[0]._tensors(check, context))
    apart = [model._network.double() for model in models]
    together = copy.deepcopy(apart)
    config, seeds = models[0].config, [each.seed_for("training") for each in contexts]
    alone = [train(network, learned, seen, loss, config, seed=seed) for network, seed in zip(apart, seeds, strict=True)]
    stacked = train_together(together, learned, seen, loss, config, seeds=seeds, titles=["fit"] * 3)
    for one, other in zip(alone, stacked, strict=True):
        assert [epoch.validation_loss for epoch in one.history] == pytest.approx(
            [epoch.validation_loss for epoch in other.history], rel=1e-8
        )
    for one, other in zip(apart, together, strict=True):
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], tensor, rtol=1e-8, atol=1e-8, msg=f"{kind} {name}")


def test_nothing_downstream_can_tell(splits_of, context, tmp_path):
    train_split, check = splits_of("unet")
    contexts = contexts_of(context)
    alone = [new("unet", norm="batch").fit(train_split, check, each) for each in contexts]
    as_one = [new("unet", norm="batch") for _ in contexts]
    assert UNet.fit_together(as_one, train_split, check, contexts) == [None] * 3
    for one, other, each in zip(alone, as_one, contexts, strict=True):
        folders = [tmp_path / f"{each.member}{name}" for name in ("alone", "as one")]
        for model, folder in zip((one, other), folders, strict=True):
            folder.mkdir()
            model.save(folder)
        files = [sorted(path.name for path in folder.iterdir()) for folder in folders]
        assert files[0] == files[1]
        assert (folders[0] / "config.json").read_bytes() == (folders[1] / "config.json").read_bytes()
        loaded = UNet.load(folders[1], each)
        assert loaded.summary() == other.summary()
        assert one.summary().keys() == other.summary().keys()
        mine, theirs = (np.asarray(each.backend.to_host(m.predict(check, each).mean())) for m in (loaded, one))
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3)


def test_a_member_that_fails_leaves_the_others(splits_of, context, monkeypatch):
    train_split, check = splits_of("mlp")
    contexts = contexts_of(context)
    models = [new("mlp") for _ in contexts]
    build, built = MLP.build, []

    def broken(self, layout, parameters):
        network = build(self, layout, parameters)
        built.append(network)
        if len(built) == 2:
            with torch.no_grad():
                network.head.linear.bias[0] = torch.nan
        return network

    monkeypatch.setattr(MLP, "build", broken)
    outcomes = MLP.fit_together(models, train_split, check, contexts)
    assert [type(outcome) for outcome in outcomes] == [type(None), TrainingError, type(None)]
    assert str(outcomes[1]).startswith("fit model, member 1: expected a finite loss")
    assert models[2].summary()["epochs"] == 2


def test_what_speaks_against_it_is_said(splits_of, context):
    train_split, _ = splits_of("deepesd")
    contexts = contexts_of(context, 2)

    class Own(DeepESD):
        def fit(self, train, validation, context):
            return super().fit(train, validation, context)

    noise = {"augment": [{"kind": "noise", "sd": 0.1}]}
    for model, options, said in (
        (Own, {}, "it is fitted in a way of its own"),
        (DeepESD, noise, "its augmentations draw random numbers, each member its own"),
        (DeepESD, {"dropout": 0.1}, "it has dropout, whose random numbers would not be those of a member alone"),
        (DeepESD, {"schedule": "plateau"}, "schedule: plateau gives each member a learning rate of its own"),
    ):
        models = [model(DeepESDConfig(**{"filters": (4, 2)} | options)) for _ in contexts]
        assert model.time_together(models, train_split, contexts) == said
        with pytest.raises(ConfigError) as caught:
            model.fit_together(models, train_split, train_split, contexts)
        assert (
            str(caught.value)
            == f"fit model, member 0: expected members that can be trained as one, got one where {said}."
        )


def test_a_model_without_the_trait_says_so(splits_of, context):
    train_split, check = splits_of("unet")
    with pytest.raises(TypeError, match=r"^Ridge cannot be fitted as one: its traits are \['baseline'"):
        Ridge.fit_together([Ridge()], train_split, check, [context])
    with pytest.raises(TypeError, match=r"^Ridge cannot be fitted as one: "):
        Ridge.time_together([Ridge()], train_split, [context])


def test_a_constraint_holds_every_member(nested, context):
    train_split, check = nested.samples(40), nested.samples(12, seed=1)
    options = {
        "constraint": {"kind": "additive"},
        "loss": "mse",
        "width": 4,
        "depth": 1,
        "large_scale": (4,),
        "epochs": 2,
    }
    contexts = contexts_of(replace(context, folder=None), 2)
    models = [UNet(UNetConfig(**options)) for _ in contexts]
    assert UNet.fit_together(models, train_split, check, contexts) == [None, None]
    for model, each in zip(models, contexts, strict=True):
        alone = UNet(UNetConfig(**options)).fit(train_split, check, each)
        np.testing.assert_allclose(model.predict(check, each).mean(), alone.predict(check, each).mean(), atol=1e-4)
        assert nested.far(model.predict(check, each), check).max() < 1e-3
