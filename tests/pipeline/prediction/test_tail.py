"""The CRPS above a threshold: against integrals, other libraries and limits, for every family."""

import itertools
import time

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import xarray as xr
from scores.probability import tail_tw_crps_for_ensemble

from pipeline.prediction import FAMILIES, Prediction
from pipeline.prediction._tail import integral, tail_by_quadrature
from pipeline.prediction.members import crps_ensemble
from pipeline.prediction.normal import Normal

ORDERED = [name for name in FAMILIES.names() if "class" not in FAMILIES.get(name).leading.values()]
SMOOTH = ["normal", "mixture", "weighted_mixture", "bernoulli_gamma", "bernoulli_gamma_mixture"]


def integrated(p, truth, threshold, cell):
    """Return the score of one cell as the integral that defines it, in pieces between what may be steps."""
    own = Prediction(p.family, {name: array[..., cell, None] for name, array in p.parameters.items()})
    ends = [float(p.quantile(level)[cell]) for level in (1e-6, 0.5, 1 - 1e-6)]
    members = [] if p.members is None else p.members[..., cell].ravel().tolist()
    top = max(float(truth[cell]), threshold, ends[-1] + 20.0)
    inner = (*ends, float(truth[cell]), 0.0, *members, *np.linspace(threshold, top, 30))
    cuts = np.unique([threshold, *np.clip(inner, threshold, top), top])

    def square(z):
        return (float(own.cdf(np.array([z]))[0]) - (truth[cell] <= z)) ** 2

    return sum(scipy.integrate.quad(square, a, b, epsabs=1e-10)[0] for a, b in itertools.pairwise(cuts))


def made(family, make_prediction, cells=5, seed=0):
    p = make_prediction(family, shape=(cells,), seed=seed)
    return p, np.random.default_rng(seed + 1).uniform(-1.0, 9.0, cells)


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 1.3, 5.0])
@pytest.mark.parametrize("family", ORDERED)
def test_it_is_the_integral_that_defines_it(family, threshold, make_prediction):
    p, truth = made(family, make_prediction)
    found = p.tail_crps(truth, threshold)
    for cell in range(len(truth)):
        assert found[cell] == pytest.approx(integrated(p, truth, threshold, cell), abs=2e-6)


@pytest.mark.parametrize("threshold", [-2.0, 0.0, 1.3, 5.0])
@pytest.mark.parametrize("family", SMOOTH)
def test_quadrature_of_any_family_agrees_with_the_family_s_own(family, threshold, make_prediction):
    p, truth = made(family, make_prediction, cells=40)
    found = tail_by_quadrature(p.formulas, p.parameters, truth, np.full(40, threshold))
    np.testing.assert_allclose(found, p.tail_crps(truth, threshold), atol=3e-6)


def test_a_family_without_the_formula_is_integrated(make_prediction, monkeypatch):
    p, truth = made("normal", make_prediction)
    expected = p.tail_crps(truth, 2.0)
    monkeypatch.delattr(Normal, "tail_crps")
    np.testing.assert_allclose(p.tail_crps(truth, 2.0), expected, atol=1e-6)
    assert p.tail_crps(truth, 2.0).dtype == p.parameters["mean"].dtype


@pytest.mark.parametrize("threshold", [-10.0, 3.0, 4.5, 20.0])
def test_of_members_it_agrees_with_scores(threshold):
    rng = np.random.default_rng(3)
    members, truth = rng.normal(3.0, 2.0, (12, 200)), rng.normal(3.0, 2.0, 200)
    for fair, method in ((False, "ecdf"), (True, "fair")):
        expected = tail_tw_crps_for_ensemble(
            xr.DataArray(members, dims=("member", "x")),
            xr.DataArray(truth, dims="x"),
            "member",
            threshold,
            tail="upper",
            method=method,
            preserve_dims="all",
        )
        found = crps_ensemble(members, truth, fair=fair, floor=np.full(200, threshold))
        np.testing.assert_allclose(found, expected, atol=1e-12)
    p = Prediction("members", {"members": members.astype(np.float32)})
    found = p.tail_crps(truth, threshold)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, crps_ensemble(members, truth, floor=np.full(200, threshold)), atol=1e-6)


def test_missing_members_are_left_out_above_a_threshold_too():
    members = np.array([[0.0, 1.0], [2.0, np.nan], [5.0, 3.0]])
    truth, p = np.array([4.0, 2.0]), Prediction("members", {"members": members})
    expected = [
        crps_ensemble(np.array([1.5, 2.0, 5.0]), np.array(4.0)),
        crps_ensemble(np.array([1.5, 3.0]), np.array(2.0)),
    ]
    np.testing.assert_allclose(p.tail_crps(truth, 1.5), expected, rtol=1e-12)


@pytest.mark.parametrize("threshold", [-1.0, 0.5, 3.0])
def test_a_mixture_of_the_same_is_that_one(threshold):
    rng = np.random.default_rng(4)
    truth = rng.uniform(0.0, 6.0, 50)
    parts = {
        ("normal", "mixture"): {"mean": rng.normal(2.0, 1.0, 50), "sd": rng.uniform(0.1, 2.0, 50)},
        ("bernoulli_gamma", "bernoulli_gamma_mixture"): {
            "wet": rng.uniform(0.1, 1.0, 50), "shape": rng.uniform(0.1, 8.0, 50), "scale": rng.uniform(0.1, 4.0, 50),
        },
    }  # fmt: skip
    for (one, many), p in parts.items():
        expected = Prediction(one, p).tail_crps(truth, threshold)
        several = Prediction(many, {name: np.stack([array] * 3) for name, array in p.items()})
        np.testing.assert_allclose(several.tail_crps(truth, threshold), expected, atol=2e-6)


def test_members_of_a_mixture_may_be_narrow_and_far_apart():
    # One has no spread at all, one hardly any: of three steps and a bend the score is that of their CRPS.
    mean = np.array([[0.0, 1.0], [50.0, 1.0], [2.0, -30.0]])
    sd = np.array([[0.0, 1e-6], [1e-4, 2.0], [1.0, 0.0]])
    p, truth = Prediction("mixture", {"mean": mean, "sd": sd}), np.array([3.0, 0.0])
    np.testing.assert_allclose(p.tail_crps(truth, -100.0), p.crps(truth), rtol=1e-7)
    steps = Prediction("mixture", {"mean": mean, "sd": 0.0 * sd})
    for threshold in (-100.0, 0.5, 10.0, 60.0):
        exact = Prediction("members", {"members": mean}).tail_crps(truth, threshold)
        np.testing.assert_allclose(steps.tail_crps(truth, threshold), exact, atol=1e-9)


def test_members_without_any_amount_are_steps_at_zero():
    shape, scale = np.array([[0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    wet = np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]])
    p, truth = Prediction("bernoulli_gamma_mixture", {"wet": wet, "shape": shape, "scale": scale}), np.array([3.0, 1.0])
    # All of cell 1 is zero; of cell 0 a third is wet with probability a half, an exponential of mean 2.
    np.testing.assert_allclose(p.tail_crps(truth, 0.0), p.crps(truth), atol=1e-6)
    np.testing.assert_allclose(p.tail_crps(truth, 0.5)[1], 0.5, atol=1e-12)
    survival = lambda z: (0.5 * np.exp(-z / 2.0) / 3.0) ** 2  # noqa: E731
    rest = scipy.integrate.quad(lambda z: (1.0 - np.sqrt(survival(z))) ** 2, 0.5, 3.0)[0]
    rest += scipy.integrate.quad(survival, 3.0, np.inf)[0]
    assert p.tail_crps(truth, 0.5)[0] == pytest.approx(rest, abs=1e-6)


def test_large_and_tiny_shapes_are_integrated_as_well():
    rng = np.random.default_rng(5)
    size = (4, 300)
    parts = {
        "wet": rng.uniform(0.05, 1.0, size), "shape": np.exp(rng.uniform(np.log(0.02), np.log(500.0), size)),
        "scale": np.exp(rng.uniform(np.log(0.01), np.log(30.0), size)),
    }  # fmt: skip
    truth, p = rng.uniform(0.0, 10.0, 300), Prediction("bernoulli_gamma_mixture", parts)
    spread = (parts["scale"] * np.sqrt(np.maximum(parts["shape"], 1.0))).max(axis=0)
    # At zero the closed form of the whole score is the oracle.
    assert (np.abs(p.tail_crps(truth, 0.0) - p.crps(truth)) / spread).max() < 1e-6


def test_it_is_least_for_the_true_distribution():
    rng = np.random.default_rng(6)
    truth = rng.normal(size=200_000)

    def score(mean, sd):
        shape = np.ones_like(truth)
        return Prediction("normal", {"mean": mean * shape, "sd": sd * shape}).tail_crps(truth, 1.0).mean()

    best = score(0.0, 1.0)
    for mean, sd in ((0.2, 1.0), (-0.2, 1.0), (0.0, 1.2), (0.0, 0.8)):
        assert score(mean, sd) > best
    # Its mean is the integral of F (1 - F) above the threshold.
    law = scipy.stats.norm
    expected = scipy.integrate.quad(lambda z: law.cdf(z) * law.sf(z), 1.0, np.inf)[0]
    assert best == pytest.approx(expected, rel=0.01)


def test_an_integral_finds_a_step_wherever_it_stands():
    edge = np.array([0.1, 0.5, 1 / 3, 0.9999, 2.0])

    def step(z, edge):
        return 1.0 * (z < edge)

    def rough(low, high, edge):
        return (low < edge) & (edge < high)

    found = integral(step, rough, (np.zeros(5), np.ones(5)), [edge])
    np.testing.assert_allclose(found, np.minimum(edge, 1.0), atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.0, 3.0, 8.0])
@pytest.mark.parametrize("family", ORDERED)
def test_it_costs_less_than_ten_times_the_crps(family, threshold, make_prediction):
    p = make_prediction(family, shape=(20_000,), members=5, dtype=np.float32)
    truth = np.random.default_rng(0).gamma(0.7, 5.0, 20_000).astype(np.float32)

    def seconds(work):
        taken = []
        for _ in range(5):
            start = time.process_time()
            work()
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(lambda: p.tail_crps(truth, threshold)) < 10.0 * seconds(lambda: p.crps(truth)) + 1e-3
