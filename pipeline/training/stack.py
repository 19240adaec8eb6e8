"""Networks of one shape whose weights lie in one tensor, so that a step of all of them is one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from pipeline.training.batch_loss import LEAST, batch_loss, zeros
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import Loss
from pipeline.training.optimizers import build_optimizer, penalty, set_lr
from pipeline.training.recurrent import in_steps
from pipeline.training.tensors import Batch, Tensors

MARGIN = 1e-6  # as in `torch.nn.utils.clip_grad_norm_`, so that a norm of zero divides nothing


class Stack:
    """Networks of one shape as one: their weights, members in front, and one optimizer over them.

    Parameters
    ----------
    networks : sequence of Module
        Stay as they are.
    loss : Loss
        Made small.
    config : TrainingConfig
        Options.
    at_once : int, optional
        Members in one pass.
    """

    def __init__(
        self, networks: Sequence[nn.Module], loss: Loss, config: TrainingConfig, at_once: int | None = None
    ) -> None:
        self._template = in_steps(networks[0])
        self._loss, self._config, self._at_once = loss, config, at_once or len(networks)
        self._parameters = _stacked([dict(network.named_parameters()) for network in networks])
        for name, parameter in networks[0].named_parameters():
            self._parameters[name].requires_grad_(parameter.requires_grad)
        self._buffers = _stacked(_own_buffers(networks))
        self._optimizer = build_optimizer(self._template, config, self._parameters)

    def __len__(self) -> int:
        return len(next(iter(self._parameters.values())))

    def learn(self, batch: Batch, lr: float) -> tuple[Tensor, Tensor]:
        """Make one step; return what the loop's does, one number a member: shape (member,).

        Parameters
        ----------
        batch : Batch
            Of each member its own: inputs of shape (member, time, channel, lat, lon), the target alike.
        lr : float
            Learning rate.
        """
        self._template.train()
        self._optimizer.zero_grad(set_to_none=True)
        found = []
        for start in range(0, len(self), self._at_once):
            summed, weight = self._losses(batch, slice(start, start + self._at_once), along=0)
            torch.autograd.backward((summed / weight.clamp(min=LEAST)).sum())
            found.append((summed.detach(), weight))
        l1, l2 = self._config.l1, self._config.l2
        if l1 or l2:
            torch.autograd.backward(penalty(self._template, l1, l2, self._parameters))
        if self._config.clip:
            self._clip(self._config.clip)
        set_lr(self._optimizer, lr)
        self._optimizer.step()
        summed, weight = (torch.cat(part) for part in zip(*found, strict=True))
        return summed, weight

    def evaluate(self, samples: Tensors) -> list[float]:
        """Return the loss of every member on the same samples in eval mode."""
        self._template.eval()
        total, count = zeros(samples.device)
        with torch.no_grad(), closing(samples.in_order(self._config.batch_size)) as batches:
            for batch in batches:
                parts = [
                    self._losses(batch, slice(start, start + self._at_once), along=None)
                    for start in range(0, len(self), self._at_once)
                ]
                summed, weight = (torch.cat(part) for part in zip(*parts, strict=True))
                total, count = total + summed, count + weight
        losses: list[float] = (total / count).tolist()
        return losses

    def weights(self, row: int) -> dict[str, Tensor]:
        """Return what one member has learned, by the names of its network."""
        return {name: tensor[row] for name, tensor in {**self._parameters, **self._buffers}.items()}

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the members."""
        index = torch.tensor(list(rows), device=next(iter(self._parameters.values())).device)
        kept = self._optimizer.state_dict()
        self._parameters = {
            name: tensor.detach()[index].requires_grad_(tensor.requires_grad)
            for name, tensor in self._parameters.items()
        }
        self._buffers = {name: tensor[index] for name, tensor in self._buffers.items()}
        self._optimizer = build_optimizer(self._template, self._config, self._parameters)
        # The count of steps is one number for all, whatever else there is has the members in front.
        kept["state"] = {
            place: {name: part[index] if isinstance(part, Tensor) and part.ndim else part for name, part in own.items()}
            for place, own in kept["state"].items()
        }
        self._optimizer.load_state_dict(kept)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        return {
            "parameters": {name: tensor.detach() for name, tensor in self._parameters.items()},
            "buffers": self._buffers,
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the weights of as many members as there are."""
        with torch.no_grad():
            for own, theirs in ((self._parameters, state["parameters"]), (self._buffers, state["buffers"])):
                for name, tensor in own.items():
                    tensor.copy_(theirs[name])
        self._optimizer.load_state_dict(state["optimizer"])

    def _losses(self, batch: Batch, rows: slice, along: int | None) -> tuple[Tensor, Tensor]:
        """Return sum and weight of the loss of some members; ``along`` None: all see the same batch."""

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor, target: Tensor) -> Any:
            def network(given: Any) -> Tensor:
                answer: Tensor = functional_call(self._template, {**parameters, **buffers}, (given,))
                return answer

            return batch_loss(network, Batch(inputs, target, batch.place), self._loss, self._config)

        parameters, buffers = (
            {name: tensor[rows] for name, tensor in whole.items()} for whole in (self._parameters, self._buffers)
        )
        inputs, target = batch.inputs, batch.target
        if along is not None:
            inputs, target = inputs[rows], target[rows]
        with _AnyLayout():
            found: tuple[Tensor, Tensor] = torch.vmap(one, (0, 0, along, along))(parameters, buffers, inputs, target)
        return found

    def _clip(self, most: float) -> None:
        """Hold the norm of each member's gradient, as ``torch.nn.utils.clip_grad_norm_`` holds that of one."""
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        norms = [torch.linalg.vector_norm(gradient.reshape(len(gradient), -1), dim=1) for gradient in gradients]
        share = (most / (torch.linalg.vector_norm(torch.stack(norms), dim=0) + MARGIN)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(share.reshape(-1, *[1] * (gradient.ndim - 1)))


def laid(samples: Tensors, index: Tensor) -> Batch:
    """Return the samples at ``index``, shape (member, time), with the members in front."""
    flat = samples.take(index.flatten())
    inputs, target = (part.reshape(*index.shape, *part.shape[1:]) for part in (flat.inputs, flat.target))
    return Batch(inputs, target, flat.place)


class _AnyLayout(TorchFunctionMode):
    """Leaves memory formats out of calls: channels last, a hint for speed, is unknown to ``torch.vmap``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {name: value for name, value in (kwargs or {}).items() if name != "memory_format"}
        return func(*args, **given)


def _own_buffers(networks: Sequence[nn.Module]) -> list[dict[str, Tensor]]:
    """Return the buffers that members have each for itself: those that are saved, and those that differ.

    All others, such as static fields and weights between grids, are held once.
    """
    buffers = [dict(network.named_buffers()) for network in networks]
    saved = networks[0].state_dict()
    own = [
        name
        for name, first in buffers[0].items()
        if name in saved or not all(torch.equal(first, other[name]) for other in buffers[1:])
    ]
    return [{name: mine[name] for name in own} for mine in buffers]


def _stacked(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([member[name].detach() for member in members]) for name in members[0]}
