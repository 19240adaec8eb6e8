"""The training loop: one page, for every network of ``models/``.

All samples lie on the torch device; a batch is an index. Missing cells are left out of the loss,
cells count by their area, and an epoch's loss is the sum over all samples and cells over their
count, not a mean of batch means.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import DataError, TrainingError
from pipeline.progress import Progress, silent
from pipeline.seeding import derive_seed
from pipeline.training.augment import Augmenter
from pipeline.training.checkpoint import digest, load_checkpoint, remove_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.lagged import LaggedInputs
from pipeline.training.losses import Loss, Place
from pipeline.training.optimizers import build_optimizer, penalty
from pipeline.training.randomness import seeded
from pipeline.training.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Tensors:
    """The samples of one split on the torch device.

    Parameters
    ----------
    inputs : Tensor, shape (time, channel, lat, lon), or LaggedInputs
        Finite; windows of a series are laid out for the batch that is taken.
    target : Tensor, shape (time, target, cell)
        NaN where the truth is missing.
    place : Place
        Where the cells lie, their area weights, and their units.
    """

    inputs: Tensor | LaggedInputs
    target: Tensor
    place: Place

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Tensor | slice) -> Tensors:
        """Return the samples at ``index``."""
        return Tensors(self.inputs[index], self.target[index], self.place)


@dataclass(frozen=True)
class Epoch:
    """One pass over the train split: a line of ``history.csv``."""

    epoch: int
    train_loss: float
    validation_loss: float
    lr: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """What a training came to; the network has the weights of ``best_epoch``."""

    history: tuple[Epoch, ...]
    best_epoch: int
    resumed_from: int


def train(
    network: nn.Module,
    samples: Tensors,
    validation: Tensors,
    loss: Loss,
    config: TrainingConfig,
    *,
    seed: int,
    title: str = "train",
    folder: Path | None = None,
    progress: Progress = silent,
    augment: Augmenter | None = None,
) -> Trained:
    """Train ``network`` in place and leave it in eval mode with the weights of the best epoch.

    Parameters
    ----------
    network : Module
        Maps inputs to (time, parameter, target, cell), on the device of the samples.
    samples, validation : Tensors
        Learned from, and looked at after every epoch to choose the best and to stop.
    loss : Loss
        Fitted on ``samples``, then made small on them.
    config : TrainingConfig
        Options.
    seed : int
        All random numbers of epoch e follow from (seed, e).
    title : str
        Name in progress and errors.
    folder : Path, optional
        Where checkpoints go; a training found there half done is taken up, another one is not.
    progress : Progress
        Told of every epoch.
    augment : Augmenter, optional
        Changes every batch of ``samples`` before the network sees it, never those of ``validation``, and not what
        the loss is fitted on. The train loss is then that of the changed batches.

    Raises
    ------
    DataError
        If a split has no truth at all, or the loss does not suit it.
    TrainingError
        If the loss is not finite.
    """
    for name, split in (("train", samples), ("validation", validation)):
        if not bool(torch.isfinite(split.target).any()):
            raise DataError(f"{title}: expected truth in the {name} split, got {len(split)} samples without any.")
    loss.fit(samples.target, samples.place.cells(torch.isfinite(samples.target)))
    run = _Run(network, loss, config, samples, augment)
    more = "" if augment is None else augment.key
    key = "" if folder is None else digest(config, seed, network, _all(samples, validation), more)
    resumed = run.restore(None if folder is None else load_checkpoint(folder, key, str(run.device)))
    with seeded(seed, str(run.device)), progress(title, config.epochs) as bar:
        bar.advance(resumed)
        while not run.finished():
            started, epoch = time.perf_counter(), len(run.history) + 1
            torch.manual_seed(derive_seed(seed, "epoch", epoch))
            lr = run.schedule.lr((epoch - 1) * run.steps)
            train_loss, validation_loss = run.epoch(samples), evaluate(network, validation, loss, config, seed=seed)
            run.record(Epoch(epoch, train_loss, validation_loss, lr, time.perf_counter() - started), title)
            if folder is not None and (epoch % config.checkpoint_every == 0):
                save_checkpoint(folder, key, run.state())
            bar.advance(1, note=f"validation loss {validation_loss:.4f}")
    network.load_state_dict(run.best)
    network.eval()
    if folder is not None:
        remove_checkpoint(folder)
    return Trained(tuple(run.history), run.best_epoch, resumed)


def evaluate(network: nn.Module, samples: Tensors, loss: Loss, config: TrainingConfig, *, seed: int = 0) -> float:
    """Return the loss of ``network`` on ``samples`` in eval mode, by area over all finite cells.

    A network that draws noise draws the same every time, from (``seed``, "validation"), so that epochs
    differ by their weights alone; the caller's random numbers stay as they are.
    """
    network.eval()
    device = samples.inputs.device
    total, count = _zeros(device)
    with torch.no_grad(), seeded(derive_seed(seed, "validation"), str(device)):
        for batch in _in_order(samples, config.batch_size):
            summed, weight = _batch_loss(network, batch, loss, config)
            total, count = total + summed, count + weight
    return float(total / count)


class _Run:
    """What changes from epoch to epoch."""

    def __init__(
        self, network: nn.Module, loss: Loss, config: TrainingConfig, samples: Tensors, augment: Augmenter | None
    ) -> None:
        self.device = samples.inputs.device
        self.steps = math.ceil(len(samples) / config.batch_size)
        self.schedule = Schedule(config, self.steps)
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self._network, self._loss, self._config, self._augment = network, loss, config, augment
        self._optimizer = build_optimizer(network, config)
        # float16 has too few small numbers for gradients: they are scaled up, and steps that overflow are left out.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")

    def finished(self) -> bool:
        """Whether all epochs are done or none was better for too long."""
        done, patience = len(self.history), self._config.patience
        return done >= self._config.epochs or (patience > 0 and done - self.best_epoch >= patience)

    def epoch(self, samples: Tensors) -> float:
        """Make one pass in a new order; return the loss as it was along the way, without penalties."""
        self._network.train()
        total, count = _zeros(self.device)
        order = torch.randperm(len(samples)).to(self.device)
        first = len(self.history) * self.steps
        for step, index in enumerate(torch.split(order, self._config.batch_size), start=first):
            for group in self._optimizer.param_groups:
                group["lr"] = self.schedule.lr(step)
            summed, weight = self._batch_loss(samples.take(index))
            self._step(summed / weight.clamp(min=1e-12))
            total, count = total + summed.detach(), count + weight
        return float(total / count)

    def _batch_loss(self, batch: Tensors) -> tuple[Tensor, Tensor]:
        """Return what :func:`_batch_loss` does, of the batch as it is changed: of two truths each its share."""
        if self._augment is None:
            return _batch_loss(self._network, batch, self._loss, self._config)
        laid = batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs[:]
        changed = self._augment(laid, batch.target, batch.place)
        output = _answer(self._network, changed.inputs, self._config)
        summed, weight = _zeros(self.device)
        for share, target in changed.targets:
            part, its_weight = _weighed(output, target, changed.place, self._loss)
            summed, weight = summed + share * part, weight + share * its_weight
        return summed, weight

    def _step(self, loss: Tensor) -> None:
        if self._config.l1 or self._config.l2:
            loss = loss + penalty(self._network, self._config.l1, self._config.l2)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        if self._config.clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._network.parameters(), self._config.clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()

    def record(self, epoch: Epoch, title: str) -> None:
        """Note the epoch, and its weights if they are the best so far."""
        if not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.validation_loss)):
            raise TrainingError(
                f"{title}: expected a finite loss, got train {epoch.train_loss} and validation "
                f"{epoch.validation_loss} in epoch {epoch.epoch} at learning rate {epoch.lr:g}. "
                f"Try lr: {self._config.lr / 10:g}, clip: 1.0 or precision: float32, and look for huge inputs."
            )
        self.history.append(epoch)
        self.schedule.observe(epoch.validation_loss)
        if not self.best or epoch.validation_loss < self.history[self.best_epoch - 1].validation_loss:
            self.best_epoch = epoch.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in self._network.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "schedule": self.schedule.state(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def restore(self, state: dict[str, Any] | None) -> int:
        """Go on where ``state`` was taken; return how many epochs that were."""
        if state is None:
            return 0
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.schedule.restore(state["schedule"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        return len(self.history)


def _batch_loss(network: nn.Module, batch: Tensors, loss: Loss, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the loss over finite cells, and the sum of the weights.

    A loss of whole fields, (time, target, 1), counts once for each of their finite cells, by its area.
    """
    return _weighed(_answer(network, batch.inputs, config), batch.target, batch.place, loss)


def _answer(network: nn.Module, inputs: Tensor | LaggedInputs, config: TrainingConfig) -> Tensor:
    """Return what the network says of a batch, in the precision asked for."""
    half = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]
    with torch.autocast(inputs.device.type, dtype=half, enabled=half is not torch.float32):
        output: Tensor = network(inputs)
    return output


def _weighed(output: Tensor, target: Tensor, place: Place, loss: Loss) -> tuple[Tensor, Tensor]:
    known = torch.isfinite(target)
    # Filled before the loss, since NaN times zero is NaN, in the gradient too.
    cells = loss(output.float(), target.nan_to_num(0.0, 0.0, 0.0), place.cells(known))
    weight = known * place.area
    summed = (torch.where(known, cells, 0.0) * weight).sum(dtype=torch.float64)
    return summed, weight.sum(dtype=torch.float64)


def _in_order(samples: Tensors, size: int) -> Iterator[Tensors]:
    for start in range(0, len(samples), size):
        yield samples.take(slice(start, start + size))


def _zeros(device: torch.device) -> tuple[Tensor, Tensor]:
    zero = torch.zeros((), dtype=torch.float64, device=device)
    return zero, zero


def _all(*splits: Tensors) -> Iterator[Tensor]:
    for split in splits:
        place = split.place
        yield from [split.inputs] if isinstance(split.inputs, Tensor) else split.inputs.tensors()
        yield from (split.target, place.area, place.index)
        yield from (tensor for tensor in (place.scale, place.shift) if tensor is not None)
