"""What tells how far samples lie from the train climate, fitted on the train split alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.metrics.blocks import has_dates
from pipeline.novelty.climate import Climate, Moments
from pipeline.novelty.folds import Folds, folds_of_cells, folds_of_time
from pipeline.novelty.reference import LEAST, Judged, Reference
from pipeline.novelty.season import Season
from pipeline.novelty.space import Space
from pipeline.prepare.arrays import rows
from pipeline.prepare.climatology import usable_harmonics
from pipeline.samples import Samples

Array = Any

HARMONICS = 2
EACH = 10
"""Train samples a component, or more."""
_ROWS = 40_000  # train samples that are looked at; of more, every n-th date
_NUMBERS = 2**25  # numbers of them that are held, 128 MiB in float32
_SHARE = 32  # of little memory, one number in so many bytes: an eighth is for the samples, the rest for work on them


@dataclass(frozen=True, eq=False)
class Measured:
    """How far samples lie; on the host, to be judged together.

    Parameters
    ----------
    time, phase : ndarray, shape (time,)
        Dates, or numbers of tiles, and phases of the year.
    distance, residual : ndarray of float64, shape (time, cell)
        One cell, but for a table of stations; NaN where a station misses an input.
    means : ndarray of float64, shape (time, channel)
        Area means of the channels, for the season around each date.
    forced : ndarray, shape (time, forcing)
        Forcings, as models get them.
    """

    time: np.ndarray
    phase: np.ndarray
    distance: np.ndarray
    residual: np.ndarray
    means: np.ndarray
    forced: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Measured]) -> Measured:
        """Return parts of one split, one behind the other, as one."""
        names = ("time", "phase", "distance", "residual", "means", "forced")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class Scores:
    """How unusual the samples of one split are.

    Parameters
    ----------
    measured : Measured
        Their distances.
    judged : Judged
        Of arrays of shape (time, cell).
    season : Judged or None
        Of the 91 days around each date, arrays of shape (time,); None where that cannot be told.
    outside : mapping of str to ndarray of bool, shape (time,)
        By forcing, whether it lies outside its range in train.
    """

    measured: Measured
    judged: Judged
    season: Judged | None
    outside: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of_cells(self, cells: np.ndarray | None) -> Scores:
        """Return the scores of the stations ``cells``, bool (lat, lon), NaN for the others; None: all."""
        if cells is None or self.measured.distance.shape[1] == 1:
            return self
        inside = cells.ravel()[None, :]

        def only(record: Any, *names: str) -> Any:
            return replace(record, **{name: np.where(inside, getattr(record, name), np.nan) for name in names})

        return Scores(
            only(self.measured, "distance", "residual"),
            only(self.judged, "distance_share", "residual_share", "novelty", "share"),
            self.season,
            self.outside,
        )


@dataclass(frozen=True, eq=False)
class Novelty:
    """The train climate, and how far its own samples lie from what was fitted without them.

    A sample's numbers (see :class:`~pipeline.novelty.space.Space`) less the mean annual cycle of the train split are
    measured by their Mahalanobis distance in the leading principal components, and by the residual outside of them.
    Both are compared with those of the train samples of the same time of the year, each from a climate fitted without
    its own year (block, basins): distances of samples that a climate was fitted on are too small.

    Parameters
    ----------
    space : Space
        What numbers a sample has.
    climate : Climate
        Of all train samples.
    reference : Reference
        Their distances, years left out in turn.
    season : Season or None
        The same of moving means; None where it cannot be told.
    ranges : ndarray, shape (2, forcing)
        Least and largest value of every forcing in train.
    kind : {"years", "blocks", "basins"}
        What was left out in turn.
    folds, samples : int
        How many of these; train samples looked at.
    """

    space: Space
    climate: Climate
    reference: Reference
    season: Season | None
    ranges: np.ndarray
    kind: str
    folds: int
    samples: int

    @classmethod
    def fit(
        cls,
        train: Samples,
        cells: np.ndarray | None = None,
        forcings: Sequence[str] = (),
        *,
        budget: int | None = None,
    ) -> Self:
        """Fit on the train split.

        Parameters
        ----------
        train : Samples
            Of the train split. Of very many every n-th date is taken, so that about 40 000 samples are looked at.
        cells : ndarray of bool, shape (lat, lon), optional
            Of a split by basins: those of train. They are left out in turn then, and static values count.
        forcings : sequence of str
            Channels that are forcings: of them the range is kept.
        budget : int, optional
            Bytes that arrays may take; of little, fewer samples are looked at.

        Raises
        ------
        TypeError
            If ``train`` is of another split.
        DataError
            If there are fewer than 100 samples, or fewer than five basins.
        """
        if train.name != "train":
            raise TypeError(f"Novelty is fitted on the train split alone, got the split {train.name!r}.")
        space = Space(train.schema, cells is not None, tuple(forcings))
        inside = np.ones(space.cells, bool) if cells is None else cells.ravel()
        numbers = _NUMBERS if budget is None else min(_NUMBERS, budget // _SHARE)
        index = _every(len(train), int(inside.sum()), len(space.groups), numbers)
        table = _Table.of(space, train, index, inside)
        if len(table.phase) < LEAST:
            raise DataError(
                f"expected {LEAST} train samples or more, got {len(table.phase)}: which of so few are the farthest "
                "hundredth cannot be told. Take a longer train split."
            )
        dates = folds_of_time(train.time)
        folds = dates if cells is None else folds_of_cells(int(inside.sum()))
        of = np.repeat(dates.of[index], inside.sum()) if cells is None else np.tile(folds.of, len(index))
        harmonics = usable_harmonics(train.day, HARMONICS)
        piece = _ROWS // 10 if numbers == _NUMBERS else max(256, numbers // (8 * len(space.groups)))
        climate, distance, residual = _left_out(table, of[table.known], harmonics, space.groups, piece)
        reference = Reference(distance, residual, table.phase, climate.total**0.5)
        season = None
        if cells is None and has_dates(train.time):
            means = np.concatenate([space.means(block) for block in space.blocks(train)])
            season = Season.fit(means, train.time, train.day, Folds(dates.of, dates.kind), harmonics)
        forced = space.forced(train)
        ranges = np.stack([forced.min(axis=0), forced.max(axis=0)])
        return cls(space, climate, reference, season, ranges, folds.kind, len(np.unique(of)), len(table.phase))

    def measure(self, samples: Samples) -> Measured:
        """Return how far samples lie; parts of a split may be measured apart and joined."""
        parts, forced = [], self.space.forced(samples)
        for block in self.space.blocks(samples):
            found = self.space.rows(block)
            phase = np.repeat(samples.day[block.index], self.space.cells)
            far, rest = (to_host(part).reshape(len(block.index), -1) for part in self.climate.distances(found, phase))
            time = samples.time[block.index]
            means = self.space.means(block)
            parts.append(Measured(time, samples.day[block.index], far, rest, means, forced[block.index]))
        return Measured.joined(parts)

    def judge(self, measured: Measured) -> Scores:
        """Return how unusual the measured samples of one split are."""
        phase = np.broadcast_to(measured.phase[:, None], measured.distance.shape)
        season = None
        if self.season is not None:
            season = self.season.judge(measured.means, measured.time, measured.phase)
        beyond = (measured.forced < self.ranges[0]) | (measured.forced > self.ranges[1])
        outside = dict(zip(self.space.forcings, beyond.T, strict=True))
        return Scores(measured, self.reference.judge(measured.distance, measured.residual, phase), season, outside)

    def score(self, samples: Samples) -> Scores:
        """Return how unusual the samples of one split are."""
        return self.judge(self.measure(samples))

    def facts(self) -> dict[str, Any]:
        """Return what was fitted, as JSON values for the report."""
        return {
            "kind": self.space.kind,
            "samples": self.samples,
            "features": len(self.space.groups),
            "components": self.climate.count,
            "explained": round(self.climate.explained, 4),
            "left_out": self.kind,
            "folds": self.folds,
            "harmonics": self.climate.harmonics,
            "season": self.season is not None,
        }


@dataclass(frozen=True, eq=False)
class _Table:
    """Train samples as rows, float32 on the device, those with all of their values."""

    rows: Array
    phase: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, space: Space, train: Samples, index: np.ndarray, inside: np.ndarray) -> _Table:
        parts, finite = [], []
        for block in space.blocks(train, index):
            found = space.rows(block)
            xp = array_namespace(found)
            good = to_host(xp.all(xp.isfinite(found), axis=1)) & np.tile(inside, len(block.index))
            chosen = np.flatnonzero(good)
            parts.append(xp.astype(rows(found, chosen), xp.float32))
            finite.append(good)
        known = np.concatenate(finite).reshape(len(index), -1)[:, inside].ravel()
        phase = np.repeat(train.day[index], inside.sum())[known]
        return cls(parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts, axis=0), phase, known)

    def take(self, index: np.ndarray) -> Array:
        part = rows(self.rows, index)
        xp = array_namespace(part)
        return xp.astype(part, xp.float64)


def _every(times: int, cells: int, features: int, numbers: int) -> np.ndarray:
    """Return the positions of the dates that are looked at: all, or every n-th of very many."""
    most = max(1, min(_ROWS, max(10 * LEAST, numbers // max(1, features))) // max(1, cells))
    return np.arange(0, times, max(1, -(-times // most)))


def _left_out(
    table: _Table, fold: np.ndarray, harmonics: int, groups: np.ndarray, size: int
) -> tuple[Climate, np.ndarray, np.ndarray]:
    """Return the climate of all rows, and each row's distance and residual from that of the other folds.

    ``size`` rows are worked on at a time. The sums of a fold are worked out twice, for all of them together, features
    times features for each, may take more memory than the rows.
    """

    def pieces_of(number: int) -> list[np.ndarray]:
        own = np.flatnonzero(fold == number)
        return [own[k : k + size] for k in range(0, len(own), size)]

    def sums_of(number: int) -> Moments:
        sums = [Moments.of(table.take(piece), table.phase[piece], harmonics) for piece in pieces_of(number)]
        return sum(sums[1:], sums[0])

    numbers = np.unique(fold)
    total = sum((sums_of(number) for number in numbers[1:]), sums_of(numbers[0]))
    climate = Climate.fit(total, groups, most=max(1, total.count // EACH))
    distance, residual = np.empty(len(fold)), np.empty(len(fold))
    for number in numbers:
        held = Climate.fit(total - sums_of(number), groups, most=total.count, scale=climate.scale, count=climate.count)
        for piece in pieces_of(number):
            far, rest = held.distances(table.take(piece), table.phase[piece])
            distance[piece], residual[piece] = to_host(far), to_host(rest)
    return climate, distance, residual
