import numpy as np
import pytest
import torch

from pipeline.attribution.known.correlation import made_correlation
from pipeline.attribution.known.piecewise import BREAKS, draw_world


@pytest.fixture(scope="module")
def correlation():
    return made_correlation(0).every(23)


@pytest.fixture(scope="module")
def world(correlation):
    return draw_world(correlation, seed=3)


@pytest.fixture(scope="module")
def inputs(world):
    return world.inputs(300, torch.Generator().manual_seed(0))


def by_hand(value, breaks, slopes):
    """Walk from zero to the value, piece by piece, in Python's own numbers."""
    edges = [-np.inf, *breaks, np.inf]
    total = 0.0
    for low, high, slope in zip(edges[:-1], edges[1:], slopes, strict=True):
        if value >= 0:
            start, end = max(low, 0.0), min(high, value)
            total += slope * max(0.0, end - start)
        else:
            start, end = max(low, value), min(high, 0.0)
            total -= slope * max(0.0, end - start)
    return total


def test_the_truth_is_what_a_walk_from_zero_gives(world, inputs):
    truth = world.truth(inputs).numpy() * world.cells
    breaks, slopes = world.breaks.double().numpy(), world.slopes.double().numpy()
    for row in range(0, 300, 10):
        for cell in range(world.cells):
            expected = by_hand(float(inputs[row, cell]), breaks[:, cell], slopes[:, cell])
            assert truth[row, cell] == pytest.approx(expected, abs=1e-6)


def test_the_truth_adds_up_to_the_answer(world, inputs):
    assert world.truth(inputs).dtype == world.answers(inputs).dtype == torch.float64
    torch.testing.assert_close(world.truth(inputs).sum(1), world.answers(inputs), rtol=0, atol=1e-5)


def test_nothing_comes_of_zero(world):
    zero = torch.zeros(1, world.cells)
    assert (world.parts(zero) == 0).all()
    assert float(world.answers(zero)) == 0.0


def test_each_function_is_continuous_and_its_pieces_are_straight(world):
    edges = torch.cat([world.breaks[:1] - 2.0, world.breaks, world.breaks[-1:] + 2.0]).double()
    for piece, slope in enumerate(world.slopes.double()):
        low, high = edges[piece], edges[piece + 1]
        ends = [world.parts((low + share * (high - low))[None])[0] for share in (0.0, 0.25, 0.5, 1.0)]
        for share, end in zip((0.25, 0.5, 1.0), ends[1:], strict=True):
            torch.testing.assert_close(end - ends[0], share * slope * (high - low), atol=1e-9, rtol=1e-9)
    for edge in world.breaks.double():
        before, after = (world.parts((edge + away)[None])[0] for away in (-1e-9, 1e-9))
        torch.testing.assert_close(before, after, atol=1e-7, rtol=0)


def test_there_are_five_breaks_that_rise_and_one_is_at_zero(world):
    assert world.breaks.shape == (BREAKS, world.cells)
    assert world.slopes.shape == (BREAKS + 1, world.cells)
    assert (world.breaks.diff(dim=0) >= 0).all()
    assert ((world.breaks == 0).sum(0) == 1).all()


def test_inputs_have_the_correlation_that_is_asked_for(world, correlation):
    drawn = world.inputs(60_000, torch.Generator().manual_seed(1))
    assert drawn.dtype == torch.float32
    np.testing.assert_allclose(np.cov(drawn.double().numpy().T), correlation.matrix, atol=0.03)
    np.testing.assert_allclose(drawn.double().mean(0), 0.0, atol=0.02)


def test_slopes_and_breaks_have_it_too(correlation):
    worlds = [draw_world(correlation, seed) for seed in range(600)]
    slopes = torch.cat([world.slopes for world in worlds]).double().numpy()
    np.testing.assert_allclose(np.cov(slopes.T), correlation.matrix, atol=0.1)
    # Of sorted breaks a symmetric function is left as it was: their sum.
    sums = torch.stack([world.breaks.sum(0) for world in worlds]).double().numpy()
    np.testing.assert_allclose(np.cov(sums.T) / (BREAKS - 1), correlation.matrix, atol=0.25)


def test_the_gradient_is_that_of_the_parts(world, inputs):
    asked = inputs.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(world.parts(asked).sum(), asked)
    torch.testing.assert_close(world.gradient(inputs), slopes.double() / world.cells)
    assert set(world.gradient(inputs)[:, 0].tolist()) <= set((world.slopes[:, 0].double() / world.cells).tolist())


def test_the_regression_is_the_least_squares_fit_to_many_draws(world):
    drawn = world.inputs(200_000, torch.Generator().manual_seed(2)).double()
    rows = torch.cat([torch.ones(len(drawn), 1, dtype=torch.float64), drawn], dim=1).numpy()
    fitted = np.linalg.lstsq(rows, world.answers(drawn).numpy(), rcond=None)[0]
    np.testing.assert_allclose(world.slopes_of_regression().numpy(), fitted[1:], atol=1e-3)
    assert np.abs(fitted[1:]).max() > 0.02


def test_a_world_is_the_same_for_the_same_seed(correlation):
    one, again, other = (draw_world(correlation, seed) for seed in (5, 5, 6))
    assert torch.equal(one.slopes, again.slopes)
    assert torch.equal(one.breaks, again.breaks)
    assert not torch.equal(one.slopes, other.slopes)
