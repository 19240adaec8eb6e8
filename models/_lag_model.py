"""What the regressions on lags share: one set of weights for all series, rows and columns, the error."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from models._classical import Table, known_truth, mean_square, sd_of, wide_rows
from models._lag_features import BLOCK_BYTES, LagFeatures
from models._layout import Layout
from models._normal import NormalModel
from pipeline.model import Context, samples_bytes
from pipeline.samples import Samples

Array = Any


class LagModel(NormalModel):
    """One regression for all series: a row is a sample at a cell, an output a variable at a lead.

    Subclasses answer :meth:`regress`. The features are those of
    :class:`models._lag_features.LagFeatures`; a cell that the train split has no truth of is answered
    like any other.
    """

    traits: ClassVar[frozenset[str]] = frozenset({"baseline", "probabilistic", "shared"})
    tasks: ClassVar[frozenset[str]] = frozenset({"series"})

    def expected_memory(self, few: Samples, train: int, other: int, context: Context) -> int:
        """Return what samples, copies of their truth and some blocks of features take."""
        width = len(LagFeatures.of(self.config, Layout.of(few.schema), context.name).names)
        features = 8 * width * train * int(few.schema.mask.sum())
        truth = wide_rows(few, train + other, inputs=False)
        return samples_bytes(few, train + other) + 4 * truth + 4 * min(features, BLOCK_BYTES)

    @property
    def features(self) -> LagFeatures:
        """Which features there are."""
        return LagFeatures.of(self.config, self.table.layout, type(self).__name__)

    def begin(self, train: Samples, context: Context) -> Table:
        """Remember the layout of ``train``; options that do not fit it are refused before anything is fitted."""
        table = self.start(train, context)
        LagFeatures.of(self.config, table.layout, context.name)
        return table

    @abstractmethod
    def regress(self, features: Array) -> Array:
        """Return the outputs, shape (row, target), of features, float64, shape (row, feature)."""

    def mean(self, inputs: Samples) -> Array:
        """Return the outputs of every sample, in blocks of samples, shape (time, column)."""
        table, features, parts = self.table, self.features, []
        xp, targets = table.backend.xp, len(table.layout.targets)
        for _, block in features.blocks(inputs, table):
            found = self.regress(xp.reshape(block, (-1, block.shape[2])))
            apart = xp.reshape(found, (*block.shape[:2], targets))
            parts.append(xp.reshape(xp.permute_dims(apart, (0, 2, 1)), (block.shape[0], -1)))
        return xp.astype(xp.concat(parts, axis=0), xp.float64)

    def truth_rows(self, truth: Array, part: slice) -> Array:
        """Return the truth of some samples, shape (time, column), as rows like the features': (row, target)."""
        xp, targets = self.table.backend.xp, len(self.table.layout.targets)
        apart = xp.reshape(truth[part, :], (-1, targets, self.table.layout.cells))
        return xp.reshape(xp.permute_dims(apart, (0, 2, 1)), (-1, targets))

    def keep_error(self, train: Samples, train_truth: Array, validation: Samples) -> None:
        """Keep the standard deviation of the validation residuals and what is answered."""
        table, xp = self.table, self.table.backend.xp
        truth = known_truth(table, validation)
        square = mean_square(self.mean(validation), truth, xp)
        shape = (len(table.layout.targets), table.layout.cells)
        there = xp.reshape(xp.isfinite(square), shape)
        count = xp.reshape(xp.sum(xp.astype(xp.isfinite(truth), xp.float64), axis=0), shape)
        square = xp.where(there, xp.reshape(square, shape), xp.zeros_like(count))
        number = xp.sum(count, axis=1, keepdims=True)
        pooled = xp.sum(square * count, axis=1, keepdims=True) / xp.where(number > 0, number, xp.ones_like(number))
        pooled = xp.where(number > 0, pooled, xp.full_like(pooled, xp.nan))  # a lead without truth: that of all
        own = xp.broadcast_to(pooled, shape)
        if self.config.sd == "per_cell":
            taught = xp.any(xp.reshape(xp.any(xp.isfinite(train_truth), axis=0), shape), axis=0)
            own = xp.where(there & taught[None, :], square, own)
        self.arrays["sd"] = sd_of(xp.reshape(own, (-1,)), xp)
        self.bound(train, train_truth)
        self.choices["features"] = self.features.names
