import pytest
import torch

from pipeline.attribution.known.networks import WIDTHS, Lesson, convolutional, dense, learn, of_class, r_squared
from pipeline.errors import TrainingError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_dense_network_has_the_layers_and_the_weights_of_the_paper():
    network = dense(458, WIDTHS, generator())
    # 458-512-256-128-64-32-16-1, no bias in the last layer.
    assert sum(part.numel() for part in network.parameters()) == 410_112
    first, second = network[1], network[3]
    assert float(first.weight.detach().std()) == pytest.approx(1 / 458, rel=0.02)
    assert (first.bias == 0).all()
    assert float(second.weight.detach().std()) == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert float(second.bias.detach().std()) == pytest.approx((2 / 256) ** 0.5, rel=0.15)
    assert network[-2].bias is None


def test_the_convolutional_network_has_the_sizes_of_the_paper():
    network, sizes = convolutional(generator()), []
    images = torch.zeros(1, 1, 65, 65)
    for layer in network:
        images = layer(images)
        sizes.append(tuple(images.shape[1:]))
    assert sizes[0] == (32, 33, 33)
    assert sizes[2] == (32, 16, 16)
    assert sizes[5] == (32, 8, 8)
    assert sizes[8] == (64, 4, 4)
    assert sizes[-1] == (2,)


def test_weights_depend_on_the_generator_alone():
    torch.manual_seed(1)
    one = dense(9, (4,), generator())
    torch.manual_seed(2)
    again = dense(9, (4,), generator())
    assert torch.equal(one[1].weight, again[1].weight)
    assert not torch.equal(one[1].weight, dense(9, (4,), generator(1))[1].weight)


def test_one_class_of_the_network_is_its_logit():
    network = convolutional(generator()).eval()
    images = torch.rand(4, 1, 65, 65, generator=generator())
    for number in (0, 1):
        torch.testing.assert_close(of_class(network, number)(images), network(images)[:, number])


def test_r_squared_is_one_minus_the_share_that_is_missed():
    answers = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert r_squared(answers, answers) == 1.0
    assert r_squared(torch.full((4,), 3.0), answers) == pytest.approx(0.0)
    assert r_squared(torch.tensor([1.0, 2.0, 3.0, 4.0]), answers) == pytest.approx(1 - 4 / 14)


def a_line(random):
    def draw(count):
        inputs = torch.randn(count, 1, 1, 3, generator=random)
        return inputs, inputs.sum((1, 2, 3))

    return draw


def test_it_learns_and_stops_when_it_is_good_enough():
    network, draw = dense(3, (16, 8), generator()), a_line(generator(1))
    inputs, answers = draw(500)
    seen = []

    def skill(asked):
        assert not asked.training
        seen.append(r_squared(asked(inputs), answers))
        return seen[-1]

    learned = learn(network, draw, torch.nn.functional.mse_loss, skill, Lesson(2000, 64, 1e-2, 0.9))
    assert learned.skill >= 0.9
    assert learned.steps < 2000
    assert learned.steps == 50 * len(seen)
    assert learned.skill == seen[-1]
    assert all(one < 0.9 for one in seen[:-1])
    assert not network.training


def test_it_ends_with_its_budget():
    network, draw = dense(3, (4,), generator()), a_line(generator(1))
    learned = learn(network, draw, torch.nn.functional.mse_loss, lambda asked: -1.0, Lesson(30, 8, 1e-3, 0.9))
    assert (learned.steps, learned.skill) == (30, -1.0)


def test_a_loss_that_is_not_finite_is_no_network():
    network = dense(3, (4,), generator())

    def draw(count):
        return torch.zeros(count, 1, 1, 3), torch.full((count,), float("inf"))

    with pytest.raises(TrainingError, match="the loss is nan after 20 steps"):
        learn(network, draw, torch.nn.functional.mse_loss, lambda asked: 0.0, Lesson(20, 8, 1e-3, 0.9))
