"""What is scored: one variable of one model on one split, beside the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import array_api_compat
import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.grid import Grid
from pipeline.metrics._shared import Shared
from pipeline.prediction import Prediction
from pipeline.prediction.members import evenly, filled, missing_members
from pipeline.seeding import derive_seed

Array = Any
DRAWS = 3  # of a distribution without members; each costs as much memory as the truth
_VALUES = 2**20  # values drawn at a time: another number would give other draws


@dataclass(frozen=True, eq=False)
class Place:
    """Where the cells of a case lie.

    Parameters
    ----------
    grid : Grid
        The target grid.
    mask : ndarray of bool, shape (lat, lon)
        Its cells, in the order of the row.
    """

    grid: Grid
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """One variable of one model on one split, in units, cells in one row.

    Parameters
    ----------
    prediction : Prediction
        Parameters of shape (time, cell), members (member, time, cell).
    truth : array, shape (time, cell)
        NaN where there is none.
    climatology : Prediction
        The train split's day-of-year climatology as a forecast of the same times and cells.
    units : str
        Of prediction and truth; thresholds such as 1 mm a day are converted to them.
    standard_name : str
        CF name of the variable, if known: what is measured where units alone do not say, as of flow in mm d-1, or that
        it is an anomaly.
    time : ndarray, shape (time,), or None
        Stamps, for scores of years and of days that follow one another.
    place : Place or None
        Where the cells lie, for scores of fields.
    seed : int
        For draws.
    drawn : array, shape (draw, time, cell), or None
        The draws, once they are made; a part of the cells has its part of them.
    weights : ndarray, shape (cell,), or None
        Area weights, for scores of whole fields and of classes; None: every cell counts alike.
    shared : Shared or None
        What is made of truth and climatology alone, where several models are scored beside the same.
    """

    prediction: Prediction
    truth: Array
    climatology: Prediction
    units: str = ""
    time: np.ndarray | None = None
    place: Place | None = None
    seed: int = 0
    drawn: Array | None = None
    weights: np.ndarray | None = None
    standard_name: str = ""
    shared: Shared | None = None

    @cached_property
    def mean(self) -> Array:
        """Mean of the prediction, shape (time, cell)."""
        return self.prediction.mean()

    @cached_property
    def valid(self) -> Array:
        """Where there is truth, shape (time, cell)."""
        return array_namespace(self.truth).isfinite(self.truth)

    @cached_property
    def crps(self) -> Array:
        """Exact CRPS of the prediction, shape (time, cell)."""
        return self.prediction.crps(self.truth)

    @cached_property
    def missing(self) -> Array | None:
        """How many members of every value are missing, shape (time, cell); None if none is, or there are no members."""
        if self.prediction.family != "members":
            return None
        gone = missing_members(self.prediction.parameters["members"])
        return gone if bool(array_namespace(gone).any(gone > 0)) else None

    @cached_property
    def draws(self) -> Array:
        """Days that the forecast would give, shape (draw, time, cell): members, seeded draws, or the point itself.

        Where a member is missing stands what the next one that is there says, see
        :func:`~pipeline.prediction.members.filled`.
        """
        if self.drawn is not None:
            return self.drawn
        if self.prediction.family == "members":
            return filled(self.prediction.parameters["members"])
        if not self.is_distribution:
            return self.mean[None, ...]
        return self._sampled()

    def some_draws(self, number: int) -> Array:
        """Return ``number`` of the draws, evenly over their order, or all where there are no more."""
        draws = self.draws
        if draws.shape[0] <= number:
            return draws
        xp, where = array_namespace(draws), array_api_compat.device(draws)
        return xp.take(draws, xp.asarray(evenly(draws.shape[0], number), device=where), axis=0)

    def _sampled(self) -> Array:
        """Return :data:`DRAWS` draws of every time and cell, some times at a time: they take float64 on the way."""
        times, cells = self.truth.shape
        rows = max(1, _VALUES // max(1, cells))
        parts = [
            self.select(slice(start, min(start + rows, times)), -2).prediction.sample(
                DRAWS, seed=derive_seed(self.seed, "draws", start)
            )
            for start in range(0, times, rows)
        ]
        return parts[0] if len(parts) == 1 else array_namespace(self.truth).concat(parts, axis=1)

    def with_draws(self) -> Case:
        """Return the case with its draws made: a part of it then has its part of them, whatever the part."""
        return replace(self, drawn=self.draws)

    @cached_property
    def is_daily(self) -> bool:
        """Whether its times are a day apart, gaps aside; False if it does not know them."""
        from pipeline.metrics.blocks import usual_step

        return self.time is not None and abs(usual_step(self.time) / 86400.0 - 1.0) < 0.1

    def on_grid(self, values: Array) -> Array:
        """Return values of shape (..., cell) as (..., lat, lon), NaN outside the mask.

        Examples
        --------
        >>> grid = Grid(np.array([1.0, 2.0]), np.array([5.0, 6.0]))
        >>> usual = Prediction("point", {"mean": np.zeros((1, 3))})
        >>> place = Place(grid, np.array([[True, True], [False, True]]))
        >>> Case(usual, np.zeros((1, 3)), usual, place=place).on_grid(np.array([1.0, 2.0, 3.0])).tolist()
        [[1.0, 2.0], [nan, 3.0]]

        Raises
        ------
        ValueError
            If the case does not know where its cells lie.
        """
        if self.place is None:
            raise ValueError("expected a case that knows its place, got one without.")
        xp, mask = array_namespace(values), self.place.mask
        cells = values.shape[-1]
        at = np.full(mask.size, cells)
        at[np.flatnonzero(mask)] = np.arange(cells)
        edge = xp.full((*values.shape[:-1], 1), xp.nan, dtype=values.dtype, device=array_api_compat.device(values))
        index = xp.asarray(at, device=array_api_compat.device(values))
        filled = xp.take(xp.concat([values, edge], axis=-1), index, axis=-1)
        return xp.reshape(filled, (*values.shape[:-1], *mask.shape))

    def quantile(self, level: float) -> Array:
        """Quantile of the prediction, shape (time, cell), worked out once."""
        return self.once(("quantile", level), lambda: self.prediction.quantile(level))

    def exceedance(self, threshold: float) -> Array:
        """Probability of at least ``threshold``, shape (time, cell), worked out once."""
        return self.once(("exceedance", threshold), lambda: self.prediction.exceedance(threshold))

    def once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return what ``make`` answers, worked out once a key: several scores of a case need the same."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def of_truth(self, key: tuple[Any, ...], make: Callable[[], Array]) -> Array:
        """Return what ``make`` makes of truth and climatology alone, once for all models that share it."""
        return make() if self.shared is None else self.shared.once(key, make)

    @property
    def is_distribution(self) -> bool:
        """Whether the prediction says how uncertain it is; a point forecast does not."""
        return self.prediction.family != "point"

    def select(self, index: Any, axis: int) -> Case:
        """Return the case at ``index`` (a slice or whole numbers) along ``axis``: -2 time, -1 cell."""

        def pick(array: Array) -> Array:
            if isinstance(index, slice):
                return array[(..., index, slice(None)) if axis == -2 else (..., index)]
            return array_namespace(array).take(array, index, axis=axis)

        host = _on_host(index)
        part: dict[str, Any] = {"drawn": None if self.drawn is None else pick(self.drawn)}
        if self.shared is not None:
            at = (index.start, index.stop, index.step) if isinstance(index, slice) else (host.tobytes(),)
            part["shared"] = self.shared.part((axis, *at))
        if axis == -2 and self.time is not None:
            part["time"] = self.time[host]
        if axis == -1:
            part["place"] = None  # a part of the cells makes no field
            part["weights"] = None if self.weights is None else self.weights[host]
        return replace(
            self,
            prediction=self.prediction.map(pick),
            truth=pick(self.truth),
            climatology=self.climatology.map(pick),
            **part,
        )

    @cached_property
    def _known(self) -> dict[tuple[Any, ...], Any]:
        return {}


def _on_host(index: Any) -> Any:
    return index if isinstance(index, slice) else np.asarray(to_host(index))
