"""Training that goes on: the weights that a network passes through with a learning rate that no longer falls."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.training.optimizers import build_optimizer, penalty
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty._posterior import Posterior

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def walk(
    trainable: Trainable, posterior: Posterior, *, epochs: int, lr: float, context: Context, title: str
) -> Iterator[Tensor]:
    """Yield the weights in one row after each epoch from the fitted network on, with its own optimizer and batch size.

    Batches are drawn with replacement, so that the noise of one step knows nothing of the others: in one order an epoch
    it would cancel by the epoch's end, where weights are noted. Train data are not augmented. Batch norm keeps the
    statistics of the fitted network: others would belong to each set of weights.

    Raises
    ------
    CalibrationError
        If weights are not finite.
    """
    network = copy.deepcopy(trainable.network)
    train_mode(network)
    config = trainable.config.model_copy(update={"lr": lr})
    optimizer = build_optimizer(network, config)
    device = context.backend.torch_device
    place = posterior.tensors.place
    with seeded(context.seed_for(title), device), context.progress(f"{title} {context.name}", epochs) as bar:
        for epoch in range(epochs):
            # On the host, so that every device draws the same.
            order = torch.randint(len(posterior), (len(posterior),)).to(device)
            for index in torch.split(order, config.batch_size):
                known = torch.isfinite(posterior.tensors.target[index])
                weight = posterior.scale * (known * place.area).sum().clamp(min=1e-12)
                loss = posterior.evidence(network, index) / weight
                if config.l1 or config.l2:
                    loss = loss + penalty(network, config.l1, config.l2)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                if config.clip:
                    nn.utils.clip_grad_norm_(network.parameters(), config.clip)
                optimizer.step()
            flat = flat_weights(network)
            if not bool(torch.isfinite(flat).all()):
                raise CalibrationError(
                    f"{context.name}: expected finite weights, got some that are not in epoch {epoch + 1} of {title} "
                    f"at learning rate {lr:g}. Take a smaller lr."
                )
            bar.advance()
            yield flat


def train_mode(network: nn.Module) -> None:
    """Put a network into train mode, but for batch norm: it keeps the statistics that it has."""
    network.train()
    for module in network.modules():
        if isinstance(module, _BATCH_NORMS):
            module.eval()


def flat_weights(network: nn.Module) -> Tensor:
    """Return all weights in one row, shape (weight,), without a gradient."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def set_weights(network: nn.Module, flat: Tensor) -> None:
    """Set the weights of a network to those of one row."""
    nn.utils.vector_to_parameters(flat, network.parameters())
