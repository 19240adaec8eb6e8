from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.attribution.baseline import Baseline
from pipeline.attribution.checks import Checked
from pipeline.attribution.checks._cells import Cells
from pipeline.attribution.checks.deletion import Deletion
from pipeline.attribution.gradient import Gradient
from pipeline.attribution.input_x_gradient import InputXGradient
from pipeline.attribution.maps import MapMethod
from pipeline.attribution.subject import bare

SHAPE, DAYS = (2, 6, 8), 5
SIZE = 96


class Linear(torch.nn.Module):
    def __init__(self, size=SIZE):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size, generator=torch.Generator().manual_seed(2)).double())

    def forward(self, inputs):
        return inputs.flatten(1) @ self.weight + 4.0


class Magnitude(MapMethod):
    kind = "strength"
    title = "Magnitude"

    def attribute(self, subject, inputs, which, baseline):
        return InputXGradient().attribute(subject, inputs, which, baseline).abs()


@pytest.fixture
def inputs():
    return torch.randn(DAYS, *SHAPE, generator=torch.Generator().manual_seed(0)).double()


def draws(count=1, days=1):
    random = torch.Generator().manual_seed(9)
    return Baseline("made", "made", torch.randn(count, days, *SHAPE, generator=random).double())


def made(method, inputs, baseline, change=lambda values: values, network=None, days=16):
    subject, which = bare(network or Linear(inputs[0].numel()), rows=50, seed=5), torch.arange(len(inputs))
    values = change(method.attribute(subject, inputs, which, baseline))
    return Checked(method, subject, inputs, which, baseline, values, days)


def brute(asked, rank, start, magnitude=False):
    """Return the mean curve of replacing cells from the highest rank to the lowest, one cell at a time."""
    weight = asked.subject.network.weight.detach().numpy()
    curves = []
    for day, own, first in zip(asked.inputs.flatten(1).numpy(), rank, start, strict=True):
        now, line = day.copy(), []
        order = sorted(range(len(day)), key=lambda cell: (-own[cell], cell))
        counts = [int(np.round(step / 16 * len(day))) for step in range(17)]
        for count in counts:
            now[:] = day
            now[order[:count]] = first[order[:count]]
            line.append(weight @ now + 4.0)
        curves.append(np.abs(np.array(line) - line[0]) if magnitude else line)
    return np.mean(curves, axis=0)


@pytest.mark.parametrize("baseline", [draws(), draws(3), draws(1, DAYS), draws(2, DAYS)])
def test_the_curves_of_a_linear_model_are_known(inputs, baseline):
    asked = made(InputXGradient(), inputs, baseline)
    found = Deletion().run(asked)
    start = np.stack(
        [baseline.fields[day % baseline.count, day % baseline.fields.shape[1]].flatten().numpy() for day in range(DAYS)]
    )
    rank = asked.values.flatten(1).numpy()
    falling, rising = brute(asked, rank, start), brute(asked, -rank, start)
    np.testing.assert_allclose(found.curves["x"], np.arange(17) / 16)
    np.testing.assert_allclose(found.curves["deletion"], falling, rtol=1e-9)
    np.testing.assert_allclose(found.curves["insertion"], rising[::-1], rtol=1e-9)
    assert found.value == pytest.approx(np.trapezoid(rising - falling, dx=1 / 16))
    assert found.passed
    # Both begin and end at what the number is with all inputs and with none.
    assert found.curves["deletion"][0] == found.curves["insertion"][-1] == pytest.approx(falling[0])
    assert (found.curves["random_low"] <= found.curves["random_high"]).all()
    inner = slice(1, -1)
    assert (found.curves["deletion"] < found.curves["random_low"])[inner].all()
    assert (found.curves["insertion"] > found.curves["random_high"][::-1])[inner].all()


def test_random_orders_go_forwards_and_backwards(inputs):
    curves = Deletion().run(made(InputXGradient(), inputs, draws())).curves
    random = curves["random_deletion"]
    # Of a linear model, the first cells of an order take away what the last of the same order backwards do.
    np.testing.assert_allclose(random + random[::-1], curves["deletion"][0] + curves["deletion"][-1], rtol=1e-9)


@pytest.mark.parametrize("method", [Gradient(), Magnitude()])
def test_magnitudes_order_the_absolute_change(inputs, method):
    baseline = draws()
    asked = made(method, inputs, baseline)
    found = Deletion().run(asked)
    start = np.repeat(baseline.fields[0].flatten(1).numpy().reshape(1, -1), DAYS, axis=0)
    rank = np.abs(asked.values.flatten(1).numpy())
    falling = brute(asked, rank, start, magnitude=True)
    rising = brute(asked, -rank, start, magnitude=True)
    np.testing.assert_allclose(found.curves["deletion"], falling, atol=1e-9)
    np.testing.assert_allclose(found.curves["insertion"], rising[::-1], atol=1e-9)
    assert found.value == pytest.approx(np.trapezoid(falling - rising, dx=1 / 16))


def test_strengths_that_are_right_pass_and_shuffled_ones_fail():
    # One way only, so that what is large is what moves the number.
    inputs = torch.rand(DAYS, *SHAPE, generator=torch.Generator().manual_seed(0)).double()
    network = Linear()
    with torch.no_grad():
        network.weight.abs_()
    zero = Baseline("zero", "zero", torch.zeros(1, 1, *SHAPE).double())
    place = torch.randperm(SIZE, generator=torch.Generator().manual_seed(4))
    right = Deletion().run(made(Magnitude(), inputs, zero, network=network))
    wrong = Deletion().run(
        made(Magnitude(), inputs, zero, lambda values: values.flatten(1)[:, place].view_as(values), network)
    )
    assert (right.passed, wrong.passed) == (True, False)
    assert "more" in right.words


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (torch.neg, -1),
        (torch.zeros_like, 0),
        (lambda values: values.flatten(1)[:, torch.randperm(SIZE, generator=torch.Generator().manual_seed(4))], None),
    ],
    ids=["flipped", "zero", "shuffled"],
)
def test_a_wrong_map_fails(inputs, change, sign):
    right = Deletion().run(made(InputXGradient(), inputs, draws()))
    found = Deletion().run(made(InputXGradient(), inputs, draws(), lambda values: change(values).view(-1, *SHAPE)))
    assert right.passed
    assert found.passed is False
    assert found.limit == right.limit
    assert abs(found.value) < right.limit if sign is None else found.value == pytest.approx(sign * right.value)


def test_few_days_keep_their_own_baselines(inputs):
    baseline = draws(1, DAYS)
    found = Deletion().run(made(InputXGradient(), inputs, baseline, days=2))
    weight = Linear().weight.detach()
    wanted = (baseline.fields[0][[0, DAYS - 1]].flatten(1) @ weight + 4.0).mean()
    assert found.curves["deletion"][-1] == pytest.approx(float(wanted))


def test_every_row_is_asked_with_its_own_day(inputs):
    asked = made(InputXGradient(), inputs, draws())
    network = asked.subject.network
    subject = replace(asked.subject, answer=lambda rows, which: network(rows) * (1 + which))
    factor = (1 + torch.arange(DAYS))[:, None, None, None]
    found = Deletion().run(replace(asked, subject=subject, values=asked.values * factor))
    start = np.repeat(asked.baseline.fields[0].flatten(1).numpy(), DAYS, axis=0)
    own = [
        brute(replace(asked, inputs=asked.inputs[day : day + 1]), asked.values[day].numpy().reshape(1, -1), start[:1])
        for day in range(DAYS)
    ]
    np.testing.assert_allclose(
        found.curves["deletion"], np.mean([(1 + day) * line for day, line in enumerate(own)], axis=0)
    )


def test_false_maps_rarely_pass():
    """At five per cent, of forty maps of noise two are to be expected; seven or more in one of 300 such trials."""
    zero = Baseline("zero", "zero", torch.zeros(1, 1, *SHAPE).double())
    passed = 0
    for seed in range(40):
        random = torch.Generator().manual_seed(seed)
        inputs, noise = (torch.randn(2, *SHAPE, generator=random).double() for _ in range(2))
        asked = made(InputXGradient(), inputs, zero, lambda values, noise=noise: noise)
        found = Deletion().run(replace(asked, subject=replace(asked.subject, seed=seed)))
        passed += bool(found.passed)
    assert passed < 7


def test_cells_that_are_too_few_decide_nothing():
    inputs = torch.tensor([[[[1.0, 2.0]]]]).double()
    zero = Baseline("zero", "zero", torch.zeros(1, 1, 1, 1, 2).double())
    found = Deletion().run(made(InputXGradient(), inputs, zero))
    assert found.passed is None
    assert "2 cells alone decide nothing" in found.words


def test_scalar_channels_go_as_one(inputs, monkeypatch):
    cells = Cells(np.array([0, 1]), np.zeros(2, int), np.array([False, True]), SHAPE[1:])
    monkeypatch.setattr("pipeline.attribution.checks.deletion.cells_checked", lambda checked: cells)
    seen = []

    class Watch(Linear):
        def forward(self, inputs):
            seen.append(inputs.detach().clone())
            return super().forward(inputs)

    baseline = draws()
    asked = made(InputXGradient(), inputs, baseline, network=Watch())
    seen.clear()
    Deletion().run(asked)
    gone = torch.cat(seen)[:, 1] == baseline.fields[0, 0, 1]
    assert (gone.flatten(1).all(1) | ~gone.flatten(1).any(1)).all()
    assert 0 < int(gone.flatten(1).all(1).sum()) < len(gone)
