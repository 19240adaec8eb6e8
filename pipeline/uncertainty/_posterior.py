"""The posterior of a network's weights: what the train split and a normal prior say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.samples import Samples
from pipeline.training.losses import Loss, make_loss
from pipeline.training.tensors import Batch, Tensors
from pipeline.training.trainable import Trainable


@dataclass(frozen=True, eq=False)
class Posterior:
    """``-log p(w | data)`` up to a constant: ``scale * sum of area * loss + prior / 2 * |w|^2``.

    The sum is over all samples and all cells with truth, as if these were independent of each other. Fields are not:
    ``temperature`` above 1 makes the evidence worth less, by as much as neighbouring cells and days repeat each other.

    Parameters
    ----------
    loss : Loss
        A negative log likelihood, fitted, or the squared error.
    tensors : Tensors
        The train split.
    scale : float
        What the loss is multiplied by: the inverse of the temperature; of the squared error also by half of the inverse
        variance of the fitted network's errors.
    prior : float
        Precision of the prior.
    """

    loss: Loss
    tensors: Tensors
    scale: float
    prior: float

    @classmethod
    def of(cls, trainable: Trainable, train: Samples, *, prior: float, temperature: float = 1.0) -> Posterior:
        """Return the posterior of a fitted network's weights given the train split."""
        loss, tensors = trainable.loss, trainable.tensors(train)
        tensors.fit(loss)
        found = cls(loss, tensors, 1.0, prior)
        scale = 1.0 / temperature
        if loss.likelihood == "square":
            with torch.no_grad():
                total = sum(
                    float(found.evidence(trainable.network, part)) for part in found.parts(trainable.config.batch_size)
                )
            scale *= 0.5 * found.weight / total
        return cls(loss, tensors, scale, prior)

    @property
    def weight(self) -> float:
        """Sum of the areas of all cells with truth, over all samples: how many values there are."""
        return self.tensors.weight()

    def __len__(self) -> int:
        return len(self.tensors)

    def parts(self, size: int) -> list[slice]:
        """Return all samples in parts of at most ``size``."""
        return [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]

    def evidence(self, network: nn.Module, index: Tensor | slice) -> Tensor:
        """Return ``scale * sum of area * loss`` over some samples, with a gradient."""
        batch = self.tensors.take(index)
        return self.of_output(network(batch.inputs), batch)

    def of_output(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the same of what a network answered for ``batch``."""
        known = torch.isfinite(batch.target)
        values = self.loss(output, batch.target.nan_to_num(0.0, 0.0, 0.0), batch.place.cells(known))
        return self.scale * (torch.where(known, values, 0.0) * (known * batch.place.area)).sum()


def own_prior(layers: Iterable[nn.Module], prior: float | Literal["auto"]) -> float:
    """Return the precision of the prior; of ``auto`` the one that the fitted weights of the layers themselves have."""
    if prior != "auto":
        return prior
    weights = [weight.detach().double() for layer in layers for weight in layer.parameters()]
    square = sum(float((weight**2).sum()) for weight in weights)
    return sum(weight.numel() for weight in weights) / max(square, 1e-12)


@contextmanager
def slopes_in_eval(network: nn.Module) -> Iterator[None]:
    """Let gradients go through recurrent layers in eval mode, which cuDNN refuses: without it they are slower."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())
    with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
        yield


def why_no_likelihood(model: Any) -> str | None:
    """Say why weights of a model with these options have no posterior; None where they have one."""
    spec = getattr(model, "loss", None)
    if spec is None:  # the defaults of the tasks are likelihoods
        return None
    try:
        if make_loss(spec).likelihood:
            return None
    except ConfigError as error:  # checked elsewhere, with its place in the file
        return str(error)
    return (
        f"expected a loss that is a negative log likelihood, which gives weights a posterior, got {spec!r}. Take "
        "normal_nll, bernoulli_gamma_nll, mse or, of classes, cross_entropy; or a deep ensemble."
    )
