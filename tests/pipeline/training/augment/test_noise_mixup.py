"""What noise and mixup keep: the truth, and the loss of each truth."""

import math

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.training.augment import Batch, make_augmentations
from pipeline.training.losses import Place, make_loss


def made(world, **entry):
    return make_augmentations([entry])[0].prepare(world)


def wide(count=400):
    return Batch(inputs=torch.full((count, 8, 6, 8), 3.0), target=torch.zeros(count, 1, 6, 8), area=torch.ones(6, 8))


def test_noise_has_the_deviation_asked_for_on_fields_alone(world):
    torch.manual_seed(1)
    before = wide()
    after = made(world(), kind="noise", sd=0.2)(before)
    error = (after.inputs - before.inputs)[:, :6].double()
    count = error.numel()
    assert float(error.mean()) == pytest.approx(0.0, abs=4 * 0.2 / math.sqrt(count))
    assert float(error.std()) == pytest.approx(0.2, rel=4 / math.sqrt(2 * count))
    assert float((error**4).mean()) == pytest.approx(3 * 0.2**4, rel=0.05)  # of a normal distribution
    by_channel = error.movedim(1, 0).flatten(1)
    assert float((torch.corrcoef(by_channel) - torch.eye(6)).abs().max()) < 5 / math.sqrt(by_channel.shape[1])
    assert torch.equal(after.inputs[:, 6:], before.inputs[:, 6:])
    assert after.target is before.target
    assert after.area is before.area


def test_noise_by_channel_is_found_by_name_at_every_lag(world):
    torch.manual_seed(1)
    after = made(world(), kind="noise", sd={"V850": 0.5, "TMQ@-1": 0.1})(wide())
    deviation = after.inputs.std((0, 2, 3))
    torch.testing.assert_close(deviation, torch.tensor([0, 0.5, 0, 0, 0.5, 0.1, 0, 0]), rtol=0.05, atol=1e-7)


def test_noise_to_some_of_the_samples(world):
    torch.manual_seed(1)
    changed = (made(world(), kind="noise", probability=0.3)(wide(2000)).inputs != 3.0).flatten(1).any(1)
    assert float(changed.double().mean()) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(
    ("sd", "message"),
    [
        ({"V80": 0.1}, r"^noise\.sd: no channel 'V80'\. Did you mean 'V850'\?"),
        ({"day_cos": 0.1}, r"^noise\.sd: no channel 'day_cos'\..* Known: U850, V850, TMQ\.$"),
        (0.0, r"^augmentation 'noise': sd: expected positive standard deviations, got 0\.0\.$"),
        ({"V850": -1.0}, r"expected positive standard deviations, got \{'V850': -1\.0\}\.$"),
        ({}, r"expected positive standard deviations, got \{\}\.$"),
        (math.inf, r"expected positive standard deviations, got inf\.$"),
    ],
)
def test_noise_without_a_field_or_a_size_is_refused(world, sd, message):
    with pytest.raises(ConfigError, match=message):
        made(world(), kind="noise", sd=sd)


def test_inputs_are_mixed_and_truths_are_kept(world, batch):
    torch.manual_seed(4)
    before = batch()
    after = made(world(), kind="mixup", alpha=1.0)(before)
    assert after.target is before.target
    partner = [
        next(k for k in range(12) if torch.equal(truth.nan_to_num(9.0), before.target[k].nan_to_num(9.0)))
        for truth in after.second
    ]
    assert sorted(partner) == list(range(12))
    expected = after.share * before.inputs + (1 - after.share) * before.inputs[partner]
    torch.testing.assert_close(after.inputs, expected)
    torch.testing.assert_close(after.inputs.mean(0), before.inputs.mean(0), atol=1e-6, rtol=1e-5)
    assert set(after.second[after.second.isfinite()].tolist()) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 5.0])
def test_shares_are_of_the_beta_distribution(world, batch, alpha):
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
    torch.manual_seed(1)
    step, one = made(world(), kind="mixup", alpha=alpha), batch(1)
    shares = torch.tensor([step(one).share for _ in range(4000)], dtype=torch.float64)
    assert bool(((shares >= 0) & (shares <= 1)).all())
    variance = 1 / (4 * (2 * alpha + 1))
    assert float(shares.mean()) == pytest.approx(0.5, abs=4 * math.sqrt(variance / 4000))
    assert float(shares.var()) == pytest.approx(variance, rel=0.1)


def test_some_batches_are_mixed(world, batch):
    torch.manual_seed(1)
    step, one = made(world(), kind="mixup", probability=0.3), batch(3)
    mixed = [step(one).second is not None for _ in range(1000)]
    assert sum(mixed) / 1000 == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_of_a_cross_entropy_two_shares_are_a_mixed_truth(share):
    """``w L(y1) + (1 - w) L(y2)`` has the gradient of the cross-entropy against ``w e_y1 + (1 - w) e_y2``."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 1, 7, generator=random).requires_grad_()
    first, second = (torch.randint(0, 3, (4, 1, 7), generator=random).float() for _ in range(2))
    loss, known = make_loss("cross_entropy", 3), torch.ones(4, 1, 7, dtype=torch.bool)
    place = Place(area=torch.ones(7), index=torch.arange(7), shape=(1, 7))
    loss.fit(first, place.cells(known))
    mixed = share * loss(logits, first, place.cells(known)) + (1 - share) * loss(logits, second, place.cells(known))
    (gradient,) = torch.autograd.grad(mixed.sum(), logits)
    soft = share * torch.nn.functional.one_hot(first.long(), 3) + (1 - share) * torch.nn.functional.one_hot(
        second.long(), 3
    )
    (expected,) = torch.autograd.grad(-(soft.movedim(-1, 1) * logits.log_softmax(1)).sum(), logits)
    torch.testing.assert_close(gradient, expected)
