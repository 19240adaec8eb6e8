"""From the YAML's list to what the loop calls."""

import pytest
import torch

from pipeline.errors import ConfigError, TraitError, UnknownNameError
from pipeline.training.augment import Augmenter, make_augmentations, make_augmenter
from pipeline.training.losses import Place


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("noise", ConfigError, r"^expected a list of augmentations such as \[\{kind: noise, sd: 0\.1\}\], got 'noise'\.$"),
        (["noise"], ConfigError, r"^0: expected an augmentation with its name under the key 'kind', .* got 'noise'\. Known: flip_"),
        ([{"sd": 1}], ConfigError, r"^0: expected an augmentation with its name .* got \{'sd': 1\}\."),
        ([{"kind": "niose"}], UnknownNameError, r"^unknown augmentation 'niose'\. Did you mean 'noise'\? Known: "),
        ([{"kind": "noise", "sdd": 1}], ConfigError, r"^augmentation 'noise': sdd: unknown key\. Did you mean 'sd'\?"),
        ([{"kind": "noise", "probability": 0}], ConfigError, r"^augmentation 'noise': probability: input should be greater than 0"),
        ([{"kind": "mixup", "alpha": 0}], ConfigError, r"^augmentation 'mixup': alpha: input should be greater than or equal"),
        ([{"kind": "mixup"}, {"kind": "mixup"}], ConfigError,
         r"^expected at most one augmentation that mixes samples, got mixup and mixup\.$"),
        ([{"kind": "patches", "size": [2, 2]}, {"kind": "noise"}, {"kind": "longitude_shift"}], ConfigError,
         r"^expected longitude_shift before patches, got it behind: it needs maps of the whole grid\.$"),
        ([{"kind": "patches", "size": [2, 2]}, {"kind": "patches", "size": [2, 2]}], ConfigError, r"^expected patches before patches"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(spec, error, message):
    with pytest.raises(error, match=message):
        make_augmentations(spec)


def test_a_trait_that_is_missing_is_refused(world):
    spec = [{"kind": "noise"}, {"kind": "patches", "size": [2, 2]}]
    message = r"^augmentation 'patches' needs a model with the trait patches, and unet has seeded, shared\. Take it out"
    with pytest.raises(TraitError, match=message):
        make_augmenter(spec, world(), frozenset({"shared", "seeded"}), "unet")
    assert len(make_augmenter(spec, world(), frozenset({"patches"}), "unet").steps) == 2


def test_nothing_to_do_is_none(world):
    assert make_augmenter([], world(), frozenset(), "unet") is None


def test_steps_are_done_in_their_order_and_say_what_they_do(world):
    spec = [{"kind": "flip_latitude"}, {"kind": "noise", "sd": 0.5}]
    augmenter = make_augmenter(spec, world(), frozenset(), "unet")
    assert augmenter.describe() == ["flip_latitude (probability 0.5, sign of V850)", "noise (probability 1.0, sd 0.5)"]
    assert augmenter.key != make_augmenter(spec[::-1], world(), frozenset(), "unet").key


@pytest.mark.parametrize("inside", [1.0, 0.6])
def test_nothing_to_change_gives_back_what_came(inside):
    mask = torch.rand(6, 8, generator=torch.Generator().manual_seed(0)) < inside
    index = mask.flatten().nonzero()[:, 0]
    place = Place(area=torch.rand(len(index)), index=index, shape=(6, 8))
    inputs, target = torch.randn(3, 2, 6, 8), torch.randn(3, 2, len(index))
    target[0, 0, 1] = torch.nan
    changed = Augmenter([], [])(inputs, target, place)
    assert changed.inputs is inputs
    assert changed.place is place
    ((share, truth),) = changed.targets
    assert share == 1.0
    torch.testing.assert_close(truth, target, rtol=0, atol=0, equal_nan=True)


def test_truth_that_comes_to_lie_outside_of_the_mask_is_left_out(world):
    mask = torch.ones(6, 8, dtype=torch.bool)
    mask[2, 3:] = False
    index = mask.flatten().nonzero()[:, 0]
    place = Place(area=torch.ones(len(index)), index=index, shape=(6, 8))
    maps = torch.arange(48.0).reshape(1, 1, 6, 8)
    augmenter = make_augmenter([{"kind": "longitude_shift"}], world(channels=("TMQ",), scalars=()), frozenset(), "unet")
    torch.manual_seed(3)
    changed = augmenter(maps, maps.flatten(2)[..., index], place)
    ((_, truth),) = changed.targets
    came_from = changed.inputs.flatten(2)[..., index]
    outside = ~mask.flatten()[came_from.long()]
    assert changed.place is place
    assert bool(outside.any())
    assert torch.equal(truth.isnan(), outside)
    assert torch.equal(truth[~outside], came_from[~outside])
