"""Learning rates: each a function of the step, so that a resumed training needs no memory of it.

Only ``plateau`` looks at the validation loss and keeps three numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.training.config import TrainingConfig

# Shapes: share of the highest learning rate at `step` of `total`, 0 <= step < total.


def constant(step: int, total: int) -> float:
    """Return 1."""
    return 1.0


def cosine(step: int, total: int) -> float:
    """Fall from 1 to 0 along half a cosine.

    References
    ----------
    Loshchilov and Hutter (2017), arXiv:1608.03983, without restarts.
    """
    return 0.5 * (1 + math.cos(math.pi * step / total))


RISE, START, END = 0.3, 1 / 25, 1 / 25e4


def one_cycle(step: int, total: int) -> float:
    """Rise from 1/25 to 1 over the first 30 % of the steps, then fall to 1/250000, along cosines.

    References
    ----------
    Smith and Topin (2018), arXiv:1708.07120; shares as in ``torch.optim.lr_scheduler.OneCycleLR``.
    """
    top, last = RISE * total - 1, total - 1
    if step <= top:
        return _between(START, 1.0, step / top)
    return _between(1.0, END, (step - top) / (last - top))


def step_down(step: int, total: int) -> float:
    """Return 1, 0.1 and 0.01 on the three thirds of the steps."""
    return float(0.1 ** (3 * step // total))


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))


SHAPES: dict[str, Callable[[int, int], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "step": step_down,
    "plateau": constant,
}

PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.5, 5


class Schedule:
    """The learning rate of every step of a training.

    Parameters
    ----------
    config : TrainingConfig
        Names the shape, the highest rate, and the epochs of warm-up and in all.
    steps : int
        Steps of the optimizer in an epoch.

    Examples
    --------
    >>> schedule = Schedule(TrainingConfig(epochs=2, lr=0.1, schedule="cosine"), steps=2)
    >>> [round(schedule.lr(step), 4) for step in range(4)]
    [0.1, 0.0854, 0.05, 0.0146]
    """

    def __init__(self, config: TrainingConfig, steps: int) -> None:
        self._config = config
        self._warmup = config.warmup * steps
        self._total = config.epochs * steps
        self._factor, self._best, self._waited = 1.0, math.inf, 0

    def lr(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0 over all epochs."""
        if step < self._warmup:
            return self._config.lr * (step + 1) / self._warmup
        shape = SHAPES[self._config.schedule]
        return self._config.lr * self._factor * shape(step - self._warmup, self._total - self._warmup)

    def observe(self, validation_loss: float) -> None:
        """Take in an epoch's validation loss: ``plateau`` halves the rate after six epochs without a better one."""
        if self._config.schedule != "plateau":
            return
        if validation_loss < self._best:
            self._best, self._waited = validation_loss, 0
            return
        self._waited += 1
        if self._waited > PLATEAU_PATIENCE:
            self._factor, self._waited = self._factor * PLATEAU_FACTOR, 0

    def state(self) -> list[float]:
        """Return what :meth:`restore` needs."""
        return [self._factor, self._best, float(self._waited)]

    def restore(self, state: list[float]) -> None:
        """Go on where another schedule's :meth:`state` was taken."""
        self._factor, self._best, self._waited = state[0], state[1], int(state[2])
