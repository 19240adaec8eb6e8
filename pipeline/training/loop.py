"""The training loop: one page, for every network of ``models/``.

Samples lie on the torch device, where a batch is an index, or are read a batch ahead where they do not fit: the
numbers are the same. Missing cells are left out of the loss,
cells count by their area, and an epoch's loss is the sum over all samples and cells over their
count, not a mean of batch means.
"""

from __future__ import annotations

import time
from pathlib import Path

from torch import nn

from pipeline.errors import ConfigError, DataError
from pipeline.progress import Progress, silent
from pipeline.training.augment import Augmenter
from pipeline.training.checkpoint import digest, load_checkpoint, remove_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.course import Epoch, Trained
from pipeline.training.losses import Loss
from pipeline.training.randomness import seeded
from pipeline.training.ranks import Ranks
from pipeline.training.run import Run, evaluate
from pipeline.training.speed import tf32
from pipeline.training.streamed import parts
from pipeline.training.tensors import Tensors, tensors_of

__all__ = ["Tensors", "evaluate", "fit_loss", "train"]


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
    ranks: Ranks | None = None,
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
    ranks : Ranks, optional
        Processes that train the network together, each called with the same arguments; the first one alone writes
        checkpoints and tells of progress. By default this process alone.

    Raises
    ------
    DataError
        If a split has no truth at all, or the loss does not suit it.
    TrainingError
        If the loss is not finite, or one sample has no room on the device.
    ConfigError
        If a network that is cut over several ranks is to keep checkpoints, or has penalties.
    """
    fit_loss(loss, samples, validation, title)
    ranks = ranks or Ranks()
    first = ranks.rank == 0
    more = "" if augment is None else augment.key
    key = "" if folder is None else digest(config, seed, network, tensors_of(samples, validation), more)
    if folder is not None and any(hasattr(parameter, "full_tensor") for parameter in network.parameters()):
        raise ConfigError(
            f"{title}: expected no folder for checkpoints of a network that is cut over several ranks, got {folder}: "
            "each rank has a part of the weights only. Leave the folder out."
        )
    with ranks.training(network), tf32(config.tf32):
        run = Run(network, loss, config, samples, augment, title, ranks)
        resumed = run.restore(None if folder is None else load_checkpoint(folder, key, str(run.device)))
        ranks.agree(network)
        with seeded(seed, str(run.device)), (progress if first else silent)(title, config.epochs) as bar:
            bar.advance(resumed)
            while not run.course.finished():
                started, epoch = time.perf_counter(), len(run.course.history) + 1
                lr = run.course.schedule.lr((epoch - 1) * run.steps)
                train_loss = run.epoch(samples, seed)
                validation_loss = run.evaluate(validation, seed)
                done = Epoch(epoch, train_loss, validation_loss, lr, time.perf_counter() - started)
                run.course.record(done, network.state_dict)
                if first and folder is not None and (epoch % config.checkpoint_every == 0):
                    save_checkpoint(folder, key, run.state())
                bar.advance(1, note=f"validation loss {validation_loss:.4f}")
    network.load_state_dict(run.course.best)
    network.eval()
    if first and folder is not None:
        remove_checkpoint(folder)
    return run.course.trained(resumed, tuple(run.notes))


def fit_loss(loss: Loss, samples: Tensors, validation: Tensors, title: str) -> None:
    """Let ``loss`` learn from the train split what it needs.

    Raises
    ------
    DataError
        If a split has no truth at all, or the loss does not suit it.
    """
    for name, split in (("train", samples), ("validation", validation)):
        if not any(bool(part.isfinite().any()) for part in parts(split.target)):
            raise DataError(f"{title}: expected truth in the {name} split, got {len(split)} samples without any.")
    samples.fit(loss)
