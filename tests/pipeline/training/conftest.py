"""A small regression that a two-layer network can learn."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pipeline.training.loop import Tensors
from pipeline.training.losses import Place


def _row(area: torch.Tensor, **units: torch.Tensor) -> Place:
    return Place(area=area, index=torch.arange(len(area)), shape=(1, len(area)), **units)


@pytest.fixture
def row() -> Callable[..., Place]:
    """Return a maker of places: cells in one row, by their area weights and, if given, scale and shift."""
    return _row


@pytest.fixture
def samples() -> Callable[..., Tensors]:
    """Return a maker of samples: 2 channels of 3 by 4 cells, 1 target at 5 cells."""

    def make(count: int = 40, seed: int = 0, noise: float = 0.1) -> Tensors:
        random = torch.Generator().manual_seed(seed)
        inputs = torch.randn(count, 2, 3, 4, generator=random)
        weights = torch.randn(24, 5, generator=torch.Generator().manual_seed(99)) / 5
        target = inputs.flatten(1) @ weights + noise * torch.randn(count, 5, generator=random)
        return Tensors(inputs, target[:, None], _row(torch.tensor([0.5, 0.75, 1.0, 1.25, 1.5])))

    return make


class Small(nn.Module):
    """Two dense layers with dropout and a norm: everything that a resumed training has to restore."""

    def __init__(self, parameters: int = 2, dropout: float = 0.2) -> None:
        super().__init__()
        self.parameters_ = parameters
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(24, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(16, parameters * 5),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs).unflatten(1, (self.parameters_, 1, 5))


@pytest.fixture
def small() -> Callable[..., nn.Module]:
    """Return a maker of networks with the same first weights every time."""

    def make(parameters: int = 2, dropout: float = 0.2) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return Small(parameters, dropout)

    return make
