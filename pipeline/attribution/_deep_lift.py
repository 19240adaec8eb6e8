"""Rules by which contributions add up exactly to the difference between two outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.attribution._apart import apart
from pipeline.attribution._calls import LAYERS, Call, NoRuleError
from pipeline.attribution._engine import Engine, Forward, elementwise, only
from pipeline.attribution._secant import secant, shown


@dataclass(eq=False)
class _Kept:
    """What went into one call of the pass over the reference; None where a rule does not ask for it."""

    name: str
    active: list[int]
    leaves: list[Any]


class DeepLift(Engine):
    """Multipliers ``m`` with ``sum(m * (input - reference)) = output - output of the reference``.

    The network is run on the reference, and what goes into each call is kept; then on the input, where the calls
    come in the same order and each finds what went into it before. So nothing has to be known of axes. Numbers that
    no gradient leads to, such as masks and indices made of the input, must be the same in both passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.apart = apart(fixed=False) | {
            **dict.fromkeys(("detach", "data"), _identity),
            **dict.fromkeys(("softmax", "special_softmax"), _softmax),
            **dict.fromkeys(("log_softmax", "special_log_softmax"), _log_softmax),
        }
        self._tape: list[_Kept] = []
        self._place: int | None = None

    def multipliers(self, forward: Forward, inputs: Tensor, reference: Tensor) -> Tensor:
        """Return the multipliers, of the shape of ``inputs``.

        Raises
        ------
        NoRuleError
            If a function has no rule, or the passes differ by more than numbers.
        """
        self._tape, self._place = [], None
        begin = self.run(forward, reference)[1].detach()
        self._place = 0
        root, output = self.run(forward, inputs)
        if self._place != len(self._tape):
            raise _parted(f"{len(self._tape)} calls for the reference and {self._place} for the input")
        if not self.follows(output) and not _same(begin, output):
            raise _parted("an output that changes without a gradient")
        return self.gradient(root, output)

    def _answer(self, call: Call, active: list[int]) -> Any:
        # To be complete, numbers count that a network keeps from its own gradient.
        with torch.enable_grad():
            return super()._answer(call, active)

    def overwritten(self, target: Tensor) -> None:
        """Copy what is kept of this memory."""
        memory = target.untyped_storage()._cdata
        for kept in self._tape[self._place or 0 :]:
            for place, leaf in enumerate(kept.leaves):
                if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata == memory:
                    kept.leaves[place] = leaf.clone()

    def ruled(self, kind: str, call: Call, active: list[int]) -> Any:
        """Return the answer; with the gradient of the rule, once the reference is known."""
        kind = _simplest(kind, call, active)
        kept = self._kept(call, active, bare=kind == "linear")
        if kept is None or kind == "linear":
            if call.written and call.target is not None:
                self.overwritten(call.target)
            return call()
        if kind == "elementwise":
            return elementwise(call, only(call, active), kept[active[0]])
        rules = {"product": _product, "quotient": _quotient, "largest": _largest, "choice": _choice, "soft": _soft}
        return rules[kind](call, active, kept)

    def _kept(self, call: Call, active: list[int], *, bare: bool) -> list[Any] | None:
        """Return what went into this call in the pass before; None in that one."""
        leaves = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in call.leaves]
        if self._place is None:
            mine = [None if bare and place in active else leaf for place, leaf in enumerate(leaves)]
            self._tape.append(_Kept(call.name, active, mine))
            return None
        if self._place >= len(self._tape):
            raise _parted(f"{call.name} for the input after all calls for the reference")
        kept, self._tape[self._place] = self._tape[self._place], _Kept("", [], [])
        self._place += 1
        if (kept.name, kept.active, len(kept.leaves)) != (call.name, active, len(leaves)):
            raise _parted(f"{kept.name} for the reference and {call.name} for the input")
        for place, (before, now) in enumerate(zip(kept.leaves, leaves, strict=True)):
            if place in active:
                if isinstance(before, Tensor) and before.shape != now.shape:
                    raise _parted(f"{call.name} of shapes {tuple(before.shape)} and {tuple(now.shape)}")
            elif not (call.name == "where" and _is_mask(now)) and not _same(before, now):
                raise _parted(f"other constants of {call.name} for the reference than for the input")
        return kept.leaves


def _parted(how: str) -> NoRuleError:
    return NoRuleError(
        "expected a network that does the same with the reference as with the input, but for the numbers, got "
        f"{how}. Take a method that needs no rules, such as integrated_gradients."
    )


def _simplest(kind: str, call: Call, active: list[int]) -> str:
    """Return the kind that a call is of, given which of its arguments depend on the input."""
    if kind == "product" and len(active) == 1:
        return "linear"
    if kind == "quotient":
        return kind if len(active) == 2 else ("linear", "elementwise")[active[0]]
    if kind == "largest" and _pairs(call) and len(active) == 1:
        return "elementwise"
    return kind


def _same(before: Any, now: Any) -> bool:
    """Return whether two constants are equal; NaN is what NaN is."""
    if isinstance(before, Tensor) and isinstance(now, Tensor):
        if before.shape != now.shape or before.dtype != now.dtype:
            return False
        if before.data_ptr() == now.data_ptr() and before.stride() == now.stride():
            return True
        return bool(((before == now) | ((before != before) & (now != now))).all())
    if isinstance(before, np.ndarray) or isinstance(now, np.ndarray):
        return np.array_equal(before, now)
    return before is now or bool(before == now) or bool(before != before and now != now)


def _is_mask(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.dtype == torch.bool


def _identity(tensor: Tensor) -> Tensor:
    return tensor.view_as(tensor)


def _log_softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
    logits = input if dtype is None else input.to(dtype)
    return logits - torch.logsumexp(logits, dim, keepdim=True)


def _softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
    return _log_softmax(input, dim, dtype).exp()


def _product(call: Call, active: list[int], kept: list[Any]) -> Tensor:
    """Split ``a b - a0 b0`` into ``(a - a0) (b + b0) / 2`` and ``(b - b0) (a + a0) / 2``."""
    if len(active) > 2 and call.name not in LAYERS:
        raise call.refused(f"of {len(active)} tensors that all depend on the input")
    middle = {place: (call.leaves[place].detach() + kept[place]) / 2 for place in active}
    parts = [call.given({k: v for k, v in middle.items() if k != place}) for place in active]
    carrier: Tensor = sum(parts[1:], start=parts[0])
    return shown(carrier, call.still())


def _quotient(call: Call, active: list[int], kept: list[Any]) -> Tensor:
    """Split ``a / b`` as the product of ``a`` and ``1 / b``."""
    above, below = call.leaves[:2]
    inverse, before = below.detach().reciprocal(), kept[1].reciprocal()
    slope = secant(below.detach(), kept[1], inverse, before, lambda x: -x.reciprocal().square())
    carrier = above * ((inverse + before) / 2) + below * (slope * ((above.detach() + kept[0]) / 2))
    return shown(carrier, call.still())


def _soft(call: Call, active: list[int], kept: list[Any]) -> Tensor:
    """Take the logarithm of the sum of exponentials apart, with the largest of both passes taken off."""
    only(call, active)
    args, kwargs = call.arguments
    dim: Any = kwargs.get("dim", args[1] if len(args) > 1 else None)
    kept_dim = kwargs.get("keepdim", args[2] if len(args) > 2 else False)
    logits, before = args[0], kept[0]
    with torch.no_grad():
        top = torch.maximum(logits.amax(dim, keepdim=True), before.amax(dim, keepdim=True))
        parts, past = (logits - top).exp(), (before - top).exp()
        inner = secant(logits - top, before - top, parts, past, torch.exp)
        value, begin = (torch.logsumexp(each, dim, keepdim=True) for each in (logits, before))
        sums, before_sums = (each.sum(dim, keepdim=True) for each in (parts, past))
        outer = secant(sums, before_sums, value - top, begin - top, torch.reciprocal)
    carrier = (logits * (inner * outer)).sum(dim, keepdim=kept_dim)
    return shown(carrier, value.reshape(carrier.shape))


def _choice(call: Call, active: list[int], kept: list[Any]) -> Tensor:
    """Give each of the two what was chosen of it; where the choice differs, by how much each of them differs."""
    mask = 0 if _is_mask(call.leaves[0]) else 1  # the tensor's own method has it second
    value = call.still()

    def wide(leaf: Any) -> Tensor:
        return torch.as_tensor(leaf, dtype=value.dtype, device=value.device).expand(value.shape)

    now, before = call.leaves[mask], kept[mask]
    (first, second), (begin, other) = ((wide(each[1 - mask]), wide(each[2])) for each in (call.leaves, kept))
    one, two = first.detach() - begin, second.detach() - other
    differs = (now != before).expand(value.shape)
    whole, norm = value - torch.where(before, begin, other), torch.hypot(one, two)
    if bool((differs & (norm == 0) & (whole != 0)).any()):
        raise _parted("a choice that jumps")
    norm = torch.where(norm == 0, 1.0, norm)
    share = whole / norm
    # Zero elsewhere, since what was not chosen may be infinite.
    own, others = (torch.where(differs, share * (step / norm), 0.0) for step in (one, two))
    straight = torch.where(now, first, second)
    return shown(torch.where(differs, own * first + others * second, straight), value)


def _pairs(call: Call) -> bool:
    """Return whether the largest of two tensors is asked for, element by element."""
    tensors = [leaf for leaf in call.leaves if isinstance(leaf, Tensor)]
    return call.name in ("maximum", "minimum") or (call.name in ("max", "min") and len(tensors) == 2)


def _largest(call: Call, active: list[int], kept: list[Any]) -> Any:
    """Give the difference of two maxima to whichever element is the larger one of both.

    That element changed by at least as much, so multipliers lie between 0 and 1. Captum's rule is the same.
    """
    answer: Any = call.still()
    value: Tensor = answer if isinstance(answer, Tensor) else answer[0]
    sign = -1.0 if "min" in call.name else 1.0
    if _pairs(call):
        flat, start = (_beside(*each[:2]) for each in (call.leaves, kept))
        index, before = ((sign * each).argmax(-1, keepdim=True) for each in (flat, start))
    elif "pool" in call.name:
        flat, index = _pooled(call, active[0], call.leaves[active[0]])
        start, before = _pooled(call, active[0], kept[active[0]])
    else:
        flat, start = (_to_the_end(call, each) for each in (call.leaves[0], kept[0]))
        index, before = ((sign * each).argmax(-1, keepdim=True) for each in (flat, start))
    flat = sign * flat
    with torch.no_grad():
        grown = flat.gather(-1, index) - sign * start.gather(-1, before)
        index = torch.where(grown >= 0, index, before)
        step = flat.gather(-1, index) - sign * start.gather(-1, index)
        multiplier = torch.where(step == 0, 1.0, grown / torch.where(step == 0, 1.0, step))
    carrier = (sign * flat.gather(-1, index) * multiplier).reshape(value.shape)
    mine = shown(carrier, value)
    return mine if answer is value else type(answer)((mine, answer[1]))


def _beside(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(first, second), -1)  # type: ignore[no-untyped-call]


def _pooled(call: Call, place: int, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps with their places in one axis, and where in it each window has its largest."""
    args, kwargs = call.arguments
    name = call.name.removesuffix("_with_indices")
    axes = int(name[-2])
    with torch.no_grad():
        places = getattr(functional, name)(maps, *args[1:], **{**kwargs, "return_indices": True})[1]
    return maps.flatten(-axes), places.flatten(-axes)


def _to_the_end(call: Call, tensor: Tensor) -> Tensor:
    """Return the axes over which the largest is asked for as one, the last."""
    args, kwargs = call.arguments
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    dims = tuple(range(tensor.ndim)) if dim is None or dim == () else (dim,) if isinstance(dim, int) else tuple(dim)
    if not dims:
        return tensor[..., None]
    return tensor.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
