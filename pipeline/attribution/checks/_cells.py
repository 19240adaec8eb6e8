"""What checks share: cells that go together, random blocks of them, and how the explained number answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attribution._channels import places_by_variable
from pipeline.attribution.checks import Checked
from pipeline.attribution.subject import Subject
from pipeline.samples import Schema
from pipeline.seeding import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-6  # of the number itself: what is smaller may be rounding of float32
NOISE = 0.05  # standard deviations, of the perturbations that sensitivities have to predict
_DRAWS = 32


@dataclass(frozen=True, eq=False)
class Cells:
    """How the input cells of one field belong together.

    Parameters
    ----------
    variable, lag : ndarray of int64, shape (channel,)
        Number of each channel's variable, and its place in time among the channels of that variable.
    scalar : ndarray of bool, shape (channel,)
        Channels that are the same number at every cell.
    shape : tuple of int
        (lat, lon).
    stations : bool
        Whether cells that are next to each other in longitude need not be so on the Earth.
    """

    variable: np.ndarray
    lag: np.ndarray
    scalar: np.ndarray
    shape: tuple[int, int]
    stations: bool = False

    @property
    def units(self) -> np.ndarray:
        """Number of the unit of each cell, int64, (channel, lat, lon); of a scalar channel all cells are one unit.

        Examples
        --------
        >>> cells_of(None, (2, 1, 3)).units.tolist()
        [[[0, 1, 2]], [[3, 4, 5]]]
        """
        size = int(np.prod(self.shape))
        first = np.concatenate(([0], np.cumsum(np.where(self.scalar, 1, size))))[:-1]
        inside = np.where(self.scalar[:, None], 0, np.arange(size))
        return np.asarray(first[:, None] + inside).reshape(len(self.scalar), *self.shape)

    def blocks(self, random: np.random.Generator) -> np.ndarray:
        """Return uniform random numbers that are the same all over a block, float32, (channel, lat, lon).

        Blocks are boxes of one variable in space and lag; how large they are is drawn too, from one cell to half of
        the field.
        """
        side, span = (random.choice(_sizes(length)) for length in (max(self.shape), self._lags))
        return self._boxes(random, span, side, side)

    def large_blocks(self, random: np.random.Generator) -> np.ndarray:
        """Return the same of blocks of half or a third of the field in every direction."""
        share = random.choice((2, 3))
        return self._boxes(random, *(-(-length // share) for length in (self._lags, *self.shape)))

    @property
    def _lags(self) -> int:
        return int(self.lag.max()) + 1

    def _boxes(self, random: np.random.Generator, span: int, height: int, width: int) -> np.ndarray:
        """Return a number for each box of so many lags, rows and columns; the first may be cut anywhere."""
        steps = (span, height, 1 if self.stations else width)
        lag, row, column = (
            (np.arange(length) + random.integers(step)) // step
            for length, step in zip((self._lags, *self.shape), steps, strict=True)
        )
        table = random.random((int(self.variable.max()) + 1, lag[-1] + 1, row[-1] + 1, column[-1] + 1), np.float32)
        place = (self.variable[:, None, None], lag[self.lag][:, None, None], row[None, :, None], column[None, None, :])
        return self._level(table[place])

    def noise(self, random: np.random.Generator) -> np.ndarray:
        """Return normal noise of standard deviation 1, float32, (channel, lat, lon)."""
        return self._level(random.standard_normal((len(self.scalar), *self.shape), np.float32))

    def uniform(self, random: np.random.Generator) -> np.ndarray:
        """Return uniform noise from -1 to 1, float32, (channel, lat, lon)."""
        return self._level(2 * random.random((len(self.scalar), *self.shape), np.float32) - 1)

    def _level(self, field: np.ndarray) -> np.ndarray:
        return np.where(self.scalar[:, None, None], field[:, :1, :1], field)


def _sizes(length: int) -> list[int]:
    """Return the powers of two up to half of a length.

    Examples
    --------
    >>> _sizes(9), _sizes(1)
    ([1, 2, 4], [1])
    """
    return [2**power for power in range(max(1, (length // 2).bit_length()))]


def cells_of(schema: Schema | None, shape: Sequence[int]) -> Cells:
    """Return how the cells of fields of shape (channel, lat, lon) belong together; without a schema each is alone."""
    channels, rows, columns = shape
    variable, lag, scalar = np.zeros(channels, np.int64), np.zeros(channels, np.int64), np.zeros(channels, bool)
    for number, group in enumerate(places_by_variable(schema, channels)):
        variable[group.places], scalar[group.places] = number, group.scalar
        lag[group.places] = np.arange(len(group.places))
    return Cells(variable, lag, scalar, (rows, columns), schema is not None and bool(schema.input_grid.stations))


def cells_checked(checked: Checked) -> Cells:
    """Return how the cells of a checked map belong together."""
    case = checked.subject.case
    return cells_of(None if case is None else case.samples.schema, checked.inputs.shape[1:])


def generator(subject: Subject, purpose: str, *numbers: int) -> np.random.Generator:
    """Return random numbers that depend on the subject's seed, the purpose and the numbers alone."""
    return np.random.default_rng((derive_seed(subject.seed, purpose), *numbers))


def units_of(subject: Subject) -> str:
    """Return the units of the explained number after a space; nothing where they are not known or there are none."""
    return "" if subject.case is None or subject.case.question.units == "1" else f" {subject.case.question.units}"


@dataclass(frozen=True, eq=False)
class Changes:
    """How the explained number answers to perturbations, and what explanations say of that.

    Parameters
    ----------
    actual : ndarray of float64, shape (row, draw)
        Change of the number.
    said : ndarray of float64, shape (row, draw)
        Change by the map that is checked.
    fields : ndarray of float64, shape (row, draw, field)
        Change by fields that are the same on all days.
    floor : float
        Squared changes whose sum is no larger are rounding.
    """

    actual: np.ndarray
    said: np.ndarray
    fields: np.ndarray
    floor: float

    @property
    def still(self) -> bool:
        """Whether the number does not move."""
        return bool((self.actual**2).sum() <= self.floor)

    @property
    def nothing(self) -> bool:
        """Whether the number does not move, and the map says so."""
        return self.still and bool((self.said**2).sum() <= self.floor)

    @property
    def infidelity(self) -> float:
        """Mean square of what the map gets wrong, over the mean square of the change."""
        return float(((self.said - self.actual) ** 2).sum() / max((self.actual**2).sum(), self.floor))


def changes(checked: Checked, fields: np.ndarray) -> Changes:
    """Return how the explained number answers to random perturbations, ``32`` a day.

    Of a departure: the number less what it is with random blocks of the inputs, half of the cells on average, at the
    baseline; the map says the sum of its parts there. Of a sensitivity: its change when normal noise of 0.05 standard
    deviations is added to the inputs; the map says the sum of noise times sensitivity. The perturbations of a day are
    the same for all methods, whatever is explained together.

    Parameters
    ----------
    checked : Checked
        The map.
    fields : ndarray of float32, shape (field, channel, lat, lon)
        Other explanations, the same on all days.
    """
    import torch

    subject, inputs, which = checked.subject, checked.inputs, checked.which
    cells, hide, days = cells_checked(checked), checked.method.kind == "departure", checked.which.tolist()
    rows, values = len(inputs), checked.values.double().flatten(1)
    further = torch.as_tensor(fields, device=inputs.device).double().flatten(1)
    plain = subject.numbers(inputs, which)

    def drawn(place: int) -> np.ndarray:
        random = generator(subject, "perturbations", days[place % rows], place // rows)
        return (cells.blocks(random) < 0.5).astype(np.float32) if hide else NOISE * cells.noise(random)

    def some(part: slice) -> Tensor:
        places = range(part.start, part.stop)
        moved = torch.as_tensor(np.stack([drawn(place) for place in places])).to(inputs)
        own = torch.as_tensor([place % rows for place in places], device=inputs.device)
        if hide:
            after = [
                subject.answer(torch.where(moved > 0, checked.baseline.at(draw, which[own]), inputs[own]), which[own])
                for draw in range(checked.baseline.count)
            ]
            change = plain[own] - torch.stack(after).mean(0)
        else:
            change = subject.answer(inputs[own] + moved, which[own]) - plain[own]
        flat = moved.double().flatten(1)
        return torch.cat((change[:, None], (flat * values[own]).sum(1, keepdim=True), flat @ further.T), 1)

    with torch.no_grad():
        told = subject.passes.over(_DRAWS * rows, some).cpu().numpy().reshape(_DRAWS, rows, -1).swapaxes(0, 1)
    actual, said = told[..., 0], told[..., 1]
    level = max(float(plain.abs().max()), float(np.abs(said).max()))
    return Changes(actual, said, told[..., 2:], actual.size * (ROUNDING * level) ** 2)


def cells_read(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of maps (time, ...) that are not zero in both on all days, float64, (time, cell).

    Masked cells and channels that a model does not read would make any two maps look alike.

    Examples
    --------
    >>> first, second = cells_read(np.array([[0, 1, 0.0]]), np.array([[0, 0, 2.0]]))
    >>> first.tolist(), second.tolist()
    ([[1.0, 0.0]], [[0.0, 2.0]])
    """
    one, other = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (first, second))
    kept = (one != 0).any(axis=0) | (other != 0).any(axis=0)
    return one[:, kept], other[:, kept]
