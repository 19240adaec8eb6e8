"""Laplace approximation: a normal posterior round the fitted weights, as narrow as the data are sure of them."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from pipeline.errors import CalibrationError
from pipeline.model import Context
from pipeline.model_config import ModelConfig
from pipeline.samples import Samples
from pipeline.training.randomness import seeded
from pipeline.training.trainable import Trainable
from pipeline.uncertainty import UNCERTAINTY
from pipeline.uncertainty._curvature import Curvature, Structure, curvatures, linear_layers
from pipeline.uncertainty._linearised import Linearised
from pipeline.uncertainty._posterior import Posterior, why_no_likelihood
from pipeline.uncertainty._weights import DrawsConfig, WeightMethod

MOST = 4000
"""Weights of a layer whose whole matrix is kept: 128 MB in float64."""


class LaplaceConfig(DrawsConfig):
    """Options of the Laplace approximation."""

    layers: Literal["last", "all"] = Field(
        default="last",
        description="Which layers are uncertain: the last linear one, or all linear ones and convolutions.",
    )
    structure: Structure = Field(
        default="kron",
        description="What is kept of a layer's matrix: all of it (full, for one small layer), Kronecker factors (kron) "
        "or its diagonal (diag).",
    )
    prior: float | Literal["auto"] = Field(
        default="auto", description="Precision of the normal prior; auto: that of the highest marginal likelihood."
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1 the evidence is worth less, as of cells that repeat each other."
    )

    @model_validator(mode="after")
    def _one_layer_in_full(self) -> LaplaceConfig:
        if self.structure == "full" and self.layers == "all":
            raise ValueError("expected structure: kron or diag with layers: all, got full")
        if self.prior != "auto" and self.prior <= 0.0:
            raise ValueError(f"expected a prior above 0 or auto, got {self.prior!r}")
        return self


@UNCERTAINTY.register("laplace")
class Laplace(WeightMethod):
    """Laplace approximation of linear layers (MacKay 1992, doi:10.1162/neco.1992.4.3.448).

    The posterior is normal round the fitted weights. Its precision is the Fisher information of the train split plus
    that of the prior: whole, its diagonal, or Kronecker factors of what comes into a layer and what goes back
    (Ritter et al. 2018, openreview.net/forum?id=Skdvd2xAZ). It costs one pass over the train split, after the training
    (Daxberger et al. 2021, arXiv:2106.14806). For a linear network with squared error it is the exact posterior; for
    others it widens where inputs of the layer are unlike those of training. With ``layers: all`` a draw is answered by
    the network's first-order expansion about its fitted weights, as the information is that of such a network: drawn
    weights themselves would leave the region where it holds, and answer anything (Immer et al. 2021, arXiv:2008.08400).
    """

    Config: ClassVar[type[ModelConfig]] = LaplaceConfig

    def why_not(self, model: ModelConfig) -> str | None:
        """Say that a loss is no likelihood, if it is none."""
        return why_no_likelihood(model)

    def learn(self, trainable: Trainable, train: Samples, validation: Samples, context: Context) -> None:
        """Find the information of every layer and the precision of the prior.

        Raises
        ------
        CalibrationError
            If the network has no linear layer, or one too large for its whole matrix.
        """
        options, network = self.config, trainable.network
        posterior = Posterior.of(trainable, train, prior=0.0, temperature=options.temperature)
        layers = linear_layers(network, posterior.tensors.inputs[:1], options.layers == "last")
        sizes = {name: sum(weight.numel() for weight in layer.parameters()) for name, layer in layers.items()}
        if options.structure == "full" and max(sizes.values()) > MOST:
            raise CalibrationError(
                f"{context.name}: expected a last layer of at most {MOST} weights for structure: full, got "
                f"{max(sizes.values())}. Take kron or diag."
            )
        batch = trainable.config.batch_size
        with seeded(context.seed_for("laplace"), context.backend.torch_device):
            found = curvatures(
                network, posterior, list(layers), options.structure, batch=batch, backend=context.backend
            )
        for name, curvature in found.items():
            self.arrays |= {f"{name}/{part}": values for part, values in _decomposed(curvature, layers[name]).items()}
        square = sum(
            float((weight.detach().double() ** 2).sum()) for layer in layers.values() for weight in layer.parameters()
        )
        spectrum = torch.cat([_spectrum(self.arrays, name).flatten() for name in layers])
        prior = float(options.prior) if options.prior != "auto" else _best_prior(spectrum, square)
        self.arrays["prior"] = torch.tensor([prior], dtype=torch.float64)
        self.notes = {
            "layers": list(layers),
            "structure": options.structure,
            "weights": sum(sizes.values()),
            "prior": float(f"{prior:.4g}"),
        }

    def draw(self, network: nn.Module, number: int) -> None:
        """Move the weights of every layer by a draw."""
        prior = float(self.arrays["prior"])
        for name in sorted({key.rpartition("/")[0] for key in self.arrays if "/" in key}):
            layer = network.get_submodule(name)
            moved = _noise(self.arrays, name, prior)
            place = 0
            for weight in layer.parameters():
                if f"{name}/values" in self.arrays and f"{name}/outputs" in self.arrays:
                    bias = weight.ndim == 1
                    part = moved[:, -1] if bias else moved[:, : weight[0].numel()]
                else:
                    part = moved[place : place + weight.numel()]
                    place += weight.numel()
                weight.add_(part.reshape(weight.shape).to(weight.dtype))

    def drawn(self, network: nn.Module) -> nn.Module:
        """Return the network, or with all layers drawn its expansion to first order."""
        return network if self.config.layers == "last" else Linearised(self._trainable.network, network)


def _decomposed(found: Curvature, layer: nn.Module) -> dict[str, Tensor]:
    """Return what draws are made of, float64: eigenvectors and eigenvalues, or the diagonal."""
    if found.diag is not None:
        return {"values": found.diag.double()}
    if found.full is not None:
        values, vectors = torch.linalg.eigh(found.full.double())
        return {"values": values.clamp(min=0.0), "vectors": vectors}
    assert found.inputs is not None  # kron
    assert found.outputs is not None
    first, inputs = torch.linalg.eigh(found.inputs.double() / found.count)
    second, outputs = torch.linalg.eigh(found.outputs.double())
    return {
        "values": second.clamp(min=0.0)[:, None] * first.clamp(min=0.0)[None, :],
        "inputs": inputs,
        "outputs": outputs,
    }


def _spectrum(arrays: dict[str, Tensor], name: str) -> Tensor:
    return arrays[f"{name}/values"]


def _noise(arrays: dict[str, Tensor], name: str, prior: float) -> Tensor:
    """Return a draw about zero: of one row of weights, or of factors shape (out, in)."""
    values = arrays[f"{name}/values"]
    draw = torch.randn(values.shape, dtype=values.dtype).to(values.device) / (values + prior).sqrt()
    if f"{name}/outputs" in arrays:
        return arrays[f"{name}/outputs"] @ draw @ arrays[f"{name}/inputs"].T
    return arrays[f"{name}/vectors"] @ draw if f"{name}/vectors" in arrays else draw


def _best_prior(spectrum: Tensor, square: float) -> float:
    """Return the precision with the highest marginal likelihood: ``d log - d |w|^2 - sum log(h + d)`` at its top."""

    def loss(exponent: float) -> float:
        prior = math.exp(exponent)
        return prior * square - len(spectrum) * exponent + float(torch.log(spectrum + prior).sum())

    low, high = math.log(1e-8), math.log(1e8)
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    for _ in range(100):
        first, second = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, second) if loss(first) < loss(second) else (first, high)
    return math.exp(0.5 * (low + high))
