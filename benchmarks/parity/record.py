"""One thing that both backends must answer alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import Backend

Array = Any
Inputs = Mapping[str, np.ndarray]

EXACT = {"float32": 0.0, "float64": 0.0}  # what is copied, compared or counted
ROUNDING = {"float32": 1e-5, "float64": 1e-12}  # elementwise, of which devices fuse some; sums in float64
SUMS = {"float32": 1e-4, "float64": 1e-9}  # sums, transforms and systems of equations
SOLVERS = {"float32": 2e-3, "float64": 1e-5}  # iterations with a tolerance of their own
FORESTS = {"float32": 0.1, "float64": 0.1}  # other trees: shares of variance that they explain


@dataclass(frozen=True)
class Record:
    """How an input is made, and what is computed of it.

    Parameters
    ----------
    kind, name : str
        ``metric``, ``rmse``.
    make : callable
        Returns the input on the host, floats as float64; seeded, so that it is the same each time.
    compute : callable
        Takes a backend and the input in one kind of floats on it; returns arrays by name.
    tolerance : mapping of str to float
        By the kind of floats: the largest difference, as a share of the largest size of the answer.
    strict : bool
        Whether the stand-in for a device computes it too: what is made of arrays alone.
    placed : bool
        Whether inputs are arrays of the backend; else they stay on the host, as tables' columns do.
    """

    kind: str
    name: str
    make: Callable[[], Inputs]
    compute: Callable[[Backend, Mapping[str, Array]], Mapping[str, Array]]
    tolerance: Mapping[str, float]
    strict: bool = True
    placed: bool = True

    @property
    def label(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"

    def answers(self, backend: Backend, dtype: str) -> dict[str, np.ndarray]:
        """Return what a backend says, on the host."""
        given = {name: _as(values, dtype) for name, values in self.make().items()}
        inputs = {name: backend.asarray(values) for name, values in given.items()} if self.placed else given
        found = self.compute(backend, inputs)
        return {name: np.asarray(backend.to_host(values)) for name, values in found.items()}


def difference(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """Return the largest difference of two answers, each as a share of the largest size of its array.

    Infinite where shapes or names differ, or one has a gap, or an infinite value, and the other has not.
    """
    if one.keys() != other.keys():
        return float("inf")
    return max((_difference(one[name], other[name]) for name in one), default=float("inf"))


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return float("inf")
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return 0.0 if (one == other).all() else float("inf")
    first, second = one.astype(np.float64), other.astype(np.float64)
    known = np.isfinite(first)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    if (known != np.isfinite(second)).any() or not same[~known].all():
        return float("inf")
    if not known.any():
        return 0.0
    away = float(np.abs(first[known] - second[known]).max())
    size = float(np.abs(first[known]).max())
    return away / size if size > 0 else (0.0 if away == 0 else float("inf"))


def _as(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(dtype) if values.dtype == np.float64 else values
