import numpy as np
import pytest
import torch
from captum.metrics import sensitivity_max

from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import Checked
from pipeline.attribution.checks._cells import cells_of, generator
from pipeline.attribution.checks.max_sensitivity import RADIUS, MaxSensitivity
from pipeline.attribution.gradient import Gradient
from pipeline.attribution.input_x_gradient import InputXGradient
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import bare

SHAPE, DAYS = (2, 3, 4), 5
ZERO = Baseline("zero", "zero", torch.zeros(1, 1, *SHAPE))


class Waves(torch.nn.Module):
    def __init__(self, frequency=1.0):
        super().__init__()
        self.frequency = frequency

    def forward(self, inputs):
        return torch.sin(self.frequency * inputs).sum((1, 2, 3))


class Linear(torch.nn.Module):
    def forward(self, inputs):
        return inputs.flatten(1) @ torch.arange(24.0)


@pytest.fixture
def inputs():
    return torch.randn(DAYS, *SHAPE, generator=torch.Generator().manual_seed(0))


def made(method, network, inputs):
    subject, which = bare(network, rows=7, seed=5), torch.arange(len(inputs))
    return Checked(method, subject, inputs, which, ZERO, method.attribute(subject, inputs, which, ZERO), 16)


def noise(asked, day, draw):
    return RADIUS * cells_of(None, SHAPE).uniform(generator(asked.subject, "neighbourhood", day, draw))


def test_the_gradient_of_a_linear_model_never_moves(inputs):
    found = MaxSensitivity().run(made(Gradient(), Linear(), inputs))
    assert found.value == 0
    assert found.passed


def test_input_times_gradient_of_a_linear_model_moves_with_the_inputs(inputs):
    asked = made(InputXGradient(), Linear(), inputs)
    weight = np.arange(24.0)
    moved = [max(np.linalg.norm(weight * noise(asked, day, draw).ravel()) for draw in range(4)) for day in range(DAYS)]
    wanted = np.sum(moved) / np.linalg.norm(weight * inputs.flatten(1).numpy(), axis=1).sum()
    found = MaxSensitivity().run(asked)
    assert found.value == pytest.approx(wanted, rel=1e-4)
    assert found.value < RADIUS
    assert found.passed


def test_it_is_that_of_captum(inputs):
    asked = made(Gradient(), Waves(3.0), inputs)
    every = torch.from_numpy(np.stack([noise(asked, day, draw) for day in range(DAYS) for draw in range(4)]))

    def explain(rows):
        if isinstance(rows, tuple):
            return (explain(rows[0]),)
        return asked.subject.gradient(rows, torch.zeros(len(rows), dtype=torch.int64))

    told = sensitivity_max(explain, inputs, lambda rows: rows + every, n_perturb_samples=4)
    size = asked.values.flatten(1).norm(dim=1)
    wanted = float((told * size).sum() / size.sum())
    assert MaxSensitivity().run(asked).value == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("frequency", "passed"), [(1.0, True), (200.0, False)])
def test_a_map_that_changes_with_every_breath_fails(inputs, frequency, passed):
    assert MaxSensitivity().run(made(Gradient(), Waves(frequency), inputs)).passed is passed


def test_days_whose_map_is_small_do_not_blow_it_up(inputs):
    # At zero the map of input times gradient is zero, near by it is not.
    still = inputs.clone()
    still[0] = 0
    plain, found = (MaxSensitivity().run(made(InputXGradient(), Linear(), each)) for each in (inputs, still))
    assert found.value < 2 * plain.value


def test_a_map_that_is_zero_here_alone_changes_by_all_of_it(inputs):
    found = MaxSensitivity().run(made(InputXGradient(), Linear(), torch.zeros_like(inputs)))
    assert found.value == 1
    assert found.passed is False


def test_the_day_of_each_row_is_told(inputs):
    class Days(MapMethod):
        title = "Days"

        def attribute(self, subject, inputs, which, baseline):
            return which[:, None, None, None] + torch.ones_like(inputs)

    asked = made(Days(), Linear(), inputs)
    few = Checked(asked.method, asked.subject, inputs, asked.which, ZERO, asked.values, 2)
    assert few.few().which.tolist() == [0, 4]
    assert MaxSensitivity().run(few).value == 0
