"""Hamiltonian Monte Carlo: draws from the posterior of a small network's weights."""

from __future__ import annotations

import copy
import math
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._chains import ChainConfig, ChainMethod, Energy, flat_weights
from pipeline.uncertainty._posterior import Posterior

_TARGET = 0.8  # share of proposals that are taken, near the best for a normal target (Beskos et al. 2013)
_GAIN = 0.5  # of the step's adaptation, falling with the root of the state's number


class HmcConfig(ChainConfig):
    """Options of Hamiltonian Monte Carlo."""

    leapfrog: int = Field(default=20, ge=1, description="Steps of a proposal; each costs a pass over the train split.")
    step: float = Field(default=1e-3, gt=0, description="Size of the first step; adapted while states are thrown away.")


@UNCERTAINTY.register("hmc")
class Hmc(ChainMethod):
    """Hamiltonian Monte Carlo on all weights and the whole train split (Neal 2011, arXiv:1206.1901).

    The chain begins at the fitted network. Its step is adapted while states are thrown away, so that four of five
    proposals are taken, and then fixed; the number of steps of a proposal is jittered by a fifth, so that no proposal
    comes back to where it was. It draws from the posterior itself, whatever its shape, for networks whose passes
    over the train split are cheap: a state costs ``leapfrog`` of them.
    """

    Config: ClassVar[type[ModelConfig]] = HmcConfig

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Run the chain.

        Raises
        ------
        CalibrationError
            If the network is too large, or hardly any proposal is taken.
        """
        options = self.config
        network = copy.deepcopy(trainable.network).eval()
        self.check_size(network, context.name)
        posterior = Posterior.of(trainable, train, prior=options.prior, temperature=options.temperature)
        energy = Energy(network, posterior, trainable.config.batch_size)
        states = options.burn + options.draws * options.thin
        flat, step, kept, taken = flat_weights(network), options.step, [], 0
        here = energy(flat)
        with (
            seeded(context.seed_for("hmc"), context.backend.torch_device),
            context.progress(f"hmc {context.name}", states) as bar,
        ):
            for state in range(states):
                flat, here, accepted = self._move(flat, here, step, energy)
                if state < options.burn:
                    step *= math.exp(_GAIN * (accepted - _TARGET) / math.sqrt(state + 1.0))
                else:
                    taken += accepted
                    if (state - options.burn) % options.thin == options.thin - 1:
                        kept.append(flat)
                bar.advance()
        share = taken / (options.draws * options.thin)
        if share < 0.1:
            raise CalibrationError(
                f"{context.name}: expected a chain that moves, got {share:.0%} of its proposals taken at a step of "
                f"{step:.2g}. Take a smaller step, more burn, or a higher temperature."
            )
        self.arrays = {"chain": torch.stack(kept)}
        self.notes = {"states": states, "accepted": round(share, 3), "step": float(f"{step:.3g}")}

    def _move(
        self, flat: Tensor, here: tuple[float, Tensor], step: float, energy: Energy
    ) -> tuple[Tensor, tuple[float, Tensor], int]:
        """Return the next state with its energy and gradient, and whether it is a new one."""
        momentum = torch.randn(flat.shape, dtype=flat.dtype).to(flat.device)
        jitter, chance = torch.rand(2).tolist()
        count = max(1, round(self.config.leapfrog * (0.8 + 0.4 * jitter)))
        place, moving, there = flat, momentum, here
        for _ in range(count):
            moving = moving - 0.5 * step * there[1]
            place = place + step * moving
            there = energy(place)
            moving = moving - 0.5 * step * there[1]
            if not math.isfinite(there[0]):
                return flat, here, 0
        rise = there[0] - here[0] + 0.5 * float((moving.double() ** 2).sum() - (momentum.double() ** 2).sum())
        if math.isfinite(rise) and chance < math.exp(min(0.0, -rise)):
            return place, there, 1
        return flat, here, 0
