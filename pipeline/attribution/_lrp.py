"""Rules by which each layer hands the relevance of its outputs down to its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from pipeline.attribution._apart import apart
from pipeline.attribution._calls import KINDS, LAYERS, Call
from pipeline.attribution._engine import Engine, elementwise, only
from pipeline.attribution._secant import shown

_MATRICES = frozenset({"matmul", "rmatmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "tensordot", "einsum"})
_GATES = frozenset({"sigmoid", "special_expit", "hardsigmoid", "softmax", "special_softmax"})


@dataclass(frozen=True)
class Z:
    """Relevance goes to inputs by their part ``x w / z`` of the output ``z``."""


@dataclass(frozen=True)
class Epsilon:
    """As :class:`Z`, with ``z + eps sign(z)`` in place of ``z``: outputs near zero hand down less.

    Parameters
    ----------
    eps : float
        In units of the outputs; not negative.

    Raises
    ------
    ValueError
        If ``eps`` is negative.
    """

    eps: float = 0.01

    def __post_init__(self) -> None:
        if self.eps < 0:
            raise ValueError(f"expected eps of zero or more, got {self.eps!r}")


@dataclass(frozen=True)
class AlphaBeta:
    """What raises an output gets ``alpha`` times its relevance, what lowers it ``-beta`` times, each by its part.

    Parameters
    ----------
    alpha, beta : float
        Not negative, with ``alpha - beta = 1``, so that the whole is kept.

    Raises
    ------
    ValueError
        If they are not.
    """

    alpha: float = 1.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        if self.beta < 0 or abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(f"expected alpha - beta = 1, beta of zero or more, got {self.alpha!r} and {self.beta!r}")


Rule = Z | Epsilon | AlphaBeta


class Lrp(Engine):
    """A gradient ``g`` such that ``input * g`` is the relevance; everything is relative to zeros.

    Parameters
    ----------
    rule : Z, Epsilon or AlphaBeta
        Of layers: ``linear``, convolutions, and products with matrices that are made of parameters.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.apart = apart(fixed=True)
        self._rule = rule
        self._gates: dict[int, Tensor] = {}
        self._learned: dict[int, Tensor] = {}  # the tensors are kept so that nothing else gets their number

    def passed(self, call: Call, answer: Any) -> None:
        """Remember what was made of parameters alone."""
        if any(isinstance(leaf, Tensor) and self._is_learned(leaf) for leaf in call.leaves):
            self._learned |= {id(each): each for each in tree_leaves(answer) if isinstance(each, Tensor)}

    def _is_learned(self, tensor: Tensor) -> bool:
        return isinstance(tensor, nn.Parameter) or id(tensor) in self._learned

    def ruled(self, kind: str, call: Call, active: list[int]) -> Any:
        """Return the answer with the gradient of the rule."""
        if not torch.is_grad_enabled():
            return call()
        if kind == "quotient":
            if active == [1]:
                kind = "elementwise"
            elif len(active) == 2:  # what a signal is measured by counts as constant, as the statistics of norms do
                fixed: Tensor = call.given({1: call.leaves[1].detach()})
                return fixed
        if kind == "product":
            return self._product(call, active)
        return elementwise(call, only(call, active), None) if kind == "elementwise" else call()

    def _answer(self, call: Call, active: list[int]) -> Any:
        of_gates = all(id(call.leaves[place]) in self._gates for place in active)
        gate = call.name in _GATES or (of_gates and KINDS.get(call.name) == "linear")
        answer = super()._answer(call, active)
        for each in tree_leaves((answer, call.target)):
            if isinstance(each, Tensor):
                self._gates.pop(id(each), None)  # what is written to may have been one
                if gate:
                    self._gates[id(each)] = each
        return answer

    def _product(self, call: Call, active: list[int]) -> Tensor:
        constant = [leaf for place, leaf in enumerate(call.leaves) if place not in active]
        if len(active) == 1:
            learned = any(isinstance(leaf, Tensor) and self._is_learned(leaf) for leaf in constant)
            if call.name in LAYERS or (call.name in _MATRICES and learned):
                return self._layer(call, active[0])
            answer: Tensor = call()
            return answer
        if len(active) > 2 or (call.name in LAYERS and active[-1] > 1):
            raise call.refused(f"of {len(active)} tensors that all depend on the input")
        signals = [place for place in active if id(call.leaves[place]) not in self._gates] or active
        still = {place: call.leaves[place].detach() for place in active}
        parts = [call.given({k: v for k, v in still.items() if k != place}) for place in signals]
        carrier: Tensor = sum(parts[1:], start=parts[0])
        return shown(carrier / len(signals), call.still())

    def _layer(self, call: Call, place: int) -> Tensor:
        rule = self._rule
        if isinstance(rule, AlphaBeta):
            return _alpha_beta(call, place, rule)
        answer: Tensor = call()
        if isinstance(rule, Z) or rule.eps == 0:
            return answer
        z = answer.detach()
        return shown(answer * (z / (z + torch.where(z < 0, -rule.eps, rule.eps))), z.clone())


def _alpha_beta(call: Call, place: int, rule: AlphaBeta) -> Tensor:
    """Split inputs, weights and bias by their signs: ``x+ w+ + x- w-`` raises an output, the rest lowers it."""
    weights = [k for k, leaf in enumerate(call.leaves) if isinstance(leaf, Tensor) and k != place]
    bias = weights.pop() if call.name in LAYERS and weights[-1] == 2 else None
    if len(weights) != 1:
        raise call.refused(f"of {len(weights)} tensors of weights")
    x, weight = call.leaves[place], call.leaves[weights[0]].detach()
    positive, negative = x * (x >= 0), x * (x < 0)
    raising, lowering = _signs(weight)
    biases = [{}, {}] if bias is None else [{bias: half} for half in _signs(call.leaves[bias].detach())]
    none = {} if bias is None else {bias: torch.zeros_like(call.leaves[bias])}
    value, carrier = call.still(), torch.zeros(())
    for share, first, second, added in (
        (rule.alpha, raising, lowering, biases[0]),
        (-rule.beta, lowering, raising, biases[1]),
    ):
        if share:
            one = call.given({place: positive, weights[0]: first, **added})
            whole = one + call.given({place: negative, weights[0]: second, **none})
            found = whole.detach()
            # Where nothing raises, or lowers, the output there is nothing to hand relevance to.
            part = torch.where(found == 0, 0.0, value / torch.where(found == 0, 1.0, found))
            carrier = carrier.to(value) + whole * (share * part)
    return shown(carrier, value)


def _signs(tensor: Tensor) -> tuple[Tensor, Tensor]:
    return tensor.clamp(min=0), tensor.clamp(max=0)
