"""Models that answer a mean with a normal error, and what becomes of it where zero is the least."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

from pydantic import Field

from models._classical import ArrayModel, Table
from pipeline.lowest import lowest
from pipeline.model import Context, ModelConfig
from pipeline.prediction import Prediction
from pipeline.prepare.arrays import ever
from pipeline.samples import Samples, Schema

Array = Any


class NormalConfig(ModelConfig):
    """Options of every model with a mean and a normal error."""

    distribution: Literal["auto", "normal", "point"] = Field(
        default="auto",
        description="What is answered: a normal distribution or the mean alone. auto: the mean alone if a target is "
        "precipitation, whose errors are far from normal.",
    )


def amounts(schema: Schema) -> tuple[bool, ...]:
    """Return which targets are precipitation: never below zero, often zero."""
    return tuple(kind == "precipitation" for kind in schema.quantities)


def least(table: Table, schema: Schema, truth: Array) -> Array:
    """Return the number that stands for zero in every column of an amount, minus infinity in the others.

    Parameters
    ----------
    table : Table
        Of the samples.
    schema : Schema
        Units of the targets, and the way from numbers to units. Where that is not known, as another
        target is an anomaly by day of the year, numbers of ``truth`` that are never negative say
        that zero is none of it; else there is no bound.
    truth : array, shape (time, column)
        Of the train split.

    Returns
    -------
    array of float64, shape (column,)
    """
    cells, mask = table.layout.cells, table.layout.mask
    below = table.backend.to_host(ever(truth, lambda block: block < 0))
    signed = [bool(below[place * cells : (place + 1) * cells].any()) for place in range(len(schema.targets))]
    bounds = lowest(schema.quantities, schema.target_affine, mask.shape, signed)
    return table.backend.asarray(bounds[:, mask].ravel())


def normal(table: Table, mean: Array, sd: Array) -> Prediction:
    """Return normal distributions with means of shape (time, column) and sds of that shape or (column,)."""
    sd = table.backend.xp.broadcast_to(sd, mean.shape)
    return Prediction("normal", {"mean": table.field(mean), "sd": table.field(sd)})


class NormalAnswer(ArrayModel):
    """Answers a mean with a normal error, or the mean alone, for every cell of the mask.

    Among the arrays, ``least`` is the number that no mean goes below: zero precipitation, zero flow.
    Precipitation has no normal error, many days are dry and a few very wet: there, with
    ``distribution: auto``, the mean alone is answered, a point, whose CRPS is its absolute error.
    One answer holds for all targets.
    """

    def bound(self, train: Samples, truth: Array) -> None:
        """Remember what ``least`` is and what is answered; ``truth`` is that of ``train``, (time, column)."""
        asked = self.config.distribution
        self.arrays["least"] = least(self.table, train.schema, truth)
        self.choices["distribution"] = (
            ("point" if any(amounts(train.schema)) else "normal") if asked == "auto" else asked
        )

    def answer(self, mean: Array, sd: Array) -> Prediction:
        """Return what is answered of means, shape (time, column), and sds of that shape or (column,)."""
        table = self.table
        mean = table.backend.xp.maximum(mean, self.arrays["least"][None, :])
        if self.choices["distribution"] == "point":
            return Prediction("point", {"mean": table.field(mean)})
        return normal(table, mean, sd)


class NormalModel(NormalAnswer):
    """A :class:`NormalAnswer` whose standard deviation is the column's own, called ``sd`` among the arrays."""

    @abstractmethod
    def mean(self, inputs: Samples) -> Array:
        """Return the mean, shape (time, column), whatever ``least`` is."""

    def predict(self, inputs: Samples, context: Context) -> Prediction:
        """Return a distribution, or the mean, for every cell of the mask."""
        _ = self.table  # a model that was not fitted is refused before its mean is asked for
        return self.answer(self.mean(inputs), self.arrays["sd"])
