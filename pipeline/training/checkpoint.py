"""Checkpoints from which a training goes on as if it had never stopped.

A checkpoint is taken between two epochs and holds all that the next one depends on: weights,
optimizer, schedule, gradient scaler, best weights and history. Random numbers need no place in it:
those of an epoch, its order of the samples too, follow from the seed and the epoch's number.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import TrainingError
from pipeline.training.config import TrainingConfig
from pipeline.training.streamed import Streamed, parts

FILE = "checkpoint.pt"

log = logging.getLogger(__name__)


def digest(
    config: TrainingConfig, seed: int, network: nn.Module, data: Iterable[Tensor | Streamed], more: str = ""
) -> str:
    """Return a key that changes with the options, the seed, the network's shape, the data, and what ``more`` there is.

    Costs one pass of BLAKE2 over the data, 1 GB/s, and a copy of it to the host from a GPU. Data that are streamed
    have the key of the same data on the device.
    """
    key = hashlib.blake2b(digest_size=16)
    key.update(f"{torch.__version__}/{seed}/{config.model_dump_json()}{more}".encode())
    for name, tensor in network.state_dict().items():
        key.update(f"{name}{tuple(tensor.shape)}".encode())
    for tensor in data:
        key.update(f"{tuple(tensor.shape)}".encode())
        for part in parts(tensor):
            key.update(part.detach().cpu().contiguous().numpy().data)
    return key.hexdigest()


def save_checkpoint(folder: Path, key: str, state: dict[str, Any]) -> None:
    """Write ``state`` into ``folder`` in one step: a kill leaves the old checkpoint or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE}.part"
    with partial.open("wb") as file:
        torch.save({"key": key, "state": state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_checkpoint(folder: Path, key: str, device: str) -> dict[str, Any] | None:
    """Return the state kept in ``folder``; None if there is none or it is another training's.

    Raises
    ------
    TrainingError
        If the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        # weights_only: tensors, numbers and strings; nothing in the file is run.
        kept = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"expected a checkpoint at {path}, which cannot be read ({type(error).__name__}: {error}). "
            "Delete it to train anew."
        ) from error
    if kept["key"] != key:
        log.info("%s belongs to other options or data; training starts anew", path)
        return None
    state: dict[str, Any] = kept["state"]
    return state


def remove_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of ``folder``, if there is one."""
    (folder / FILE).unlink(missing_ok=True)
