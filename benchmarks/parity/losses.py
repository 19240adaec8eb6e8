"""Losses of networks with their gradient, on the backend's torch device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parity.record import Record
from pipeline.backend import Backend
from pipeline.training.losses import LOSSES, Place, make_loss

Array = Any

FIELDS = 40
CLASSES = ("sea", "ice", "land")
# Networks and their losses are float32 throughout, whatever the kind of their inputs.
TOLERANCE = {"float32": 1e-4, "float64": 1e-4}


def batch(name: str) -> dict[str, np.ndarray]:
    """Return what a network said of forty fields of five cells, and the truth, a tenth of it missing."""
    rng = np.random.default_rng(0)
    if LOSSES.get(name).of_classes:
        target, count = rng.integers(0, 3, (FIELDS, 2, 5)).astype(float), 3
    else:
        target, count = np.maximum(0.0, rng.normal(0.5, 2.0, size=(FIELDS, 2, 5))), len(make_loss(name).parameters)
    known = rng.random(target.shape) > 0.1
    return {
        "output": rng.normal(size=(FIELDS, count, 2, 5)),
        "target": np.where(known, target, 0.0),
        "known": known.astype(float),
    }


def computed(name: str, backend: Backend, given: Mapping[str, Array]) -> dict[str, Array]:
    """Return the loss of every cell, and the gradient of its mean."""
    import torch

    device = backend.torch_device
    output, target = (backend.to_torch(given[part]).float() for part in ("output", "target"))
    known = backend.to_torch(given["known"]) > 0.5
    place = Place(
        area=torch.tensor([0.8, 0.9, 1.0, 1.1, 1.2], device=device),
        index=torch.tensor([0, 1, 3, 4, 5], device=device),
        shape=(2, 3),
        scale=torch.full((2, 5), 2.0, device=device),
        shift=torch.zeros(2, 5, device=device),
    )
    loss = make_loss(name, CLASSES) if LOSSES.get(name).of_classes else make_loss(name)
    cells = place.cells(known)
    loss.fit(torch.where(known, target, torch.nan), cells)
    output = output.clone().requires_grad_()
    values = loss(output, target, cells)
    torch.where(known, values, 0.0).mean().backward()
    return {
        "values": backend.from_torch(torch.where(known, values, 0.0)),
        "gradient": backend.from_torch(output.grad),
    }


RECORDS = tuple(
    Record("loss", name, partial(batch, name), partial(computed, name), TOLERANCE, strict=False)
    for name in LOSSES.names()
)
