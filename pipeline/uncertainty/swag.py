"""SWAG: a normal distribution round the weights that training passes through once it has arrived."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._posterior import Posterior
from pipeline.uncertainty._walk import set_weights, walk
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod


class SwagConfig(DrawsConfig):
    """Options of SWAG."""

    epochs: int = Field(default=20, ge=3, description="Epochs of further training; weights are noted after each.")
    lr: float | None = Field(
        default=None, gt=0, description="Learning rate of these; a tenth of that of the training if left out."
    )
    rank: int = Field(
        default=10, ge=2, description="Last epochs whose deviations from the mean span the low-rank part."
    )
    scale: float = Field(default=1.0, gt=0, description="What the covariance is multiplied by.")


@UNCERTAINTY.register("swag")
class Swag(WeightMethod):
    """Stochastic weight averaging, Gaussian (Maddox et al. 2019, arXiv:1902.02476).

    Training goes on at a constant rate. The weights after each epoch have a mean and, weight by weight, a variance; the
    deviations of the last epochs from the mean span how they move together. A draw is
    ``mean + sqrt(scale / 2) * (sd * z1 + D z2 / sqrt(rank - 1))``, half of its variance from each part. How far weights
    wander depends on the learning rate: the spread is that of the optimiser's noise. It is the posterior only where
    noise and curvature go together, at one rate (Mandt et al. 2017, arXiv:1704.04289): take the rate, or ``scale``,
    that does best on validation. Kept are ``rank + 2`` copies of the weights.
    """

    Config: ClassVar[type[ModelConfig]] = SwagConfig

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Walk on from the fitted weights and note where.

        Raises
        ------
        CalibrationError
            If weights do not move, or are not finite.
        """
        options = self.config
        posterior = Posterior.of(trainable, train, prior=0.0)
        lr = options.lr or 0.1 * trainable.config.lr
        # In float64: weights wander by less than the digits that the difference of float32 squares keeps.
        mean = square = torch.zeros((), dtype=torch.float64)
        last: list[torch.Tensor] = []
        steps = walk(trainable, posterior, epochs=options.epochs, lr=lr, context=context, title="swag")
        for count, flat in enumerate(steps, start=1):
            away = flat.double() - mean
            mean = mean + away / count
            square = square + away * (flat.double() - mean)
            last = [*last, flat][-min(options.rank, options.epochs) :]
        spread = square / count
        if not bool((spread > 0).any()):
            raise CalibrationError(f"{context.name}: expected weights that move, got none that did. Take a higher lr.")
        kind = last[0].dtype
        deviations = (torch.stack(last).double() - mean).to(kind)
        self.arrays = {"mean": mean.to(kind), "variance": spread.to(kind), "deviations": deviations}
        self.notes = {"epochs": options.epochs, "lr": lr, "rank": len(last)}

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the network to a draw; random numbers are those of the host, whatever the device."""
        mean, variance, deviations = (self.arrays[name] for name in ("mean", "variance", "deviations"))
        own = torch.randn(mean.shape, dtype=mean.dtype).to(mean.device) * variance.sqrt()
        joint = torch.randn(len(deviations), dtype=mean.dtype).to(mean.device) @ deviations
        spread = own + joint / (len(deviations) - 1) ** 0.5
        set_weights(network, mean + (0.5 * self.config.scale) ** 0.5 * spread)
