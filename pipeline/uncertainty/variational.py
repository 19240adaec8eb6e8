"""Mean-field variational inference: every weight normal, as near to the posterior as that can be."""

from __future__ import annotations

import copy
import math
from typing import Annotated, ClassVar, Literal

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
from pipeline.uncertainty._perturbed import Perturbed
from pipeline.uncertainty._posterior import Posterior, own_prior, why_no_likelihood
from pipeline.uncertainty._walk import train_mode
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod


class VariationalConfig(DrawsConfig):
    """Options of variational inference."""

    epochs: int = Field(default=30, ge=1, description="Passes over the train split, from the fitted network on.")
    lr: float | None = Field(
        default=None, gt=0, description="Learning rate of Adam, falling to zero; that of the training if left out."
    )
    prior: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="Precision of the normal prior of every weight; auto: that of the fitted weights."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1 the evidence is worth less, as of cells that repeat each other."
    )
    deviation: float = Field(default=0.01, gt=0, description="Deviation of every weight at the start.")


@UNCERTAINTY.register("variational")
class Variational(WeightMethod):
    """Bayes by backprop (Blundell et al. 2015, arXiv:1505.05424), with local reparametrisation.

    Means and deviations of the weights of linear layers and convolutions are trained on the evidence lower bound,
    expected loss plus divergence from the prior, from the fitted network on; what such a layer answers is drawn in
    place of its weights (Kingma et al. 2015, arXiv:1506.02557). Weights are taken as independent, which makes the
    posterior narrower than it is where they are not. Recurrent cells and norms keep single weights.
    """

    Config: ClassVar[type[ModelConfig]] = VariationalConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a loss is no likelihood, if it is none."""
        return why_no_likelihood(model)

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Train means and deviations.

        Raises
        ------
        CalibrationError
            If there is no linear layer, or the bound is not finite.
        """
        options, config = self.config, trainable.config
        posterior = Posterior.of(trainable, train, prior=0.0, temperature=options.temperature)
        network = Perturbed(copy.deepcopy(trainable.network), options.deviation)
        if not network.layers:
            raise CalibrationError(
                f"{context.name}: expected a network with a linear layer or a convolution, got one with none. "
                "Take swag."
            )
        lr, prior = options.lr or config.lr, own_prior(network.layers.values(), options.prior)
        device, batch = context.backend.torch_device, min(config.batch_size, len(posterior))
        values = posterior.weight
        steps = options.epochs * math.ceil(len(posterior) / batch)
        optimizer = torch.optim.Adam(network.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        bound = float("nan")
        with (
            seeded(context.seed_for("variational"), device),
            context.progress(f"variational {context.name}", options.epochs) as bar,
        ):
            train_mode(network)
            for _ in range(options.epochs):
                total = 0.0
                for index in torch.split(torch.randperm(len(posterior)).to(device), batch):
                    loss = self._bound(network, posterior, index, prior) / values
                    optimizer.zero_grad(set_to_none=True)
                    torch.autograd.backward(loss)
                    if config.clip:
                        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
                    optimizer.step()
                    schedule.step()
                    total += float(loss.detach()) * len(index)
                bound = total / len(posterior)
                bar.advance(note=f"bound {bound:.4f}")
        if not math.isfinite(bound):
            raise CalibrationError(f"{context.name}: expected a finite bound, got {bound}. Take a smaller lr.")
        state = {f"state/{name}": part.detach().clone() for name, part in network.network.state_dict().items()}
        self.arrays = state | {f"deviation/{name}": part for name, part in network.deviations().items()}
        uncertain = sum(part.numel() for part in network.deviations().values())
        self.notes = {
            "epochs": options.epochs,
            "lr": lr,
            "bound": round(bound, 5),
            "weights": uncertain,
            "prior": prior,
        }

    def _bound(self, network: Perturbed, posterior: Posterior, index: Tensor, prior: float) -> Tensor:
        """Return the negative evidence lower bound, as a batch tells it."""
        energy = posterior.evidence(network, index) * (len(posterior) / len(index))
        return energy + network.divergence(prior).to(energy.dtype)

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the network to the trained one, its linear layers to a draw."""
        state = {name.removeprefix("state/"): part for name, part in self.arrays.items() if name.startswith("state/")}
        for name in sorted(self.arrays):  # a file does not keep their order
            if name.startswith("deviation/"):
                deviation, own = self.arrays[name], name.removeprefix("deviation/")
                noise = torch.randn(deviation.shape, dtype=deviation.dtype).to(deviation.device)
                state[own] = state[own] + deviation * noise
        network.load_state_dict(state)
