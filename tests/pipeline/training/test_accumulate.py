"""A batch in parts is the batch: the same gradient, and what is too large for the device is made smaller."""

import pytest
import torch
from torch import nn

from pipeline.errors import TrainingError
from pipeline.training.augment import Augmenter, Shares
from pipeline.training.config import TrainingConfig
from pipeline.training.loop import train
from pipeline.training.losses import Place, make_loss
from pipeline.training.memory import saved_bytes
from pipeline.training.run import Run
from pipeline.training.tensors import Batch, Tensors

NLL = make_loss("normal_nll")


def options(**changed):
    return TrainingConfig(**{"epochs": 4, "batch_size": 16, "lr": 0.01, "clip": 1.0} | changed)


class Plain(nn.Module):
    """Two dense layers without norm or dropout, in float64."""

    def __init__(self, seed=5):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 10)).double()

    def forward(self, inputs):
        return self.layers(inputs).unflatten(1, (2, 1, 5))


def wide(data: Tensors) -> Tensors:
    place = data.place
    return Tensors(
        data.inputs.double(),
        data.target.double(),
        Place(area=place.area.double(), index=place.index, shape=place.shape),
    )


def gradients(data, config, parts, **more):
    network = Plain()
    run = Run(network, NLL, config, data, more.get("augment"), "test")
    run.parts = parts
    torch.manual_seed(1)
    summed, weight = run._gradients(Batch(data.inputs, data.target, data.place), len(data), 0)
    return [p.grad.clone() for p in network.parameters()], float(summed), float(weight)


class Mixed(Augmenter):
    def __init__(self):
        super().__init__([], [{"kind": "mixed"}])

    def __call__(self, inputs, target, place):
        return Shares(inputs + torch.randn_like(inputs), ((0.7, target), (0.3, target.roll(1, 0))), place)


@pytest.mark.parametrize("parts", [2, 3, 16, 40])
@pytest.mark.parametrize("augment", [None, Mixed()], ids=["plain", "mixed"])
def test_parts_have_the_gradient_of_the_whole(samples, parts, augment):
    data = wide(samples(17))
    # Missing truth lies unevenly over the parts: a mean of their means would be another one.
    data.target[:6, :, 1:] = torch.nan
    config = options(l1=1e-3, l2=1e-3)
    whole, *sums = gradients(data, config, 1, augment=augment)
    found, *others = gradients(data, config, parts, augment=augment)
    for one, other in zip(whole, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    assert others == pytest.approx(sums, rel=1e-13)


def test_the_option_trains_in_parts_as_without(samples):
    networks, sizes = [Plain(), Plain()], []
    networks[1].register_forward_pre_hook(
        lambda module, given: sizes.append(len(given[0])) if module.training else None
    )
    histories = [
        train(network, wide(samples()), wide(samples(seed=1)), NLL, options(accumulate=parts), seed=1).history
        for network, parts in zip(networks, (1, 3), strict=True)
    ]
    assert sizes[:8] == [6, 5, 5, 6, 5, 5, 3, 3]  # 40 samples: 16, 16 and 8
    for one, other in zip(*histories, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-10)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-10)


class Narrow(nn.Module):
    """Has room for so many samples; draws numbers and moves running moments before it finds out."""

    def __init__(self, inner, room, error=torch.OutOfMemoryError):
        super().__init__()
        self.inner, self.room, self.calls, self.error = inner, room, [], error

    def forward(self, inputs):
        self.calls.append(len(inputs))
        answer = self.inner(inputs)
        if len(inputs) > self.room and inputs.device.type != "meta":  # there sizes alone are asked for
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more.")
        return answer


def test_a_step_that_is_too_large_is_made_again_in_parts_that_fit(samples, caplog):
    straight, network = Plain(), Narrow(Plain(), 5)
    whole = train(straight, wide(samples()), wide(samples(seed=1)), NLL, options(), seed=1, augment=Mixed())
    trained = train(
        network, wide(samples()), wide(samples(seed=1)), NLL, options(), seed=1, augment=Mixed(), title="fit"
    )
    assert network.calls[:6] == [16, 8, 4, 4, 4, 4]
    assert max(network.calls[6:]) <= 4
    # The same random numbers, so the same course, as far as sums in parts are the same.
    assert [epoch.train_loss for epoch in trained.history] == pytest.approx(
        [epoch.train_loss for epoch in whole.history], rel=1e-10
    )
    assert trained.notes == (
        "fit: a batch is worked on in 2 parts, as 16 samples at once are more than the device has memory for "
        "(CUDA out of memory).",
        "fit: a batch is worked on in 4 parts, as 8 samples at once are more than the device has memory for "
        "(CUDA out of memory).",
    )
    assert "as 8 samples at once are more than the device has memory for (CUDA out of memory)" in caplog.text
    assert whole.notes == ()


def test_the_words_of_another_allocator_are_known_and_another_error_is_not_taken_for_one(samples):
    network = Narrow(Plain(), 8, RuntimeError)
    train(network, wide(samples()), wide(samples(seed=1)), NLL, options(epochs=1), seed=1)
    assert network.calls[:3] == [16, 8, 8]

    class Wrong(Plain):
        def forward(self, inputs):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        train(Wrong(), wide(samples()), wide(samples(seed=1)), NLL, options(epochs=1), seed=1)


def test_a_step_made_again_leaves_norms_and_dropout_as_if_it_was_the_first(samples, small):
    """Running moments of the try that failed are taken back."""
    tried, known = Narrow(small(), 8), small()
    train(tried, samples(16), samples(seed=1), NLL, options(epochs=1), seed=1)
    train(known, samples(16), samples(seed=1), NLL, options(epochs=1, accumulate=2), seed=1)
    for one, other in zip(tried.inner.state_dict().values(), known.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_validation_that_is_too_large_is_cut_too(samples):
    class InEval(Narrow):
        def forward(self, inputs):
            return super().forward(inputs) if not self.training else self.inner(inputs)

    network = InEval(Plain(), 4)
    trained = train(network, wide(samples()), wide(samples(seed=1)), NLL, options(epochs=1), seed=1)
    assert [len(note) > 0 for note in trained.notes] == [True, True]
    assert network.calls == [16, 8] + [4] * 10


def test_one_sample_that_has_no_room_ends_in_what_it_takes(samples):
    with pytest.raises(
        TrainingError,
        match=r"^fit: expected room for one sample of 2 x 3 x 4 numbers on cpu, got out of memory \(CUDA out of memory\)\."
        r" It keeps 0 MiB for its gradient\. Take a smaller region or network, precision: bfloat16, or another device\.$",
    ):
        train(Narrow(Plain(), 0), wide(samples()), wide(samples()), NLL, options(), seed=1, title="fit")


def test_what_a_pass_keeps_is_counted_without_taking_it():
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1))
    # The inputs, and what the first layer's ReLU answered: once, though two layers keep it.
    assert saved_bytes(network, torch.zeros(2, 3, 32, 32)) == 4 * 2 * 32 * 32 * (3 + 16)
