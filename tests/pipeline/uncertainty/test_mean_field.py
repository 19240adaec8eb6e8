"""Mean-field posteriors: of linear regression they are known, mean exact and precision the diagonal."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import CalibrationError
from pipeline.training.config import TrainingConfig
from pipeline.uncertainty._perturbed import Perturbed
from pipeline.uncertainty.variational import Variational, VariationalConfig
from pipeline.uncertainty.vogn import Vogn, VognConfig


def fit(method, problem, context):
    return method.fit(lambda count: [problem.model], problem.samples, problem.samples, context)


def mean_field(problem):
    """Return mean and deviations of the normal of independent weights that is nearest to the posterior."""
    return problem.mean, 1.0 / np.sqrt(np.diag(np.linalg.inv(problem.covariance)))


def test_variational_inference_finds_the_mean_field_posterior(linear_problem, context):
    problem = linear_problem(count=60, width=3)
    problem.model.config = TrainingConfig(batch_size=60)
    options = VariationalConfig(epochs=2500, lr=0.02, prior=problem.prior, deviation=0.3)
    method = fit(Variational(options), problem, context)
    mean, sd = mean_field(problem)
    np.testing.assert_allclose(method.arrays["deviation/inner.weight"][0], sd, rtol=0.1)
    assert (np.abs(method.arrays["state/inner.weight"][0].numpy() - mean) < 0.35 * sd).all()


def test_vogn_finds_the_mean_field_posterior(linear_problem, context):
    problem = linear_problem(count=60, width=3)
    problem.model.config = TrainingConfig(batch_size=60)
    options = VognConfig(epochs=1500, step=0.05, memory=0.99, prior=problem.prior)
    with torch.no_grad():
        problem.model.network.inner.weight.add_(0.1)  # away from the mode: it has to find back
    # The errors of the moved network would be taken for noise: as much evidence as those of the mode give.
    square = float(((problem.target - problem.features @ (problem.mean + 0.1)) ** 2).mean())
    options = options.model_copy(update={"temperature": problem.noise / square})
    method = fit(Vogn(options), problem, context)
    mean, sd = mean_field(problem)
    np.testing.assert_allclose(method.arrays["precision/inner"].numpy() ** -0.5, sd, rtol=0.02)
    assert (np.abs(method.arrays["mean/inner"].numpy() - mean) < 0.35 * sd).all()


@pytest.mark.parametrize(
    "method", [Variational(VariationalConfig(epochs=3, draws=1000)), Vogn(VognConfig(epochs=2, draws=1000))]
)
def test_draws_have_the_means_and_deviations_that_were_found(method, linear_problem, context):
    problem = linear_problem(width=3)
    fit(method, problem, context)
    members = method.predict(problem.samples, context).members[:, :, 0, 0, 0]
    weights = np.linalg.lstsq(problem.features, members.T, rcond=None)[0].T
    if "mean/inner" in method.arrays:
        mean, sd = method.arrays["mean/inner"].numpy(), method.arrays["precision/inner"].numpy() ** -0.5
    else:
        mean, sd = (method.arrays[name][0].numpy() for name in ("state/inner.weight", "deviation/inner.weight"))
    np.testing.assert_allclose(weights.mean(axis=0), mean, atol=4.5 * sd.max() / 1000**0.5)
    np.testing.assert_allclose(weights.std(axis=0), sd, rtol=5 / 2000**0.5)


@pytest.mark.parametrize("layer", [nn.Linear(6, 2), nn.Conv2d(2, 3, 3, padding=1, bias=False)])
def test_what_a_layer_answers_has_the_moments_of_its_weights(layer):
    torch.manual_seed(0)
    network = Perturbed(nn.Sequential(layer), 0.2)
    shape = (1, 6) if isinstance(layer, nn.Linear) else (1, 2, 4, 4)
    inputs = torch.randn(shape)
    network.train()
    with torch.no_grad():
        noisy = network(inputs.expand(20000, *shape[1:]))
        found = []
        for _ in range(4000):
            weights = {name: part + 0.2 * torch.randn_like(part) for name, part in layer.named_parameters()}
            found.append(_applied(layer, weights, inputs))
    drawn = torch.stack(found)[:, 0]
    np.testing.assert_allclose(noisy.mean(dim=0), drawn.mean(dim=0), atol=0.06)
    np.testing.assert_allclose(noisy.std(dim=0), drawn.std(dim=0), rtol=0.08)
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(inputs), layer(inputs))


def _applied(layer, weights, inputs):
    bias = weights.get("bias")
    if isinstance(layer, nn.Linear):
        return nn.functional.linear(inputs, weights["weight"], bias)
    return nn.functional.conv2d(inputs, weights["weight"], bias, padding=layer.padding)


def test_the_divergence_is_that_of_normals():
    torch.manual_seed(0)
    network = Perturbed(nn.Sequential(nn.Linear(3, 2)).double(), 0.3)
    prior = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 2.0**-0.5)
    expected = sum(
        torch.distributions.kl_divergence(torch.distributions.Normal(part, 0.3 * torch.ones_like(part)), prior).sum()
        for part in network.network.parameters()
    )
    np.testing.assert_allclose(float(network.divergence(2.0).detach()), float(expected.detach()), rtol=1e-9)


@pytest.mark.parametrize("method", [Variational(), Vogn()])
def test_a_network_without_a_linear_layer_is_refused(method, make_numbers, numbers_model, context):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, features):
            return self.scale * features

    model = numbers_model(Scaled)
    samples = make_numbers(np.ones((4, 1)), np.arange(4.0))
    with pytest.raises(
        CalibrationError, match=r"expected a network with a linear layer or a convolution, got one with none\."
    ):
        method.fit(lambda count: [model], samples, samples, context)


def test_steps_that_explode_are_refused(linear_problem, context):
    problem = linear_problem()
    with pytest.raises(
        CalibrationError, match=r"^numbers: expected a finite bound, got (nan|inf)\. Take a smaller lr\.$"
    ):
        fit(Variational(VariationalConfig(lr=1e200, epochs=3)), problem, context)


@pytest.mark.parametrize("method", [Variational(), Vogn()])
def test_a_loss_that_is_no_likelihood_is_refused(method):
    from models.mlp import MLPConfig

    assert method.why_not(MLPConfig(loss="mse")) is None
    assert "got 'huber'" in method.why_not(MLPConfig(loss="huber"))
