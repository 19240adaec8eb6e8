"""Explanations by modified backward passes, on any torch function: DeepLIFT's rescale rule and LRP."""

from __future__ import annotations

from torch import Tensor

from pipeline.attribution._calls import NoRuleError
from pipeline.attribution._deep_lift import DeepLift
from pipeline.attribution._engine import Forward
from pipeline.attribution._lrp import AlphaBeta, Epsilon, Lrp, Rule, Z

__all__ = ["AlphaBeta", "Epsilon", "NoRuleError", "Rule", "Z", "deep_lift_gradient", "lrp_gradient"]


def deep_lift_gradient(forward: Forward, inputs: Tensor, reference: Tensor) -> Tensor:
    """Return the multipliers of DeepLIFT's rescale rule, by which contributions add up exactly.

    ``((inputs - reference) * multipliers)`` sums over a row to ``forward(inputs) - forward(reference)``, to rounding.

    - Functions of single elements have the slope between both points in place of the derivative.
    - A product of two tensors that depend on the input is split by the mean of the other one; so is a quotient.
    - A maximum gives its difference to the element that is the larger one of both winners.
    - Norms and softmax are taken apart into these, layers of LSTM and GRU into a loop over steps.
    - What is kept from the gradient (``detach``, ``no_grad``) counts all the same.

    Where the maps of the reference do not vary, as behind an input of zeros, a norm divides them by little more than
    its ``eps``: contributions are then large, and cancel in the sum.

    Parameters
    ----------
    forward : callable
        Maps a tensor (row, ...) to numbers (row,), each of its own row; in eval mode. It is called twice.
    inputs : Tensor, shape (row, ...)
        Floating point, on any device.
    reference : Tensor
        Broadcastable to ``inputs``.

    Returns
    -------
    Tensor
        Of the shape, type and device of ``inputs``.

    Raises
    ------
    NoRuleError
        If ``forward`` calls a function without a rule, which is named, or does other things for the reference than
        for the inputs.
    ValueError
        If ``forward`` does not answer one number a row.

    References
    ----------
    Shrikumar, Greenside and Kundaje (2017), arXiv:1704.02685, for the rescale rule.
    Ancona et al. (2018), Towards better understanding of gradient-based attribution, arXiv:1711.06104, for its form
    as a modified gradient.

    Examples
    --------
    >>> import torch
    >>> x, start = torch.tensor([[2.0, -1.0]]), torch.zeros(1, 2)
    >>> multipliers = deep_lift_gradient(lambda x: x[:, 0].relu() * x[:, 1], x, start)
    >>> multipliers, ((x - start) * multipliers).sum()
    (tensor([[-0.5000,  1.0000]]), tensor(-2.))
    """
    return DeepLift().multipliers(forward, inputs, reference.to(inputs).expand_as(inputs))


def lrp_gradient(forward: Forward, inputs: Tensor, rule: Rule) -> Tensor:
    """Return the modified gradient ``g`` of layer-wise relevance propagation: the relevance is ``inputs * g``.

    Relevance is relative to an input of zeros. Biases take their part of it, so that what reaches the inputs is
    ``forward(inputs)`` less that; the same holds of what a function answers to zero, such as 1 of ``exp``.

    - Layers (``linear``, convolutions, products with matrices made of parameters) follow ``rule``.
    - Functions of single elements hand all on: the gradient times ``(f(z) - f(0)) / z``, the derivative at 0. Where
      ``f`` is not finite at zero, as the logarithm, times ``f(z) / z``.
    - Of a product of two tensors that depend on the input, a gate (a sigmoid or softmax, whatever its axes) gets
      nothing and the signal all; two of a kind get half each. Of a quotient the numerator gets all.
    - Norms count their statistics as constants. A maximum hands all to its winner. Softmax, as a function of its
      logits, hands on by its gradient.
    - Sums, means, interpolations and products with constants hand on by parts, as :class:`Z`.

    With :class:`Z` and ReLU alone it is the gradient.

    Parameters
    ----------
    forward : callable
        Maps a tensor (row, ...) to numbers (row,), each of its own row; in eval mode.
    inputs : Tensor, shape (row, ...)
        Floating point, on any device.
    rule : Z, Epsilon or AlphaBeta
        Of the layers.

    Returns
    -------
    Tensor
        Of the shape, type and device of ``inputs``.

    Raises
    ------
    NoRuleError
        If ``forward`` calls a function without a rule, which is named.
    ValueError
        If ``forward`` does not answer one number a row.

    References
    ----------
    Bach et al. (2015), doi:10.1371/journal.pone.0130140, for the rules of layers; negative inputs are split by their
    sign as weights are.
    Arras et al. (2017), arXiv:1706.07206, for gates.
    Achtibat et al. (2024), arXiv:2402.05602, for softmax.

    Examples
    --------
    >>> import torch
    >>> x, weight = torch.tensor([[2.0, -1.0]]), torch.tensor([[3.0, 4.0]])
    >>> x * lrp_gradient(lambda x: torch.nn.functional.linear(x, weight)[:, 0], x, Z())
    tensor([[ 6., -4.]])
    >>> x * lrp_gradient(lambda x: torch.nn.functional.linear(x, weight)[:, 0], x, AlphaBeta(2.0, 1.0))
    tensor([[ 4., -2.]])
    """
    engine = Lrp(rule)
    return engine.gradient(*engine.run(forward, inputs))
