"""Losses of members: fair CRPS and energy score; the spectral one has a file of its own."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pipeline.prediction.members import crps_ensemble
from pipeline.training.losses import make_loss

AREA = torch.tensor([0.5, 0.75, 1.0, 1.75], dtype=torch.float64)


def draws(members, count=6, targets=2, seed=1):
    random = torch.Generator().manual_seed(seed)
    output = torch.randn(count, members, targets, 4, generator=random, dtype=torch.float64)
    return output, torch.randn(count, targets, 4, generator=random, dtype=torch.float64)


@pytest.fixture
def cells(row):
    def make(target, known=None):
        return row(AREA.to(target.dtype)).cells(torch.ones_like(target, dtype=torch.bool) if known is None else known)

    return make


def brute(members, truth, distance):
    """Return the fair score by its definition, over all ordered pairs."""
    size = len(members)
    pairs = sum(distance(one, other) for one, other in itertools.permutations(members, 2))
    return sum(distance(one, truth) for one in members) / size - pairs / (2 * size * (size - 1))


@pytest.mark.parametrize("members", [2, 3, 8])
def test_fair_crps_is_its_definition_over_all_pairs(cells, members):
    output, target = draws(members)
    values = make_loss("fair_crps")(output, target, cells(target))
    for time, part, cell in np.ndindex(*values.shape):
        expected = brute(output[time, :, part, cell].tolist(), target[time, part, cell].item(), lambda a, b: abs(a - b))
        assert values[time, part, cell].item() == pytest.approx(expected, abs=1e-12)


def test_fair_crps_is_the_score_of_predictions(cells):
    output, target = draws(5)
    expected = crps_ensemble(output.movedim(1, 0).numpy(), target.numpy(), fair=True)
    np.testing.assert_allclose(make_loss("fair_crps")(output, target, cells(target)).numpy(), expected, atol=1e-12)


def test_fair_crps_of_two_members_in_closed_form(cells):
    output = torch.tensor([1.0, 4.0])[None, :, None, None].expand(1, 2, 1, 4)
    target = torch.tensor([0.0, 1.0, 2.0, 9.0])[None, None]
    values = make_loss({"kind": "fair_crps", "members": 2})(output, target, cells(target))
    # (|x1 - y| + |x2 - y|) / 2 - |x1 - x2| / 2: zero between the members, the distance to the nearer one outside.
    assert values.flatten().tolist() == pytest.approx([1.0, 0.0, 0.0, 5.0])


def test_fair_crps_of_many_members_tends_to_that_of_their_distribution(cells):
    random = torch.Generator().manual_seed(4)
    output = 0.5 + 2.0 * torch.randn(1, 40000, 1, 4, generator=random, dtype=torch.float64)
    target = torch.tensor([-2.0, 0.5, 1.0, 6.0], dtype=torch.float64)[None, None]
    z = (target.numpy() - 0.5) / 2.0
    expected = 2.0 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / math.sqrt(math.pi))
    values = make_loss("fair_crps")(output, target, cells(target))
    np.testing.assert_allclose(values.numpy(), expected, atol=0.03)


@pytest.mark.parametrize("kind", ["fair_crps", "energy_score"])
def test_fair_scores_do_not_depend_on_the_number_of_members_on_average(cells, kind):
    means = []
    for members in (2, 4, 12):
        output, target = draws(members, count=20000)
        means.append(make_loss(kind)(output, target, cells(target)).mean().item())
    assert means[1:] == pytest.approx([means[0]] * 2, abs=0.01)


@pytest.mark.parametrize("kind", ["fair_crps", "energy_score"])
def test_scores_are_least_for_the_true_spread(cells, kind):
    output, target = draws(4, count=20000)
    scores = {
        spread: make_loss(kind)(spread * output, target, cells(target)).mean().item()
        for spread in (0.5, 0.8, 1.0, 1.25, 2.0)
    }
    assert min(scores, key=scores.get) == 1.0


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("beta", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("members", [2, 3, 6])
def test_energy_score_is_its_definition_over_all_pairs(cells, members, beta, joint):
    output, target = draws(members)
    known = torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) < 0.7
    known[0] = True
    known[1, 0] = False
    loss = make_loss({"kind": "energy_score", "beta": beta, "joint": joint, "members": members})
    values = loss(output, torch.where(known, target, 0.0), cells(target, known))
    assert values.shape == (6, 1 if joint else 2, 1)
    for time, group in np.ndindex(*values.shape[:2]):
        parts = slice(None) if joint else slice(group, group + 1)
        weight = (known[time, parts] * AREA).numpy()

        def distance(one, other, weight=weight):
            if weight.sum() == 0:
                return 0.0
            return ((weight * (one - other).numpy() ** 2).sum() / weight.sum()) ** (beta / 2)

        expected = brute(list(output[time][:, parts]), target[time, parts], distance)
        assert values[time, group, 0].item() == pytest.approx(expected, abs=1e-12)


def test_energy_score_of_one_cell_is_the_fair_crps(row):
    output, target = (part[..., :1] for part in draws(5))
    one = row(torch.tensor([0.3], dtype=torch.float64)).cells(torch.ones_like(target, dtype=torch.bool))
    values = make_loss("energy_score")(output, target, one)
    torch.testing.assert_close(values, make_loss("fair_crps")(output, target, one))


def test_energy_score_sees_how_cells_hang_together(cells):
    random = torch.Generator().manual_seed(1)
    truth = torch.randn(20000, 1, 1, generator=random, dtype=torch.float64).expand(-1, 1, 4)
    together = torch.randn(20000, 4, 1, 1, generator=random, dtype=torch.float64).expand(-1, -1, 1, 4)
    apart = torch.randn(20000, 4, 1, 4, generator=random, dtype=torch.float64)
    score = {
        name: [make_loss(kind)(x, truth, cells(truth)).mean().item() for name, x in (("t", together), ("a", apart))]
        for kind, name in (("energy_score", "e"), ("fair_crps", "c"))
    }
    assert score["e"][0] < score["e"][1] - 0.02
    assert score["c"][0] == pytest.approx(score["c"][1], abs=0.01)


@pytest.mark.parametrize("kind", ["fair_crps", "energy_score", "spectral_crps"])
@pytest.mark.parametrize("members", [2, 5])
def test_members_that_are_all_the_same_have_finite_gradients(row, kind, members):
    output = torch.zeros(2, members, 1, 4, requires_grad=True)
    target = torch.zeros(2, 1, 4)
    target[1] = 1.0
    place = row(torch.ones(4))
    place = type(place)(area=place.area, index=place.index, shape=(2, 2))
    make_loss(kind)(output, target, place.cells(torch.ones_like(target, dtype=torch.bool))).sum().backward()
    assert torch.isfinite(output.grad).all()
    assert (output.grad[1] != 0).any()


@pytest.mark.parametrize("kind", ["fair_crps", "energy_score", "spectral_crps"])
def test_members_are_named_and_handed_on(kind):
    loss = make_loss({"kind": kind, "members": 3})
    assert (loss.parameters, loss.family) == (("member_00", "member_01", "member_02"), "members")
    output, _ = draws(7)  # as many as a network drew
    assert loss.distribution(output)["members"].shape == (7, 6, 2, 4)
    assert torch.equal(loss.distribution(output)["members"][3], output[:, 3])
    torch.testing.assert_close(loss.mean(output), output.mean(1))
