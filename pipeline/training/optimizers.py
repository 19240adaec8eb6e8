"""Optimizers by the names of the ``training`` section, and what pulls weights to zero."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.config import TrainingConfig

Groups = list[dict[str, Any]]

# Fused: a step over all weights in one call, a tenth of the time of a small UNet's step on a CPU.
OPTIMIZERS: dict[str, Callable[[Groups, TrainingConfig], torch.optim.Optimizer]] = {
    "adam": lambda groups, config: torch.optim.Adam(groups, lr=config.lr, fused=True),
    "adamw": lambda groups, config: torch.optim.AdamW(groups, lr=config.lr, fused=True),
    "sgd": lambda groups, config: torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True),
    "rmsprop": lambda groups, config: torch.optim.RMSprop(groups, lr=config.lr, momentum=config.momentum),
}


def build_optimizer(
    network: nn.Module, config: TrainingConfig, parameters: Mapping[str, Tensor] | None = None
) -> torch.optim.Optimizer:
    """Return the optimizer ``config`` names, over all parameters of ``network``, or over those given in their place.

    ``weight_decay`` acts on weights alone: pulling a bias or the scale of a norm to zero only
    moves the mean of what the network answers.

    Parameters
    ----------
    network : Module
        Says which parameters are weights.
    config : TrainingConfig
        Options.
    parameters : mapping of str to Tensor, optional
        By the network's names; those of several members may lie in one tensor, as all optimizers here work
        number by number.
    """
    import_compiler()
    decayed = set(_names(network))
    own = dict(network.named_parameters()) if parameters is None else parameters
    groups: Groups = [
        {"params": [p for name, p in own.items() if name in decayed], "weight_decay": config.weight_decay},
        {"params": [p for name, p in own.items() if name not in decayed], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], config)


@functools.cache
def import_compiler() -> None:
    """Import what every optimizer of torch does, and let go of what that leaves behind.

    Some of it is tried and fails; the tracebacks lie in cycles, with the frames of all callers and the samples in them,
    which would stay in memory until Python comes to look for cycles. To look for them takes 0.2 s, once a process.
    """
    import torch._dynamo  # noqa: F401

    gc.collect()


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Let the next step have this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def penalty(network: nn.Module, l1: float, l2: float, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
    """Return ``l1 * sum |w| + l2 / 2 * sum w^2`` over the weights of ``network``, or those given in their place.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> _ = nn.init.constant_(layer.weight, -2.0)
    >>> penalty(layer, l1=0.5, l2=0.25).item()
    3.0
    """
    own = dict(network.named_parameters()) if parameters is None else parameters
    total = torch.zeros((), device=next(iter(own.values())).device)
    for name in _names(network):
        if l1:
            total = total + l1 * own[name].abs().sum()
        if l2:
            total = total + 0.5 * l2 * (own[name] ** 2).sum()
    return total


def _names(network: nn.Module) -> list[str]:
    """Return the parameters that penalties act on: those of two or more dims not called ``bias``."""
    return [name for name, p in network.named_parameters() if p.ndim > 1 and not name.endswith("bias")]
