"""Methods that draw weights, on Bayesian linear regression, whose posterior is known exactly."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import CalibrationError
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty._chains import LARGEST
from pipeline.uncertainty._posterior import Posterior, why_no_likelihood
from pipeline.uncertainty.hmc import Hmc, HmcConfig
from pipeline.uncertainty.sgld import Sgld, SgldConfig
from pipeline.uncertainty.subspace import Subspace, SubspaceConfig
from pipeline.uncertainty.swag import Swag, SwagConfig

CHAINS = {
    "hmc": lambda prior: Hmc(HmcConfig(draws=500, thin=1, burn=100, leapfrog=8, step=0.1, prior=prior)),
    "sgld": lambda prior: Sgld(SgldConfig(draws=1000, thin=40, burn=500, step=0.02, prior=prior)),
}


def fit(method, problem, context):
    return method.fit(lambda count: [problem.model], problem.samples, problem.samples, context)


def test_the_energy_is_the_posterior_of_the_textbook(linear_problem, context):
    problem = linear_problem()
    trainable = problem.model.trainable(context)
    posterior = Posterior.of(trainable, problem.samples, prior=problem.prior)
    assert posterior.weight == len(problem.target)
    np.testing.assert_allclose(posterior.scale, 0.5 / problem.noise, rtol=1e-9)
    network = problem.model.network
    found = float(posterior.evidence(network, slice(0, None)))
    residual = problem.target - problem.features @ problem.mean
    np.testing.assert_allclose(found, 0.5 * (residual**2).sum() / problem.noise, rtol=1e-9)
    cooler = Posterior.of(trainable, problem.samples, prior=problem.prior, temperature=4.0)
    np.testing.assert_allclose(float(cooler.evidence(network, slice(0, None))), found / 4.0, rtol=1e-9)


@pytest.mark.parametrize("name", ["hmc", pytest.param("sgld", marks=pytest.mark.slow)])
def test_chains_have_the_mean_and_covariance_of_the_posterior(name, linear_problem, context):
    problem = linear_problem(count=80, width=3)
    method = fit(CHAINS[name](problem.prior), problem, context)
    chain = method.arrays["chain"].numpy()
    sd = np.sqrt(np.diag(problem.covariance))
    # Neighbouring states are alike: a third of them count as independent.
    free = len(chain) / 3
    assert (np.abs(chain.mean(axis=0) - problem.mean) < 4 * sd / free**0.5).all()
    whitened = (chain - problem.mean) @ np.linalg.inv(np.linalg.cholesky(problem.covariance)).T
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=5 * (2 / free) ** 0.5)
    assert abs(np.trace(np.cov(whitened.T)) / 3 - 1) < 5 * (2 / (3 * free)) ** 0.5


@pytest.mark.slow
def test_a_higher_temperature_widens_the_posterior_as_it_should(linear_problem, context):
    problem = linear_problem(count=80, width=3)
    widths = []
    for temperature in (1.0, 4.0):
        options = HmcConfig(draws=600, thin=1, burn=150, leapfrog=8, step=0.1, prior=1e-6, temperature=temperature)
        widths.append(fit(Hmc(options), problem, context).arrays["chain"].numpy().var(axis=0))
    np.testing.assert_allclose(widths[1] / widths[0], 4.0, rtol=0.35)


def test_predictions_are_those_of_the_drawn_networks(linear_problem, context):
    problem = linear_problem(width=3)
    options = HmcConfig(draws=12, thin=1, burn=60, leapfrog=8, step=0.1)
    method = fit(Hmc(options), problem, context)
    said = method.predict(problem.samples, context)
    expected = problem.features @ method.arrays["chain"].numpy().T
    np.testing.assert_allclose(said.members[:, :, 0, 0, 0], expected.T, rtol=1e-9)


def test_the_posterior_of_a_subspace_that_is_the_whole_space_is_exact(linear_problem, context):
    problem = linear_problem(count=80, width=3)
    problem.model.config = TrainingConfig(batch_size=8, optimizer="sgd", momentum=0.0, lr=0.05)
    options = SubspaceConfig(rank=3, epochs=12, lr=0.01, draws=1000, burn=100, thin=3)
    method = fit(Subspace(options), problem, context)
    mean, basis, chain = (method.arrays[name].numpy() for name in ("mean", "basis", "chain"))
    # z has a standard normal prior, and y - X mean = X P z + noise.
    design = problem.features @ basis
    covariance = np.linalg.inv(design.T @ design / problem.noise + np.eye(3))
    centre = covariance @ design.T @ (problem.target - problem.features @ mean) / problem.noise
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(chain.mean(axis=0) - centre) < 4 * sd / (len(chain) / 3) ** 0.5).all()
    np.testing.assert_allclose(chain.std(axis=0), sd, rtol=5 / (2 * len(chain) / 3) ** 0.5)


@pytest.mark.slow
def test_what_noise_of_sgd_leaves_is_what_theory_says(linear_problem, context, make_numbers, numbers_model):
    """With curvature 1 in all directions the covariance of SGD is rate * noise / (batch * (2 - rate))."""
    random = np.random.default_rng(3)
    count, width, batch, rate, noise = 512, 3, 8, 0.1, 0.7
    features = np.linalg.qr(random.normal(size=(count, width)))[0] * count**0.5
    target = features @ np.ones(width) + noise * random.normal(size=count)
    config = TrainingConfig(batch_size=batch, optimizer="sgd", momentum=0.0, lr=rate)
    model = numbers_model(lambda: nn.Linear(width, 1, bias=False), config=config)
    best, *_ = np.linalg.lstsq(features, target, rcond=None)
    with torch.no_grad():
        model.network.inner.weight.copy_(torch.tensor(best[None]))
    samples = make_numbers(features, target)
    # The squared error has twice the slope of half of it: half the rate.
    options = SwagConfig(epochs=400, lr=rate / 2, rank=400, draws=1000)
    method = Swag(options).fit(lambda wanted: [model], samples, samples, context)
    error = float(((target - features @ best) ** 2).mean())
    expected = rate * error / (batch * (2 - rate))
    free = 400 / 1.5
    np.testing.assert_allclose(method.arrays["variance"].numpy(), expected, rtol=5 * (2 / free) ** 0.5)
    np.testing.assert_allclose(method.arrays["mean"].numpy(), best, atol=5 * (expected / free) ** 0.5)
    # This rate is the one at which noise is posterior, up to the discrete step: rate = 2 batch / count.
    matched = fit_swag(model, samples, context, 2 * batch / count)
    np.testing.assert_allclose(matched, error / count, rtol=5 * (2 / free) ** 0.5)


def fit_swag(model, samples, context, rate):
    options = SwagConfig(epochs=400, lr=rate / 2, rank=400)
    method = Swag(options).fit(lambda wanted: [model], samples, samples, context)
    return method.arrays["variance"].numpy()


def test_draws_of_swag_have_half_of_both_covariances(linear_problem, context):
    problem = linear_problem(width=3)
    method = fit(Swag(SwagConfig(epochs=30, lr=0.01, rank=8, draws=1000, scale=2.0)), problem, context)
    members = method.predict(problem.samples, context).members[:, :, 0, 0, 0]
    weights = np.linalg.lstsq(problem.features, members.T, rcond=None)[0].T
    variance, deviations = (method.arrays[name].numpy() for name in ("variance", "deviations"))
    expected = 2.0 * 0.5 * (np.diag(variance) + deviations.T @ deviations / 7)
    np.testing.assert_allclose(np.cov(weights.T), expected, atol=6 * np.abs(expected).max() * (2 / 1000) ** 0.5)
    np.testing.assert_allclose(weights.mean(axis=0), method.arrays["mean"], atol=5 * (expected.max() / 1000) ** 0.5)


def test_moments_of_swag_are_those_of_the_weights_it_passed(linear_problem, context, monkeypatch):
    from pipeline.uncertainty import swag

    passed = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 100.0
    monkeypatch.setattr(swag, "walk", lambda *args, **options: iter(passed))
    method = fit(Swag(SwagConfig(epochs=9, rank=4)), linear_problem(), context)
    np.testing.assert_allclose(method.arrays["mean"], passed.mean(dim=0), rtol=1e-12)
    np.testing.assert_allclose(method.arrays["variance"], passed.var(dim=0, correction=0), rtol=1e-6)
    np.testing.assert_allclose(method.arrays["deviations"], passed[-4:] - passed.mean(dim=0), rtol=1e-9)


def test_swag_keeps_variances_that_float32_squares_lose(linear_problem, context, monkeypatch):
    from pipeline.uncertainty import swag

    noise = torch.randn(20, 500, generator=torch.Generator().manual_seed(0))
    passed = 1.0 + 1e-4 * noise  # as a convolution's weights at a small rate
    monkeypatch.setattr(swag, "walk", lambda *args, **options: iter(passed))
    method = fit(Swag(SwagConfig(epochs=20, rank=4)), linear_problem(), context)
    assert {part.dtype for part in method.arrays.values()} == {torch.float32}
    np.testing.assert_allclose(method.arrays["variance"], passed.double().var(dim=0, correction=0), rtol=1e-5)


@pytest.mark.parametrize("method", [Hmc(HmcConfig(draws=2, burn=0, thin=1)), Sgld(SgldConfig(draws=2, burn=0, thin=1))])
def test_chains_of_large_networks_are_refused(method, make_numbers, numbers_model, context):
    model = numbers_model(lambda: nn.Linear(LARGEST, 1))
    samples = make_numbers(np.ones((2, 1)), np.ones(2))
    wanted = (
        rf"^numbers: expected a network of at most {LARGEST} weights for a chain of them, got {LARGEST + 1}\. Take swag"
    )
    with pytest.raises(CalibrationError, match=wanted):
        method.fit(lambda count: [model], samples, samples, context)


def test_a_chain_that_stands_still_is_refused(linear_problem, context):
    with pytest.raises(
        CalibrationError, match=r"^numbers: expected a chain that moves, got 0% of its proposals taken at"
    ):
        fit(Hmc(HmcConfig(draws=5, thin=1, burn=0, step=1e6)), linear_problem(), context)


def test_a_walk_that_explodes_is_refused(linear_problem, context):
    problem = linear_problem()
    problem.model.config = TrainingConfig(batch_size=8, optimizer="sgd", momentum=0.0)
    wanted = (
        r"^numbers: expected finite weights, got some that are not in epoch \d+ of swag at learning rate 1e\+50\. Take"
    )
    with pytest.raises(CalibrationError, match=wanted):
        fit(Swag(SwagConfig(lr=1e50)), problem, context)
    with pytest.raises(
        CalibrationError, match=r"^numbers: expected finite weights, got some that are not after 102 steps"
    ):
        fit(Sgld(SgldConfig(step=1e30, draws=2, burn=100, thin=1)), problem, context)


def test_batch_norm_keeps_the_statistics_of_the_fitted_network(make_numbers, numbers_model, context):
    model = numbers_model(lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)))
    samples = make_numbers(np.random.default_rng(0).normal(size=(40, 2)) + 5.0, np.ones(40))
    method = Swag(SwagConfig(epochs=4, lr=0.01)).fit(lambda count: [model], samples, samples, context)
    norm = model.network.inner[1]
    assert torch.equal(norm.running_mean, torch.zeros(3, dtype=torch.float64))
    # With the batches' own statistics the answer would not depend on the level of the inputs, but for rounding.
    shifted = make_numbers(samples.inputs[..., 0, 0] + 1.0, np.ones(40))
    first, second = (method.predict(each, context).members for each in (samples, shifted))
    assert np.abs(first - second).min() > 1e-6


def test_weights_that_do_not_move_are_refused(linear_problem, context, monkeypatch):
    from pipeline.uncertainty import subspace, swag

    for module, method in ((swag, Swag()), (subspace, Subspace())):
        monkeypatch.setattr(module, "walk", lambda *args, **options: iter(torch.ones(5, 4, dtype=torch.float64)))
        with pytest.raises(
            CalibrationError, match=r"^numbers: expected weights that move, got none that did\. Take a higher"
        ):
            fit(method, linear_problem(), context)


@pytest.mark.parametrize("method", [Hmc(), Sgld(), Subspace()])
def test_a_loss_that_is_no_likelihood_is_refused_before_any_work(method):
    from models.mlp import MLPConfig

    assert method.why_not(MLPConfig(loss="normal_nll")) is None
    assert method.why_not(MLPConfig()) is None
    assert method.why_not(MLPConfig(loss="mae")) == (
        "expected a loss that is a negative log likelihood, which gives weights a posterior, got 'mae'. Take normal_nll, "
        "bernoulli_gamma_nll, mse or, of classes, cross_entropy; or a deep ensemble."
    )
    assert "got 'beta_nll'" in why_no_likelihood(MLPConfig(loss="beta_nll"))
