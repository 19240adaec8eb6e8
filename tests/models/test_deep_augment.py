"""Deep models trained on augmented samples."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models._deep import DeepConfig, DeepModel
from models.deepesd import DeepESD, DeepESDConfig
from models.lstm import LSTM
from pipeline.errors import ConfigError, TraitError

QUICK = {"epochs": 3, "batch_size": 16, "lr": 3e-3}
GLOBAL = [
    {"kind": "longitude_shift"},
    {"kind": "flip_latitude", "negate": ["wind"]},
    {"kind": "noise", "sd": {"tmq": 0.1}},
    {"kind": "mixup", "alpha": 0.4},
]


class Answers(nn.Module):
    """One convolution, round in longitude: all cells row by row."""

    def __init__(self, channels, parameters):
        super().__init__()
        self.convolution = nn.Conv2d(channels, parameters, 3)

    def forward(self, inputs):
        wide = nn.functional.pad(nn.functional.pad(inputs, (1, 1, 0, 0), "circular"), (0, 0, 1, 1), "replicate")
        return self.convolution(wide).flatten(2)[:, :, None]


class AnySize(DeepModel):
    """Stands for a network of one set of weights for all cells."""

    Config = DeepConfig
    traits: ClassVar = frozenset({"seeded", "probabilistic", "patches"})
    tasks: ClassVar = frozenset({"segmentation"})

    def build(self, layout, parameters):
        return Answers(len(layout.channels), parameters)


@pytest.fixture
def fitted(make_classes, context):
    def fit(kind=DeepESD, config=DeepESDConfig, **options):
        more = {"filters": (8, 4)} if config is DeepESDConfig else {}
        model = kind(config(**QUICK | more | options))
        return model.fit(make_classes(48), make_classes(16, seed=1, name="validation"), context)

    return fit


def probabilities(model, samples, context):
    return context.backend.to_host(model.predict(samples, context).parameters["probabilities"])


def test_members_repeat_and_are_others_than_without(fitted, make_classes, context):
    test = make_classes(4, seed=2)
    one, again, without = (probabilities(fitted(augment=spec), test, context) for spec in (GLOBAL, GLOBAL, []))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, without)


def test_what_was_done_is_in_the_summary_of_the_saved_model(fitted, context, tmp_path):
    model = fitted(augment=GLOBAL)
    model.save(tmp_path)
    loaded = DeepESD.load(tmp_path, context)
    assert loaded.summary() == model.summary()
    assert loaded.config.augment == GLOBAL
    assert model.summary()["augment"] == [
        "longitude_shift (probability 1.0)",
        "flip_latitude (probability 0.5, sign of wind)",
        "noise (probability 1.0, sd {'tmq': 0.1})",
        "mixup (probability 1.0, alpha 0.4)",
    ]
    assert "augment" not in fitted().summary()


def test_patches_reach_a_network_that_answers_any_size(fitted, make_classes, context):
    sizes = []
    original = Answers.forward

    def forward(self, inputs):
        sizes.append(tuple(inputs.shape[2:]))
        return original(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answers, "forward", forward)
        spec = [{"kind": "flip_latitude"}, {"kind": "patches", "size": [6, 10]}]
        model = fitted(AnySize, DeepConfig, augment=spec, epochs=30, lr=0.05)
    # An epoch: three batches of 16 to learn from, and one of the validation split, which is never cut.
    assert sizes == 30 * [(6, 10), (6, 10), (6, 10), (12, 20)]
    test = make_classes(16, seed=2)
    chosen = probabilities(model, test, context).argmax(0)
    assert (chosen == context.backend.to_host(test.target)).mean() > 0.9  # of patterns that one cell shows


def test_a_network_of_one_size_takes_no_patches(fitted):
    with pytest.raises(
        TraitError, match=r"^augmentation 'patches' needs a model with the trait patches, and model has "
    ):
        fitted(augment=[{"kind": "patches", "size": [6, 10]}])


def test_series_take_noise_and_mixup_and_nothing_that_moves(make_series, context):
    train, validation = make_series(80), make_series(40, seed=1, name="validation")

    def fit(spec):
        return LSTM(LSTM.Config(**QUICK, augment=spec)).fit(train, validation, context)

    done = fit([{"kind": "noise", "sd": {"rain": 0.1}}, {"kind": "mixup"}])
    assert np.isfinite(done.summary()["train_loss"])
    with pytest.raises(ConfigError, match=r"^longitude_shift: expected a regular grid .*, got a table of stations\."):
        fit([{"kind": "longitude_shift"}])


def test_static_fields_stay_where_they_are(make_samples, context):
    model = DeepESD(DeepESDConfig(**QUICK, augment=[{"kind": "flip_longitude"}]))
    with pytest.raises(ConfigError, match=r"^flip_longitude: expected no static fields, got 1"):
        model.fit(make_samples(20), make_samples(10, seed=1), context)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([{"kind": "mixpu"}], r"unknown augmentation 'mixpu'\. Did you mean 'mixup'\?"),
        (
            [{"kind": "noise", "sd": -1.0}],
            r"augmentation 'noise': sd: expected positive standard deviations, got -1\.0",
        ),
        ("noise", r"expected a list of augmentations such as"),
    ],
)
def test_options_are_checked_with_the_model(spec, message):
    with pytest.raises(ValidationError, match=message):
        DeepConfig(augment=spec)


def test_the_callers_random_numbers_are_left_alone(fitted):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fitted(augment=GLOBAL)
    assert torch.equal(torch.get_rng_state(), before)
