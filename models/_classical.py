"""What the classical models share: fields to tables and back, missing truth, choices, saving."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from models._layout import Layout
from pipeline.backend import Backend
from pipeline.backend.estimators import Estimator
from pipeline.errors import DataError
from pipeline.model import Context, Model, ModelConfig, samples_bytes
from pipeline.prepare.arrays import anywhere
from pipeline.rows import Rows
from pipeline.samples import Samples

Array = Any

COLUMN_BYTES = 64 * 2**20  # of a block of columns in float64
MISSING = 0.1  # share of missing truth from which a cell's fit is said to be drawn to its mean
FEW_ROWS = 0.1  # share of the train rows below which a draw of them is said on the report's first screen
ROWS, COMPONENTS = 4, 8  # copies that a fit holds of its table, and of a square matrix of its components
SMALLEST = 1e-3  # least standard deviation of a cell, as a share of the mean one: no cell is certain


@dataclass(frozen=True, eq=False)
class Table:
    """Carries fields over to tables, one column a target and cell of the mask, and back.

    Parameters
    ----------
    backend : Backend
        Whose arrays they are.
    layout : Layout
        Channels, targets, grids and mask of the samples the model is fitted on.
    """

    backend: Backend
    layout: Layout

    @property
    def weight(self) -> Array:
        """Area weight of every column, mean one, shape (column,)."""
        area = self.layout.target_grid.area[self.layout.mask]
        weight = np.tile(area / area.mean(), len(self.layout.targets))
        return self.backend.asarray(weight, dtype=self.backend.xp.float64)

    def rows(self, samples: Samples) -> Array:
        """Return the inputs as float64, shape (time, field * lat * lon + scalar), channels in the layout's order.

        Of samples that are rows they are rows.

        A channel without a place is one column: as many as there are cells would make it weigh that
        much more in a distance, and be that much less shrunk in a regression.
        """
        order, inputs = self.layout.order(samples), samples.inputs
        if isinstance(inputs, Rows):
            width = self._rows(inputs[:1], order).shape[1]
            return inputs.map(lambda block, _: self._rows(block, order), (width,), np.float64)
        return self._rows(inputs, order)

    def _rows(self, inputs: Array, order: Sequence[int] | None) -> Array:
        xp, fields = self.backend.xp, self.layout.fields
        inputs = inputs if order is None else xp.take(inputs, self.backend.asarray(order), axis=1)
        scalars = [place for place in range(len(self.layout.channels)) if place not in fields]
        if not scalars:
            return xp.astype(xp.reshape(inputs, (inputs.shape[0], -1)), xp.float64)
        maps = xp.reshape(xp.take(inputs, self.backend.asarray(fields), axis=1), (inputs.shape[0], -1))
        numbers = xp.take(inputs[:, :, 0, 0], self.backend.asarray(scalars), axis=1)
        return xp.astype(xp.concat([maps, numbers], axis=1), xp.float64)

    def columns(self, field: Array | None, name: str = "train", *, wide: bool = True) -> Array:
        """Return a field of shape (time, target, lat, lon) as float64, shape (time, column).

        Without ``wide`` it stays as it is, float32: half the memory, for what goes on in blocks of columns.

        Raises
        ------
        DataError
            If there is none.
        """
        if field is None:
            raise DataError(f"expected a split with truth, got {name!r}, which has none.")
        if isinstance(field, Rows):
            width = field.shape[1] * int(self.layout.mask.sum())
            kind = np.float64 if wide else np.float32
            return field.map(lambda block, _: self.columns(block, wide=wide), (width,), kind)
        xp = self.backend.xp
        flat = xp.reshape(field, (*field.shape[:2], -1))
        inside = self.backend.asarray(np.flatnonzero(self.layout.mask))
        columns = xp.reshape(xp.take(flat, inside, axis=-1), (field.shape[0], -1))
        return xp.astype(columns, xp.float64) if wide else columns

    def field(self, columns: Array) -> Array:
        """Return columns, shape (..., column), as float32 (..., target, lat, lon), NaN outside the mask."""
        xp, mask = self.backend.xp, self.layout.mask
        cells = int(mask.sum())
        lead = columns.shape[:-1]
        split = xp.reshape(xp.astype(columns, xp.float32), (*lead, len(self.layout.targets), cells))
        if cells == mask.size:
            return xp.reshape(split, (*split.shape[:-1], *mask.shape))
        edge = xp.full((*split.shape[:-1], 1), xp.nan, dtype=xp.float32)
        place = np.full(mask.size, cells)
        place[np.flatnonzero(mask)] = np.arange(cells)
        filled = xp.take(xp.concat([split, edge], axis=-1), self.backend.asarray(place), axis=-1)
        return xp.reshape(filled, (*filled.shape[:-1], *mask.shape))


@dataclass(frozen=True, eq=False)
class FitData:
    """Tables of the train and validation splits.

    Parameters
    ----------
    inputs, truth : array of float64 and of float32, shapes (time, feature) and (time, column)
        Of the train split; days without any truth left out, what else is missing filled with the
        column's mean. The truth has the most numbers by far: sums over it are float64, block by block.
    check_inputs, check_truth : array of float64 and of float32
        Of the validation split, as they are.
    """

    inputs: Array
    truth: Array
    check_inputs: Array
    check_truth: Array

    @classmethod
    def of(cls, table: Table, train: Samples, validation: Samples, context: Context) -> FitData:
        """Return the tables; what is missing is said through ``context.warn``."""
        xp = table.backend.xp
        inputs, truth = known_days(table, train)
        check = known_truth(table, validation, wide=False)
        return cls(inputs, fill_missing(truth, xp, context), table.rows(validation), check)


def known_truth(table: Table, samples: Samples, *, wide: bool = True) -> Array:
    """Return the truth of a split, shape (time, column), NaN where it is missing; float32 if not ``wide``.

    Raises
    ------
    DataError
        If it is missing everywhere.
    """
    truth, xp = table.columns(samples.target, samples.name, wide=wide), table.backend.xp
    if not anywhere(truth, xp.isfinite, table.backend).any():
        raise DataError(f"expected truth in the split {samples.name!r}, got missing values only.")
    return truth


def known_days(table: Table, samples: Samples) -> tuple[Array, Array]:
    """Return inputs and float32 truth, shapes (time, feature) and (time, column), of the days with any truth."""
    xp, truth = table.backend.xp, known_truth(table, samples, wide=False)
    some = xp.any(xp.isfinite(truth), axis=1)
    inputs = table.rows(samples)
    return (inputs, truth) if bool(xp.all(some)) else (inputs[some], truth[some])


def fill_missing(truth: Array, xp: Any, context: Context) -> Array:
    """Return ``truth`` with what is missing replaced by its column's mean, zero where all is missing.

    A value put at the mean draws a linear fit towards the mean by the share that is missing, which
    is small where little is; columns above a tenth are counted in a warning.
    """
    missing = ~xp.isfinite(truth)
    share = xp.astype(xp.count_nonzero(missing, axis=0), xp.float64) / truth.shape[0]
    many = int(xp.sum(xp.astype(share > MISSING, xp.int64)))
    if many:
        context.warn(
            f"{context.name}: {many} of {truth.shape[1]} cells miss more than {MISSING:.0%} of the train truth; "
            "their predictions are drawn towards the mean."
        )
    if not bool(xp.any(missing)):
        return truth
    return xp.where(missing, xp.astype(column_mean(truth, xp), truth.dtype), truth)


def column_mean(table: Array, xp: Any) -> Array:
    """Return the mean over axis 0 of what is finite, zero where nothing is; shape (column,)."""
    there = xp.isfinite(table)
    count = xp.astype(xp.count_nonzero(there, axis=0), xp.float64)
    total = xp.sum(xp.where(there, table, xp.zeros_like(table)), axis=0, dtype=xp.float64)
    return total / xp.where(count > 0, count, xp.ones_like(count))


def column_blocks(rows: int, columns: int) -> list[slice]:
    """Return slices of columns of which a float64 table of ``rows`` rows takes about 64 MB."""
    width = max(1, COLUMN_BYTES // (8 * max(1, rows)))
    return [slice(start, min(start + width, columns)) for start in range(0, columns, width)]


def principal_components(table: Array, count: int, context: Context) -> Estimator:
    """Return the fitted PCA of ``table``, shape (time, column), with as many of ``count`` components as it has.

    scikit-learn's default draws random numbers for tables of this size; these two solvers do not. The
    decomposition of the covariance is several times as fast until columns are far more than rows.
    """
    solver = "covariance_eigh" if table.shape[1] <= 2 * table.shape[0] else "full"
    found: Estimator = context.estimator("PCA", n_components=min(count, *table.shape), svd_solver=solver).fit(table)
    return found


def rmse(mean: Array, truth: Array, weight: Array, xp: Any) -> float:
    """Return the root mean square error over what is finite, columns weighted by area."""
    there = xp.isfinite(truth)
    square = xp.where(there, (mean - truth) ** 2, xp.zeros_like(truth)) * weight
    return float(xp.sqrt(xp.sum(square) / xp.sum(xp.astype(there, xp.float64) * weight)))


def residual_sd(mean: Array, truth: Array, xp: Any) -> Array:
    """Return the root mean square residual of every column, shape (column,).

    The mean residual is left in: a bias is part of the error. A column without truth takes the
    root mean square of all, and none goes below a thousandth of it.
    """
    return sd_of(mean_square(mean, truth, xp), xp)


def mean_square(mean: Array, truth: Array, xp: Any) -> Array:
    """Return the mean squared residual of every column over its truth, NaN where there is none."""
    there = xp.isfinite(truth)
    square = column_mean(xp.where(there, (mean - truth) ** 2, xp.full_like(mean, xp.nan)), xp)
    return xp.where(xp.any(there, axis=0), square, xp.full_like(square, xp.nan))


def sd_of(square: Array, xp: Any) -> Array:
    """Return deviations from mean squares, shape (column,); NaN and next to nothing as in :func:`residual_sd`."""
    known = xp.isfinite(square)
    count = xp.sum(xp.astype(known, xp.float64))
    overall = xp.sum(xp.where(known, square, xp.zeros_like(square))) / xp.where(count > 0, count, xp.ones_like(count))
    sd = xp.sqrt(xp.where(known, square, overall))
    smallest = xp.maximum(SMALLEST * xp.sqrt(overall), xp.asarray(1e-6))
    return xp.maximum(sd, smallest)


def save_arrays(folder: Path, arrays: Mapping[str, Array], backend: Backend) -> None:
    """Write arrays into ``folder/arrays.safetensors``."""
    from safetensors.numpy import save_file

    host = {name: np.ascontiguousarray(backend.to_host(array)) for name, array in arrays.items()}
    save_file(host, folder / "arrays.safetensors")


def load_arrays(folder: Path, backend: Backend) -> dict[str, Array]:
    """Return the arrays that :func:`save_arrays` wrote, on the device."""
    from safetensors.numpy import load_file

    return {name: backend.asarray(array) for name, array in load_file(folder / "arrays.safetensors").items()}


def wide_rows(few: Samples, count: int, *, inputs: bool = True) -> int:
    """Return the bytes of the truth of so many samples in float64, and of their inputs, windows laid out."""
    wide = [part for part in (few.inputs if inputs else None, few.target) if part is not None]
    return sum(8 * count * int(math.prod(part.shape[1:])) for part in wide)


def components_bytes(few: Samples, train: int) -> int:
    """Return the bytes of a square matrix of as many numbers as there are days or features, whichever are fewer."""
    return 8 * int(min(train, math.prod(few.inputs.shape[1:]))) ** 2


class ArrayModel(Model):
    """A model whose fitted state is a dictionary of arrays and what was chosen.

    Subclasses call :meth:`start` and set ``self.arrays`` and ``self.choices`` in ``fit``.
    """

    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic"})

    def __init__(self, config: ModelConfig | None = None) -> None:
        super().__init__(config)
        self.arrays: dict[str, Array] = {}
        self.choices: dict[str, Any] = {}
        self._table: Table | None = None

    @property
    def table(self) -> Table:
        """Where the arrays are, and what their columns stand for.

        Raises
        ------
        ValueError
            If the model has been neither fitted nor loaded.
        """
        if self._table is None:
            raise ValueError(f"expected a fitted {type(self).__name__}, got a new one; call fit or load first.")
        return self._table

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what the samples, a table of them in float64, its copies and its principal components take."""
        table = samples_bytes(few, train + other) + ROWS * wide_rows(few, train + other)
        return table + COMPONENTS * components_bytes(few, train)

    def start(self, train: Samples, context: Context) -> Table:
        """Remember the layout of ``train`` and the backend; return the table they make."""
        self._table = Table(context.backend, Layout.of(train.schema))
        return self._table

    def save(self, folder: Path) -> None:
        """Write options, layout, arrays and choices into ``folder``."""
        self._save_config(folder)
        self.table.layout.save(folder)
        save_arrays(folder, self.arrays, self.table.backend)
        (folder / "choices.json").write_text(json.dumps(self.choices))

    @classmethod
    def load(cls, folder: Path, context: Context) -> Self:
        """Return the saved model with its arrays on the device of ``context.backend``."""
        model = cls(cls._load_config(folder))
        model._table = Table(context.backend, Layout.load(folder))
        model.arrays = load_arrays(folder, context.backend)
        model.choices = json.loads((folder / "choices.json").read_text())
        return model

    def summary(self) -> dict[str, Any]:
        """Return what was chosen on the validation split."""
        return dict(self.choices)
