"""Optimizers by the names of the ``training`` section, and what pulls weights to zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.config import TrainingConfig

Groups = list[dict[str, Any]]

OPTIMIZERS: dict[str, Callable[[Groups, TrainingConfig], torch.optim.Optimizer]] = {
    "adam": lambda groups, config: torch.optim.Adam(groups, lr=config.lr),
    "adamw": lambda groups, config: torch.optim.AdamW(groups, lr=config.lr),
    "sgd": lambda groups, config: torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum),
    "rmsprop": lambda groups, config: torch.optim.RMSprop(groups, lr=config.lr, momentum=config.momentum),
}


def build_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimizer ``config`` names, over all parameters of ``network``.

    ``weight_decay`` acts on weights alone: pulling a bias or the scale of a norm to zero only
    moves the mean of what the network answers.
    """
    decayed = {id(weight) for weight in weights(network)}
    groups: Groups = [
        {"params": [p for p in network.parameters() if id(p) in decayed], "weight_decay": config.weight_decay},
        {"params": [p for p in network.parameters() if id(p) not in decayed], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[config.optimizer]([group for group in groups if group["params"]], config)


def weights(network: nn.Module) -> list[Tensor]:
    """Return the parameters that penalties act on: those of two or more dims not called ``bias``."""
    return [p for name, p in network.named_parameters() if p.ndim > 1 and not name.endswith("bias")]


def penalty(network: nn.Module, l1: float, l2: float) -> Tensor:
    """Return ``l1 * sum |w| + l2 / 2 * sum w^2`` over the weights of ``network``.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> _ = nn.init.constant_(layer.weight, -2.0)
    >>> penalty(layer, l1=0.5, l2=0.25).item()
    3.0
    """
    total = torch.zeros((), device=next(network.parameters()).device)
    for weight in weights(network):
        if l1:
            total = total + l1 * weight.abs().sum()
        if l2:
            total = total + 0.5 * l2 * (weight**2).sum()
    return total
