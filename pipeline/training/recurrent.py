"""LSTM and GRU of matrix products: what torch's own layers answer, in steps that can be stacked.

Torch's layers are one kernel for a whole sequence, which ``torch.vmap`` cannot lay over several sets of weights. These
have the same parameters by the same names, and take a Python step for every step of the sequence: for one network
alone they are several times slower.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Parts = tuple[Tensor, ...]  # of a state: hidden, and of an LSTM cell


class _Steps(nn.Module):
    """Layers one above the other that read a sequence step by step."""

    parts: int

    def __init__(self, layer: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self._layers, self._hidden, self._batch_first = layer.num_layers, layer.hidden_size, layer.batch_first
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, parameter)

    @abstractmethod
    def step(self, read: Tensor, state: Parts, weight: Tensor, bias: Tensor | None) -> Parts:
        """Return the state after one step; ``read`` is its input times the weights, with bias."""

    def forward(self, sequence: Tensor, state: Tensor | Parts | None = None) -> tuple[Tensor, Tensor | Parts]:
        """Map a sequence, with or without a batch, to the states of the last layer, and each layer's last state."""
        turned = self._batch_first and sequence.ndim == 3
        if turned:
            sequence = sequence.transpose(0, 1)
        if state is None:
            zero = sequence.new_zeros(self._layers, *sequence.shape[1:-1], self._hidden)
            state = (zero,) * self.parts
        given = (state,) if isinstance(state, Tensor) else state
        ends: list[Parts] = []
        for layer in range(self._layers):
            sequence, end = self._run(layer, sequence, tuple(part[layer] for part in given))
            ends.append(end)
        last = tuple(torch.stack(part) for part in zip(*ends, strict=True))
        return sequence.transpose(0, 1) if turned else sequence, last if self.parts > 1 else last[0]

    def _run(self, layer: int, sequence: Tensor, state: Parts) -> tuple[Tensor, Parts]:
        into, across, bias_into, bias_across = self._own(layer)
        # What a step reads is known beforehand: one product for all of them.
        read, answers = functional.linear(sequence, into, bias_into), []
        for step in read.unbind(0):
            state = self.step(step, state, across, bias_across)
            answers.append(state[0])
        return torch.stack(answers), state

    def _own(self, layer: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return the weights of one layer, and its biases if it has any."""
        own: Any = self
        weights = (getattr(own, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh"))
        biases = (getattr(own, f"{name}_l{layer}", None) for name in ("bias_ih", "bias_hh"))
        return (*weights, *biases)


class StepLSTM(_Steps):
    """What ``nn.LSTM`` answers.

    Parameters
    ----------
    layer : LSTM
        Whose parameters it takes, the same tensors; see :func:`why_not_steps` for what it must not be.

    References
    ----------
    Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735; gates as in torch's documentation of ``LSTM``.

    Examples
    --------
    >>> layer, sequence = nn.LSTM(2, 3), torch.ones(4, 1, 2)
    >>> torch.allclose(StepLSTM(layer)(sequence)[0], layer(sequence)[0], atol=1e-6)
    True
    """

    parts = 2

    def step(self, read: Tensor, state: Parts, weight: Tensor, bias: Tensor | None) -> Parts:
        """Return hidden state and cell after one step."""
        hidden, cell = state
        take, keep, new, show = (read + functional.linear(hidden, weight, bias)).chunk(4, dim=-1)
        cell = keep.sigmoid() * cell + take.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


class StepGRU(_Steps):
    """What ``nn.GRU`` answers.

    Parameters
    ----------
    layer : GRU
        Whose parameters it takes, the same tensors; see :func:`why_not_steps` for what it must not be.

    References
    ----------
    Cho et al. (2014), arXiv:1406.1078; the reset gate behind the product, as in torch's documentation of ``GRU``.

    Examples
    --------
    >>> layer, sequence = nn.GRU(2, 3), torch.ones(4, 1, 2)
    >>> torch.allclose(StepGRU(layer)(sequence)[0], layer(sequence)[0], atol=1e-6)
    True
    """

    parts = 1

    def step(self, read: Tensor, state: Parts, weight: Tensor, bias: Tensor | None) -> Parts:
        """Return the hidden state after one step."""
        (hidden,) = state
        back = functional.linear(hidden, weight, bias).chunk(3, dim=-1)
        reset, update, new = read.chunk(3, dim=-1)
        reset, update = (reset + back[0]).sigmoid(), (update + back[1]).sigmoid()
        return ((1 - update) * (new + reset * back[2]).tanh() + update * hidden,)


def why_not_steps(network: nn.Module) -> str | None:
    """Return why a recurrent layer of ``network`` has no counterpart here; None: all have.

    Examples
    --------
    >>> why_not_steps(nn.LSTM(2, 3, bidirectional=True))
    'a layer LSTM with bidirectional, for which there is none of steps'
    """
    for layer in network.modules():
        if not isinstance(layer, nn.RNNBase):
            continue
        kind = type(layer)
        if kind not in (nn.LSTM, nn.GRU):
            return f"a layer {kind.__name__}, for which there is none of steps"
        for option in ("bidirectional", "proj_size", "dropout"):
            if getattr(layer, option):
                return f"a layer {kind.__name__} with {option}, for which there is none of steps"
    return None


def in_steps(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` whose LSTM and GRU layers are those of steps; parameters keep their names."""
    kinds: dict[type, Any] = {nn.LSTM: StepLSTM, nn.GRU: StepGRU}
    made = copy.deepcopy(network)
    for module in list(made.modules()):
        for name, inner in list(module.named_children()):
            if type(inner) in kinds:
                setattr(module, name, kinds[type(inner)](inner))
    whole: nn.Module = kinds[type(made)](made) if type(made) in kinds else made
    return whole
