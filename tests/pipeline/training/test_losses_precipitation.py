"""Losses of amounts that are often zero: Bernoulli-gamma likelihood and ASYM."""

import logging

import numpy as np
import pytest
import torch
from scipy.stats import gamma

from pipeline.errors import DataError
from pipeline.training.losses import make_loss
from pipeline.training.losses._gamma import GammaSums
from pipeline.training.losses.asym import LEAST_WET_DAYS

SCALE = 2.5  # mm a number


@pytest.fixture
def rain():
    """Amounts in mm, shape (3000, 1, 4): a third of the days wet, each cell with a gamma of its own."""
    rng = np.random.default_rng(3)
    amounts = rng.gamma([0.6, 0.9, 1.5, 3.0], [9.0, 6.0, 5.0, 2.0], (3000, 1, 4))
    return torch.tensor(np.where(rng.random(amounts.shape) < 1 / 3, amounts, 0.0))


@pytest.fixture
def cells(row):
    def make(target, scale=SCALE, shift=0.0, known=None):
        shape = target.shape[1:]
        units = {} if scale is None else {"scale": torch.full(shape, scale), "shift": torch.full(shape, shift)}
        place = row(torch.ones(shape[-1]), **{name: part.to(target.dtype) for name, part in units.items()})
        return place.cells(torch.ones_like(target, dtype=torch.bool) if known is None else known)

    return make


def head(wet, shape, scale, like):
    amount = np.log(np.expm1(shape * scale - 1e-3)) - 0.5  # what a softplus, moved by half, makes of it
    p = torch.tensor([np.log(wet / (1 - wet)), np.log(shape), amount])
    return p[None, :, None, None].expand(len(like), 3, 1, like.shape[-1]).to(like.dtype)


def test_bernoulli_gamma_nll_is_scipys_density(rain, cells):
    number = rain / SCALE
    loss = make_loss("bernoulli_gamma_nll")
    values = loss(head(0.4, 0.8, 1.7, number), number, cells(number)).numpy()
    wet = rain.numpy() > 0
    density = gamma.logpdf(np.where(wet, number.numpy(), 1.0), 0.8, scale=1.7)
    np.testing.assert_allclose(values, np.where(wet, -np.log(0.4) - density, -np.log(0.6)), atol=1e-9)
    assert 0 < wet.mean() < 0.5


def test_bernoulli_gamma_nll_is_least_at_the_likeliest_parameters(rain, cells):
    number = rain[:, :, 1:2]  # one cell; numbers are mm here
    loss = make_loss("bernoulli_gamma_nll")
    output = torch.zeros(1, 3, 1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([output], max_iter=200, line_search_fn="strong_wolfe")

    def value():
        optimizer.zero_grad()
        total = loss(output.expand(len(number), -1, -1, -1), number, cells(number, scale=1.0)).mean()
        total.backward()
        return total

    optimizer.step(value)
    wet = number[number > 0].numpy()
    shape, _, scale = gamma.fit(wet, floc=0)
    found = {name: part.item() for name, part in loss.distribution(output).items()}
    assert found == pytest.approx({"wet": len(wet) / len(number), "shape": shape, "scale": scale}, rel=1e-4)
    assert loss.mean(output).item() == pytest.approx(number.mean().item(), rel=1e-4)


def test_bernoulli_gamma_amounts_grow_as_the_answer_and_not_as_its_exponential():
    loss = make_loss("bernoulli_gamma_nll")
    answers = torch.tensor([-30.0, 0.0, 10.0, 20.0])[:, None, None, None]
    means = loss.mean(torch.cat([answers * 0 + 9, answers * 0, answers], dim=1)).flatten().numpy()
    np.testing.assert_allclose(means, [1e-3, np.log1p(np.exp(0.5)) + 1e-3, 10.501, 20.501], rtol=1e-3)


def test_bernoulli_gamma_needs_no_scale(rain, cells):
    number = rain / SCALE
    output = head(0.4, 0.8, 1.7, number)
    loss = make_loss("bernoulli_gamma_nll")
    loss.fit(number, cells(number, scale=None))
    assert torch.equal(loss(output, number, cells(number, scale=None)), loss(output, number, cells(number)))


@pytest.mark.parametrize(
    ("units", "change", "message"),
    [
        ({}, -0.5, r"numbers are amounts from zero on, got -0\.5\. Set prepare\.target: \{anomaly: none"),
        ({"shift": 3.0}, 0.0, r"numbers are amounts from zero on, got a shift from zero\."),
    ],
)
def test_bernoulli_gamma_refuses_what_is_no_amount(rain, cells, units, change, message):
    number = rain / SCALE + change
    with pytest.raises(DataError, match=rf"^bernoulli_gamma_nll: expected a target .*{message}"):
        make_loss("bernoulli_gamma_nll").fit(number, cells(number, **units))


def test_bernoulli_gamma_names_the_target_that_is_no_amount(rain, cells):
    both = torch.cat([rain / SCALE, rain / SCALE - 0.5], dim=1)
    with pytest.raises(
        DataError, match=r"got -0\.5 in target 2 of 2\. A model has one loss for all .* such as fair_crps"
    ):
        make_loss("bernoulli_gamma_nll").fit(both, cells(both))


def test_gamma_fits_are_scipys_maximum_likelihood(rain):
    wet = rain >= 1.0
    shape, scale = GammaSums.of(rain, wet).estimate()
    for cell in range(4):
        expected = gamma.fit(rain[:, 0, cell][wet[:, 0, cell]].numpy(), floc=0)
        assert (shape[0, cell].item(), scale[0, cell].item()) == pytest.approx((expected[0], expected[2]), rel=1e-5)


@pytest.mark.parametrize("true", [0.05, 0.5, 1.0, 20.0, 500.0])
def test_gamma_fits_solve_the_likelihoods_equation_for_any_shape(true):
    values = torch.tensor(np.random.default_rng(1).gamma(true, 2.0, (500, 1, 3)))
    shape, scale = GammaSums.of(values, values > 0).estimate()
    gap = values.mean(0).log() - values.log().mean(0)
    torch.testing.assert_close(shape.log() - torch.digamma(shape), gap, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(shape * scale, values.mean(0))


def test_gamma_fits_of_too_little_are_missing():
    values = torch.tensor([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 5.0]]])
    chosen = torch.tensor([[[False, True, True]], [[False, True, True]]])
    shape, _ = GammaSums.of(values, chosen).estimate()
    assert torch.isnan(shape)[0].tolist() == [True, True, False]  # none, equal, two of them


def test_asym_by_hand(rain, cells):
    number = rain / SCALE
    known = torch.rand(rain.shape, generator=torch.Generator().manual_seed(1)) < 0.9
    truth = torch.where(known, number, torch.nan)
    loss = make_loss({"kind": "asym", "weight": 1.5, "power": 3.0})
    loss.fit(truth, cells(number, known=known))
    output = torch.rand(3000, 1, 1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 4
    values = loss(output, number, cells(number))
    for cell in range(4):
        there = rain[:, 0, cell][known[:, 0, cell]].numpy()
        shape, _, scale = gamma.fit(there[there >= 1.0], floc=0)  # in mm
        y, m = rain[:, 0, cell].numpy(), output[:, 0, 0, cell].numpy() * SCALE
        expected = np.abs(y - m) + 1.5 * gamma.cdf(y, shape, scale=scale) ** 3 * np.maximum(0, y - m)
        np.testing.assert_allclose(values[:, 0, cell].numpy() * SCALE, expected, rtol=1e-4, atol=1e-6)


def test_asym_takes_a_shift_for_what_it_is(rain, cells):
    plain, moved = rain / SCALE, (rain - 4.0) / SCALE
    one, other = make_loss("asym"), make_loss("asym")
    one.fit(plain, cells(plain))
    other.fit(moved, cells(moved, shift=4.0))
    output = torch.ones(3000, 1, 1, 4, dtype=torch.float64)
    there = other(output - 4.0 / SCALE, moved, cells(moved, shift=4.0))
    torch.testing.assert_close(one(output, plain, cells(plain)), there)


def test_asym_without_weight_is_the_absolute_error(rain, cells):
    number = rain / SCALE
    loss = make_loss({"kind": "asym", "weight": 0.0})
    loss.fit(number, cells(number))
    output = torch.ones(3000, 1, 1, 4, dtype=torch.float64)
    assert torch.equal(loss(output, number, cells(number)), (number - 1).abs())


def test_asym_asks_for_more_rain_than_the_median(rain, cells):
    number = rain[:, :, 3:] / SCALE
    wet = number[number[:, 0, 0] > 0]
    loss = make_loss("asym")
    loss.fit(number, cells(number))
    levels = torch.linspace(0.01, 8, 800, dtype=torch.float64)
    values = [
        loss(torch.full((len(wet), 1, 1, 1), level, dtype=torch.float64), wet, cells(wet)).mean() for level in levels
    ]
    assert levels[int(torch.stack(values).argmin())] > wet.median() * 1.1


def test_cells_with_few_wet_days_take_the_fit_of_all(rain, cells, caplog):
    number = rain.clone()
    number[:, 0, 2] = 0.0
    number[: LEAST_WET_DAYS - 1, 0, 2] = 7.0
    loss = make_loss("asym")
    with caplog.at_level(logging.WARNING):
        loss.fit(number, cells(number, scale=1.0))
    assert "1 of 4 cells have fewer than 20 wet days" in caplog.text
    wet = number[number >= 1.0].numpy()
    shape, _, scale = gamma.fit(wet, floc=0)
    truth = torch.full((1, 1, 4), 6.0, dtype=torch.float64)
    values = loss(torch.zeros(1, 1, 1, 4, dtype=torch.float64), truth, cells(truth, scale=1.0))
    assert values[0, 0, 2].item() == pytest.approx(6 + 6 * gamma.cdf(6.0, shape, scale=scale) ** 2, rel=1e-5)


def test_asym_without_wet_days_says_so(cells):
    number = torch.full((50, 1, 4), 0.2)
    with pytest.raises(DataError, match=r"^asym: expected at least 20 wet days .* 1 or more .* got 0 over all cells\."):
        make_loss("asym").fit(number, cells(number))


def test_asym_refuses_anomalies_by_day_of_the_year(rain, cells):
    with pytest.raises(DataError, match=r"^asym: expected a target with one way to units for all days, got anomalies"):
        make_loss("asym").fit(rain, cells(rain, scale=None))
