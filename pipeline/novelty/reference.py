"""From distances to shares: farther from the train climate than how many train samples of that time of the year."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.errors import DataError

SHARE = 0.99
"""A sample is unusual if it lies farther than this share of the train samples."""
EXPECTED = 1.0 - SHARE
MUCH = 0.05
"""Share of unusual samples that is far more than the one in a hundred by chance."""
SEASONS = 0.5
"""Share of samples in unusual seasons beyond which a period is unlike train: any year may have a strange season."""
LEAST = 100
"""Train samples of which the farthest hundredth can be told."""
REACH = 0.125
"""A train sample counts if it is at most so far off in the year: an eighth before and after make a season."""
_ENOUGH = 400  # samples of a season; the 99 % quantile of fewer hangs on three of them
_BINS = 24  # half months
_SMALL = 1e-3  # of the whole deviation: a residual below is rounding, where train has none


@dataclass(frozen=True, eq=False)
class Judged:
    """How unusual samples are; float64 arrays of one shape, NaN where a sample misses an input.

    Parameters
    ----------
    distance_share, residual_share : ndarray
        Share of the train samples of that time of the year with a smaller distance, with a smaller residual.
    novelty : ndarray
        The larger of distance and residual, each against its 99 % quantile of train, over what 99 % of the train
        samples stay below: above 1 a sample is unusual.
    share : ndarray
        Share of the train samples of that time of the year with a smaller novelty.
    """

    distance_share: np.ndarray
    residual_share: np.ndarray
    novelty: np.ndarray
    share: np.ndarray

    @property
    def unusual(self) -> np.ndarray:
        """Whether each lies farther than 99 % of the train samples."""
        return np.asarray(self.novelty > 1.0)


@dataclass(frozen=True, eq=False)
class _Season:
    """The train samples about one time of the year, sorted."""

    limits: np.ndarray  # of distance and residual: what 99 % stay below
    distance: np.ndarray
    residual: np.ndarray
    joint: np.ndarray
    limit: float  # of the larger of both ratios

    @classmethod
    def of(cls, distance: np.ndarray, residual: np.ndarray, floors: tuple[float, float]) -> _Season:
        limits = np.maximum([np.quantile(part, SHARE) for part in (distance, residual)], floors)
        joint = np.sort(np.maximum(distance / limits[0], residual / limits[1]))
        place = min(int(np.ceil(SHARE * (len(joint) + 1))), len(joint)) - 1
        return cls(limits, np.sort(distance), np.sort(residual), joint, max(float(joint[place]), _SMALL))


@dataclass(frozen=True, eq=False)
class Reference:
    """Distances of train samples from climates that were fitted without them.

    Two tests on a level of 1 % would call 2 % unusual. The larger of both ratios is one number, and its own
    distribution over the train samples says what 1 % are. Shares are those of conformal p-values (Bates et al. 2023,
    doi:10.1214/22-AOS2244): of samples like those of train 1 % are unusual.

    Parameters
    ----------
    distance, residual : ndarray of float64, shape (sample,)
        As :meth:`~pipeline.novelty.climate.Climate.distances` returns them.
    phase : ndarray of float64, shape (sample,)
        Phase of the year in [0, 1).
    deviation : float
        Root of the whole variance of the scaled features, against which a residual may be rounding.

    Raises
    ------
    DataError
        If there are fewer than 100 samples.

    Examples
    --------
    >>> distance = np.arange(1.0, 1000.0)
    >>> reference = Reference(distance, np.zeros(999), np.zeros(999), 1.0)
    >>> found = reference.judge(np.array([500.5, 990.5]), np.zeros(2), np.zeros(2))
    >>> found.share.tolist(), found.unusual.tolist()
    ([0.5, 0.99], [False, True])
    """

    distance: np.ndarray
    residual: np.ndarray
    phase: np.ndarray
    deviation: float

    def __post_init__(self) -> None:
        """Refuse too few samples."""
        if len(self.distance) < LEAST:
            raise DataError(
                f"expected {LEAST} train samples or more, got {len(self.distance)}: which of so few are the farthest "
                "hundredth cannot be told. Take a longer train split."
            )

    def judge(self, distance: np.ndarray, residual: np.ndarray, phase: np.ndarray) -> Judged:
        """Return how unusual samples are, by their distances and phases of the year, all of one shape."""
        found = {name: np.full(distance.shape, np.nan) for name in ("distance", "residual", "novelty", "share")}
        bins = np.minimum((phase * _BINS).astype(int), _BINS - 1)
        for number in np.unique(bins):
            season = self._seasons[number]
            here = (bins == number) & np.isfinite(distance) & np.isfinite(residual)
            far, rest = distance[here], residual[here]
            joint = np.maximum(far / season.limits[0], rest / season.limits[1])
            for name, values, known in (
                ("distance", far, season.distance),
                ("residual", rest, season.residual),
                ("share", joint, season.joint),
            ):
                found[name][here] = np.searchsorted(known, values, side="left") / (len(known) + 1)
            found["novelty"][here] = joint / season.limit
        return Judged(found["distance"], found["residual"], found["novelty"], found["share"])

    @cached_property
    def _seasons(self) -> tuple[_Season, ...]:
        """The train samples about the middle of every half month; all of them where these are few."""
        floors = (_SMALL, _SMALL * max(self.deviation, 1.0))
        whole = _Season.of(self.distance, self.residual, floors)
        seasons = []
        for middle in (np.arange(_BINS) + 0.5) / _BINS:
            away = np.abs(self.phase - middle)
            near = np.minimum(away, 1.0 - away) <= REACH
            few = near.sum() < _ENOUGH or near.all()
            seasons.append(whole if few else _Season.of(self.distance[near], self.residual[near], floors))
        return tuple(seasons)
