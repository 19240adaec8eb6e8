"""What sums over maps of single cells say: aggregated maps, dispersion, shares, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from pipeline.attribution._channels import by_variable
from pipeline.attribution.cell_sample import CellSample
from pipeline.errors import DataError
from pipeline.grid import Grid

if TYPE_CHECKING:
    from pipeline.attribution._saliency import Sums

_RESAMPLES = 2000
Of = Literal["gradient", "input_x_gradient"]


class Shape(Protocol):
    """What is read of a :class:`~pipeline.samples.Schema`."""

    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def scalars(self) -> tuple[str, ...]: ...
    @property
    def input_grid(self) -> Grid: ...
    @property
    def target_grid(self) -> Grid: ...
    @property
    def mask(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Aggregate:
    """What the maps of some days add up to.

    Parameters
    ----------
    days, maps, empty : int
        Number of days; of maps, one for every day and cell; of days and cells without one, where nothing moves the
        answer.
    saliency : ndarray of float64, shape (channel, lat, lon)
        Aggregated saliency map (ASM) on the input grid, the mean over maps, sum 1; NaN without any.
    dispersion : ndarray of float64, shape (target lat, target lon)
        Saliency dispersion map (SDM) [km]; NaN outside of the mask, in cells that were not drawn and where there is
        no map.
    distance, low, high : float
        Mean dispersion over maps [km] and its 95 % bootstrap interval over days, NaN of a single day.
    sampling_error : float
        Standard error of ``distance`` from drawing cells [km]; 0 if all cells were asked.
    shares, shares_low, shares_high : ndarray of float64, shape (variable,)
        Mean share of each variable with all its lags, sum 1, and its 95 % bootstrap interval over days.
    """

    days: int
    maps: int
    empty: int
    saliency: np.ndarray
    dispersion: np.ndarray
    distance: float
    low: float
    high: float
    sampling_error: float
    shares: np.ndarray
    shares_low: np.ndarray
    shares_high: np.ndarray


@dataclass(frozen=True, eq=False)
class Aggregates:
    """Aggregates of all days and of groups of days.

    Parameters
    ----------
    whole : Aggregate
        Of all days.
    groups : mapping of str to Aggregate
        Of groups of days.
    variables : tuple of str
        Names along the shares.
    schema : Shape
        Channels and grids.
    sample : CellSample
        Target cells that were asked.
    of : {"gradient", "input_x_gradient"}
        What the maps are made of.
    note : str
        How it was done, for captions.
    """

    whole: Aggregate
    groups: Mapping[str, Aggregate]
    variables: tuple[str, ...]
    schema: Shape
    sample: CellSample
    of: Of
    note: str


def aggregated(
    sums: Sums,
    kept: np.ndarray,
    groups: tuple[str, ...],
    schema: Shape,
    sample: CellSample,
    of: Of,
    *,
    by_area: bool,
    seed: int,
) -> Aggregates:
    """Return what the sums over all maps say.

    Parameters
    ----------
    sums : Sums
        Of all days.
    kept : ndarray of bool, shape (1 + group, time)
        Days of each group, the first one all days.
    groups : tuple of str
        Names of the groups, without all days.
    schema, sample, of, by_area, seed
        See :func:`pipeline.attribution.dispersion.saliency_aggregates`.

    Raises
    ------
    DataError
        If a gradient is not finite.
    """
    daily = np.concatenate([each.cpu().numpy() for each in sums.daily])
    odd = int((~np.isfinite(daily).all(axis=1)).sum())
    if odd:
        raise DataError(f"expected finite gradients of every cell, got others on {odd} of {len(daily)} days.")
    maps, far, count = (each.cpu().numpy() for each in (sums.maps, sums.far, sums.count))
    area = schema.target_grid.area.ravel()[sample.cells] if by_area else np.ones(len(sample.cells))
    variables = by_variable(schema.channels, schema.scalars)
    columns = np.zeros((len(schema.channels), len(variables)))
    for number, variable in enumerate(variables):
        columns[variable.places, number] = 1.0
    # Number of maps, their weights, weights with a distance, distances, shares of variables.
    daily = np.concatenate([daily[:, :4], daily[:, 4:] @ columns], axis=1)
    found = []
    for number, days in enumerate(kept):
        own = daily[days]
        total = own.sum(axis=0)
        field = np.full(schema.mask.size, np.nan)
        field[sample.cells] = _over(far[number], count[number])
        low, high = _interval(own, seed)
        found.append(
            Aggregate(
                days=len(own),
                maps=round(total[0]),
                empty=len(own) * len(sample.cells) - round(total[0]),
                saliency=_over(maps[number], total[1]).reshape(len(schema.channels), *schema.input_grid.shape),
                dispersion=field.reshape(schema.mask.shape),
                distance=float(_over(total[3], total[2])),
                low=float(low[0]),
                high=float(high[0]),
                sampling_error=sample.ratio_error(area * far[number], area * count[number]),
                shares=_over(total[4:], total[1]),
                shares_low=low[1:],
                shares_high=high[1:],
            )
        )
    return Aggregates(
        whole=found[0],
        groups=dict(zip(groups, found[1:], strict=True)),
        variables=tuple(variable.name for variable in variables),
        schema=schema,
        sample=sample,
        of=of,
        note=_note(found[0], schema, sample, of, by_area=by_area),
    )


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the ratio, NaN where nothing is below."""
    there = np.asarray(denominator) != 0
    return np.asarray(np.where(there, numerator / np.where(there, denominator, 1.0), np.nan))


def _interval(daily: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % percentile interval over days of distance and shares, shape (1 + variable,)."""
    days = len(daily)
    if days < 2:
        nothing = np.full(daily.shape[1] - 3, np.nan)
        return nothing, nothing
    counts = np.random.default_rng(seed).multinomial(days, np.full(days, 1 / days), size=_RESAMPLES)
    drawn = counts @ daily
    ratios = np.concatenate([_over(drawn[:, 3:4], drawn[:, 2:3]), _over(drawn[:, 4:], drawn[:, 1:2])], axis=1)
    # Days drawn without any map say nothing; where all are such there is no interval.
    kept = np.isfinite(ratios).all(axis=1)
    if not kept.any():
        nothing = np.full(ratios.shape[1], np.nan)
        return nothing, nothing
    low, high = np.quantile(ratios[kept], (0.025, 0.975), axis=0)
    return low, high


def _note(whole: Aggregate, schema: Shape, sample: CellSample, of: Of, *, by_area: bool) -> str:
    made = {"gradient": "gradients", "input_x_gradient": "gradients times the inputs' departure from the baseline"}
    cells = f"{len(sample.cells)} cells"
    if not sample.complete:
        cells += f" drawn of {int(sample.sizes.sum())}"
    parts = [f"Absolute {made[of]} of {cells} on {whole.days} days, {whole.maps} maps"]
    if whole.empty:
        parts.append(f"{whole.empty} without any gradient left out")
    if by_area:
        parts.append("weighted by the area of the target cell")
    if schema.scalars:
        parts.append(f"{', '.join(schema.scalars)} have no place and are left out of the distances")
    return "; ".join(parts) + "."
