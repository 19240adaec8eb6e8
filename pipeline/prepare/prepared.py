"""Samples of every split, and the way back from predictions to units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.backend import Backend
from pipeline.errors import DataError
from pipeline.prepare.arrays import beside, rows
from pipeline.prepare.elsewhere import Elsewhere
from pipeline.prepare.inputs import only
from pipeline.prepare.recipe import Recipe, Steps
from pipeline.prepare.tiles import Tile
from pipeline.prepare.windows import Windows
from pipeline.rows import Asked, Room, Rows, whole
from pipeline.samples import Past, Samples

Array = Any


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared(Recipe):
    """An experiment's data, ready for models, beside what was fitted on them.

    Parameters
    ----------
    splits : mapping of str to Windows
        The samples of every split, in the order train, validation, tests.
    steps : Steps
        All dates of the splits, encoded.
    target : array of float32, shape (time, target, lat, lon)
        In units, NaN outside the mask and where there is no truth, on the device.
    elsewhere : mapping of str to Elsewhere
        Test sets with data of their own.
    facts : mapping
        For the report; see :meth:`summary`.
    cells : mapping of str to ndarray of bool, shape (lat, lon), or None
        By split, the cells it has truth in, where splits differ by cells: basins. None: every cell of the mask.
    origins : tuple of Tile
        Of tiles of images: where each step of the axis was cut.
    """

    splits: Mapping[str, Windows]
    steps: Steps
    target: Array
    elsewhere: Mapping[str, Elsewhere]
    facts: Mapping[str, Any]
    cells: Mapping[str, np.ndarray] | None = None
    origins: tuple[Tile, ...] = ()

    @property
    def windows(self) -> dict[str, Windows]:
        """The samples of every split and of every test set with data of its own, by name."""
        return {**self.splits, **{name: part.windows for name, part in self.elsewhere.items()}}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the splits: train, validation, the test sets, and those with data of their own."""
        return tuple(self.windows)

    def samples(self, name: str) -> Samples:
        """Return the samples of the split called ``name``.

        ``previous`` is the anomaly of the step before by that step's own day of the year. Classes of events that last
        have none: that a heat wave has begun is known when it has lasted, so yesterday's class knows tomorrow.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen, (steps, truth) = self._windows(name), self._data(name)
        xp, leads = self.backend.xp, self.schema.leads
        target = previous = past = None
        if chosen.truth and truth is not None:

            def before(part: Windows) -> Array:
                found = self._where(part.previous, lambda index: self._transformed(truth, steps, index))
                found = only(found, self._cells(name))
                return found if len(leads) == 1 else xp.concat([found] * len(leads), axis=1)

            target = self._answers(
                chosen,
                truth,
                lambda part: self._at_leads(name, part, lambda index: self._transformed(truth, steps, index)),
            )
            if self.label is None or not self.label.is_late:
                previous = self._answers(chosen, truth, before)
            if self.own_past:
                last = chosen.now if min(leads) else chosen.now - 1
                known = self._transformed(truth, steps, np.arange(len(steps.time)))
                past = Past(only(known, self._cells(name)), chosen.first, last)
        return self._samples(name, chosen, steps, target, previous, past)

    @property
    def in_memory(self) -> bool:
        """Whether inputs and truth of the experiment's own dates lie in memory, none of them in a file."""
        return not any(isinstance(part, Rows) for part in (self.steps.inputs, self.target))

    def time(self, name: str) -> np.ndarray:
        """Return the times of the samples of the split called ``name``, shape (time,); of tiles their numbers.

        Raises
        ------
        DataError
            If there is no such split.
        """
        found: np.ndarray = self._data(name)[0].time[self._windows(name).now]
        return found

    def inputs(self, name: str) -> Samples:
        """Return the samples of the split called ``name`` without their truth: what models are asked.

        Raises
        ------
        DataError
            If there is no such split.
        """
        return self._samples(name, self._windows(name), self._data(name)[0])

    def truth(self, name: str, part: slice = slice(None)) -> np.ndarray | None:
        """Return the truth in units of a split, or of part of its times, float32 on the host, (time, target, lat, lon).

        NaN where it is missing, outside the mask and where a table's station misses predictors; None for a test
        set without truth.

        Raises
        ------
        DataError
            If there is no such split.
        """
        chosen, (_, truth) = self._windows(name), self._data(name)
        if not chosen.truth or truth is None:
            return None
        asked = chosen.take(np.arange(len(chosen.now))[part])
        return np.asarray(self.backend.to_host(self._at_leads(name, asked, lambda index: whole(rows(truth, index)))))

    def summary(self) -> dict[str, Any]:
        """Return what a report says of the data, as JSON values; keys are those of ``summarise``."""
        return dict(self.facts)

    def save(self, folder: Path) -> None:
        """Write everything into ``folder`` (made if needed): the recipe, and the data as npy."""
        from pipeline.prepare.storage import save_data

        super().save(folder)
        save_data(self, folder)

    @classmethod
    def load(cls, folder: Path, backend: Backend, room: Room | None = None) -> Self:
        """Return what :meth:`save` wrote, on the device of ``backend``; arrays that ``room`` has none for as rows.

        Raises
        ------
        DataError
            If the folder does not hold it.
        """
        from pipeline.prepare.storage import data_parts, recipe_parts

        room = Room(backend) if room is None else room
        return cls(**recipe_parts(folder, backend), **data_parts(folder, room), backend=backend)

    def _answers(self, chosen: Windows, truth: Array, make: Callable[[Windows], Array]) -> Array:
        """Return what ``make`` makes of samples, an array; where the truth lies in a file, rows that are made anew."""
        if not isinstance(truth, Rows):
            return make(chosen)
        shape = (len(chosen.now), len(self.schema.targets), *truth.shape[2:])
        return Asked(self.backend, shape, truth.dtype, lambda positions: make(chosen.take(positions)), truth)

    def _at_leads(self, name: str, chosen: Windows, take: Callable[[np.ndarray], Array]) -> Array:
        """Return what ``take`` gives at every lead, leads one behind the other, NaN where there is no such step."""
        xp, steps = self.backend.xp, self._data(name)[0]
        parts = [self._where(index, take) for index in chosen.ahead.T]
        values = parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)
        values = only(values, self._cells(name))
        usable = steps.cells_of(chosen)
        return only(values, None if usable is None else usable[:, None])

    def _cells(self, name: str) -> np.ndarray | None:
        return None if self.cells is None else self.cells[name]

    def _where(self, index: np.ndarray, take: Callable[[np.ndarray], Array]) -> Array:
        """Return what ``take`` gives at the positions ``index``, NaN where one is negative."""
        values = take(np.maximum(index, 0))
        if (index >= 0).all():
            return values
        xp = self.backend.xp
        return xp.where(beside(index >= 0, values)[:, None, None, None], values, xp.full_like(values, float("nan")))

    @property
    def own_past(self) -> bool:
        """Whether models get the target's own past: of stations and series, where it is small."""
        return bool(self.schema.target_grid.stations)

    def _transformed(self, truth: Array, steps: Steps, index: np.ndarray) -> Array:
        return self.transform.forward(whole(rows(truth, index)), steps.phase[index])

    def _data(self, name: str) -> tuple[Steps, Array | None]:
        part = self.elsewhere.get(name)
        return (self.steps, self.target) if part is None else (part.steps, part.target)

    def _windows(self, name: str) -> Windows:
        if name not in self.windows:
            raise DataError(f"expected a split of {', '.join(self.windows)}, got {name!r}.")
        return self.windows[name]
