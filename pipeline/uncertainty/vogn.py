"""VOGN: variational inference by steps that are those of Newton, a variance for every weight on the way."""

from __future__ import annotations

import copy
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._curvature import Curvature, curvatures, linear_layers
from pipeline.uncertainty._posterior import Posterior, own_prior, slopes_in_eval, why_no_likelihood
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod


class VognConfig(DrawsConfig):
    """Options of VOGN."""

    epochs: int = Field(default=10, ge=1, description="Passes over the train split, from the fitted network on.")
    step: float = Field(
        default=0.05, gt=0, le=1, description="Share of a Newton step that is gone; it falls to a tenth."
    )
    memory: float = Field(default=0.99, ge=0, lt=1, description="Share of the precision that a step keeps.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Share of the slope that a step keeps.")
    deviation: float = Field(
        default=0.01,
        gt=0,
        description="Largest deviation of a weight at the start: a network wants time to bear that of the prior.",
    )
    prior: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto", description="Precision of the normal prior of every weight; auto: that of the fitted weights."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1 the evidence is worth less, as of cells that repeat each other."
    )


@UNCERTAINTY.register("vogn")
class Vogn(WeightMethod):
    """Variational online Gauss-Newton (Khan et al. 2018, arXiv:1806.04854; Osawa et al. 2019, arXiv:1906.02506).

    A natural-gradient step of mean-field inference: at weights drawn from the present posterior the slope and the
    diagonal of the Gauss-Newton matrix are worked out on a batch; the precision is the running mean of the latter plus
    that of the prior, and the mean moves by the running mean of the slope over the precision, by one deviation at most.
    Weights begin with small deviations, which grow as steps forget them. Of linear layers and convolutions; others keep
    single weights. A step costs two passes back, and memory for a slope of every sample of the batch.
    """

    Config: ClassVar[type[ModelConfig]] = VognConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a loss is no likelihood, if it is none."""
        return why_no_likelihood(model)

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Find mean and precision of every weight.

        Raises
        ------
        CalibrationError
            If there is no linear layer, or weights are not finite.
        """
        options = self.config
        posterior = Posterior.of(trainable, train, prior=0.0, temperature=options.temperature)
        network = copy.deepcopy(trainable.network).eval()
        layers = linear_layers(network, posterior.tensors.inputs[:1], last=False)
        prior = own_prior(layers.values(), options.prior)
        batch = min(trainable.config.batch_size, len(posterior))
        ask = {"structure": "diag", "batch": batch, "backend": context.backend}
        device, names = context.backend.torch_device, list(layers)
        steps = options.epochs * -(-len(posterior) // batch)
        with (
            seeded(context.seed_for("vogn"), device),
            context.progress(f"vogn {context.name}", steps) as bar,
        ):
            precision = {
                name: _diag(found).clamp(min=options.deviation**-2)
                for name, found in curvatures(network, posterior, names, **ask).items()  # type: ignore[arg-type]
            }
            mean = {name: _row(layer) for name, layer in layers.items()}
            slope = {name: torch.zeros_like(row) for name, row in mean.items()}
            for step in range(steps):
                index = torch.randint(len(posterior), (batch,)).to(device)
                size = options.step * (1.0 - 0.9 * step / steps)
                for name, layer in layers.items():
                    _set(layer, _drawn(mean[name], precision[name], prior))
                slopes = _slopes(network, layers, posterior, index)
                seen = Posterior(posterior.loss, posterior.tensors.take(index), posterior.scale, posterior.prior)
                now = curvatures(network, seen, names, **ask)  # type: ignore[arg-type]
                share = len(posterior) / batch
                for name in layers:
                    kept = options.memory * precision[name] + (1.0 - options.memory) * share * _diag(now[name])
                    new = share * slopes[name] + prior * mean[name]
                    slope[name] = options.momentum * slope[name] + (1.0 - options.momentum) * new
                    # A weight that hardly matters has little precision and a noisy slope: no step is longer than what
                    # it is uncertain by.
                    most = (kept + prior) ** -0.5
                    move = size * slope[name] / (kept + prior)
                    mean[name] = mean[name] - torch.minimum(torch.maximum(move, -most), most)
                    precision[name] = kept
                bar.advance()
        if not all(bool(torch.isfinite(row).all()) for row in mean.values()):
            raise CalibrationError(
                f"{context.name}: expected finite weights, got some that are not. Take a smaller step."
            )
        self.arrays = {f"mean/{name}": row for name, row in mean.items()}
        self.arrays |= {f"precision/{name}": row + prior for name, row in precision.items()}
        self.notes = {"epochs": options.epochs, "weights": sum(row.numel() for row in mean.values()), "prior": prior}

    def draw(self, network: nn.Module, number: int) -> None:
        """Set the linear layers to a draw."""
        for key in sorted(self.arrays):
            if key.startswith("mean/"):
                name = key.removeprefix("mean/")
                _set(network.get_submodule(name), _drawn(self.arrays[key], self.arrays[f"precision/{name}"], 0.0))


def _row(layer: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in layer.parameters()])


def _set(layer: nn.Module, row: torch.Tensor) -> None:
    nn.utils.vector_to_parameters(row, layer.parameters())


def _diag(found: Curvature) -> torch.Tensor:
    assert found.diag is not None  # structure: diag
    return found.diag


def _drawn(mean: torch.Tensor, precision: torch.Tensor, prior: float) -> torch.Tensor:
    noise = torch.randn(mean.shape, dtype=mean.dtype).to(mean.device)
    return mean + noise / (precision + prior).sqrt()


def _slopes(
    network: nn.Module, layers: dict[str, nn.Module], posterior: Posterior, index: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the slope of the evidence of a batch with regard to the weights of every layer in one row."""
    weights = [weight for layer in layers.values() for weight in layer.parameters()]
    with slopes_in_eval(network):
        found = iter(torch.autograd.grad(posterior.evidence(network, index), weights))
    return {name: torch.cat([next(found).flatten() for _ in layer.parameters()]) for name, layer in layers.items()}
