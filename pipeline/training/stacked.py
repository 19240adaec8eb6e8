"""Several members of an ensemble trained as one model: a step of all of them is one step of stacked weights.

Small networks leave most of a device idle: a step costs the time of its calls, not of its sums. Here the weights of
all members lie in one tensor, members in front, and ``torch.vmap`` lays one forward pass over them. Every member keeps
its own seed: first weights, order of the batches, best epoch and end are those of :func:`pipeline.training.loop.train`,
and so are its weights, but for the last digits of sums in another order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.errors import ConfigError, TrainingError
from pipeline.progress import Progress, silent
from pipeline.training.batch_loss import zeros
from pipeline.training.checkpoint import digest, load_checkpoint, remove_checkpoint, save_checkpoint
from pipeline.training.config import TrainingConfig
from pipeline.training.course import Course, Epoch, Trained
from pipeline.training.loop import fit_loss
from pipeline.training.losses import Loss
from pipeline.training.randomness import seeded, shuffled
from pipeline.training.recurrent import why_not_steps
from pipeline.training.stack import Stack, laid
from pipeline.training.tensors import Tensors, tensors_of

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def why_not_stacked(network: nn.Module, config: TrainingConfig) -> str | None:
    """Return why members like ``network`` cannot be trained as one; None: nothing is known against it.

    What a network does in its forward pass is not looked at: :func:`pipeline.training.timing.time_stacked` tries it.

    Examples
    --------
    >>> why_not_stacked(nn.Linear(1, 1), TrainingConfig(precision="float16"))
    'precision: float16 leaves out steps that overflow, each member its own'
    >>> why_not_stacked(nn.Linear(1, 1), TrainingConfig()) is None
    True
    """
    if config.precision == "float16":
        return "precision: float16 leaves out steps that overflow, each member its own"
    if config.schedule == "plateau":
        return "schedule: plateau gives each member a learning rate of its own"
    if any(isinstance(module, DROPOUTS) and module.p > 0 for module in network.modules()):
        return "it has dropout, whose random numbers would not be those of a member alone"
    return None if (steps := why_not_steps(network)) is None else f"it has {steps}"


def train_together(
    networks: Sequence[nn.Module],
    samples: Tensors,
    validation: Tensors,
    loss: Loss,
    config: TrainingConfig,
    *,
    seeds: Sequence[int],
    titles: Sequence[str],
    folder: Path | None = None,
    progress: Progress = silent,
    at_once: int | None = None,
) -> list[Trained | TrainingError]:
    """Train ``networks`` in place as :func:`pipeline.training.loop.train` trains each of them alone.

    Parameters
    ----------
    networks : sequence of Module
        Of one shape, with weights of their own, on the device of the samples; left in eval mode with the weights of
        their best epochs.
    samples, validation : Tensors
        As for one network; held once.
    loss : Loss
        Fitted on ``samples``, then made small on them.
    config : TrainingConfig
        Options.
    seeds : sequence of int
        Of each member, as for it alone.
    titles : sequence of str
        Name of each member in errors; the first one in progress, too.
    folder : Path, optional
        Where checkpoints of all members go together; a training found there half done is taken up.
    progress : Progress
        Told of every epoch.
    at_once : int, optional
        Members in one forward and backward pass; fewer take less memory. By default all.

    Returns
    -------
    list of Trained or TrainingError
        What each member came to; an error where its loss was not finite, which stops that member alone. The seconds
        of an epoch are divided by the members that took part.

    Raises
    ------
    ConfigError
        If such networks cannot be trained as one, see :func:`why_not_stacked`, or differ in shape.
    DataError
        If a split has no truth at all, or the loss does not suit it.
    """
    if (reason := why_not_stacked(networks[0], config)) is not None:
        raise ConfigError(f"{titles[0]}: expected members that can be trained as one, got one where {reason}.")
    shapes = [{name: tuple(part.shape) for name, part in network.state_dict().items()} for network in networks]
    if any(shape != shapes[0] for shape in shapes):
        raise ConfigError(f"{titles[0]}: expected members whose networks have the same shape, got others. Train each.")
    fit_loss(loss, samples, validation, titles[0])
    run = _Run(Stack(networks, loss, config, at_once), config, samples, titles)
    device, more = str(samples.device), f"/together {list(seeds)}"
    key = "" if folder is None else digest(config, seeds[0], networks[0], tensors_of(samples, validation), more)
    resumed = run.restore(None if folder is None else load_checkpoint(folder, key, device))
    with seeded(seeds[0], device), progress(f"{titles[0]} and {len(networks) - 1} more", config.epochs) as bar:
        bar.advance(resumed)
        while run.left:
            losses = run.epoch(samples, validation, seeds)
            if folder is not None and (run.done % config.checkpoint_every == 0):
                save_checkpoint(folder, key, run.state())
            bar.advance(1, note=f"validation loss {losses[0]:.4f}")
    if folder is not None:
        remove_checkpoint(folder)
    return [run.outcome(member, network, resumed) for member, network in enumerate(networks)]


class _Run:
    """What changes from epoch to epoch: the stack of those that are not done, and the course of every member."""

    def __init__(self, stack: Stack, config: TrainingConfig, samples: Tensors, titles: Sequence[str]) -> None:
        self.stack, self._size = stack, config.batch_size
        self._steps = math.ceil(len(samples) / config.batch_size)
        self._courses = [Course(config, self._steps, title) for title in titles]
        self._failed: dict[int, str] = {}
        self.left = list(range(len(titles)))

    @property
    def done(self) -> int:
        """How many epochs any member has gone through."""
        return max(len(course.history) for course in self._courses)

    def epoch(self, samples: Tensors, validation: Tensors, seeds: Sequence[int]) -> list[float]:
        """Make one pass, each member in an order of its own; return the validation losses of those that took part."""
        started, done = time.perf_counter(), len(self._courses[self.left[0]].history)
        schedule, device = self._courses[self.left[0]].schedule, samples.device
        total, count = zeros(device)
        orders = torch.stack([shuffled(len(samples), seeds[member], done + 1) for member in self.left]).to(device)
        for step, index in enumerate(torch.split(orders, self._size, dim=1), start=done * self._steps):
            summed, weight = self.stack.learn(laid(samples, index), schedule.lr(step))
            total, count = total + summed, count + weight
        losses, lr = self.stack.evaluate(validation), schedule.lr(done * self._steps)
        seconds = (time.perf_counter() - started) / len(self.left)
        for row, (train_loss, loss) in enumerate(zip((total / count).tolist(), losses, strict=True)):
            self._record(row, Epoch(done + 1, train_loss, loss, lr, seconds))
        self._drop()
        return losses

    def _record(self, row: int, epoch: Epoch) -> None:
        member = self.left[row]
        try:
            self._courses[member].record(epoch, lambda: self.stack.weights(row))
        except TrainingError as error:
            self._failed[member] = str(error)

    def _drop(self) -> None:
        """Leave out of the stack who is done."""
        rows = [
            row
            for row, member in enumerate(self.left)
            if member not in self._failed and not self._courses[member].finished()
        ]
        if rows and len(rows) < len(self.left):
            self.stack.keep(rows)
        self.left = [self.left[row] for row in rows]

    def outcome(self, member: int, network: nn.Module, resumed: int) -> Trained | TrainingError:
        """Give ``network`` the weights of its best epoch; return what the member came to."""
        network.eval()
        if member in self._failed:
            return TrainingError(self._failed[member])
        best = self._courses[member].best
        with torch.no_grad():
            for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
                if name in best:
                    tensor.copy_(best[name])
        return self._courses[member].trained(min(resumed, len(self._courses[member].history)))

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        courses = [course.state() for course in self._courses]
        return {"left": self.left, "failed": self._failed, "courses": courses, **self.stack.state()}

    def restore(self, state: Mapping[str, Any] | None) -> int:
        """Go on where ``state`` was taken; return how many epochs that were."""
        if state is None:
            return 0
        self.left, self._failed = list(state["left"]), dict(state["failed"])
        if self.left:
            self.stack.keep(self.left)
            self.stack.restore(state)
        return max(course.restore(kept) for course, kept in zip(self._courses, state["courses"], strict=True))
