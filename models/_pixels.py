"""Classifiers of single cells: one row a cell and time, one column a channel, the same weights for all cells."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from models._boxes import boxes, shared_over_boxes
from models._classical import FEW_ROWS, ArrayModel, Table, known_truth
from models._layout import Layout
from models._segmentation import same_grid
from models._spread import at_cells, named
from pipeline.errors import ConfigError, DataError
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import beside
from pipeline.prepare.frequencies import SEEN_BEFORE
from pipeline.rows.parts import BLOCK_BYTES
from pipeline.samples import Samples
from pipeline.sphere import goes_round
from pipeline.training.losses import check_labels

Array = Any


class PixelConfig(ModelConfig):
    """Options of every classifier of cells."""

    neighbourhood: int = Field(
        default=0,
        ge=0,
        le=50,
        description="n adds the mean and the deviation of every channel over boxes of 2 n + 1 cells a side, as far as "
        "they lie on the grid; 0: a cell sees itself alone.",
    )
    max_rows: int = Field(
        default=500_000,
        ge=100,
        description="Most cells of the train split that are learned from, drawn class by class in proportion; memory "
        "is this times the features in double precision, a few times over.",
    )


@dataclass(frozen=True, eq=False)
class TrainRows:
    """What a classifier learns from.

    Parameters
    ----------
    features : array of float32, shape (row, feature)
        Channels and what is made of them.
    labels : ndarray of int64, shape (row,)
        Classes, on the host; -1 where unknown.
    """

    features: Array
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Pixels:
    """Makes rows of fields: the cells of the mask of the first time, then of the next.

    Parameters
    ----------
    table : Table
        Channels in order, mask and backend.
    neighbourhood : int
        Cells on either side of a cell's own in its box; 0: none.
    kind : str
        The model, for messages.

    Raises
    ------
    ConfigError
        If inputs are on another grid than the target, or boxes do not fit into it.
    """

    table: Table
    neighbourhood: int
    kind: str

    def __post_init__(self) -> None:
        """Refuse grids that do not suit."""
        layout, size = self.table.layout, 2 * self.neighbourhood + 1
        same_grid(layout, self.kind)
        if self.neighbourhood and (layout.target_grid.stations or size > min(layout.target_grid.shape)):
            rows, columns = layout.target_grid.shape
            what = f"{columns} stations" if layout.target_grid.stations else f"a grid of {rows} x {columns} cells"
            raise ConfigError(
                f"{self.kind}: neighbourhood: expected boxes of {size} x {size} cells to fit into the grid, got "
                f"{what}. Take a smaller neighbourhood, or 0."
            )

    @property
    def names(self) -> list[str]:
        """Names of the features: channels, statics, then means and deviations over boxes."""
        layout, size = self.table.layout, 2 * self.neighbourhood + 1
        names = [*layout.channels, *layout.statics]
        if self.neighbourhood:
            fields = [layout.channels[place] for place in layout.fields]
            names += [f"{name}, {what} over {size} x {size}" for what in ("mean", "deviation") for name in fields]
        return names

    def blocks(self, samples: Samples) -> Iterator[tuple[slice, Array]]:
        """Yield some times and their rows, float32, shape (time * cell, feature).

        A block is one time, or as many as keep it below some megabytes in double precision: never more at once.
        """
        rows, columns = self.table.layout.target_grid.shape
        size = max(1, BLOCK_BYTES // (8 * len(self.names) * rows * columns))
        for start in range(0, len(samples), size):
            part = slice(start, min(start + size, len(samples)))
            yield part, self._rows(samples.take(part))

    def _rows(self, samples: Samples) -> Array:
        layout, backend = self.table.layout, self.table.backend
        xp, order = backend.xp, layout.order(samples)
        maps = samples.inputs if order is None else xp.take(samples.inputs, backend.asarray(order), axis=1)
        parts = [maps]
        if len(layout.static):
            static = beside(layout.static, maps, maps.dtype)
            parts.append(xp.broadcast_to(static[None, ...], (len(samples), *static.shape)))
        if self.neighbourhood:
            fields = xp.take(maps, backend.asarray(layout.fields), axis=1)
            around = goes_round(layout.target_grid)
            parts += [xp.astype(part, xp.float32) for part in boxes(fields, self.neighbourhood, around=around)]
        wide = xp.concat(parts, axis=1)
        flat = xp.reshape(wide, (*wide.shape[:2], -1))
        if not layout.mask.all():
            flat = xp.take(flat, backend.asarray(np.flatnonzero(layout.mask)), axis=2)
        return xp.reshape(xp.permute_dims(flat, (0, 2, 1)), (-1, wide.shape[1]))

    def spread(self, parts: Array, items: np.ndarray, samples: Samples) -> Array:
        """Return parts of features at some cells, (sum, item, feature), as those of input cells, (sum, channel, ...).

        They add up to the same. A box shares its part evenly; that of static fields, which do not vary, is left out.
        """
        table, layout, shape = self.table, self.table.layout, self.table.layout.target_grid.shape
        xp, channels, fields = table.backend.xp, len(layout.channels), [layout.channels[k] for k in layout.fields]
        found = named(table, samples, list(layout.channels), at_cells(table, items, parts[:, :, :channels]))
        if self.neighbourhood:
            first, count = channels + len(layout.static), len(fields)
            both = parts[:, :, first : first + count] + parts[:, :, first + count :]
            maps = xp.reshape(at_cells(table, items, both), (parts.shape[0], count, *shape))
            wide = shared_over_boxes(maps, self.neighbourhood, around=goes_round(layout.target_grid))
            found = found + named(table, samples, fields, xp.reshape(wide, (parts.shape[0], count, -1)))
        return xp.reshape(found, (parts.shape[0], -1, *shape))

    def labels(self, samples: Samples, context: Context) -> np.ndarray:
        """Return the classes of all rows on the host, float32 with NaN where unknown, shape (time * cell,).

        Raises
        ------
        DataError
            If there are none, or numbers of no class.
        """
        truth = known_truth(self.table, samples, wide=False)
        check_labels(context.backend.to_torch(truth), self.table.layout.classes, samples.name)
        labels: np.ndarray = context.backend.to_host(truth).ravel()
        return labels

    def train_rows(self, samples: Samples, most: int, context: Context) -> TrainRows:
        """Return the rows with known classes, or ``most`` of them drawn in proportion to the classes.

        Every class keeps a row at least. That few are taken is said through ``context.warn``.

        Raises
        ------
        DataError
            If fewer than two classes are there.
        """
        labels = self.labels(samples, context)
        chosen, seen = drawn(labels, most, context.seed_for("rows")), np.unique(labels[np.isfinite(labels)])
        if len(seen) < 2:
            name = self.table.layout.classes[int(seen[0])]
            raise DataError(
                f"{samples.name}: expected two classes or more to tell apart, got {name!r} alone. Widen the split."
            )
        known = int(np.isfinite(labels).sum())
        if len(chosen) < FEW_ROWS * known:
            context.warn(
                f"{context.name}: {len(chosen)} of {known} known cells of the train split are drawn to learn from, "
                "each class in proportion; a larger max_rows takes more memory and time."
            )
        return TrainRows(self.taken(samples, chosen), labels[chosen].astype(np.int64))

    def taken(self, samples: Samples, chosen: np.ndarray) -> Array:
        """Return the rows at ``chosen``, ascending positions among all rows; shape (row, feature)."""
        xp, cells, parts = self.table.backend.xp, self.table.layout.cells, []
        for part, rows in self.blocks(samples):
            first, last = np.searchsorted(chosen, (part.start * cells, part.stop * cells))
            parts.append(xp.take(rows, beside(chosen[first:last] - part.start * cells, rows), axis=0))
        return xp.concat(parts, axis=0)

    def counts(self, samples: Samples, assign: Callable[[Array], Array], groups: int, context: Context) -> np.ndarray:
        """Return how many known cells of each class are in each group, float64, shape (group, class).

        Parameters
        ----------
        samples : Samples
            All of their known cells are counted.
        assign : callable
            Takes rows, returns the number of the group of each.
        groups : int
            How many there are.
        """
        labels, cells = self.labels(samples, context), self.table.layout.cells
        classes = len(self.table.layout.classes)
        found = np.zeros(groups * classes)
        for part, rows in self.blocks(samples):
            own = labels[part.start * cells : part.stop * cells]
            known = np.isfinite(own)
            group = self.table.backend.to_host(assign(rows)).astype(np.int64)[known]
            found += np.bincount(group * classes + own[known].astype(np.int64), minlength=len(found))
        return found.reshape(groups, classes)


def drawn(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return ascending positions of finite ``labels``, about ``most`` at most, in proportion to the classes.

    Examples
    --------
    >>> labels = np.array([0.0] * 60 + [np.nan] * 10 + [1.0] * 30 + [2.0])
    >>> chosen = drawn(labels, 30, seed=1)
    >>> [int((labels[chosen] == k).sum()) for k in range(3)]
    [19, 9, 1]
    """
    known = np.flatnonzero(np.isfinite(labels))
    if len(known) <= most:
        return known
    draw, parts = np.random.default_rng(seed), []
    for number in np.unique(labels[known]):
        own = np.flatnonzero(labels == number)
        count = max(1, len(own) * most // len(known))
        parts.append(own[draw.choice(len(own), count, replace=False, shuffle=False)])
    return np.sort(np.concatenate(parts))


def frequencies(counts: np.ndarray) -> np.ndarray:
    """Return the share of each class in each group, shape (group, class), of counts of the same shape.

    A group starts with the shares over all, as if one more cell had been seen: no class is impossible, and a
    group without any cell is like all.

    Examples
    --------
    >>> frequencies(np.array([[3.0, 0.0], [0.0, 1.0]])).tolist()
    [[0.9375, 0.0625], [0.375, 0.625]]
    """
    overall = counts.sum(axis=0) / counts.sum()
    counted = counts + SEEN_BEFORE * overall
    shares: np.ndarray = counted / counted.sum(axis=1, keepdims=True)
    return shares


def moments(rows: Array, xp: Any) -> tuple[Array, Array]:
    """Return mean and standard deviation of every column of float64 ``rows``; 1 in place of a deviation of zero."""
    sd = xp.std(rows, axis=0)
    return xp.mean(rows, axis=0), xp.where(sd > 0.0, sd, xp.ones_like(sd))


class PixelModel(ArrayModel):
    """A baseline that tells the class of a cell from what is known at that cell: subclasses answer :meth:`chances`.

    What was learned holds for every cell, one without any truth too. A row is a time and a cell; all count alike,
    whatever their area.
    """

    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "shared"})
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})
    kind: ClassVar[str]

    @property
    def pixels(self) -> Pixels:
        """What makes rows of fields."""
        return Pixels(self.table, self.config.neighbourhood, self.kind)

    @property
    def layout(self) -> Layout:
        """Channels, grid, mask and classes."""
        return self.table.layout

    @abstractmethod
    def chances(self, rows: Array) -> Array:
        """Return the probability of every class, shape (row, class), of rows, float32, shape (row, feature)."""

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return probabilities, shape (class, time, target, lat, lon), in blocks of times; NaN outside the mask."""
        xp, cells, parts = self.table.backend.xp, self.layout.cells, []
        for part, rows in self.pixels.blocks(inputs):
            found = self.chances(rows)
            found = xp.astype(found / xp.sum(found, axis=1, keepdims=True), xp.float32)
            apart = xp.reshape(found, (part.stop - part.start, cells, -1))
            parts.append(xp.permute_dims(apart, (2, 0, 1)))
        return Prediction("categorical", {"probabilities": self.table.field(xp.concat(parts, axis=1))})
