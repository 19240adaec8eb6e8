"""Linear layers whose weights are normal: what they answer, drawn without drawing a weight."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.uncertainty._curvature import LINEAR


class Perturbed(nn.Module):
    """A network whose linear layers and convolutions have weights with a deviation each.

    While it is trained, what such a layer answers is drawn for every sample and place by itself: normal, with the mean
    that the mean weights give and the variance that the squares of inputs and deviations give. That has far less noise
    than a weight drawn once a batch (local reparametrisation, Kingma et al. 2015, arXiv:1506.02557). In eval mode it is
    the network of the mean weights.

    Parameters
    ----------
    network : Module
        Its own parameters are the means.
    deviation : float
        First deviation of every weight.
    """

    def __init__(self, network: nn.Module, deviation: float) -> None:
        super().__init__()
        self.network = network
        self.layers = {name: module for name, module in network.named_modules() if isinstance(module, LINEAR)}
        self.rho = nn.ParameterDict(
            {
                self.key(name, part): nn.Parameter(torch.full_like(weight, deviation).log())
                for name, layer in self.layers.items()
                for part, weight in layer.named_parameters()
            }
        )
        for name, layer in self.layers.items():
            layer.register_forward_hook(self._hook(name), with_kwargs=True)

    @staticmethod
    def key(name: str, part: str) -> str:
        """Return what the deviations of a layer's ``weight`` or ``bias`` are called."""
        return f"{name}.{part}".replace(".", "/")

    def forward(self, *inputs: Any) -> Tensor:
        """Return what the network says, with noise while it is trained."""
        output: Tensor = self.network(*inputs)
        return output

    def _hook(self, name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Tensor) -> Tensor | None:
            if not self.training:
                return None
            squares = {part: (2.0 * self.rho[self.key(name, part)]).exp() for part, _ in layer.named_parameters()}
            quiet, hooks = layer._forward_hooks, layer._forward_hooks_with_kwargs
            # The layer's own forward, padding and all, on squares: without this hook.
            layer._forward_hooks, layer._forward_hooks_with_kwargs = type(quiet)(), type(hooks)()
            try:
                variance = functional_call(layer, squares, (given[0] ** 2, *given[1:]), named)
            finally:
                layer._forward_hooks, layer._forward_hooks_with_kwargs = quiet, hooks
            noisy: Tensor = output + variance.clamp(min=1e-16).sqrt() * torch.randn_like(output)
            return noisy

        return hook

    def divergence(self, prior: float) -> Tensor:
        """Return the Kullback-Leibler divergence of the weights from the prior N(0, 1 / prior)."""
        total = torch.zeros((), dtype=torch.float64)
        for name, layer in self.layers.items():
            for part, mean in layer.named_parameters():
                rho = self.rho[self.key(name, part)]
                square = prior * (mean**2 + (2.0 * rho).exp())
                total = total.to(mean.device) + 0.5 * (square - 1.0 - 2.0 * rho).sum(dtype=torch.float64)
                total = total - 0.5 * mean.numel() * torch.log(torch.tensor(prior, dtype=torch.float64))
        return total

    def deviations(self) -> dict[str, Tensor]:
        """Return the deviation of every weight by its name in the network."""
        return {
            f"{name}.{part}": self.rho[self.key(name, part)].detach().exp()
            for name, layer in self.layers.items()
            for part, _ in layer.named_parameters()
        }
