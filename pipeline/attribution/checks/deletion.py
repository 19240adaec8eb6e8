"""Deletion and insertion: whether cells that the map ranks high move the number more than cells drawn by lot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pipeline.attribution import Finding
from pipeline.attribution.checks import CHECKS, Check, Checked
from pipeline.attribution.checks._cells import ROUNDING, Cells, cells_checked, generator, units_of

if TYPE_CHECKING:
    from torch import Tensor

_STEPS = 16
_ORDERS = 10  # each of them backwards as well
_LEVEL = 0.95
_LEAST_UNITS = 6  # of fewer, even the best order hardly stands out from random ones


@CHECKS.register("deletion")
class Deletion(Check):
    """Deletion and insertion curves (Petsiuk et al. 2018, arXiv:1806.07421), from baseline infill, against random ones.

    Cells are put to the baseline in the order of the map, from the highest to the lowest and the other way round,
    sixteenth by sixteenth; a channel that is the same number everywhere goes as one. The score is the area between the
    two curves, the mean over days. Of departures the order is that of the signed parts and the curve that of the
    number: highest first must push it down first. Of sensitivities and strengths the order is that of the magnitudes,
    and the curve that of the absolute change of the number. Inserting cells into the baseline, highest first, is
    deleting them lowest first, read backwards: the same two curves say both.

    The limit is what 95 % of random orders stay below. They are of blocks of half or a third of the field, as maps are
    smooth, and the same on all days, as maps may be: against orders of single cells, smooth maps that have nothing to
    do with the model would pass many times as often. Each is taken forwards and backwards, so that their scores lie
    around zero and have but a spread, which Student's t turns into the limit. With a baseline of several draws each
    day takes one of them.

    It is essential for departures: of sensitivities the largest need not belong to what moved the number.

    It costs 330 forward passes a day and 2 more, whatever the method.
    """

    essential: ClassVar[bool] = True

    def run(self, checked: Checked) -> Finding:
        """Return the area between the curves of falling and of rising order."""
        from scipy.special import stdtrit

        few = checked.few()
        signed = few.method.kind == "departure"
        cells = cells_checked(few)
        units = cells.units
        count = int(units.max()) + 1
        replaced = np.round(np.linspace(0, 1, _STEPS + 1) * count).astype(np.int64)
        curve = _Curve(few, units, replaced, signed)

        rank = _by_unit(few.values.double().cpu().numpy(), units)
        rank = rank if signed else np.abs(rank)
        falling = curve.of(np.argsort(-rank, axis=1, kind="stable"))
        rising = curve.of(np.argsort(rank, axis=1, kind="stable"))
        drawn = [curve.of(order) for order in _random(few, cells, units)]
        sign = 1.0 if signed else -1.0
        score = sign * _area(rising - falling)
        chance = np.array([_area(one - back) for one, back in zip(drawn[::2], drawn[1::2], strict=True)])
        limit = float(stdtrit(_ORDERS, _LEVEL) * np.sqrt((chance**2).mean()))

        random = np.stack(drawn)
        low, high = np.quantile(random, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2), axis=0)
        curves = {
            "x": np.linspace(0, 1, _STEPS + 1), "deletion": falling, "insertion": rising[::-1],
            "random_deletion": random.mean(axis=0), "random_low": low, "random_high": high,
        }  # fmt: skip
        if max(abs(score), limit) <= ROUNDING * curve.level:
            return Finding(
                "deletion", 0.0, 0.0, None, signed,
                "The order in which inputs go to the baseline changes the number by 0: none is better than another.",
                curves,
            )  # fmt: skip
        units_ = units_of(few.subject)
        passed = True if score > limit else (False if count >= _LEAST_UNITS else None)
        what = "lowers the number" if signed else "changes the number more,"
        words = (
            f"Putting cells to the baseline from the highest to the lowest {what} by {score:.3g}{units_} on average, "
            f"against the other way round; 95 % of random orders stay below {limit:.3g}{units_}"
        )
        undecided = f", but {count} cells alone decide nothing" if passed is None else ""
        return Finding("deletion", score, limit, passed, signed, f"{words}{undecided}.", curves)


class _Curve:
    """Mean number over days, or mean absolute change, while units are put to the baseline one after the other."""

    def __init__(self, few: Checked, units: np.ndarray, replaced: np.ndarray, signed: bool) -> None:
        import torch

        self._few, self._replaced, self._signed = few, replaced, signed
        device = few.inputs.device
        self._units = torch.as_tensor(units, device=device)
        draw = torch.arange(len(few.inputs)) % few.baseline.count
        start = [few.baseline.at(int(each), few.which[row : row + 1])[0] for row, each in enumerate(draw)]
        self._start = torch.stack(start).to(few.inputs)
        self._plain = few.subject.numbers(few.inputs, few.which).cpu().numpy()
        self._empty = few.subject.numbers(self._start, few.which).cpu().numpy()
        self.level = float(np.abs(np.stack((self._plain, self._empty))).max())

    def of(self, order: np.ndarray) -> np.ndarray:
        """Return the curve of an order of the units, (1 or row, unit), float64, (point,)."""
        import torch

        few, inner = self._few, self._replaced[1:-1]
        place = np.empty(order.shape, np.int32)
        np.put_along_axis(place, order, np.arange(order.shape[1], dtype=np.int32)[None], axis=1)
        places = torch.as_tensor(place, device=few.inputs.device).expand(len(few.inputs), -1)
        rows = len(few.inputs)

        def some(part: slice) -> Tensor:
            index = torch.arange(part.start, part.stop, device=few.inputs.device)
            own, step = index % rows, index // rows
            first = torch.as_tensor(inner, device=few.inputs.device)[step]
            gone = places[own][:, self._units] < first[:, None, None, None]
            return few.subject.answer(torch.where(gone, self._start[own], few.inputs[own]), few.which[own])

        with torch.no_grad():
            between = few.subject.passes.over(len(inner) * rows, some).cpu().numpy().reshape(len(inner), rows)
        numbers = np.concatenate((self._plain[None], between, self._empty[None]))
        return np.asarray((numbers if self._signed else np.abs(numbers - self._plain)).mean(axis=1))


def _by_unit(values: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the sum of (row, channel, lat, lon) over the cells of each unit, (row, unit)."""
    flat = units.ravel()
    return np.stack([np.bincount(flat, day.ravel()) for day in values])


def _random(few: Checked, cells: Cells, units: np.ndarray) -> Iterator[np.ndarray]:
    """Yield random orders of the units, (1, unit), each forwards and then backwards."""
    random = generator(few.subject, "random orders")
    _, first = np.unique(units, return_index=True)
    for _ in range(_ORDERS):
        # Cells of a block come one after the other, in any order.
        order = np.lexsort((random.random(len(first)), cells.large_blocks(random).ravel()[first]))[None]
        yield order
        yield order[:, ::-1].copy()


def _area(curve: np.ndarray) -> float:
    return float(np.trapezoid(curve, dx=1 / _STEPS))
