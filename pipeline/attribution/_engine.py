"""Watches a network's forward pass and gives every function that depends on the input a rule of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from pipeline.attribution._calls import KINDS, READS, Call, NoRuleError
from pipeline.attribution._secant import derivative, secant, shown

Forward = Callable[[Tensor], Tensor]


class Engine(TorchFunctionMode):
    """A mode of torch in which the backward pass is that of some rules.

    While it is on, every call of a torch function comes here. A call of which nothing depends on the input goes on
    as it is. Any other one is answered with the same value, as a tensor whose gradient is the rule's; what has no
    rule is refused. Whether a tensor depends on the input says autograd's own graph, so that views, writing in place
    and weights with gradients are told apart. A tensor that a function made which torch does not tell of, such as an
    ``autograd.Function``, is refused as well.

    The mode ends with its ``with`` block, however that ends; the network is not touched.
    """

    apart: Mapping[str, Callable[..., Any]] = {}
    """Functions by names that are made of others; they are run under the mode."""

    def __init__(self) -> None:
        super().__init__()
        self._leads: dict[Any, bool] = {}

    def run(self, forward: Forward, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input and the output of one pass, of which a gradient can be taken.

        Raises
        ------
        NoRuleError
            If a function has no rule.
        ValueError
            If ``forward`` does not answer one number a row.
        """
        with torch.enable_grad():
            root = inputs.detach().clone().requires_grad_()
            begin = root.clone()  # networks may write into their input
            self._leads = {begin.grad_fn: True}
            with self:
                output = forward(begin)
        if output.shape != root.shape[:1]:
            raise ValueError(
                f"expected a function that answers one number a row, shape {tuple(root.shape[:1])}, "
                f"got {tuple(output.shape)}"
            )
        return root, output

    def gradient(self, root: Tensor, output: Tensor) -> Tensor:
        """Return the gradient of each row's number, zero where it does not depend on the input."""
        if not self.follows(output):
            return torch.zeros_like(root)
        found = torch.autograd.grad(output, root, torch.ones_like(output), allow_unused=True)[0]
        self._leads = {}
        return torch.zeros_like(root) if found is None else found

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Answer one call."""
        call = Call.of(func, args, kwargs or {})
        active = [place for place, leaf in enumerate(call.leaves) if isinstance(leaf, Tensor) and self.follows(leaf)]
        if not active or (KINDS.get(call.name) == "constant" and call.name not in self.apart):
            if active and call.name in READS:
                return call.given({place: call.leaves[place].detach() for place in active})
            if call.target is not None:
                self.overwritten(call.target)
            made = func(*args, **(kwargs or {}))
            self.passed(call, made)
            return made
        answer = self._answer(call, active)
        for made in tree_leaves((answer, call.target)):
            if isinstance(made, Tensor) and made.grad_fn is not None:
                self._search(made.grad_fn)
        return answer

    def _answer(self, call: Call, active: list[int]) -> Any:
        kind = "apart" if call.name in self.apart else KINDS.get(call.name)
        if call.name == "batch_norm":
            args, kwargs = call.arguments
            if kwargs.get("training", args[5] if len(args) > 5 else False):
                raise call.refused("in training")
            kind = "linear"
        if kind is None:
            raise call.refused()
        if kind == "quotient" and call.arguments[1].get("rounding_mode") is not None:
            raise call.refused("with a rounding mode")
        if kind == "apart":
            args, kwargs = call.arguments
            with self:
                answer = self.apart[call.name](*args, **kwargs)
        else:
            answer = self.ruled(kind, call, active)
        if call.target is None or call.written or answer is call.target:
            return answer
        if not isinstance(answer, Tensor):
            raise call.refused("with out= for several answers")
        self.overwritten(call.target)
        if call.target.shape != answer.shape:
            call.target.resize_(answer.shape)
        return call.target.copy_(answer)

    @abstractmethod
    def ruled(self, kind: str, call: Call, active: list[int]) -> Any:
        """Return the answer to a call, of the same value, with the gradient of the rule of its kind."""

    def passed(self, call: Call, answer: Any) -> None:
        """Be told of a call that has no rule, since nothing of it depends on the input by a gradient."""

    def overwritten(self, target: Tensor) -> None:
        """Be told of a tensor whose memory is about to be written to."""

    def follows(self, tensor: Tensor) -> bool:
        """Return whether ``tensor`` depends on the input.

        Raises
        ------
        NoRuleError
            If it does through a function that torch did not tell of.
        """
        node = tensor.grad_fn
        if node is None:
            return False
        known = self._leads.get(node)
        if known is None:
            known = self._search(node)
            # What was written into memory that tensors share gives all of them new nodes.
            if known and not (tensor._is_view() or node.name().endswith("CopySlices")):
                raise NoRuleError(
                    f"expected torch functions only, got a tensor made by {node.name()}, which torch does not tell "
                    "the rules of explanations of. Take a method that needs no rules, such as integrated_gradients."
                )
        return known

    def _search(self, node: Any) -> bool:
        leads, stack = self._leads, [node]
        while stack:
            below = [each for each, _ in stack[-1].next_functions if each is not None]
            new = [each for each in below if each not in leads]
            if new and stack[-1] not in leads:
                stack += new
            else:
                top = stack.pop()
                leads[top] = leads.get(top, False) or any(leads[each] for each in below)
        return leads[node]


def elementwise(call: Call, place: int, start: Tensor | None) -> Tensor:
    """Return the answer of a function of single elements with the slope from ``start`` as its gradient.

    Parameters
    ----------
    call : Call
        Depends on the input by its leaf at ``place`` alone.
    place : int
        Of that leaf.
    start : Tensor or None
        Where the slope begins; None: at zero, and from 0 where the function is not finite there.
    """
    x: Tensor = call.leaves[place]
    value: Tensor = call.still()
    wide = x.to(value.dtype).expand(value.shape)

    def function(point: Tensor) -> Tensor:
        answer: Tensor = call.given({place: point})
        return answer

    with torch.no_grad():
        begin = torch.zeros_like(wide) if start is None else start.to(value.dtype).expand(value.shape)
        there = function(begin)
        if start is None:
            there = torch.where(there.isfinite(), there, 0.0)
        multiplier = secant(wide, begin, value, there, derivative(function))
    return shown(wide * multiplier, value)


def only(call: Call, active: Sequence[int]) -> int:
    """Return the one leaf that depends on the input.

    Raises
    ------
    NoRuleError
        If there are more.
    """
    if len(active) > 1:
        raise call.refused(f"of {len(active)} tensors that all depend on the input")
    return active[0]
