"""Laplace approximations: exact where the network is linear, the Fisher information by brute force where it is not."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pipeline.backend import get_backend
from pipeline.errors import CalibrationError
from pipeline.uncertainty._curvature import curvatures, linear_layers
from pipeline.uncertainty._posterior import Posterior
from pipeline.uncertainty.laplace import MOST, Laplace, LaplaceConfig, _best_prior

CPU = get_backend("cpu")


def fit(problem, context, **options):
    method = Laplace(LaplaceConfig(**options))
    return method.fit(lambda count: [problem.model], problem.samples, problem.samples, context)


@pytest.mark.parametrize("structure", ["full", "kron"])
def test_of_a_linear_network_it_is_the_exact_posterior(structure, covariance, linear_problem, context):
    problem = linear_problem()
    method = fit(problem, context, structure=structure, prior=problem.prior)
    np.testing.assert_allclose(covariance(method), problem.covariance, rtol=1e-5, atol=1e-5 * problem.covariance.max())
    np.testing.assert_allclose(problem.model.network.inner.weight.detach()[0], problem.mean, rtol=1e-5)


def test_the_diagonal_is_that_of_the_precision(covariance, linear_problem, context):
    problem = linear_problem()
    method = fit(problem, context, structure="diag", prior=problem.prior)
    precision = np.diag(np.linalg.inv(problem.covariance))
    np.testing.assert_allclose(torch.diag(covariance(method)), 1.0 / precision, rtol=1e-5)


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_draws_have_that_covariance(structure, covariance, linear_problem, context):
    problem = linear_problem(width=3)
    method = fit(problem, context, structure=structure, prior=problem.prior, draws=1000)
    members = method.predict(problem.samples, context).members[:, :, 0, 0, 0]
    weights = np.linalg.lstsq(problem.features, members.T, rcond=None)[0].T
    expected = covariance(method).numpy()
    sd = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(weights.mean(axis=0), problem.mean, atol=4.5 * sd.max() / 1000**0.5)
    np.testing.assert_allclose(
        np.cov(weights.T) / np.outer(sd, sd), expected / np.outer(sd, sd), atol=5 * (2 / 1000) ** 0.5
    )


def test_the_prior_is_that_of_the_highest_evidence(linear_problem, context):
    problem = linear_problem(count=40, width=4)
    method = fit(problem, context, structure="full")
    information = problem.features.T @ problem.features / problem.noise
    square = float((problem.mean**2).sum())

    def evidence(prior):
        precision = information + prior * np.eye(4)
        return -0.5 * prior * square + 2.0 * math.log(prior) - 0.5 * np.linalg.slogdet(precision)[1]

    grid = np.exp(np.linspace(-8, 8, 4001))
    best = grid[np.argmax([evidence(prior) for prior in grid])]
    np.testing.assert_allclose(float(method.arrays["prior"]), best, rtol=0.01)
    assert method.summary()["prior"] == pytest.approx(best, rel=0.01)


def test_where_data_are_sure_of_all_weights_the_prior_is_their_own_spread():
    np.testing.assert_allclose(_best_prior(torch.full((8,), 1e12, dtype=torch.float64), 2.0), 4.0, rtol=1e-6)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def posterior_of(model, samples, context, temperature=1.0):
    return Posterior.of(model.trainable(context), samples, prior=0.0, temperature=temperature)


def by_hand(model, samples, posterior, name):
    """Return the expected Fisher information of a layer of a normal distribution, by Jacobians one sample at a time."""
    layer = model.network.get_submodule(name)
    weights = list(layer.parameters())
    total = 0.0
    for row in model.tensors(samples).inputs:
        output = model.network(row[None])[0, :, 0, 0]
        jacobian = torch.stack(
            [
                torch.cat([slope.flatten() for slope in torch.autograd.grad(one, weights, retain_graph=True)])
                for one in output
            ]
        )
        # Of mean and log variance: 1 / s^2 and 1 / 2.
        inner = torch.diag(torch.stack([(-output[1].detach()).exp(), torch.tensor(0.5, dtype=torch.float64)]))
        total = total + jacobian.T @ inner @ jacobian
    return total * posterior.scale


@pytest.mark.parametrize("name", ["inner.0", "inner.2"])
@pytest.mark.parametrize("structure", ["full", "diag"])
def test_the_information_of_a_normal_likelihood_is_that_of_jacobians(
    name, structure, make_numbers, numbers_model, context
):
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(12, 3)), 400, axis=0)  # as many draws of every truth
    model = numbers_model(network, loss="normal_nll")
    samples = make_numbers(features, random.normal(size=len(features)))
    posterior = posterior_of(model, samples, context, temperature=2.0)
    torch.manual_seed(1)
    found = curvatures(model.network, posterior, [name], structure, batch=500, backend=CPU)[name]
    expected = by_hand(model, samples, posterior, name).detach()
    got = found.full if structure == "full" else torch.diag(found.diag)
    expected = expected if structure == "full" else torch.diag(torch.diag(expected))
    assert torch.linalg.norm(got - expected) < 0.1 * torch.linalg.norm(expected)


def test_kronecker_factors_are_the_means_of_products(make_numbers, numbers_model, context):
    random = np.random.default_rng(0)
    model = numbers_model(lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)))
    samples = make_numbers(random.normal(size=(30, 3)), random.normal(size=30))
    posterior = posterior_of(model, samples, context)
    found = curvatures(model.network, posterior, ["inner.2"], "kron", batch=7, backend=CPU)["inner.2"]
    hidden = model.network.inner[1](model.network.inner[0](torch.tensor(samples.inputs[..., 0, 0]))).detach()
    hidden = torch.cat([hidden, torch.ones(30, 1, dtype=torch.float64)], dim=1)
    np.testing.assert_allclose(found.inputs, hidden.T @ hidden, rtol=1e-9)
    np.testing.assert_allclose(found.outputs, [[30 * 2 * posterior.scale]], rtol=1e-9)
    assert found.count == 30


@pytest.mark.parametrize("layer", [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 3, stride=2, bias=False)])
def test_the_slopes_of_convolutions_are_those_of_every_sample(layer, make_numbers, numbers_model, context):
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, features):
            maps = features.reshape(-1, 2, 4, 4)
            return self.layer(maps).tanh().mean(dim=(1, 2, 3))[:, None]

    random = np.random.default_rng(0)
    model = numbers_model(Maps)
    samples = make_numbers(random.normal(size=(9, 32)), random.normal(size=9))
    posterior = posterior_of(model, samples, context)
    found = {
        structure: curvatures(model.network, posterior, ["inner.layer"], structure, batch=4, backend=CPU)["inner.layer"]
        for structure in ("full", "diag", "kron")
    }
    weights = list(model.network.inner.layer.parameters())
    total = 0.0
    for row in model.tensors(samples).inputs:
        slopes = torch.autograd.grad(model.network(row[None]).sum(), weights)
        one = torch.cat([slope.flatten() for slope in slopes])
        total = total + 2 * posterior.scale * torch.outer(one, one)
    np.testing.assert_allclose(found["full"].full, total, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found["diag"].diag, torch.diag(total), rtol=1e-6, atol=1e-12)
    size = 18 + (layer.bias is not None)
    assert found["kron"].inputs.shape == (size, size)
    assert found["kron"].outputs.shape == (3, 3)


class Steps(nn.Module):
    """A cell that is called at every step, as those of recurrent networks are."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.Linear(4, 2)

    def forward(self, features):
        state = features.new_zeros(len(features), 2)
        for step in features.reshape(-1, 3, 2).unbind(dim=1):
            state = self.cell(torch.cat([step, state], dim=1)).tanh()
        return state[:, :1]


class Places(nn.Module):
    """A layer that is asked at several places of a sample at once."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.Linear(2, 2)

    def forward(self, features):
        return self.cell(features.reshape(-1, 3, 2)).tanh().mean(dim=(1, 2))[:, None]


@pytest.mark.parametrize("kind", [Steps, Places])
def test_the_slopes_of_a_layer_that_is_asked_often_add_up(kind, make_numbers, numbers_model, context):
    random = np.random.default_rng(0)
    model = numbers_model(kind)
    samples = make_numbers(random.normal(size=(9, 6)), random.normal(size=9))
    posterior = posterior_of(model, samples, context)
    found = {
        structure: curvatures(model.network, posterior, ["inner.cell"], structure, batch=4, backend=CPU)["inner.cell"]
        for structure in ("full", "diag", "kron")
    }
    weights, total = list(model.network.inner.cell.parameters()), 0.0
    for row in model.tensors(samples).inputs:
        one = torch.cat([slope.flatten() for slope in torch.autograd.grad(model.network(row[None]).sum(), weights)])
        total = total + 2 * posterior.scale * torch.outer(one, one)
    np.testing.assert_allclose(found["full"].full, total, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found["diag"].diag, torch.diag(total), rtol=1e-6, atol=1e-12)
    assert found["kron"].count == 9 * 3


def test_draws_of_factors_move_weights_and_biases(make_numbers, numbers_model, context):
    random = np.random.default_rng(0)
    model = numbers_model(network, loss="normal_nll")
    samples = make_numbers(random.normal(size=(50, 3)), random.normal(size=50))
    method = Laplace(LaplaceConfig(layers="all", draws=6, prior=1.0)).fit(
        lambda count: [model], samples, samples, context
    )
    said = method.predict(samples, context)
    assert said.family == "mixture"
    aleatoric, epistemic = said.variances()
    assert (epistemic > 0).all()
    assert (aleatoric > 0).all()
    assert method.summary()["layers"] == ["inner.0", "inner.2"]
    assert method.summary()["weights"] == 32


def test_far_from_the_data_it_is_less_sure(make_numbers, numbers_model, context):
    random = np.random.default_rng(0)
    model = numbers_model(lambda: nn.Sequential(nn.Linear(1, 30), nn.ReLU(), nn.Linear(30, 1)))
    samples = make_numbers(random.normal(size=(60, 1)), random.normal(size=60))
    method = Laplace(LaplaceConfig(structure="full", draws=200)).fit(lambda count: [model], samples, samples, context)
    far = make_numbers(np.array([[0.0], [10.0]]), np.zeros(2))
    near, away = method.predict(far, context).variance()[:, 0, 0, 0]
    assert away > 10 * near


def test_saved_and_loaded_draws_the_same(linear_problem, context, tmp_path):
    problem = linear_problem()
    method = fit(problem, context, draws=4)
    method.save(tmp_path)
    again = Laplace().load(tmp_path, lambda count: [problem.model], context)
    np.testing.assert_array_equal(
        again.predict(problem.samples, context).members, method.predict(problem.samples, context).members
    )


def test_the_last_layer_is_the_one_that_is_asked_last():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first = nn.Linear(2, 1), nn.Linear(2, 2)

        def forward(self, inputs):
            return self.second(self.first(inputs))

    assert list(linear_layers(Crossed(), torch.ones(1, 2), last=True)) == ["second"]
    assert list(linear_layers(Crossed(), torch.ones(1, 2), last=False)) == ["first", "second"]


def test_a_network_without_a_linear_layer_is_refused():
    wanted = r"^expected a network with a linear layer or a convolution, got one with none\. Take swag\.$"
    with pytest.raises(CalibrationError, match=wanted):
        linear_layers(nn.Tanh(), torch.ones(1, 2), last=True)


def test_a_large_layer_is_refused_in_full(make_numbers, numbers_model, context):
    model = numbers_model(lambda: nn.Linear(MOST, 1))
    samples = make_numbers(np.ones((2, MOST)), np.ones(2))
    wanted = (
        rf"^numbers: expected a last layer of at most {MOST} weights for structure: full, got {MOST + 1}\. Take kron or "
        r"diag\.$"
    )
    with pytest.raises(CalibrationError, match=wanted):
        Laplace(LaplaceConfig(structure="full")).fit(lambda count: [model], samples, samples, context)


def test_grouped_convolutions_have_no_factors(make_numbers, numbers_model, context):
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(2, 2, 1, groups=2)

        def forward(self, features):
            return self.layer(features.reshape(-1, 2, 2, 2)).mean(dim=(1, 2, 3))[:, None]

    model = numbers_model(Maps)
    samples = make_numbers(np.ones((4, 8)), np.arange(4.0))
    wanted = r"^expected convolutions without groups for structure: kron, got some\. Take diag\.$"
    with pytest.raises(CalibrationError, match=wanted):
        Laplace().fit(lambda count: [model], samples, samples, context)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"structure": "full", "layers": "all"}, "expected structure: kron or diag with layers: all, got full"),
        ({"prior": 0.0}, r"expected a prior above 0 or auto, got 0\.0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        LaplaceConfig(**options)
