"""From the keys of ``explain`` to the question: which cells, which answer, which quantity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.attribution.quantity import QUANTITIES, check_quantity, default_quantity
from pipeline.attribution.question import Question
from pipeline.backend import Backend
from pipeline.errors import ConfigError, DataError
from pipeline.explain_config import ExplainConfig, Point
from pipeline.grid import Grid
from pipeline.prepare.weights import cells_on_sphere
from pipeline.registry import suggest
from pipeline.samples import Samples, Schema
from pipeline.units import of_difference

_NEAR = 0.75  # widths of a cell from a centre to what still lies in it: its corners are 0.71 away


@dataclass(frozen=True, eq=False)
class Place:
    """The cells and the answer that a question is about; known before any model is fitted.

    Parameters
    ----------
    inside : ndarray of bool, shape (lat, lon)
        Cells of the mask.
    answer : int
        Target, or class.
    name : str
        Of the answer.
    where : str
        The cells in words: ``"over 330 cells"``, ``"at 40.5 N 3.7 W"``.
    quantity : str
        Name in ``QUANTITIES``.
    """

    inside: np.ndarray
    answer: int
    name: str
    where: str
    quantity: str


def find_place(entry: ExplainConfig, schema: Schema) -> Place:
    """Return what an explanation is about.

    Raises
    ------
    ConfigError
        If there is no such target, lead, class, station or region, the region or the point holds no cell of the mask,
        or the quantity is none of such answers.

    Examples
    --------
    See ``tests/pipeline/attribution/test_asking.py``.
    """
    quantity = entry.of or default_quantity(classes=bool(schema.classes))
    check_quantity(quantity, classes=bool(schema.classes))
    answer, name = _answer(entry, schema)
    inside, where = _cells(entry, schema)
    if entry.threshold is not None and not schema.classes and schema.target_affine is None:
        raise ConfigError(
            f"explain: threshold: expected a target whose units are the same every day, got {name!r}, an anomaly by "
            "day of the year. Give quantile in place of threshold."
        )
    return Place(inside, answer, name, where, quantity)


def ask(
    entry: ExplainConfig, schema: Schema, scale: np.ndarray, train: Samples | None, backend: Backend
) -> tuple[Question, Place]:
    """Return the question that an explanation asks, without events.

    Parameters
    ----------
    entry : ExplainConfig
        What is asked for.
    schema : Schema
        Targets, their grid and mask.
    scale : ndarray, shape (target, lat, lon) or (target, 1, 1)
        Units of the target for one unit in the space of the samples.
    train : Samples or None
        With target, where a quantile of it is needed.
    backend : Backend
        Of the samples.

    Raises
    ------
    ConfigError
        As :func:`find_place`.
    """
    place = find_place(entry, schema)
    kind, shape = QUANTITIES[place.quantity], schema.target_grid.shape
    answers = len(schema.classes) * len(schema.targets) if kind.of_classes else len(schema.targets)
    weights = np.zeros((answers, *shape))
    area = np.where(place.inside, schema.target_grid.area, 0.0)
    weights[place.answer] = area / area.sum()
    threshold = None
    if kind.threshold or (entry.event and not schema.classes):
        threshold = reached(entry, schema, train, backend)
    wide = np.ones((answers, *shape)) if kind.of_classes else np.broadcast_to(scale, weights.shape)
    # What is explained is a departure from the baseline, so degC becomes K.
    units = of_difference(schema.target_units[place.answer]) if kind.scaled else "1"
    label = f"{_words(entry, place)} {place.where}"
    return Question(weights, wide, units, label, place.quantity, threshold), place


def with_events(question: Question, place: Place, events: np.ndarray) -> Question:
    """Return the question about the cells of each day's event.

    Parameters
    ----------
    question : Question
        About all cells of the place.
    place : Place
        Its cells.
    events : ndarray of bool, shape (time, lat, lon)
        Cells of the event on the days that are explained, all of which have some in the place.
    """
    weights = np.zeros((len(events), *question.weights.shape))
    own = np.where(events & place.inside, question.weights[place.answer], 0.0)
    weights[:, place.answer] = own / own.sum(axis=(1, 2), keepdims=True)
    label = f"{question.label}, each day over the cells of the event"
    return Question(weights, question.scale, question.units, label, question.quantity, question.threshold)


def event_cells(
    entry: ExplainConfig, prediction: Any, question: Question, place: Place, backend: Backend
) -> np.ndarray:
    """Return the cells of the event as predicted, of bool, shape (time, lat, lon), those of the place alone.

    Raises
    ------
    DataError
        If no day has any.
    """
    mean = np.asarray(backend.to_host(prediction.mean()), np.float64)
    if prediction.is_categorical:
        found = mean[:, 0] == place.answer
    else:
        assert question.threshold is not None  # made by `ask` for events
        found = mean[:, place.answer] >= question.threshold[place.answer]
    found &= place.inside
    if not found.any():
        raise DataError(
            f"explain: event: expected cells of {place.name!r} as predicted on the explained days, got none. Explain "
            "more days, or take a lower quantile or threshold."
        )
    events: np.ndarray = found
    return events


def reached(entry: ExplainConfig, schema: Schema, train: Samples | None, backend: Backend) -> np.ndarray:
    """Return what exceedances and events reach, in the space of the samples, float64, shape (target, lat, lon).

    Raises
    ------
    ConfigError
        If neither quantile nor threshold is given, or the units of the target change with the day.
    """
    shape = (len(schema.targets), *schema.target_grid.shape)
    if entry.threshold is not None:
        affine = schema.target_affine
        assert affine is not None  # find_place has refused it
        return np.broadcast_to((entry.threshold - affine.shift) / affine.scale, shape).astype(np.float64)
    if entry.quantile is None:
        raise ConfigError("explain: event: expected quantile or threshold, which a day's cells reach, got neither.")
    if train is None or train.target is None:
        raise ConfigError("explain: quantile: expected a train split with truth, got none.")
    truth = np.asarray(backend.to_host(train.target), np.float64)
    known = np.isfinite(truth).any(axis=0)
    found = np.full(shape, np.nan)
    found[known] = np.nanquantile(truth[:, known], entry.quantile, axis=0)
    return found


def _words(entry: ExplainConfig, place: Place) -> str:
    quantity = QUANTITIES[place.quantity]
    words = quantity.words.format(place.name)
    if quantity.threshold:
        limit = (
            f"{entry.threshold:g}" if entry.threshold is not None else f"{entry.quantile:g} quantile of the train split"
        )
        words = words.replace("its threshold", limit if entry.threshold is not None else f"its {limit}")
    return f"mean {words}" if place.inside.sum() > 1 else words


def _answer(entry: ExplainConfig, schema: Schema) -> tuple[int, str]:
    if schema.classes:
        if entry.target is not None or entry.lead is not None:
            raise ConfigError("explain: expected class, got target or lead, which a segmentation has not.")
        name = entry.class_ or schema.classes[-1]
        if name not in schema.classes:
            known = ", ".join(schema.classes)
            raise ConfigError(f"explain: no class {name!r}.{suggest(name, schema.classes)} Known: {known}.")
        return schema.classes.index(name), name
    if entry.class_ is not None:
        raise ConfigError(f"explain: class: expected none for a target of numbers, got {entry.class_!r}.")
    name = entry.target or schema.targets[0]
    if name not in schema.targets and name not in schema.variables:
        known = ", ".join(dict.fromkeys((*schema.variables, *schema.targets)))
        raise ConfigError(f"explain: no target {name!r}.{suggest(name, schema.variables)} Known: {known}.")
    if entry.lead is not None and entry.lead not in schema.leads:
        raise ConfigError(
            f"explain: lead: expected one of {', '.join(map(str, schema.leads))}, got {entry.lead}: no other is "
            "predicted."
        )
    if name in schema.targets and entry.lead is None:
        return schema.targets.index(name), name
    column = schema.column(name.partition("@")[0], schema.leads[0] if entry.lead is None else entry.lead)
    return column, schema.targets[column]


def _cells(entry: ExplainConfig, schema: Schema) -> tuple[np.ndarray, str]:
    grid, mask = schema.target_grid, schema.mask
    if entry.station is not None:
        if entry.station not in grid.stations:
            known = ", ".join(grid.stations[:8]) + (", ..." if len(grid.stations) > 8 else "")
            has = f"Known: {known}." if grid.stations else "The target is on a grid: give point or region."
            raise ConfigError(f"explain: no station {entry.station!r}.{suggest(entry.station, grid.stations)} {has}")
        inside = np.zeros(grid.shape, bool)
        inside[..., grid.stations.index(entry.station)] = True
        return _kept(inside, mask, f"station {entry.station!r}"), f"at {entry.station}"
    if entry.point is not None:
        inside = _nearest(entry.point, grid)
        shown = (
            f"{abs(entry.point.lat):g} {'NS'[entry.point.lat < 0]} {abs(entry.point.lon):g} {'EW'[entry.point.lon < 0]}"
        )
        return _kept(inside, mask, f"point {shown}"), f"at {shown}"
    if isinstance(entry.region, str):
        if schema.region is None or entry.region not in schema.regions:
            known = ", ".join(schema.regions) or "none; give them under regions"
            raise ConfigError(
                f"explain: no region {entry.region!r}.{suggest(entry.region, schema.regions)} Known: {known}."
            )
        inside = _kept(schema.region == schema.regions.index(entry.region), mask, f"region {entry.region!r}")
        return inside, f"over {int(inside.sum())} cells of {entry.region}"
    if entry.region is None:
        return mask.copy(), _over(mask)
    bounds = entry.region.bounds()
    inside = np.ones(grid.shape, bool)
    for axis, (low, high) in bounds.items():
        values = getattr(grid, axis)
        if values.ndim == 1:
            values = np.broadcast_to(values[:, None] if axis == "lat" else values[None, :], grid.shape)
        if axis == "lon":
            values = low + (values - low) % 360.0  # whichever way both count longitudes
        inside &= (values >= low) & (values <= high)
    shown = ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in bounds.items())
    if not inside.any():
        raise ConfigError(
            f"explain: expected cells of the target in the region {shown}, got none with its centre there. "
            f"{_span(grid)} Take a wider region, or point for the nearest cell."
        )
    kept = _kept(inside, mask, f"region {shown}")
    return kept, f"{_over(kept)} in {shown}"


def _over(inside: np.ndarray) -> str:
    count = int(inside.sum())
    return f"over {count} cells" if count > 1 else "at the one cell"


def _kept(inside: np.ndarray, mask: np.ndarray, what: str) -> np.ndarray:
    kept: np.ndarray = inside & mask
    if not kept.any():
        raise ConfigError(
            f"explain: expected cells of the target in the {what}, got none: those there are not predicted, as they "
            "have too little truth in the train split."
        )
    return kept


def _span(grid: Grid) -> str:
    lat, lon = (f"{np.nanmin(axis):g} to {np.nanmax(axis):g}" for axis in (grid.lat, grid.lon))
    return f"The cells lie within lat {lat}, lon {lon}."


def _nearest(point: Point, grid: Grid) -> np.ndarray:
    """Return the cell whose centre is nearest to a point that lies on the grid."""
    cells = cells_on_sphere(grid)
    there = cells_on_sphere(Grid(np.array([point.lat]), np.array([point.lon])))[0]
    away = np.linalg.norm(cells - there, axis=1)
    away = np.where(np.isfinite(away), away, np.inf)
    inside = np.zeros(grid.shape, bool)
    place = int(away.argmin())
    width = _width(cells.reshape(*grid.shape, 3))
    if away[place] > _NEAR * width:
        raise ConfigError(
            f"explain: point: expected a place on the grid of the target, got lat {point.lat:g}, lon {point.lon:g}, "
            f"{np.rad2deg(away[place]):.3g} degrees from the nearest cell. {_span(grid)}"
        )
    inside.flat[place] = True
    return inside


def _width(cells: np.ndarray) -> float:
    """Return the widest way from one cell to the next of points on the unit sphere, (lat, lon, 3); endless for one."""
    ways = [np.linalg.norm(np.diff(cells, axis=axis), axis=-1) for axis in (0, 1)]
    return max((float(np.nanmax(way)) for way in ways if np.isfinite(way).any()), default=np.inf)
