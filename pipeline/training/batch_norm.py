"""Batch norm over the batch of all ranks, on any device: torch's own is for CUDA alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.ranks import Ranks

Norm = nn.modules.batchnorm._BatchNorm


class _Sum(torch.autograd.Function):
    """The sum over all ranks; its gradient is the sum of theirs, since every rank's loss hangs on it."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(total)
        return total


@contextmanager
def synchronised(network: nn.Module, ranks: Ranks) -> Iterator[bool]:
    """Let every batch norm of ``network`` take its moments over the samples of all ranks while it is trained.

    Mean, then variance: two sums over ranks forwards and two backwards. The gradient is that of one process with the
    whole batch. How many samples count is known from ``ranks`` and asked of nobody.

    Yields
    ------
    bool
        Whether there is any.
    """
    norms = [module for module in network.modules() if isinstance(module, Norm)]
    for module in norms:
        module.forward = _Forward(module, ranks)  # type: ignore[method-assign,assignment]
    try:
        yield bool(norms)
    finally:
        for module in norms:
            del module.forward  # the class's own is there again


class _Forward:
    """What takes the place of one norm's forward pass."""

    def __init__(self, module: Any, ranks: Ranks) -> None:
        self._module, self._ranks = module, ranks

    def __call__(self, maps: Tensor) -> Tensor:
        module, ranks = self._module, self._ranks
        here = maps.numel() // maps.shape[1]
        # A network may make several maps of one sample: they are as many on every rank.
        count = here // max(ranks.present, 1) * ranks.total
        if not module.training or count == 1:
            own: Tensor = type(module).forward(module, maps)
            return own
        over = [axis for axis in range(maps.ndim) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(maps.ndim)]
        given, maps = maps.dtype, maps.to(torch.promote_types(maps.dtype, torch.float32))
        # A rank that makes the pass for the others' sake adds nothing, and still takes part in every sum.
        counts = float(ranks.present > 0)
        mean = _summed(maps.sum(over) * counts) / count
        centred = maps - mean.reshape(shape)
        variance = _summed((centred**2).sum(over) * counts) / count
        self._remember(mean.detach(), variance.detach(), count)
        normed = centred * torch.rsqrt(variance + module.eps).reshape(shape)
        if module.affine:
            normed = normed * module.weight.reshape(shape) + module.bias.reshape(shape)
        return normed.to(given)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running moments as torch does: by the variance of a sample."""
        module = self._module
        if not module.track_running_stats:
            return
        module.num_batches_tracked += 1
        share = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        module.running_mean.lerp_(mean.to(module.running_mean.dtype), share)
        module.running_var.lerp_((variance * count / (count - 1)).to(module.running_var.dtype), share)


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return total
