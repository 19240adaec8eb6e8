"""Slopes between two points, and tensors that show one value and carry the gradient of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ALIKE = 0.01
"""Share by which slopes at two near points differ at most where the function has no kink between them."""


class _Shown(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, carrier: Tensor, value: list[Tensor]) -> Tensor:
        return value.pop()  # in a list, so that autograd does not take it for a view of an input

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0], None


def shown(carrier: Tensor, value: Tensor) -> Tensor:
    """Return a tensor of the value of ``value``, to the last digit, and the gradient of ``carrier``.

    ``value`` must be of the shape of ``carrier`` and owned by nobody else.

    Examples
    --------
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> y = shown(10.0 * x, torch.tensor([7.0]))
    >>> y.item(), torch.autograd.grad(y, x)[0].item()
    (7.0, 10.0)
    """
    made: Tensor = _Shown.apply(carrier.to(value.dtype).expand(value.shape), [value.detach()])  # type: ignore[no-untyped-call]
    return made


def secant(
    x: Tensor, start: Tensor, y: Tensor, begin: Tensor, slope: Callable[[Tensor], Tensor], least: float = 1.0
) -> Tensor:
    """Return ``(y - begin) / (x - start)`` element by element, the derivative where both points are one.

    Near points would leave nothing of the difference but rounding. There the mean of the derivatives at both is
    taken, whose error is of third order, unless they differ: then a kink lies between, where the quotient is sound.

    Parameters
    ----------
    x, start : Tensor
        Where the function was asked.
    y, begin : Tensor, of the same shape
        What it answered there.
    slope : callable
        Its derivative.
    least : float
        Points are near in relation to the larger one of them, or to this.

    Examples
    --------
    >>> x, start = torch.tensor([2.0, 1.0, 1e-9]), torch.tensor([-1.0, 1.0, -1e-9])
    >>> secant(x, start, x.relu(), start.relu(), lambda x: (x > 0).float())
    tensor([0.6667, 1.0000, 0.5000])
    """
    tiny = torch.finfo(x.dtype).eps ** 0.5
    same = x == start
    step = torch.where(same, 0.0, x - start)  # two infinite points have no difference
    near = step.abs() <= tiny * torch.maximum(x.abs(), start.abs()).clamp(min=least)
    quotient = (y - begin) / torch.where(same, 1.0, step)
    if not bool(near.any()):
        return quotient
    first, last = slope(x), slope(start)
    mean = (first + last) / 2
    alike = (first - last).abs() <= ALIKE * torch.maximum(first.abs(), last.abs()) + tiny
    taken = torch.where(near & alike & mean.isfinite(), mean, quotient)
    # What does not change has no part in any difference, however steep the function is.
    return torch.where(same, torch.where(mean.isfinite(), mean, 0.0), taken)


def derivative(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the derivative of a function of single elements, shape for shape.

    Examples
    --------
    >>> derivative(torch.exp)(torch.tensor([0.0])).item()
    1.0
    """

    def slope(x: Tensor) -> Tensor:
        with torch.enable_grad():
            point = x.detach().clone().requires_grad_()
            found: Tensor = torch.autograd.grad(function(point).sum(), point)[0]
        return found

    return slope
