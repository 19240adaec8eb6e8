"""The course of a training: its epochs, the best of them, and when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pipeline.errors import TrainingError
from pipeline.training.config import TrainingConfig
from pipeline.training.schedules import Schedule


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
    """What a training came to; the network has the weights of ``best_epoch``, and ``notes`` say what it had to do."""

    history: tuple[Epoch, ...]
    best_epoch: int
    resumed_from: int
    notes: tuple[str, ...] = ()


class Course:
    """What one network has gone through so far; the schedule of its learning rate belongs to it.

    Parameters
    ----------
    config : TrainingConfig
        Options.
    steps : int
        Steps of the optimizer in an epoch.
    title : str
        Name in errors.
    """

    def __init__(self, config: TrainingConfig, steps: int, title: str) -> None:
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        self.schedule = Schedule(config, steps)
        self._config, self._title = config, title

    def finished(self) -> bool:
        """Whether all epochs are done or none was better for too long."""
        done, patience = len(self.history), self._config.patience
        return done >= self._config.epochs or (patience > 0 and done - self.best_epoch >= patience)

    def record(self, epoch: Epoch, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Note the epoch, and a copy of its ``weights`` if they are the best so far.

        Raises
        ------
        TrainingError
            If a loss is not finite.
        """
        if not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.validation_loss)):
            raise TrainingError(
                f"{self._title}: expected a finite loss, got train {epoch.train_loss} and validation "
                f"{epoch.validation_loss} in epoch {epoch.epoch} at learning rate {epoch.lr:g}. "
                f"Try lr: {self._config.lr / 10:g}, clip: 1.0 or precision: float32, and look for huge inputs."
            )
        self.history.append(epoch)
        self.schedule.observe(epoch.validation_loss)
        if not self.best or epoch.validation_loss < self.history[self.best_epoch - 1].validation_loss:
            self.best_epoch = epoch.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in weights().items()}

    def trained(self, resumed_from: int, notes: tuple[str, ...] = ()) -> Trained:
        """Return what it came to, after ``resumed_from`` epochs of an earlier process."""
        return Trained(tuple(self.history), self.best_epoch, resumed_from, notes)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs."""
        return {
            "schedule": self.schedule.state(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "best_epoch": self.best_epoch,
        }

    def restore(self, state: Mapping[str, Any]) -> int:
        """Go on where ``state`` was taken; return how many epochs that were."""
        self.schedule.restore(state["schedule"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        return len(self.history)
