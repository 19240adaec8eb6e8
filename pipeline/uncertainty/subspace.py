"""Subspace inference: the posterior in the few directions in which training still moves the weights."""

from __future__ import annotations

import copy
import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._chains import Energy, set_weights
from pipeline.uncertainty._posterior import Posterior, why_no_likelihood
from pipeline.uncertainty._walk import walk
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod


class SubspaceConfig(DrawsConfig):
    """Options of subspace inference."""

    rank: int = Field(default=5, ge=1, le=100, description="Directions of the subspace.")
    epochs: int = Field(default=20, ge=2, description="Epochs of further training whose weights span it.")
    lr: float | None = Field(
        default=None, gt=0, description="Learning rate of these; a tenth of that of the training if left out."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1 the evidence is worth less, as of cells that repeat each other."
    )
    burn: int = Field(default=20, ge=0, description="States of the chain that are thrown away first.")
    thin: int = Field(default=2, ge=1, description="States from one draw to the next.")


@UNCERTAINTY.register("subspace")
class Subspace(WeightMethod):
    """Inference in a subspace of weights (Izmailov et al. 2019, arXiv:1907.07504).

    ``w = mean + P z`` with the leading principal components of the weights after each epoch of further training as
    columns of P, of the length of their deviations, and a standard normal prior of z. The posterior of z, given the
    whole train split, is drawn from by elliptical slice sampling (Murray et al. 2010, arXiv:1001.0175), which has
    nothing to tune. A state costs a few passes over the train split without a gradient.
    """

    Config: ClassVar[type[ModelConfig]] = SubspaceConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a loss is no likelihood, if it is none."""
        return why_no_likelihood(model)

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Walk on from the fitted weights, then run the chain in what they spanned.

        Raises
        ------
        CalibrationError
            If weights do not move, or are not finite.
        """
        options = self.config
        posterior = Posterior.of(trainable, train, prior=0.0, temperature=options.temperature)
        lr = options.lr or 0.1 * trainable.config.lr
        steps = walk(trainable, posterior, epochs=options.epochs, lr=lr, context=context, title="subspace")
        passed = torch.stack(list(steps))
        mean = passed.mean(dim=0)
        _, lengths, patterns = torch.linalg.svd(passed - mean, full_matrices=False)
        rank = min(options.rank, int((lengths > 1e-9 * lengths[0].clamp(min=1e-300)).sum()))
        if not rank:
            raise CalibrationError(f"{context.name}: expected weights that move, got none that did. Take a higher lr.")
        basis = patterns[:rank].T * (lengths[:rank] / math.sqrt(max(len(passed) - 1, 1)))
        network = copy.deepcopy(trainable.network).eval()
        energy = Energy(network, posterior, trainable.config.batch_size)
        with seeded(context.seed_for("slices"), context.backend.torch_device):
            chain, evaluations = self._chain(mean, basis, energy, context)
        self.arrays = {"mean": mean, "basis": basis.contiguous(), "chain": chain}
        self.notes = {"rank": rank, "epochs": options.epochs, "lr": lr, "evaluations": evaluations}

    def _chain(self, mean: Tensor, basis: Tensor, energy: Energy, context: Context) -> tuple[Tensor, int]:
        """Return states, shape (draw, rank), and how often the energy was asked for."""
        options, kept, evaluations = self.config, [], 1
        states = options.burn + options.draws * options.thin
        place = torch.zeros(basis.shape[1], dtype=mean.dtype, device=mean.device)
        here = energy.value(mean)
        with context.progress(f"subspace {context.name}", states) as bar:
            for state in range(states):
                ellipse = torch.randn(place.shape, dtype=place.dtype).to(place.device)
                chance, angle = torch.rand(2, dtype=torch.float64).tolist()
                bound = here - math.log(max(chance, 1e-300))
                angle *= 2.0 * math.pi
                low, high = angle - 2.0 * math.pi, angle
                while True:
                    proposal = place * math.cos(angle) + ellipse * math.sin(angle)
                    there = energy.value(mean + basis @ proposal)
                    evaluations += 1
                    if there <= bound or abs(high - low) < 1e-10:
                        break
                    low, high = (angle, high) if angle < 0 else (low, angle)
                    angle = low + (high - low) * float(torch.rand((), dtype=torch.float64))
                place, here = proposal, there
                if state >= options.burn and (state - options.burn) % options.thin == options.thin - 1:
                    kept.append(place)
                bar.advance()
        return torch.stack(kept), evaluations

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the network to a state of the chain."""
        set_weights(network, self.arrays["mean"] + self.arrays["basis"] @ self.arrays["chain"][number])
