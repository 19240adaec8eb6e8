"""What changes from epoch to epoch, and how a step is made: whole, in parts, or by several ranks together."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.backend.out_of_memory import first_line, is_out_of_memory
from pipeline.backend.passes import empty_device_cache
from pipeline.errors import ConfigError, TrainingError
from pipeline.seeding import derive_seed
from pipeline.training.augment import Augmenter, Shares
from pipeline.training.batch_loss import LEAST, batch_loss, part_of, shares_loss, shares_weight, zeros
from pipeline.training.config import TrainingConfig
from pipeline.training.course import Course
from pipeline.training.losses import Loss
from pipeline.training.memory import Before, too_large
from pipeline.training.optimizers import build_optimizer, penalty, set_lr
from pipeline.training.randomness import seeded, shuffled
from pipeline.training.ranks import Ranks, sizes
from pipeline.training.speed import Fast, why_not_faster
from pipeline.training.tensors import Batch, Tensors

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Pass:
    """A part of a batch: what goes through the network at once, and how many samples count of it here and anywhere."""

    shares: Shares
    present: int
    total: int


class Run:
    """What changes from epoch to epoch: the network in training, its optimizer, and its course.

    Parameters
    ----------
    network, loss, config, samples, augment, title, ranks
        As :func:`pipeline.training.loop.train` takes them.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        config: TrainingConfig,
        samples: Tensors,
        augment: Augmenter | None,
        title: str,
        ranks: Ranks | None = None,
    ) -> None:
        self.device = samples.device
        self.steps = math.ceil(len(samples) / config.batch_size)
        self.course = Course(config, self.steps, title)
        self.parts = config.accumulate
        self.notes: list[str] = []
        # Not a method: who keeps it would keep the run with its weights and moments, until cycles are looked for.
        self._note = partial(_note, title, self.notes)
        self._network, self._loss, self._config, self._augment = network, loss, config, augment
        self._title, self._ranks = title, ranks or Ranks()
        asked = config
        if (reason := why_not_faster(config, self._ranks)) is not None:
            asked = config.model_copy(update={"compile": False, "cuda_graphs": False})
            self._note(f"the network is neither compiled nor recorded: {reason}.")
        if self._ranks.sharded and (config.l1 or config.l2):
            raise ConfigError(
                f"{title}: expected l1: 0 and l2: 0 for a network that is cut over several ranks, "
                f"got l1: {config.l1:g} and l2: {config.l2:g}. Take weight_decay."
            )
        self._fast = Fast(network, asked, self.device, self._note)
        self._optimizer = build_optimizer(network, config)
        # float16 has too few small numbers for gradients: they are scaled up, and steps that overflow are left out.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")

    def epoch(self, samples: Tensors, seed: int) -> float:
        """Make one pass in a new order; return the loss as it was along the way, without penalties."""
        self._network.train()
        total, count = zeros(self.device)
        done = len(self.course.history)
        order = shuffled(len(samples), seed, done + 1)
        indexes = torch.split(order if samples.streamed else order.to(self.device), self._config.batch_size)
        # What is drawn for an augmentation is drawn for the whole batch, the same on every rank.
        taken = [index if self._augment is not None else self._share(index) for index in indexes]
        with closing(samples.batches(taken)) as batches:
            for step, (index, batch) in enumerate(zip(indexes, batches, strict=True), start=done * self.steps):
                set_lr(self._optimizer, self.course.schedule.lr(step))
                summed, weight = self.learn(batch, len(index), seed + step)
                total, count = total + summed, count + weight
        total, count = self._ranks.sum(total, count)
        return float(total / count)

    def evaluate(self, samples: Tensors, seed: int) -> float:
        """Return the loss in eval mode, in as many parts as a step is made in."""
        while True:
            size = math.ceil(self._config.batch_size / self.parts)
            try:
                return evaluate(
                    self._network, samples, self._loss, self._config, seed=seed, size=size, ranks=self._ranks
                )
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            self._cut_more(size, samples.take(slice(0, 1)).inputs, said)

    def learn(self, batch: Batch, count: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Make one step; return the weighted sum of the loss before it, and the sum of the weights, of this rank.

        A step that is too large for the device is made again in more parts, with the same random numbers.

        Parameters
        ----------
        batch : Batch
            This rank's share, or the whole batch where it is still to be changed.
        count : int, optional
            Samples of the whole batch; those of ``batch`` by default.
        seed : int
            Of what the network draws where there are several ranks.
        """
        before, count = Before.of(self._network, self.device), len(batch) if count is None else count
        while True:
            try:
                learned = self._gradients(batch, count, seed)
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            # Outside of the clause: the error held on to what lay on the device.
            share = sizes(count, self._ranks.size)[0]
            self._cut_more(math.ceil(share / min(self.parts, share)), batch.inputs[:1], said)
            before.restore()
        self._step()
        return learned

    def _gradients(self, batch: Batch, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Add up the gradients of all parts of this rank's share; return what :meth:`learn` does."""
        passes = self._passes(self._changed(batch, count), count)
        self._optimizer.zero_grad(set_to_none=True)
        whole = None
        if len(passes) > 1 or self._ranks.size > 1:
            # The weight of all parts and ranks is known beforehand, so their gradients add up to that of the whole.
            own = sum((shares_weight(each.shares) for each in passes), zeros(self.device)[1])
            (whole,) = self._ranks.sum(own)
        summed, weight = zeros(self.device)
        with self._own_numbers(seed):
            for number, each in enumerate(passes):
                self._ranks.present, self._ranks.total = each.present, each.total
                part, its_weight = shares_loss(self._fast, each.shares, self._loss, self._config)
                loss = part / (its_weight if whole is None else whole).clamp(min=LEAST)
                if number == 0 and self._ranks.rank == 0 and (self._config.l1 or self._config.l2):
                    loss = loss + penalty(self._network, self._config.l1, self._config.l2)
                torch.autograd.backward(self._scaler.scale(loss))
                summed, weight = summed + part.detach(), weight + its_weight
        return summed, weight

    def _share(self, index: Tensor) -> Tensor:
        """Return which samples this rank takes; one where none is left for it, as all ranks make the same passes."""
        own = index[self._ranks.mine(len(index))]
        return own if len(own) else index[:1]

    def _changed(self, batch: Batch, count: int) -> Shares:
        """Return this rank's share of the batch as the network is given it."""
        if self._augment is None:
            return Shares(batch.inputs, ((1.0, batch.target),), batch.place)
        changed = self._augment(batch.inputs, batch.target, batch.place)
        if self._ranks.size == 1:
            return changed
        own = self._ranks.mine(count)
        return part_of(changed, own if own.stop > own.start else slice(0, 1))

    def _passes(self, shares: Shares, count: int) -> list[_Pass]:
        """Return the parts that a share is worked on in: on every rank the same number."""
        of_ranks = sizes(count, self._ranks.size)
        number = min(self.parts, of_ranks[0])
        own = sizes(of_ranks[self._ranks.rank], number)
        found, start = [], 0
        for part, present in enumerate(own):
            total = sum(sizes(of_rank, number)[part] for of_rank in of_ranks)
            where = slice(start, start + present) if present else slice(0, 1)
            one = shares if number == 1 and present else part_of(shares, where, heard=present > 0)
            found.append(_Pass(one, present, total))
            start += present
        return found

    @contextmanager
    def _own_numbers(self, seed: int) -> Iterator[None]:
        """Let every rank's network draw numbers of its own, and the augmentations go on as on one rank."""
        if self._ranks.size == 1:
            yield
            return
        with seeded(derive_seed(seed, "rank", self._ranks.rank), str(self.device)):
            yield

    def _cut_more(self, size: int, one: Tensor, said: str) -> None:
        """Halve the parts, of ``size`` samples, that were too large for the device.

        Raises
        ------
        TrainingError
            If they cannot be halved: one sample is too large, or other ranks count on as many parts.
        """
        empty_device_cache()
        if size == 1:
            raise TrainingError(too_large(self._title, self._network, one, self.device, said))
        if self._ranks.size > 1 and self._ranks.together:
            raise TrainingError(
                f"{self._title}: expected {size} samples at once to fit on the device of rank {self._ranks.rank}, got "
                f"out of memory ({first_line(said)}). Batch norm counts over all ranks, which must so make the same "
                f"parts: set accumulate: {2 * self.parts}."
            )
        self.parts *= 2
        self._note(
            f"a batch is worked on in {self.parts} parts, as {size} samples at once are more than the device has "
            f"memory for ({first_line(said)})."
        )

    def _step(self) -> None:
        self._ranks.gather_gradients(self._network)
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


def evaluate(
    network: nn.Module,
    samples: Tensors,
    loss: Loss,
    config: TrainingConfig,
    *,
    seed: int = 0,
    size: int | None = None,
    ranks: Ranks | None = None,
) -> float:
    """Return the loss of ``network`` on ``samples`` in eval mode, by area over all finite cells.

    A network that draws noise draws the same every time, from (``seed``, "validation"), so that epochs
    differ by their weights alone; the caller's random numbers stay as they are.

    Parameters
    ----------
    network, samples, loss, config, seed
        As :func:`pipeline.training.loop.train` takes them.
    size : int, optional
        Samples at once; those of a batch by default.
    ranks : Ranks, optional
        Who shares the work.
    """
    network.eval()
    ranks, size = ranks or Ranks(), size or config.batch_size
    total, count = zeros(samples.device)
    asked, counts = [], []
    for start in range(0, len(samples), size):
        whole = range(len(samples))[start : start + size]
        own = whole[ranks.mine(len(whole))]
        if len(own) or ranks.sharded:  # a pass for the others' sake counts nothing
            part = own if len(own) else whole[:1]
            asked.append(slice(part.start, part.stop))
            counts.append(float(len(own) > 0))
    draws = derive_seed(seed, "validation", ranks.rank)
    with torch.no_grad(), seeded(draws, str(samples.device)), closing(samples.batches(asked)) as batches:
        for counted, batch in zip(counts, batches, strict=True):
            summed, weight = batch_loss(network, batch, loss, config)
            total, count = total + counted * summed, count + counted * weight
    total, count = ranks.sum(total, count)
    return float(total / count)


def _note(title: str, notes: list[str], sentence: str) -> None:
    """Log what had to be done otherwise than asked, and keep it for the report."""
    log.warning("%s: %s", title, sentence)
    notes.append(f"{title}: {sentence}")
