"""What methods have in common whose draws are the states of a Markov chain."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.errors import CalibrationError
from pipeline.model_config import ModelConfig
from pipeline.uncertainty._posterior import Posterior, slopes_in_eval, why_no_likelihood
from pipeline.uncertainty._walk import flat_weights, set_weights
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod

LARGEST = 500_000
"""Weights of the largest network whose chain is kept: 20 draws of them are 40 MB."""


class ChainConfig(DrawsConfig):
    """Options of every chain."""

    prior: float = Field(default=1.0, gt=0, description="Precision of the normal prior of every weight.")
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1 the evidence is worth less, as of cells that repeat each other."
    )
    burn: int = Field(default=50, ge=0, description="States that are thrown away first.")
    thin: int = Field(default=5, ge=1, description="States from one draw to the next.")


class ChainMethod(WeightMethod):
    """Draws are states of a chain that was run when the method was fitted; ``arrays["chain"]`` holds them."""

    Config: ClassVar[type[ModelConfig]] = ChainConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a loss is no likelihood, if it is none."""
        return why_no_likelihood(model)

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the network to a state of the chain."""
        set_weights(network, self.arrays["chain"][number])

    def check_size(self, network: nn.Module, name: str) -> None:
        """Refuse a network whose weights are too many to keep, or to move.

        Raises
        ------
        CalibrationError
            If it is too large.
        """
        count = sum(weight.numel() for weight in network.parameters())
        if count > LARGEST:
            raise CalibrationError(
                f"{name}: expected a network of at most {LARGEST} weights for a chain of them, got {count}. Take swag, "
                "subspace or laplace."
            )


class Energy:
    """The negative log posterior and its gradient at weights in one row, over all of the train split."""

    def __init__(self, network: nn.Module, posterior: Posterior, batch: int) -> None:
        self._network, self._posterior = network, posterior
        self._parts = posterior.parts(batch)

    def __call__(self, flat: Tensor) -> tuple[float, Tensor]:
        """Return energy and gradient; costs a pass over the train split."""
        set_weights(self._network, flat)
        weights = list(self._network.parameters())
        total = 0.5 * self._posterior.prior * float((flat.double() ** 2).sum())
        slope = self._posterior.prior * flat
        for part in self._parts:
            with slopes_in_eval(self._network):
                energy = self._posterior.evidence(self._network, part)
                slopes = torch.autograd.grad(energy, weights)
            slope = slope + torch.cat([one.flatten() for one in slopes])
            total += float(energy.detach())
        return total, slope

    def value(self, flat: Tensor) -> float:
        """Return the energy alone, a third of the cost."""
        set_weights(self._network, flat)
        with torch.no_grad():
            parts = sum(float(self._posterior.evidence(self._network, part)) for part in self._parts)
        return parts + 0.5 * self._posterior.prior * float((flat.double() ** 2).sum())


__all__ = ["ChainConfig", "ChainMethod", "Energy", "flat_weights", "set_weights"]
