"""What a step needs of the device's memory, and what is put back when there was not enough."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipeline.backend.out_of_memory import first_line


@dataclass(frozen=True, eq=False)
class Before:
    """What a forward pass changes: random numbers, and the running moments of norms.

    Costs a copy of some vectors a step, a thousandth of it: a step that has to be made again is then the same step.

    Parameters
    ----------
    buffers, kept : sequence of Tensor
        Of the network, and what they held.
    device : torch.device
        Whose random numbers are kept beside the host's.
    numbers : tuple of Tensor
        States of the generators.
    """

    buffers: Sequence[Tensor]
    kept: Sequence[Tensor]
    device: torch.device
    numbers: tuple[Tensor, ...]

    @classmethod
    def of(cls, network: nn.Module, device: torch.device) -> Before:
        """Keep what ``network`` and the generators hold."""
        saved = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
        buffers = [buffer for module in saved for buffer in module.buffers()]
        numbers = [torch.get_rng_state()]
        if device.type != "cpu":
            numbers.append(torch.get_device_module(device).get_rng_state(device))
        return cls(buffers, [buffer.clone() for buffer in buffers], device, tuple(numbers))

    def restore(self) -> None:
        """Put it back."""
        for buffer, kept in zip(self.buffers, self.kept, strict=True):
            buffer.copy_(kept)
        torch.set_rng_state(self.numbers[0])
        if self.device.type != "cpu":
            torch.get_device_module(self.device).set_rng_state(self.numbers[1], self.device)


def saved_bytes(network: nn.Module, inputs: Tensor, device: str = "meta") -> int:
    """Return how many bytes a forward pass keeps for the gradient; none are taken to find out, unless on a ``device``.

    On ``meta`` the first pass of a process takes some seconds, for torch loads a compiler; on ``cpu`` it is a pass.

    Examples
    --------
    >>> saved_bytes(nn.Sequential(nn.Linear(3, 5), nn.Tanh()), torch.zeros(2, 3))  # inputs and what tanh answered
    64
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    weights = {name: tensor.detach().to(device).requires_grad_(tensor.requires_grad) for name, tensor in own.items()}
    found: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage()._cdata] = tensor
        return tensor

    mine = {tensor.untyped_storage()._cdata for tensor in weights.values()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        answer = functional_call(network, weights, (inputs.detach().to(device),))
        del answer
    return sum(tensor.untyped_storage().nbytes() for place, tensor in found.items() if place not in mine)


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts the bytes of all tensors that are made while it is on, and that are there at the same time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most: int = 0
        self._now: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {tensor.untyped_storage()._cdata for tensor in tree_leaves(args) if isinstance(tensor, Tensor)}
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage(), given)
        self.most = max(self.most, sum(self._now.values()))
        return made

    def _note(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        place = storage._cdata
        if place not in given and place not in self._now:
            self._now[place] = storage.nbytes()
            weakref.finalize(storage, self._now.pop, place, None)


def passing_bytes(network: nn.Module, inputs: Tensor) -> int:
    """Return how many bytes a forward pass without gradients makes and holds at once; none are taken to find out.

    Examples
    --------
    >>> passing_bytes(nn.Sequential(nn.Linear(3, 5), nn.Tanh()), torch.zeros(2, 3))  # of tanh, and what it is given
    80
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    weights = {name: tensor.detach().to("meta") for name, tensor in own.items()}
    given = inputs.detach().to("meta")
    with torch.no_grad(), _Held() as held:
        answer = functional_call(network, weights, (given,))
        del answer
    most: int = held.most
    return most


def too_large(title: str, network: nn.Module, one: Tensor, device: torch.device, said: str) -> str:
    """Return what to say where a single sample has no room: what it takes, what there is, and what would fit."""
    shape = " x ".join(str(size) for size in one.shape[1:])
    told = f"{title}: expected room for one sample of {shape} numbers on {device}, got out of memory "
    told += f"({first_line(said)})."
    advice = " Take a smaller region or network, precision: bfloat16, or another device."
    try:
        need = saved_bytes(network, one)
    except Exception:  # a network that cannot be asked without numbers
        return told + advice
    return told + f" It keeps {need / 2**20:.0f} MiB for its gradient" + _share(need, device) + advice


def no_answer(title: str, network: nn.Module | None, one: Tensor, device: torch.device, said: str) -> str:
    """Return what to say where the answer to a single sample has no room, as :func:`too_large` does of a step."""
    shape = " x ".join(str(size) for size in one.shape[1:])
    told = f"{title}: expected room for the answer to one sample of {shape} numbers on {device}, got out of memory "
    told += f"({first_line(said)})."
    advice = " Take a smaller region or network, or another device."
    try:
        need = passing_bytes(network, one) if network is not None else 0
    except Exception:  # a network that cannot be asked without numbers
        need = 0
    if not need:
        return told + advice
    return told + f" It holds {need / 2**20:.0f} MiB on its way" + _share(need, device) + advice


def _share(need: int, device: torch.device) -> str:
    """Return how much of ``need`` bytes is free on a device, in words that end a sentence."""
    if device.type == "cpu":
        return "."
    free = torch.accelerator.get_memory_info(device)[0]
    share = min(0.9 * free / max(need, 1), 1.0)
    return f", where {free / 2**20:.0f} MiB are free: {share:.0%} of its cells would fit."
