"""Special functions of tensors: the values of scipy, and gradients by differences."""

import numpy as np
import pytest
import scipy.special
import torch

from pipeline.backend import special
from pipeline.errors import TraitError

ONE = {"erf": (-2.0, 2.0), "ndtr": (-3.0, 3.0), "ndtri": (0.05, 0.95), "gammaln": (0.2, 6.0)}


def between(low, high, count=7, seed=0):
    return torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_argument(name):
    x = between(*ONE[name])
    np.testing.assert_allclose(getattr(special, name)(x), getattr(scipy.special, name)(x.numpy()), rtol=1e-10)
    assert torch.autograd.gradcheck(getattr(special, name), x.clone().requires_grad_())


def test_the_incomplete_gamma_function_has_both_gradients():
    a, x = between(0.2, 5.0), between(0.01, 8.0, seed=1)
    np.testing.assert_allclose(special.gammainc(a, x), scipy.special.gammainc(a.numpy(), x.numpy()), rtol=1e-10)
    assert torch.autograd.gradcheck(special.gammainc, (a.requires_grad_(), x.requires_grad_()), atol=1e-6)


def test_the_gradient_at_no_amount_is_finite():
    a, x = torch.tensor([0.5, 2.0], requires_grad=True), torch.zeros(2, requires_grad=True)
    special.gammainc(a, x).sum().backward()
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(x.grad).all()


def test_arguments_broadcast_and_numbers_join():
    a = torch.tensor([[1.0], [2.0]], requires_grad=True)
    found = special.gammainc(a, torch.tensor([0.5, 1.0, 2.0]))
    assert found.shape == (2, 3)
    found.sum().backward()
    assert a.grad.shape == (2, 1)


def test_functions_without_a_gradient_say_so():
    x = torch.tensor([0.3])
    np.testing.assert_allclose(special.betainc(x + 1, x + 2, x), scipy.special.betainc(1.3, 2.3, 0.3), rtol=1e-6)
    with pytest.raises(TraitError, match="expected a function with a gradient, got betainc"):
        special.betainc(x + 1, x + 2, x.requires_grad_())
    with torch.no_grad():
        assert special.betainc(x + 1, x + 2, x).shape == (1,)
