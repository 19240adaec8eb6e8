"""Stochastic gradient Langevin dynamics: a chain that sees a batch a step and adds noise of its own."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from pydantic import Field

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._chains import ChainConfig, ChainMethod, flat_weights
from pipeline.uncertainty._posterior import Posterior, slopes_in_eval


class SgldConfig(ChainConfig):
    """Options of stochastic gradient Langevin dynamics."""

    burn: int = Field(default=200, ge=0, description="Steps that are thrown away first.")
    thin: int = Field(default=50, ge=1, description="Steps from one draw to the next.")
    step: float = Field(
        default=0.1,
        gt=0,
        description="Size of a step times the number of values that the evidence is of, cells with truth of samples.",
    )


@UNCERTAINTY.register("sgld")
class Sgld(ChainMethod):
    """Langevin steps on batches of the train split (Welling and Teh 2011).

    ``w <- w - e/2 grad U + sqrt(e) z`` with U the energy of the posterior as a batch tells it and ``e`` the step by the
    number of values. The step does not fall: states are those of a posterior that is wider by a share of the order of
    the step, and by the noise of batches. Costs a batch a step.

    Source: https://icml.cc/2011/papers/398_icmlpaper.pdf.
    """

    Config: ClassVar[type[ModelConfig]] = SgldConfig

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Run the chain.

        Raises
        ------
        CalibrationError
            If the network is too large, or weights are not finite.
        """
        options, size = self.config, trainable.config.batch_size
        network = copy.deepcopy(trainable.network).eval()
        self.check_size(network, context.name)
        posterior = Posterior.of(trainable, train, prior=options.prior, temperature=options.temperature)
        epsilon = options.step / posterior.weight
        batch = min(size, len(posterior))
        weights = list(network.parameters())
        steps, kept, device = options.burn + options.draws * options.thin, [], context.backend.torch_device
        with (
            seeded(context.seed_for("sgld"), device),
            slopes_in_eval(network),
            context.progress(f"sgld {context.name}", steps) as bar,
        ):
            for step in range(steps):
                index = torch.randint(len(posterior), (batch,)).to(device)
                energy = posterior.evidence(network, index) * (len(posterior) / batch)
                slopes = torch.autograd.grad(energy, weights)
                with torch.no_grad():
                    for weight, slope in zip(weights, slopes, strict=True):
                        noise = torch.randn(weight.shape, dtype=weight.dtype).to(device)
                        weight.add_(slope + posterior.prior * weight, alpha=-0.5 * epsilon)
                        weight.add_(noise, alpha=epsilon**0.5)
                if step >= options.burn and (step - options.burn) % options.thin == options.thin - 1:
                    kept.append(flat_weights(network))
                bar.advance()
        chain = torch.stack(kept)
        if not bool(torch.isfinite(chain).all()):
            raise CalibrationError(
                f"{context.name}: expected finite weights, got some that are not after {steps} steps of "
                f"{options.step:g}. Take a smaller step."
            )
        self.arrays = {"chain": chain}
        self.notes = {"steps": steps, "step": options.step}
