"""A network that does not fit on one device, cut over several ranks by torch's own tools.

Two things fill a device. Weights with their gradients and the optimizer's moments: ``fully_shard`` (FSDP2) keeps a part
of each on every rank and brings a layer's weights together for as long as it computes. Maps that the forward pass
keeps for the gradient: ``checkpoint`` keeps those between blocks alone and works the others out again. Each rank takes
its share of every batch, as without.

Why not in stages, one behind the other (``torch.distributed.pipelining``): a UNet hands its largest maps across, from
the first block of the encoder to the last of the decoder, and they would travel through every stage between.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCK = 500
"""Weights of the smallest module that is cut and brought together by itself: each costs a message a pass."""


def shard(network: nn.Module, blocks: Iterable[nn.Module] | None = None, *, again: bool = True) -> None:
    """Cut ``network`` over the ranks of torch's default process group, in place.

    Its parameters are then ``DTensor``, of which every rank has a part; optimizers and ``clip_grad_norm_`` work on them
    as they are. A gradient is the sum over ranks, as :func:`pipeline.training.loop.train` wants it, not the mean. The
    network must be called by itself, ``network(inputs)``, not by a method or a part of it.

    Parameters
    ----------
    network : Module
        The same on every rank.
    blocks : iterable of Module, optional
        Parts whose weights come together, and whose maps are worked out again, one at a time. By default the members
        of its module lists and sequences with weights: of a UNet the blocks of encoder and decoder, and its readout.
    again : bool
        Whether to work out maps again, which takes a third more time and the less memory the more blocks there are.

    References
    ----------
    Zhao et al. (2023), arXiv:2304.11277, for sharding. Chen et al. (2016), arXiv:1604.06174, for checkpoints.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    for block in list(blocks_of(network) if blocks is None else blocks):
        if again:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        fully_shard(block)
    fully_shard(network)
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Return the largest parts of ``network`` that stand in a list or sequence of modules and have weights."""
    found: list[nn.Module] = []
    for child in network.children():
        members = list(child.children()) if isinstance(child, (nn.ModuleList, nn.Sequential)) else [child]
        found += [part for part in members if sum(p.numel() for p in part.parameters()) >= BLOCK]
    return found


def whole(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with their parts of all ranks together; every rank must ask at the same time.

    Examples
    --------
    >>> import torch
    >>> whole({"weight": torch.ones(2)})["weight"].tolist()
    [1.0, 1.0]
    """
    return {name: _whole(tensor) for name, tensor in tensors.items()}


def _whole(tensor: Any) -> Tensor:
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full
