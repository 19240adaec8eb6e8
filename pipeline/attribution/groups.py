"""Days that are told of together: seasons, thirds of the explained number, weather regimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.metrics.blocks import SEASONS, has_dates
from pipeline.metrics.blocks import seasons as season_of
from pipeline.model import Context
from pipeline.samples import Samples

FEWEST = 3
"""Days below which a group is left out."""
_COMPONENTS = 10
_MOST_DAYS = 3000
_THIRDS = ("lowest third", "middle third", "highest third")


@dataclass(frozen=True, eq=False)
class DayGroup:
    """Some of the explained days.

    Parameters
    ----------
    name : str
        ``all``, ``DJF``, ``highest third``, ``regime 2``.
    kind : {"all", "season", "third", "regime"}
        What the group is one of.
    days : ndarray of bool, shape (time,)
        Which of the explained days.
    """

    name: str
    kind: str
    days: np.ndarray


def day_groups(
    samples: Samples,
    numbers: np.ndarray | None,
    by: Sequence[str],
    *,
    train: Samples | None = None,
    regimes: int = 4,
    context: Context | None = None,
) -> list[DayGroup]:
    """Return all explained days, then the groups that are asked for and have ``FEWEST`` days.

    Parameters
    ----------
    samples : Samples
        The explained days.
    numbers : ndarray or None, shape (time,)
        The explained number, for thirds.
    by : sequence of {"season", "third", "regime"}
        What groups there are.
    train, regimes, context
        For regimes: what they are found in, how many, and the backend's estimators and seed.
    """
    count = len(samples)
    found = [DayGroup("all", "all", np.ones(count, bool))]
    if "season" in by and has_dates(samples.time):
        labels = season_of(samples.time)
        found += [DayGroup(name, "season", labels == name) for name in SEASONS]
    if "third" in by and numbers is not None and len(np.unique(numbers)) >= 3 * FEWEST:
        rank = np.argsort(np.argsort(numbers, kind="stable"), kind="stable") * 3 // count
        found += [DayGroup(name, "third", rank == place) for place, name in enumerate(_THIRDS)]
    if "regime" in by and train is not None and context is not None:
        label = find_regimes(train, samples, regimes, context)
        found += [DayGroup(f"regime {k + 1}", "regime", label == k) for k in range(regimes)]
    kept = [group for group in found if group.kind == "all" or group.days.sum() >= FEWEST]
    # A test set of winters has one season, which is all days again.
    alone = sum(group.kind == "season" for group in kept) == 1
    return [group for group in kept if not (alone and group.kind == "season")]


def find_regimes(train: Samples, samples: Samples, count: int, context: Context) -> np.ndarray:
    """Return the weather regime of every sample, from 0 by how common they are in the train split, shape (time,).

    Regimes are the clusters of k-means on the ten leading principal components of the train inputs.

    References
    ----------
    Michelangeli, Vautard and Legras (1995), doi:10.1175/1520-0469(1995)052<1237:WRRAQS>2.0.CO;2.
    """
    xp = context.backend.xp

    def rows(of: Samples) -> Any:
        return xp.astype(xp.reshape(of.inputs, (len(of), -1)), xp.float64)

    # Windows of a year are 365 times the data; clusters need no more days than this.
    known = rows(train.take(np.unique(np.linspace(0, len(train) - 1, min(len(train), _MOST_DAYS)).astype(int))).held())
    parts = min(_COMPONENTS, *known.shape)
    pca = context.estimator("PCA", n_components=parts, random_state=context.seed_for("regimes")).fit(known)
    clusters = context.estimator("KMeans", n_clusters=count, n_init=10, random_state=context.seed_for("regimes")).fit(
        pca.transform(known)
    )
    there = context.backend.to_host(clusters.predict(pca.transform(known))).astype(np.int64)
    order = np.argsort(-np.bincount(there, minlength=count), kind="stable")
    own = context.backend.to_host(clusters.predict(pca.transform(rows(samples)))).astype(np.int64)
    rank: np.ndarray = np.argsort(order, kind="stable")[own]
    return rank
