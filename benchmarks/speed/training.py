"""Samples a second of the training loop beside a plain loop with a DataLoader, and a step on one constant batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Work
from benchmarks.speed._fields import grid, noise
from pipeline.backend import Backend
from pipeline.training import loop
from pipeline.training.config import TrainingConfig
from pipeline.training.losses import Place, make_loss

Kind = Literal["deepesd", "unet"]
BATCH, LR = 32, 1e-3


@SPEED.register("deepesd-training")
def deepesd(scale: Scale) -> Case:
    """Train a DeepESD for an epoch."""
    return _case("deepesd", scale)


@SPEED.register("unet-training")
def unet(scale: Scale) -> Case:
    """Train a UNet for an epoch."""
    return _case("unet", scale)


def _case(kind: Kind, scale: Scale) -> Case:
    small = 256 if kind == "deepesd" else 64
    samples, coarse = scale.grown(8, small, 2048), scale.fixed(8, 16, 16)
    side = 2 * coarse if kind == "deepesd" else scale.fixed(2, 2, 4) * coarse
    inputs, target = noise(samples, 10, coarse, coarse), noise(samples, 1, side * side, seed=1)
    batch = min(BATCH, samples)

    def tensors(backend: Backend) -> tuple[Tensor, Tensor, Tensor]:
        area = torch.as_tensor(grid(side, side).area.ravel(), dtype=torch.float32)
        parts = (torch.from_numpy(inputs), torch.from_numpy(target), area / area.mean())
        x, y, weights = (part.to(backend.torch_device) for part in parts)
        return x, y, weights

    def trained(backend: Backend, size: int, epochs: int) -> Any:
        x, y, area = tensors(backend)
        index = torch.arange(side * side, device=x.device)
        all_ = loop.Tensors(x, y, Place(area=area, index=index, shape=(side, side)))
        config = TrainingConfig(epochs=epochs, batch_size=size, lr=LR, schedule="constant")
        return loop.train(
            _network(kind, coarse, side, backend), all_, all_.take(slice(0, 1)), make_loss("mse"), config, seed=0
        )

    def ours(backend: Backend) -> Work:
        return lambda: trained(backend, batch, 1)

    def plain(backend: Backend) -> Work:
        return lambda: _plain(_network(kind, coarse, side, backend), *tensors(get_host()), backend, batch, 1)

    def constant(backend: Backend) -> Work:
        x, y, area = (part[:batch] if part.ndim > 1 else part for part in tensors(backend))

        def work() -> None:
            step = _stepper(_network(kind, coarse, side, backend), area)
            for _ in range(-(-samples // batch)):
                step(x, y)

        return work

    def agreement(backend: Backend) -> float:
        """Return how far the loss of a second pass is from the plain loop's, all samples being one batch."""
        ours_ = trained(backend, samples, 2).history[1].train_loss
        theirs = _plain(_network(kind, coarse, side, backend), *tensors(get_host()), backend, samples, 2)
        return abs(ours_ - theirs) / theirs

    return Case(
        f"an epoch of {samples} samples, 10 x {coarse} x {coarse} to {side} x {side} cells, batches of {batch}",
        float(samples),
        "samples",
        ours,
        Limit("the same steps on one constant batch", constant),
        (Peer("a plain loop with a DataLoader", plain, compared=False, everywhere=True),),
        tolerance=1e-3,
        agreement=agreement,
    )


def get_host() -> Backend:
    """Return the backend of the host, where a DataLoader's samples lie."""
    from pipeline.backend import get_backend

    return get_backend("cpu")


def _network(kind: Kind, coarse: int, side: int, backend: Backend) -> nn.Module:
    from models._layout import Layout
    from models.deepesd import DeepESDConfig, DeepESDNetwork
    from models.unet import UNetConfig, UNetNetwork

    torch.manual_seed(0)
    fine = grid(side, side)
    channels = tuple("abcdefghij")
    static = np.zeros((0, side, side), np.float32)
    layout = Layout(channels, ("y",), grid(coarse, coarse), fine, np.ones(fine.shape, bool), static)
    if kind == "deepesd":
        network: nn.Module = DeepESDNetwork(layout, 1, DeepESDConfig())
    else:
        network = UNetNetwork(layout, 1, UNetConfig())
    return network.to(backend.torch_device)


def _stepper(network: nn.Module, area: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=0.0)
    network.train()

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = ((network(x)[:, 0] - y) ** 2 * area).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _plain(network: nn.Module, x: Tensor, y: Tensor, area: Tensor, backend: Backend, batch: int, epochs: int) -> float:
    """Train as the tutorials do; return the mean loss of the last epoch."""
    from torch.utils.data import DataLoader, TensorDataset

    device = backend.torch_device
    step = _stepper(network, area.to(device))
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True, pin_memory=device == "cuda")
    for _ in range(epochs):
        total, count = 0.0, 0
        for inputs, target in loader:
            total += float(step(inputs.to(device), target.to(device))) * len(inputs)
            count += len(inputs)
    return total / count
