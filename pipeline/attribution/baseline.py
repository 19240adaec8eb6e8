"""What an attribution is a departure from: baselines by name, made of the train split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backend import array_namespace
from pipeline.model import Context
from pipeline.registry import Registry
from pipeline.samples import Samples

if TYPE_CHECKING:
    from torch import Tensor

_BYTES = 32 * 2**20  # of train inputs that are averaged at once
_HALF_WINDOW = 15 / 365.25  # of the year, on either side of a day, that its mean is taken over


@dataclass(frozen=True, eq=False)
class Baseline:
    """Inputs to start from, one or several.

    Parameters
    ----------
    name : str
        In ``BASELINES``.
    words : str
        What it is, for captions: ``"the mean of the train split at each cell"``.
    fields : Tensor, shape (draw, 1 or time, channel, lat, lon)
        Several draws are averaged over. With an axis of time every explained day has its own.
    """

    name: str
    words: str
    fields: Tensor

    @property
    def count(self) -> int:
        """How many draws there are."""
        return len(self.fields)

    def at(self, draw: int, which: Tensor) -> Tensor:
        """Return the inputs of one draw for explained days, shape (row, channel, lat, lon)."""
        own = self.fields[draw]
        if len(own) == 1:
            return own.expand(len(which), *own.shape[1:])
        return own[which]

    def thinned(self, most: int) -> Baseline:
        """Return the baseline with at most so many draws."""
        return self if self.count <= most else Baseline(self.name, self.words, self.fields[:most])


DEFAULT = "climatology"

Maker = Callable[[Samples, Samples, int, Context], tuple[Any, str]]

BASELINES: Registry[Maker] = Registry("baseline", "pipeline.attribution")


def make_baseline(name: str, train: Samples, samples: Samples, draws: int, context: Context) -> Baseline:
    """Return the baseline called ``name`` for explained days.

    Parameters
    ----------
    name : str
        Of ``BASELINES``.
    train, samples : Samples
        What it is made of, and the explained days.
    draws : int
        How many train days are drawn, where they are.
    context : Context
        Backend and seed.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    fields, words = BASELINES.get(name)(train, samples, draws, context)
    xp = array_namespace(fields)
    return Baseline(name, words, context.backend.to_torch(xp.astype(fields, samples.inputs.dtype)))


@BASELINES.register("zero")
def zero(train: Samples, samples: Samples, draws: int, context: Context) -> tuple[Any, str]:
    """Return zero in the numbers that the model sees."""
    xp = context.backend.xp
    field = xp.zeros_like(samples.inputs[:1, ...])
    return field[None, ...], "zero in standardised space"


@BASELINES.register("climatology")
def climatology(train: Samples, samples: Samples, draws: int, context: Context) -> tuple[Any, str]:
    """Return the mean of the train split, of every channel at every cell."""
    days = np.arange(len(train))
    mean = _mean(train, days, context)
    return mean[None, None, ...], "the train climatology, the mean at each cell"


@BASELINES.register("day_of_year")
def day_of_year(train: Samples, samples: Samples, draws: int, context: Context) -> tuple[Any, str]:
    """Return the train mean of the days within 15 days of the day of the year; without any, the nearest."""
    xp, fields = context.backend.xp, []
    known: dict[float, Any] = {}
    for phase in samples.day:
        if phase not in known:
            away = np.abs((train.day - phase + 0.5) % 1.0 - 0.5)
            days = np.flatnonzero(away <= _HALF_WINDOW)
            known[phase] = _mean(train, days if len(days) else np.argsort(away, kind="stable")[:1], context)
        fields.append(known[phase])
    return xp.stack(fields)[None, ...], "the train mean of the days within 15 days of its day of the year"


@BASELINES.register("train_draws")
def train_draws(train: Samples, samples: Samples, draws: int, context: Context) -> tuple[Any, str]:
    """Return days drawn from the train split: attributions are averaged over them."""
    random = np.random.default_rng(context.seed_for("baseline"))
    chosen = np.sort(random.choice(len(train), size=min(draws, len(train)), replace=False))
    # Any order, so that the first few are draws as well.
    taken = train.take(random.permutation(chosen)).held().inputs
    return taken[:, None, ...], f"{len(chosen)} days drawn from the train split"


def _mean(train: Samples, days: np.ndarray, context: Context) -> Any:
    """Return the mean over days, float64, in blocks: windows of a year are 365 times the data."""
    xp = context.backend.xp
    schema = train.schema
    size = 8 * len(schema.channels) * int(np.prod(schema.input_grid.shape))
    step = max(1, _BYTES // size)
    total = xp.zeros((len(schema.channels), *schema.input_grid.shape), dtype=xp.float64)
    for start in range(0, len(days), step):
        part = train.take(days[start : start + step]).held()
        total = total + xp.sum(part.inputs, axis=0, dtype=xp.float64)
    return total / len(days)
