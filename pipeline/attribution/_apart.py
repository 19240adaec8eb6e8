"""Functions taken apart into simpler ones, each of which has a rule: norms, recurrent layers and some more.

Arguments are those of torch's functions of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.attribution._calls import NoRuleError


def _refuse(what: str) -> NoRuleError:
    return NoRuleError(f"expected a network that the rules of explanations know, got {what}.")


class Norms:
    """Norms by the statistics of their own input.

    Parameters
    ----------
    fixed : bool
        Whether statistics count as constants.
    """

    def __init__(self, fixed: bool) -> None:
        self._fixed = fixed

    def _taken(self, statistic: Tensor) -> Tensor:
        return statistic.detach() if self._fixed else statistic

    def _scaled(self, maps: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
        return maps * self._taken((maps.square().mean(dims, keepdim=True) + eps).rsqrt())

    def _standardised(self, maps: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
        centred = maps - self._taken(maps.mean(dims, keepdim=True))
        return self._scaled(centred, dims, eps)

    def group_norm(
        self, input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
    ) -> Tensor:
        """Return maps (row, channel, ...) standardised by the moments of each group of channels."""
        groups = input.reshape(len(input), num_groups, -1)
        shape = (1, -1, *[1] * (input.ndim - 2))
        answer = self._standardised(groups, (2,), eps).reshape(input.shape)
        answer = answer if weight is None else answer * weight.reshape(shape)
        return answer if bias is None else answer + bias.reshape(shape)

    def instance_norm(
        self,
        input: Tensor,
        running_mean: Any = None,
        running_var: Any = None,
        weight: Any = None,
        bias: Any = None,
        use_input_stats: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
        *_: Any,
    ) -> Tensor:
        """Return maps standardised each by its own moments, or all by those of training."""
        if not use_input_stats:
            return functional.batch_norm(input, running_mean, running_var, weight, bias, False, 0.0, eps)
        if running_mean is not None:
            raise _refuse("an instance norm in training")
        return self.group_norm(input, input.shape[1], weight, bias, eps)

    def layer_norm(
        self, input: Tensor, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5,
        *_: Any,
    ) -> Tensor:  # fmt: skip
        """Return what is standardised over its last axes."""
        answer = self._standardised(input, _last(normalized_shape), eps)
        answer = answer if weight is None else answer * weight
        return answer if bias is None else answer + bias

    def rms_norm(
        self, input: Tensor, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None
    ) -> Tensor:
        """Return what is scaled by its root mean square over its last axes."""
        answer = self._scaled(input, _last(normalized_shape), torch.finfo(input.dtype).eps if eps is None else eps)
        return answer if weight is None else answer * weight


def _last(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(range(-len(shape), 0))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, *_: Any, **named: Any) -> Tensor:
    """Return the input, which is what dropout does in eval mode."""
    if named.get("train", training) and p:
        raise _refuse("dropout in training")
    return input


def variance(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Return the variance along some axes."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dims = tuple(range(input.ndim)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    count = 1
    for each in dims:
        count *= input.shape[each]
    free = count - (int(unbiased) if correction is None else correction)
    centred = input - input.mean(dims, keepdim=True)
    found: Tensor = centred.square().sum(dims, keepdim=keepdim) / free
    return found


def deviation(*arguments: Any, **named: Any) -> Tensor:
    """Return the root of the variance."""
    return variance(*arguments, **named).sqrt()


def gated(input: Tensor, dim: int = -1) -> Tensor:
    """Return the first half times the sigmoid of the second one."""
    first, second = input.chunk(2, dim)
    return first * second.sigmoid()


def between(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return what lies at a share of the way from one tensor to another."""
    found: Tensor = input + weight * (end - input)
    return found


def plus_product(input: Tensor, first: Tensor, second: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * first * second``."""
    return input + value * (first * second)


def plus_quotient(input: Tensor, first: Tensor, second: Tensor, *, value: float = 1) -> Tensor:
    """Return ``input + value * first / second``."""
    return input + value * (first / second)


def plus_matrices(input: Tensor, first: Tensor, second: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Return ``beta * input + alpha * first @ second``."""
    return beta * input + alpha * (first @ second)


def filled(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Return ``value`` where ``mask`` holds, the input elsewhere."""
    return torch.where(mask, value, input)


States = tuple[Tensor, ...]
Step = Callable[[Tensor, States], States]


def _joined(of_input: Tensor, of_state: Tensor, first: Any, second: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Return one layer that reads input and state together, so that a rule shares relevance between both."""
    weight, bias = torch.cat([of_input, of_state], 1), None if first is None else first + second
    return lambda step, hidden: functional.linear(torch.cat([step, hidden], -1), weight, bias)


def _lstm(of_input: Tensor, of_state: Tensor, first: Any, second: Any, projection: Any) -> Step:
    read = _joined(of_input, of_state, first, second)

    def step(given: Tensor, states: States) -> States:
        enter, forget, new, leave = read(given, states[0]).chunk(4, -1)
        cell = forget.sigmoid() * states[1] + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        return hidden if projection is None else functional.linear(hidden, projection), cell

    return step


def _gru(of_input: Tensor, of_state: Tensor, first: Any, second: Any, _: Any) -> Step:
    def step(given: Tensor, states: States) -> States:
        reset, update, new = functional.linear(given, of_input, first).chunk(3, -1)
        own_reset, own_update, own_new = functional.linear(states[0], of_state, second).chunk(3, -1)
        update = (update + own_update).sigmoid()
        new = (new + (reset + own_reset).sigmoid() * own_new).tanh()
        return ((1.0 - update) * new + update * states[0],)

    return step


def _elman(activation: Callable[[Tensor], Tensor]) -> Callable[..., Step]:
    def made(of_input: Tensor, of_state: Tensor, first: Any, second: Any, _: Any) -> Step:
        read = _joined(of_input, of_state, first, second)
        return lambda given, states: (activation(read(given, states[0])),)

    return made


_CELLS: dict[str, Callable[..., Step]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _elman(torch.tanh),
    "rnn_relu": _elman(torch.relu),
}


def _layers(made: Callable[..., Step]) -> Callable[..., States]:
    """Return torch's function of recurrent layers, as a loop over steps."""

    def layers(
        input: Tensor, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any,
        bidirectional: Any, batch_first: Any,
    ) -> States:  # fmt: skip
        if not isinstance(has_biases, bool):  # there, a packed sequence has its weights
            raise _refuse("a packed sequence")
        if train and dropout:
            raise _refuse("dropout in training")
        begin = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        ways = 2 if bidirectional else 1
        size = len(params) // (num_layers * ways)
        sequence = list((input.transpose(0, 1) if batch_first else input).unbind(0))
        ends: list[States] = []
        for _ in range(num_layers):
            runs = []
            for way in range(ways):
                place = len(ends)
                step = made(*_weights(params[place * size : (place + 1) * size], has_biases))
                found = list(_walk(step, sequence[:: 1 - 2 * way], tuple(state[place] for state in begin)))
                ends.append(found[-1])
                runs.append([states[0] for states in found][:: 1 - 2 * way])
            sequence = runs[0] if ways == 1 else [torch.cat(pair, -1) for pair in zip(*runs, strict=True)]
        answer = torch.stack(sequence)
        last = (torch.stack(each) for each in zip(*ends, strict=True))
        return (answer.transpose(0, 1) if batch_first else answer, *last)

    return layers


def _walk(step: Step, sequence: Sequence[Tensor], states: States) -> Iterator[States]:
    for given in sequence:
        states = step(given, states)
        yield states


def _weights(mine: Sequence[Tensor], biases: bool) -> tuple[Any, ...]:
    """Return weights of input and state, their biases and the projection of one layer in one direction."""
    first, second = mine[2:4] if biases else (None, None)
    return mine[0], mine[1], first, second, mine[-1] if len(mine) % 2 else None


def _cell(made: Callable[..., Step]) -> Callable[..., Any]:
    """Return torch's function of a single recurrent step."""

    def cell(input: Tensor, hx: Any, w_ih: Tensor, w_hh: Tensor, b_ih: Any = None, b_hh: Any = None) -> Any:
        states = made(w_ih, w_hh, b_ih, b_hh, None)(input, (hx,) if isinstance(hx, Tensor) else tuple(hx))
        return states[0] if len(states) == 1 else states

    return cell


def apart(fixed: bool) -> dict[str, Callable[..., Any]]:
    """Return all functions that are taken apart, by name; ``fixed``: whether norms' statistics are constants."""
    norms = Norms(fixed)
    return {
        **{name: getattr(norms, name) for name in ("group_norm", "instance_norm", "layer_norm", "rms_norm")},
        **{name: _layers(made) for name, made in _CELLS.items()},
        **{f"{name}_cell": _cell(made) for name, made in _CELLS.items()},
        **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), dropout),
        **dict.fromkeys(("alpha_dropout", "feature_dropout", "feature_alpha_dropout"), dropout),
        **dict.fromkeys(("addmm", "addmv", "baddbmm"), plus_matrices),
        "var": variance,
        "std": deviation,
        "glu": gated,
        "lerp": between,
        "addcmul": plus_product,
        "addcdiv": plus_quotient,
        "masked_fill": filled,
    }
