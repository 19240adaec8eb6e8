"""The loss of a batch: over the cells that have truth, by their area."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.training.augment import Shares
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import Loss, Place
from pipeline.training.tensors import Batch

Network = Callable[[Tensor], Tensor]
LEAST = 1e-12
"""Weight that a batch is divided by at least: one without any truth teaches nothing."""


def batch_loss(network: Network, batch: Batch, loss: Loss, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the loss over finite cells, and the sum of the weights.

    A loss of whole fields, (time, target, 1), counts once for each of their finite cells, by its area.
    """
    return _weighed(_answer(network, batch.inputs, config), batch.target, batch.place, loss)


def shares_loss(network: Network, shares: Shares, loss: Loss, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """Return what :func:`batch_loss` does, of a batch with one truth or of two truths each its share."""
    output = _answer(network, shares.inputs, config)
    summed, weight = zeros(output.device)
    for share, target in shares.targets:
        part, its_weight = _weighed(output, target, shares.place, loss)
        summed, weight = summed + share * part, weight + share * its_weight
    return summed, weight


def shares_weight(shares: Shares) -> Tensor:
    """Return the sum of the weights alone, for which no network is asked."""
    weight = zeros(shares.inputs.device)[1]
    for share, target in shares.targets:
        weight = weight + share * (torch.isfinite(target) * shares.place.area).sum(dtype=torch.float64)
    return weight


def part_of(shares: Shares, part: slice, heard: bool = True) -> Shares:
    """Return some samples of a batch; unless they are ``heard``, without their truth, so that they teach nothing."""
    targets = tuple((share, target[part]) for share, target in shares.targets)
    if not heard:
        targets = tuple((share, torch.full_like(target, torch.nan)) for share, target in targets)
    return Shares(shares.inputs[part], targets, shares.place)


def _answer(network: Network, inputs: Tensor, config: TrainingConfig) -> Tensor:
    """Return what the network says of a batch, in the precision asked for."""
    half = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]
    with torch.autocast(
        inputs.device.type, dtype=half, enabled=half is not torch.float32, cache_enabled=not config.cuda_graphs
    ):
        output: Tensor = network(inputs)
    return output


def _weighed(output: Tensor, target: Tensor, place: Place, loss: Loss) -> tuple[Tensor, Tensor]:
    known = torch.isfinite(target)
    # Filled before the loss, since NaN times zero is NaN, in the gradient too.
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    cells = loss(output, target.nan_to_num(0.0, 0.0, 0.0), place.cells(known))
    weight = known * place.area
    summed = (torch.where(known, cells, 0.0) * weight).sum(dtype=torch.float64)
    return summed, weight.sum(dtype=torch.float64)


def zeros(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return where two sums start from."""
    zero = torch.zeros((), dtype=torch.float64, device=device)
    return zero, zero
