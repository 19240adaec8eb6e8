"""The training loop: one page, for every network of ``models/``.

All samples lie on the torch device; a batch is an index. Missing cells are left out of the loss,
cells count by their area, and an epoch's loss is the sum over all samples and cells over their
count, not a mean of batch means.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import DataError
from pipeline.progress import Progress, silent
from pipeline.seeding import derive_seed
from pipeline.training.augment import Augmenter
from pipeline.training.checkpoint import digest, load_checkpoint, remove_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.course import Course, Epoch, Trained
from pipeline.training.lagged import LaggedInputs
from pipeline.training.losses import Loss, Place
from pipeline.training.optimizers import build_optimizer, penalty, set_lr
from pipeline.training.randomness import seeded, shuffled

Network = Callable[[Tensor | LaggedInputs], Tensor]
LEAST = 1e-12
"""Weight that a batch is divided by at least: one without any truth teaches nothing."""


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
    fit_loss(loss, samples, validation, title)
    run = Run(network, loss, config, samples, augment, title)
    more = "" if augment is None else augment.key
    key = "" if folder is None else digest(config, seed, network, tensors_of(samples, validation), more)
    resumed = run.restore(None if folder is None else load_checkpoint(folder, key, str(run.device)))
    with seeded(seed, str(run.device)), progress(title, config.epochs) as bar:
        bar.advance(resumed)
        while not run.course.finished():
            started, epoch = time.perf_counter(), len(run.course.history) + 1
            lr = run.course.schedule.lr((epoch - 1) * run.steps)
            train_loss = run.epoch(samples, seed)
            validation_loss = evaluate(network, validation, loss, config, seed=seed)
            done = Epoch(epoch, train_loss, validation_loss, lr, time.perf_counter() - started)
            run.course.record(done, network.state_dict)
            if folder is not None and (epoch % config.checkpoint_every == 0):
                save_checkpoint(folder, key, run.state())
            bar.advance(1, note=f"validation loss {validation_loss:.4f}")
    network.load_state_dict(run.course.best)
    network.eval()
    if folder is not None:
        remove_checkpoint(folder)
    return run.course.trained(resumed)


def fit_loss(loss: Loss, samples: Tensors, validation: Tensors, title: str) -> None:
    """Let ``loss`` learn from the train split what it needs.

    Raises
    ------
    DataError
        If a split has no truth at all, or the loss does not suit it.
    """
    for name, split in (("train", samples), ("validation", validation)):
        if not bool(torch.isfinite(split.target).any()):
            raise DataError(f"{title}: expected truth in the {name} split, got {len(split)} samples without any.")
    loss.fit(samples.target, samples.place.cells(torch.isfinite(samples.target)))


def evaluate(network: nn.Module, samples: Tensors, loss: Loss, config: TrainingConfig, *, seed: int = 0) -> float:
    """Return the loss of ``network`` on ``samples`` in eval mode, by area over all finite cells.

    A network that draws noise draws the same every time, from (``seed``, "validation"), so that epochs
    differ by their weights alone; the caller's random numbers stay as they are.
    """
    network.eval()
    device = samples.inputs.device
    total, count = zeros(device)
    with torch.no_grad(), seeded(derive_seed(seed, "validation"), str(device)):
        for batch in in_order(samples, config.batch_size):
            summed, weight = batch_loss(network, batch, loss, config)
            total, count = total + summed, count + weight
    return float(total / count)


class Run:
    """What changes from epoch to epoch: the network in training, its optimizer, and its course.

    Parameters
    ----------
    network, loss, config, samples, augment, title
        As :func:`train` takes them.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        config: TrainingConfig,
        samples: Tensors,
        augment: Augmenter | None,
        title: str,
    ) -> None:
        self.device = samples.inputs.device
        self.steps = math.ceil(len(samples) / config.batch_size)
        self.course = Course(config, self.steps, title)
        self._network, self._loss, self._config, self._augment = network, loss, config, augment
        self._optimizer = build_optimizer(network, config)
        # float16 has too few small numbers for gradients: they are scaled up, and steps that overflow are left out.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")

    def epoch(self, samples: Tensors, seed: int) -> float:
        """Make one pass in a new order; return the loss as it was along the way, without penalties."""
        self._network.train()
        total, count = zeros(self.device)
        done = len(self.course.history)
        order = shuffled(len(samples), seed, done + 1).to(self.device)
        for step, index in enumerate(torch.split(order, self._config.batch_size), start=done * self.steps):
            set_lr(self._optimizer, self.course.schedule.lr(step))
            summed, weight = self.learn(samples.take(index))
            total, count = total + summed, count + weight
        return float(total / count)

    def learn(self, batch: Tensors) -> tuple[Tensor, Tensor]:
        """Make one step; return the weighted sum of the loss before it, and the sum of the weights."""
        summed, weight = self._batch_loss(batch)
        self._step(summed / weight.clamp(min=LEAST))
        return summed.detach(), weight

    def _batch_loss(self, batch: Tensors) -> tuple[Tensor, Tensor]:
        """Return what :func:`batch_loss` does, of the batch as it is changed: of two truths each its share."""
        if self._augment is None:
            return batch_loss(self._network, batch, self._loss, self._config)
        laid = batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs[:]
        changed = self._augment(laid, batch.target, batch.place)
        output = _answer(self._network, changed.inputs, self._config)
        summed, weight = zeros(self.device)
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

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            **self.course.state(),
        }

    def restore(self, state: dict[str, Any] | None) -> int:
        """Go on where ``state`` was taken; return how many epochs that were."""
        if state is None:
            return 0
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        return self.course.restore(state)


def batch_loss(network: Network, batch: Tensors, loss: Loss, config: TrainingConfig) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the loss over finite cells, and the sum of the weights.

    A loss of whole fields, (time, target, 1), counts once for each of their finite cells, by its area.
    """
    return _weighed(_answer(network, batch.inputs, config), batch.target, batch.place, loss)


def _answer(network: Network, inputs: Tensor | LaggedInputs, config: TrainingConfig) -> Tensor:
    """Return what the network says of a batch, in the precision asked for."""
    half = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]
    with torch.autocast(inputs.device.type, dtype=half, enabled=half is not torch.float32):
        output: Tensor = network(inputs)
    return output


def _weighed(output: Tensor, target: Tensor, place: Place, loss: Loss) -> tuple[Tensor, Tensor]:
    known = torch.isfinite(target)
    # Filled before the loss, since NaN times zero is NaN, in the gradient too.
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    cells = loss(output, target.nan_to_num(0.0, 0.0, 0.0), place.cells(known))
    weight = known * place.area
    summed = (torch.where(known, cells, 0.0) * weight).sum(dtype=torch.float64)
    return summed, weight.sum(dtype=torch.float64)


def in_order(samples: Tensors, size: int) -> Iterator[Tensors]:
    """Yield all samples, ``size`` at a time."""
    for start in range(0, len(samples), size):
        yield samples.take(slice(start, start + size))


def zeros(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return where two sums start from."""
    zero = torch.zeros((), dtype=torch.float64, device=device)
    return zero, zero


def tensors_of(*splits: Tensors) -> Iterator[Tensor]:
    """Yield everything that a training can learn of the splits."""
    for split in splits:
        place = split.place
        yield from [split.inputs] if isinstance(split.inputs, Tensor) else split.inputs.tensors()
        yield from (split.target, place.area, place.index)
        yield from (tensor for tensor in (place.scale, place.shift) if tensor is not None)
