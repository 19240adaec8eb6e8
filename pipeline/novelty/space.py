"""Samples as rows of few numbers: means over boxes of fields, windows by pieces, stations, statistics of tiles.

Everything here follows from the layout of the samples alone: nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.lagged import Lagged
from pipeline.novelty.tiles import STATISTICS, tile_statistics
from pipeline.prepare.arrays import beside, rows
from pipeline.prepare.inputs import is_table
from pipeline.prepare.scalars import CALENDAR
from pipeline.rows import blocks, whole
from pipeline.samples import Samples, Schema, variable_of

Array = Any
_Take = Callable[[np.ndarray], Array]  # positions of samples to their fields, float64 (time, group, cell)

MOST = 1024
"""Numbers of a sample of fields, beyond which cells are joined to boxes: decompositions cost their cube."""
_APART = 4  # steps of a window that stand for themselves; of more, those further back are means over longer pieces
_BYTES = 8 * 2**20  # of what is read in one block


@dataclass(frozen=True)
class Piece:
    """A channel over a part of the window: the mean over some of the input channels.

    Parameters
    ----------
    name : str
        ``tas``, ``tas@-1``, or ``pr@-8..-15`` for a mean over steps.
    variable : str
        The channel without its lag.
    positions : tuple of int
        Input channels that the mean is over.
    first : bool
        Whether it holds the latest step.
    """

    name: str
    variable: str
    positions: tuple[int, ...]
    first: bool


@dataclass(frozen=True, eq=False)
class Block:
    """Some samples.

    Parameters
    ----------
    index : ndarray of int, shape (time,)
        Which samples they are.
    fields : array of float64, shape (time, group, cell)
        Their numbers.
    known : ndarray of bool, shape (time, cell), or None
        Of stations: those with all of their values; None for all.
    """

    index: np.ndarray
    fields: Array
    known: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Space:
    """Which numbers stand for a sample.

    Fields: every channel on at most :data:`MOST` boxes in all, by the root of their areas, so that squares add up to
    means over the area. A window of more than four steps: its latest step, the one before, and means over 2, 4, 8, ...
    steps further back. A table of stations: the same numbers of every station, which is a sample of its own. Tiles of
    images: statistics of each channel that know no place. Left out are the day of the year, as distances are from the
    mean cycle, and forcings, whose trend no year that was left out can tell of.

    Parameters
    ----------
    schema : Schema
        Of the samples.
    statics : bool
        Whether static values count, too: of stations that models are asked about without having seen them.
    forcings : tuple of str
        Channels that are forcings.
    """

    schema: Schema
    statics: bool = False
    forcings: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> Literal["fields", "stations", "tiles"]:
        """What a sample is."""
        if self.schema.input_grid.image:
            return "tiles"
        return "stations" if is_table(self.schema.input_grid, self.schema.target_grid) else "fields"

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All channels over all parts of the window, a channel's pieces together."""
        by_variable: dict[str, list[tuple[int, int]]] = {}
        for place, channel in enumerate(self.schema.channels):
            of_time = channel in CALENDAR and channel in self.schema.scalars
            if not of_time and channel not in self.forcings:
                by_variable.setdefault(variable_of(channel), []).append((_lag_of(channel), place))
        found = []
        for variable, steps in by_variable.items():
            steps.sort()
            for start, stop in _parts(len(steps)):
                lags = [lag for lag, _ in steps[start:stop]]
                name = _name(variable, lags[0], lags[-1])
                found.append(Piece(name, variable, tuple(place for _, place in steps[start:stop]), start == 0))
        return tuple(found)

    @cached_property
    def boxes(self) -> tuple[int, int]:
        """Rows and columns of boxes that fields are means over; those of the grid where it is small."""
        height, width = self.schema.input_grid.shape
        most = max(1, MOST // max(1, len(self.pieces)))
        if self.kind == "stations" or height * width <= most:
            return height, width
        shrink = (most / (height * width)) ** 0.5
        down = min(max(1, int(height * shrink)), most)
        return down, max(1, min(width, most // down))

    @cached_property
    def groups(self) -> np.ndarray:
        """Group of every feature, int of shape (feature,): features of one have one scale."""
        if self.kind == "stations":
            return np.arange(len(self.pieces) + len(self._static))
        cells = 1 if self.kind == "tiles" else int(np.prod(self.boxes))
        count = len(self.pieces) * (STATISTICS if self.kind == "tiles" else 1)
        return np.repeat(np.arange(count), cells)

    @cached_property
    def cells(self) -> int:
        """Samples of one time: of a table every station is one."""
        return int(np.prod(self.schema.input_grid.shape)) if self.kind == "stations" else 1

    def blocks(self, samples: Samples, index: np.ndarray | None = None) -> Iterator[Block]:
        """Yield the samples at the positions ``index``, all by default, some at a time."""
        index = np.arange(len(samples)) if index is None else index
        lagged = samples.lagged
        width = 8 * len(self.schema.channels) * int(np.prod(self.schema.input_grid.shape))
        take = self._taken(samples) if lagged is None else self._windows(lagged, index)
        # A window is never laid out: what is read of it is one step at a time.
        size = max(1, _BYTES // max(1, width if lagged is None else width // max(1, lagged.index.shape[1])))
        for start in range(0, len(index), size):
            part = index[start : start + size]
            known = None if samples.usable is None else samples.usable[part].reshape(len(part), -1)
            yield Block(part, take(part), known if self.kind == "stations" else None)

    def rows(self, block: Block) -> Array:
        """Return the features of a block, float64 of shape (time * cell, feature): NaN for stations without values."""
        fields = block.fields
        xp = array_namespace(fields)
        if self.kind != "stations":
            weighted = fields * beside(np.sqrt(self.weights), fields)
            return xp.reshape(weighted, (fields.shape[0], -1))
        turned = xp.matrix_transpose(fields)
        if len(self._static):
            static = beside(self._static.T.astype(float), fields)
            turned = xp.concat(
                [turned, xp.broadcast_to(static[None, :, :], (*turned.shape[:2], static.shape[1]))], axis=2
            )
        if block.known is not None:
            known = beside(block.known, fields)[:, :, None]
            turned = xp.where(known, turned, xp.full_like(turned, xp.nan))
        return xp.reshape(turned, (-1, turned.shape[2]))

    def means(self, block: Block, cells: np.ndarray | None = None) -> np.ndarray:
        """Return the mean of every channel at the latest step over the area or the stations, shape (time, channel).

        On the host, float64; NaN where no station has values. ``cells``, bool of shape (cell,), are the stations that
        count.
        """
        first = np.flatnonzero([piece.first for piece in self.pieces])
        values = to_host(block.fields)[:, first, :]
        weight = np.broadcast_to(self.weights, (values.shape[0], values.shape[2]))
        weight = weight if cells is None else weight * cells
        weight = weight if block.known is None else weight * block.known
        total = weight.sum(axis=1)[:, None]
        summed = np.einsum("tgc,tc->tg", values, weight)
        return np.asarray(np.where(total > 0.0, summed / np.where(total > 0.0, total, 1.0), np.nan))

    def forced(self, samples: Samples) -> np.ndarray:
        """Return the forcings of every sample, on the host, shape (time, forcing)."""
        place = np.array([self.schema.channels.index(name) for name in self.forcings], int)
        lagged = samples.lagged
        if not place.size:
            return np.zeros((len(samples), 0))
        if lagged is None:
            parts = [to_host(samples.inputs[part, ...][:, :, 0, 0])[:, place] for part in blocks(samples.inputs)]
            return np.concatenate(parts)
        before = int(lagged.values.shape[1]) * lagged.index.shape[1]
        return np.asarray(to_host(lagged.scalars)[lagged.now][:, place - before])

    @cached_property
    def weights(self) -> np.ndarray:
        """Share of the area that each box, or station, has, shape (cell,)."""
        if self.kind == "tiles":
            return np.ones(1)
        down, across = _boxes(self.schema.input_grid.shape, self.boxes)
        area = (down @ self.schema.input_grid.area @ across).ravel()
        return np.asarray(area / area.sum())

    @cached_property
    def _static(self) -> np.ndarray:
        """Static values, shape (static, cell); none where they do not count."""
        static = self.schema.static if self.statics else self.schema.static[:0]
        return np.asarray(static.reshape(len(static), self.schema.target_grid.lat.size))

    def _taken(self, samples: Samples) -> _Take:
        """Return what takes fields from inputs that are an array."""
        inputs = samples.inputs
        mean = np.zeros((len(self.pieces), inputs.shape[1]))
        for number, piece in enumerate(self.pieces):
            mean[number, list(piece.positions)] = 1.0 / len(piece.positions)
        over = beside(mean, inputs)

        def take(index: np.ndarray) -> Array:
            values = whole(rows(inputs, index))
            xp = array_namespace(values)
            if self.kind == "tiles":
                # Of tiles every channel is a piece.
                return tile_statistics(xp.astype(values, xp.float64))
            return xp.matmul(over, self._boxed(values))

        return take

    def _windows(self, lagged: Lagged, index: np.ndarray) -> _Take:
        """Return what takes fields from windows that are not laid out: their steps joined to boxes once."""
        xp, channels = array_namespace(lagged.values), int(lagged.values.shape[1])
        used, place = np.unique(lagged.index[index], return_inverse=True)
        size = max(1, _BYTES // max(1, 8 * int(np.prod(lagged.values.shape[1:]))))
        parts = [
            xp.astype(self._boxed(whole(rows(lagged.values, used[k : k + size]))), xp.float32)
            for k in range(0, len(used), size)
        ]
        steps = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        at = np.zeros((len(lagged), lagged.index.shape[1]), np.int64)
        at[index] = place.reshape(-1, lagged.index.shape[1])
        fields = channels * lagged.index.shape[1]
        names = [piece.variable for piece in self.pieces if piece.positions[0] < fields]
        of_first = [piece for piece in self.pieces if piece.variable == names[0]]
        numbers = [piece.positions[0] - fields for piece in self.pieces if piece.positions[0] >= fields]

        def take(chosen: np.ndarray) -> Array:
            means = [
                sum(
                    xp.astype(rows(steps, at[chosen, position // channels]), xp.float64) for position in piece.positions
                )
                / len(piece.positions)
                for piece in of_first
            ]  # every channel has the same window
            stacked = xp.stack(means, axis=2)
            found = xp.reshape(stacked, (len(chosen), -1, stacked.shape[3]))
            if not numbers:
                return found
            scalars = xp.take(rows(lagged.scalars, lagged.now[chosen]), beside(np.array(numbers), found), axis=1)
            wide = xp.astype(scalars, xp.float64)[:, :, None]
            return xp.concat([found, xp.broadcast_to(wide, (*wide.shape[:2], found.shape[2]))], axis=1)

        return take

    def _boxed(self, values: Array) -> Array:
        """Return fields of shape (time, channel, lat, lon) as means over boxes, float64 (time, channel, cell)."""
        xp, grid = array_namespace(values), self.schema.input_grid
        wide = xp.astype(values, xp.float64)
        if self.boxes != grid.shape:
            down, across = (beside(part, wide) for part in _boxes(grid.shape, self.boxes))
            area = beside(grid.area, wide)
            wide = xp.matmul(xp.matmul(down, wide * area), across) / (down @ area @ across)
        return xp.reshape(wide, (*wide.shape[:2], -1))


def _boxes(shape: tuple[int, int], boxes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return 0/1 matrices, (box row, row) and (column, box column), that add up cells over boxes."""
    down, across = (
        (np.arange(size) * count // size == np.arange(count)[:, None]).astype(float)
        for size, count in zip(shape, boxes, strict=True)
    )
    return down, across.T


def _lag_of(channel: str) -> int:
    return int(channel.partition("@-")[2] or 0)


def _name(variable: str, first: int, last: int) -> str:
    if first == last:
        return f"{variable}@-{first}" if first else variable
    return f"{variable}@-{first}..-{last}"


def _parts(count: int) -> list[tuple[int, int]]:
    """Return where the pieces of a window begin and end: 1, 1, 2, 4, 8, ... steps, single ones of a short window.

    Examples
    --------
    >>> _parts(3), _parts(11)
    ([(0, 1), (1, 2), (2, 3)], [(0, 1), (1, 2), (2, 4), (4, 8), (8, 11)])
    """
    if count <= _APART:
        return [(step, step + 1) for step in range(count)]
    edges = [0, *(2**k for k in range((count - 1).bit_length())), count]
    return list(pairwise(edges))
