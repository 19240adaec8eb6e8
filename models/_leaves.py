"""Quantile regression forests: which train rows share leaves with an asked one, and members drawn by that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from array_api_compat import device

from pipeline.backend import array_namespace
from pipeline.backend.estimators import Estimator
from pipeline.errors import DataError

Array = Any

WHOLE = 2**40  # parts that a weight is counted in: sums are exact, whatever is asked together and on which side
ENTRIES = 2**20  # pairs of an asked and a train row that are worked off together, some 50 MB: more is slower
MOST = 256  # rows of one leaf that are looked at: where a target is constant, as on dry days, leaves have thousands
LOOKED_UP = 2**22  # pairs of an asked row and a tree whose leaves are looked up together
DISTRIBUTION = (
    "What is answered: a normal distribution, the mean alone, or members: truth of the train split, weighed by how "
    "often it shares a leaf (a quantile regression forest). auto: the mean alone if a target is precipitation, whose "
    "errors are far from normal, else a normal distribution."
)
MEMBERS = (
    "explain: tree_shap: expected a {0} whose mean is that of its trees, got distribution: members, whose mean is that "
    "of its members. Take distribution: auto, or a method that asks any model, such as occlusion."
)
COUNT = (
    "Number of members, where distribution is members; predictions, their files and scores take that many times more."
)


@dataclass(frozen=True, eq=False)
class LeafWeights:
    """Weights of train rows: how often one shares a leaf with the row that is asked for.

    In every tree the train rows of the asked row's leaf weigh the same, together one; the forest's weights are the
    mean of its trees' (Meinshausen 2006, https://www.jmlr.org/papers/v7/meinshausen06a.html). All train
    rows count, also those that a tree was not grown on. Of a leaf of more than ``MOST`` rows that many stand for all,
    evenly along their order.

    Parameters
    ----------
    rows : array of int64, shape (tree * row,)
        Train rows tree after tree, in each by leaf, in a leaf ascending.
    starts : array of int64, shape (tree * stride + 1,)
        Where the rows of each leaf of each tree begin among ``rows``.
    shares : array of float64, shape (tree,)
        Weights of the trees, which sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> leaves = np.array([[1, 1], [1, 2], [2, 2]])  # three train rows, two trees
    >>> found = LeafWeights.of(leaves, np.array([0.5, 0.5]))
    >>> _, row, weight = found.entries(np.array([[1, 2]]))
    >>> [(int(r), int(w) / WHOLE) for r, w in zip(row, weight)]
    [(0, 0.25), (1, 0.25), (1, 0.25), (2, 0.25)]
    >>> found.draw(np.array([[1, 2]]), 4)[:, 0].tolist()
    [0, 1, 1, 2]
    """

    rows: Array
    starts: Array
    shares: Array

    @classmethod
    def of(cls, leaves: Array, shares: Array) -> LeafWeights:
        """Return the weights of train rows whose leaves are ``leaves``, int64, shape (row, tree)."""
        xp, (count, trees) = array_namespace(leaves), leaves.shape
        stride = int(xp.max(leaves)) + 1
        keys = xp.reshape((leaves + _steps(trees, leaves)[None, :] * stride).T, (-1,))
        order = xp.argsort(keys, stable=True)
        starts = xp.searchsorted(xp.take(keys, order), _steps(trees * stride + 1, leaves))
        return cls(order % count, starts, shares)

    def entries(self, leaves: Array) -> tuple[Array, Array, Array]:
        """Return every train row of every leaf of asked rows: the asked row, the train row, the weight.

        Parameters
        ----------
        leaves : array of int64, shape (asked, tree)
            Leaves of the asked rows.

        Returns
        -------
        tuple of arrays of int64, shape (entry,)
            Asked rows ascending; a train row comes as often as it shares a leaf. Weights are in parts of ``WHOLE``.
        """
        return self._laid_out(*self._spans(leaves))

    def draw(self, leaves: Array, count: int) -> Array:
        """Return ``count`` train rows for every asked row, shape (member, asked), ascending along members.

        They lie evenly over the weighted train rows in their order, member m at the share (m + 1/2) / count of the
        weight: no random numbers, and the same whatever else is asked.

        Raises
        ------
        DataError
            If an asked row shares no leaf with any train row.
        """
        first, number = self._spans(leaves)
        parts = [self._drawn(first[part, :], number[part, :], count) for part in _parts(number)]
        return array_namespace(leaves).concat(parts, axis=1)

    def _spans(self, leaves: Array) -> tuple[Array, Array]:
        """Return where the train rows of every leaf begin, and how many there are, shape (asked, tree)."""
        xp, trees = array_namespace(leaves), leaves.shape[1]
        stride = (self.starts.shape[0] - 1) // trees
        known = leaves < stride
        place = xp.where(known, leaves, xp.zeros_like(leaves)) + _steps(trees, leaves)[None, :] * stride
        first, last = (xp.take(self.starts, xp.reshape(place + k, (-1,))) for k in (0, 1))
        number = xp.where(known, xp.reshape(last - first, leaves.shape), xp.zeros_like(leaves))
        return xp.reshape(first, leaves.shape), number

    def _laid_out(self, first: Array, number: Array) -> tuple[Array, Array, Array]:
        xp, trees = array_namespace(first), first.shape[1]
        taken = _taken(number)
        least = xp.astype(xp.where(taken > 0, taken, xp.ones_like(taken)), xp.float64)
        weight = xp.astype(xp.round(WHOLE * self.shares[None, :] / least), xp.int64)
        first, number, taken, weight = (xp.reshape(part, (-1,)) for part in (first, number, taken, weight))
        ends = xp.cumulative_sum(taken)
        place = _steps(int(ends[-1]), first)
        owner = xp.searchsorted(ends, place, side="right")
        within = place - xp.take(ends - taken, owner)
        if bool(xp.any(number > taken)):
            within = (2 * within + 1) * xp.take(number, owner) // (2 * xp.take(taken, owner))
        row = xp.take(self.rows, xp.take(first, owner) + within)
        return owner // trees, row, xp.take(weight, owner)

    def _drawn(self, first: Array, number: Array, count: int) -> Array:
        xp, (size, trees) = array_namespace(first), first.shape
        asked, row, weight = self._laid_out(first, number)
        train = self.rows.shape[0] // trees
        order = xp.argsort(asked * train + row, stable=False)  # the same row twice is the same either way
        row, total = xp.take(row, order), xp.cumulative_sum(xp.take(weight, order))
        upto = xp.take(total, xp.cumulative_sum(xp.sum(_taken(number), axis=1)) - 1)
        before = xp.concat([xp.zeros_like(upto[:1]), upto[:-1]])
        steps = 2 * _steps(count, first)[None, :] + 1
        wanted = before[:, None] + steps * (upto - before)[:, None] // (2 * count)
        place = xp.searchsorted(total, xp.reshape(wanted, (-1,)), side="right")
        return xp.reshape(xp.take(row, place), (size, count)).T


@dataclass(frozen=True, eq=False)
class LeafMembers:
    """A forest and the targets of its train rows, some of which are the members of a forecast.

    Parameters
    ----------
    forest : Estimator
        Fitted on the rows.
    weights : LeafWeights
        Of the rows.
    targets : array of float32, shape (row, column)
        Of the rows, NaN where missing.
    """

    forest: Estimator
    weights: LeafWeights
    targets: Array

    @classmethod
    def of(cls, forest: Estimator, arrays: Mapping[str, Array], name: str) -> LeafMembers:
        """Return the members of a fitted or loaded forest from what :func:`leaf_arrays` made for it.

        Leaves are looked up anew: each library has numbers of its own for them.
        """
        inputs, shares, targets = (arrays[f"{name}_{part}"] for part in ("inputs", "shares", "targets"))
        return cls(forest, LeafWeights.of(forest.apply(inputs), shares), targets)

    def draw(self, inputs: Array, count: int) -> Array:
        """Return ``count`` train rows for every row of ``inputs``, shape (member, row)."""
        xp, size = array_namespace(inputs), max(1, LOOKED_UP // self.weights.shares.shape[0])
        starts = range(0, inputs.shape[0], size)
        parts = [self.weights.draw(self.forest.apply(inputs[start : start + size, :]), count) for start in starts]
        return xp.concat(parts, axis=1)


def leaf_arrays(
    name: str, forest: Estimator, trees: int, inputs: Array, outputs: Array, targets: Array
) -> dict[str, Array]:
    """Return what a forest needs beside its trees to answer members, to be saved with it.

    Rows are put in the order of the first column of ``outputs``: members that lie evenly over the rows then lie
    evenly over its values. A forest an output, as cuML has, weighs as much as its output varies, as in scikit-learn's
    one forest of all outputs the one that varies most decides most splits.

    Parameters
    ----------
    name : str
        Put before the names of the arrays.
    forest : Estimator
        Fitted on ``inputs`` and ``outputs``.
    trees : int
        Its number of trees, an output.
    inputs, outputs, targets : array of float32, shapes (row, feature), (row, output) and (row, column)
        What it was fitted on, and what members are taken from.
    """
    xp = array_namespace(inputs)
    order = xp.argsort(outputs[:, 0], stable=True)
    parts = forest.apply(inputs[:1, :]).shape[1] // trees
    variance = xp.var(xp.astype(outputs, xp.float64), axis=0)[:parts]
    if parts == 1 or not bool(xp.any(variance > 0)):
        variance = xp.ones_like(variance)
    return {
        f"{name}_inputs": xp.take(inputs, order, axis=0),
        f"{name}_shares": xp.repeat(variance / xp.sum(variance), trees) / trees,
        f"{name}_targets": xp.take(targets, order, axis=0),
    }


def _parts(number: Array) -> Iterator[slice]:
    """Yield slices of asked rows with about ``ENTRIES`` entries, one row at least."""
    xp = array_namespace(number)
    total = xp.sum(_taken(number), axis=1)
    if not bool(xp.all(total > 0)):
        raise DataError(
            "expected every row to share a leaf with a train row, got one that shares none: the forest is not the one "
            "that the weights were made of. Fit the model anew."
        )
    ends, start = xp.cumulative_sum(total), 0
    while start < total.shape[0]:
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(xp.sum(xp.astype(ends <= done + ENTRIES, xp.int64))))
        yield slice(start, stop)
        start = stop


def _taken(number: Array) -> Array:
    """Return how many rows of leaves with ``number`` rows are looked at."""
    return array_namespace(number).minimum(number, array_namespace(number).full_like(number, MOST))


def _steps(count: int, like: Array) -> Array:
    """Return the whole numbers below ``count``, int64, where ``like`` is."""
    xp = array_namespace(like)
    return xp.arange(count, dtype=xp.int64, device=device(like))
