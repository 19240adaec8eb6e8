from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity

from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import Checked
from pipeline.attribution.checks._cells import NOISE, cells_of, changes, generator
from pipeline.attribution.checks.infidelity import LIMIT, Infidelity
from pipeline.attribution.checks.random_skill import RandomSkill
from pipeline.attribution.gradient import Gradient
from pipeline.attribution.input_x_gradient import InputXGradient
from pipeline.attribution.integrated_gradients import IntegratedGradients
from pipeline.attribution.subject import bare

SHAPE, DAYS = (2, 6, 6), 5


class Linear(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(72, generator=torch.Generator().manual_seed(2)))

    def forward(self, inputs):
        return inputs.flatten(1) @ self.weight + 4.0


class Curved(Linear):
    def forward(self, inputs):
        return torch.sin(super().forward(inputs) / 4) + inputs.flatten(1).prod(1)


@pytest.fixture
def inputs():
    return torch.randn(DAYS, *SHAPE, generator=torch.Generator().manual_seed(0))


def draws(count=1, days=1):
    return Baseline("made", "made", torch.randn(count, days, *SHAPE, generator=torch.Generator().manual_seed(9)))


def made(method, network, inputs, baseline, change=lambda values: values, days=DAYS):
    subject, which = bare(network, rows=7, seed=5), torch.arange(len(inputs))
    values = change(method.attribute(subject, inputs, which, baseline))
    return Checked(method, subject, inputs, which, baseline, values, days)


@pytest.mark.parametrize("method", [InputXGradient(), IntegratedGradients(), Gradient()])
@pytest.mark.parametrize("baseline", [draws(), draws(3), draws(1, DAYS), draws(2, DAYS)])
def test_a_linear_model_is_predicted_exactly(inputs, method, baseline):
    # Of few days too, whose baselines are their own.
    for days in (DAYS, 2):
        asked = made(method, Linear(), inputs, baseline, days=days)
        found = Infidelity().run(asked)
        assert found.value < 1e-6
        assert found.passed
        skill = RandomSkill().run(asked)
        assert skill.value == pytest.approx(1, abs=1e-5)
        assert skill.passed


@pytest.mark.parametrize("method", [InputXGradient(), IntegratedGradients(), Gradient()])
def test_a_number_that_is_another_every_day_is_predicted_too(inputs, method):
    network = Linear()
    subject = replace(bare(network, rows=7), answer=lambda rows, which: network(rows).double() * (1 + which))
    which, baseline = torch.arange(DAYS), draws(2, DAYS)
    values = method.attribute(subject, inputs, which, baseline)
    asked = Checked(method, subject, inputs, which, baseline, values, 3)
    assert Infidelity().run(asked).value < 1e-6
    assert RandomSkill().run(asked).value == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("factor", "wanted"), [(-1.0, 4.0), (0.0, 1.0), (2.0, 1.0), (1.4, 0.16)])
@pytest.mark.parametrize("method", [InputXGradient(), Gradient()])
def test_a_map_that_is_too_large_by_a_factor(inputs, method, factor, wanted):
    found = Infidelity().run(made(method, Linear(), inputs, draws(), lambda values: factor * values))
    assert found.value == pytest.approx(wanted, rel=1e-4)
    assert found.passed is (wanted < LIMIT)


@pytest.mark.parametrize("method", [InputXGradient(), Gradient()])
@pytest.mark.parametrize(
    "change", [lambda v: v.flip(2), lambda v: v.flatten(1)[:, torch.randperm(72)].view_as(v), lambda v: v.roll(1, 1)]
)
def test_cells_at_other_places_have_no_skill(inputs, method, change):
    asked = made(method, Linear(), inputs, draws(), change)
    found = RandomSkill().run(asked)
    assert found.value < 0
    assert found.passed is False


def test_a_map_that_adds_up_and_knows_nothing_more_has_no_skill(inputs):
    """The departure spread evenly: predicts changes well where all inputs push one way, and has no skill."""

    class Sum(Linear):
        def forward(self, inputs):
            return inputs.flatten(1) @ self.weight.abs()

    def spread(values):
        return values.sum((1, 2, 3), keepdim=True).expand_as(values) / 72

    asked = made(InputXGradient(), Sum(), inputs.abs(), Baseline("zero", "zero", torch.zeros(1, 1, *SHAPE)), spread)
    assert Infidelity().run(asked).passed
    found = RandomSkill().run(asked)
    # The best even map may be larger or smaller than that which adds up.
    assert -0.1 < found.value <= 0
    assert found.passed is False


def test_one_cell_leaves_nothing_to_know():
    class One(torch.nn.Module):
        def forward(self, inputs):
            return 3 * inputs[:, 0, 0, 0]

    inputs = torch.tensor([[[[2.0]]], [[[1.0]]]])
    baseline = Baseline("zero", "zero", torch.zeros(1, 1, 1, 1, 1))
    asked = made(InputXGradient(), One(), inputs, baseline)
    assert Infidelity().run(asked).passed
    found = RandomSkill().run(asked)
    assert found.passed is None
    assert found.value == 0


@pytest.mark.parametrize("method", [InputXGradient(), Gradient()])
def test_it_is_that_of_captum(inputs, method):
    network, baseline = Curved(), draws()
    asked = made(method, network, inputs, baseline)
    cells, hide = cells_of(None, SHAPE), method.kind == "departure"

    def moved(draw, day):
        random = generator(asked.subject, "perturbations", day, draw)
        return (cells.blocks(random) < 0.5).astype(np.float32) if hide else NOISE * cells.noise(random)

    # Captum repeats each row as often as there are draws, and adds up differences the other way round for noise.
    every = torch.from_numpy(np.stack([moved(draw, day) for day in range(DAYS) for draw in range(32)]))

    def perturb(rows):
        if hide:
            return every, torch.where(every > 0, baseline.fields[0].expand_as(rows), rows)
        return -every, rows + every

    def asked_of(values):
        return captum_infidelity(
            lambda rows: network(rows).double(), perturb, inputs, values, n_perturb_samples=32, normalize=False
        )

    wanted = asked_of(asked.values).sum() / asked_of(torch.zeros_like(inputs)).sum()
    assert Infidelity().run(asked).value == pytest.approx(float(wanted), rel=1e-4)
    assert float(wanted) > 1e-3


@pytest.mark.parametrize("method", [InputXGradient(), Gradient()])
def test_a_day_is_perturbed_alike_whatever_is_explained_with_it(inputs, method):
    asked, none = made(method, Curved(), inputs, draws()), np.zeros((0, *SHAPE), np.float32)
    last = replace(asked, inputs=inputs[3:], which=asked.which[3:], values=asked.values[3:])
    whole, part = changes(asked, none), changes(last, none)
    np.testing.assert_allclose(part.actual, whole.actual[3:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(part.said, whole.said[3:], rtol=1e-9)
    assert not np.allclose(part.said, whole.said[:2])


def test_a_gradient_that_breaks_off_fails(inputs):
    class Kinks(Linear):
        def forward(self, inputs):
            return torch.sin(200 * inputs).flatten(1) @ self.weight

    found = Infidelity().run(made(Gradient(), Kinks(), inputs, draws()))
    assert found.value > 1
    assert found.passed is False
