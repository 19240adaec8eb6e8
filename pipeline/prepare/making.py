"""From regular datasets, or tiles of images, to samples: where everything is fitted, on the train split alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.prepare.affine import channel_affine, target_affine
from pipeline.prepare.align import Axis, Predictors, Split, align, crop
from pipeline.prepare.arrays import anywhere
from pipeline.prepare.basin_split import BasinSplit
from pipeline.prepare.carried import lag_names
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.elsewhere import TestSource, prepare_elsewhere
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.frequencies import ClassFrequencies, class_shares
from pipeline.prepare.inputs import build_inputs, only
from pipeline.prepare.labels.truth import as_classes
from pipeline.prepare.places import channels_without_place, of_same_stations, placed, placed_predictors
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.recipe import Recipe, Steps
from pipeline.prepare.regions import Asked, find_regions
from pipeline.prepare.scalars import ScalarTransform, forcing_names, forcing_values, require_different
from pipeline.prepare.splits import TrainSplit
from pipeline.prepare.statics import build_statics
from pipeline.prepare.summary import summarise
from pipeline.prepare.targets import Truth, build_truth
from pipeline.prepare.tiles import Tiles
from pipeline.prepare.transform import TargetTransform
from pipeline.prepare.windows import Windows, require_every_lead, windows, with_truth
from pipeline.rows import Room, whole
from pipeline.samples import Schema, lead_name
from pipeline.units import quantity

Array = Any


def prepare(
    predictors: Predictors,
    target: xr.Dataset,
    static: Sequence[xr.Dataset] = (),
    forcings: Sequence[xr.Dataset] = (),
    *,
    tests: Mapping[str, TestSource] | None = None,
    config: PrepareConfig,
    split: Split,
    months: Sequence[int] | None = None,
    region: Mapping[str, tuple[float, float]] | None = None,
    regions: Asked = "auto",
    backend: Backend,
    classes: bool = False,
    notes: Sequence[str] = (),
    room: Room | None = None,
) -> Prepared:
    """Turn regular datasets into samples; everything fitted is fitted on the train split alone.

    Parameters
    ----------
    predictors : sequence of (str, Dataset)
        Name and data of each dataset: variables of dims (time, lat, lon) or (time, y, x), attr ``units``.
    target : Dataset
        The same for what is asked for. A test set whose dates it lacks is predicted and not scored.
    static : sequence of Dataset
        Fields of dims (lat, lon) or (y, x), or values of the target's stations.
    forcings : sequence of Dataset
        Series of dims (time,), which become channels without a place.
    tests : mapping of str to TestSource, optional
        Test sets with data of their own; nothing is fitted on them.
    config : PrepareConfig
        The experiment's ``prepare`` section.
    split : TimeSplit or BasinSplit
        Which dates, or which basins, belong to which split.
    months : sequence of int, optional
        Months that are kept, 1 to 12; lags and the step before never reach across what is left out.
    region : mapping of str to (float, float), optional
        Bounds in ``lat`` and ``lon`` [degrees] inside which target cells are kept.
    regions : {"auto", "none"} or mapping of str to ScoredRegion
        Parts of the target that scores are told of: see :func:`~pipeline.prepare.regions.find_regions`.
    backend : Backend
        Where arrays are made and kept.
    classes : bool
        Whether the target is of classes: numbers of them, or values that ``config.target.label`` makes classes of.
    notes : sequence of str
        What was done to the data before, for the report.
    room : Room, optional
        Where large arrays are kept; datasets that are opened and not loaded are then read block by block. In memory by
        default.

    Raises
    ------
    DataError
        If data are missing, out of order, of other dims, or have no value where one is needed.
    SplitError
        If a split is left without data or truth.
    ConfigError
        If ``config.regrid`` or ``regions`` ask for what is not there.
    """
    target = crop(placed(target, str(next(iter(target.data_vars), "target"))), region)
    predictors = placed_predictors(predictors)
    axis = align(predictors, target, split, months, config.calendars)
    sources = Sources(predictors, target, tuple(static), tuple(forcings), dict(tests or {}), months, region)
    asked: dict[str, Any] = {"classes": classes, "notes": notes, "regions": regions, "room": room}
    return prepare_on(axis, sources, config=config, backend=backend, **asked)


@dataclass(frozen=True, eq=False)
class Sources:
    """The datasets of an experiment, each with a place; as :func:`prepare` takes them."""

    predictors: Predictors
    target: xr.Dataset
    static: tuple[xr.Dataset, ...] = ()
    forcings: tuple[xr.Dataset, ...] = ()
    tests: Mapping[str, TestSource] = field(default_factory=dict)
    months: Sequence[int] | None = None
    region: Mapping[str, tuple[float, float]] | None = None


def prepare_tiles(
    tiles: Tiles,
    *,
    config: PrepareConfig,
    backend: Backend,
    classes: bool = False,
    notes: Sequence[str] = (),
    regions: Asked = "auto",
) -> Prepared:
    """Turn tiles of images into samples; see :func:`prepare`."""
    sources = Sources([("image", tiles.predictors)], tiles.target)
    asked: dict[str, Any] = {"classes": classes, "notes": notes, "regions": regions}
    prepared = prepare_on(tiles.axis, sources, config=config, backend=backend, **asked)
    return replace(prepared, origins=tiles.origins)


def prepare_on(
    axis: Axis,
    sources: Sources,
    *,
    config: PrepareConfig,
    backend: Backend,
    classes: bool = False,
    notes: Sequence[str] = (),
    regions: Asked = "auto",
    room: Room | None = None,
) -> Prepared:
    """Return the samples of ``sources`` on an axis that is known; see :func:`prepare`."""
    room = Room(backend) if room is None else room
    split, train = axis.split, axis.split.train_split(axis.time)
    every = Grid.of(sources.target).stations
    by_cell = split.cells(every) if isinstance(split, BasinSplit) else None
    truth = build_truth(sources.target, axis, config.target, train, room, by_cell).of_stations_in_mask()
    label = None
    if classes:
        truth = replace(truth, values=whole(truth.values))  # labels look over whole series, and classes are small
        truth, label = as_classes(truth, sources.target, axis, config.target, train, backend)
        config = config.model_copy(
            update={"target": config.target.model_copy(update={"anomaly": "none", "scale": "none", "variables": {}})}
        )
    predictors = of_same_stations(sources.predictors, truth.grid.stations, "the target")
    static, forcings, months, region = sources.static, sources.forcings, sources.months, sources.region
    tests = sources.tests
    xp = backend.xp
    cells = split.cells(truth.grid.stations) if isinstance(split, BasinSplit) else None
    fitted_on = None if cells is None else cells["train"]
    inputs = build_inputs(predictors, truth.grid, axis, config, train, room, fitted_on)
    statics = build_statics(static, truth.grid, config.regrid.method, fitted_on)
    parts = find_regions(regions, truth.grid, truth.mask, statics.height)
    seen = only(truth.values, fitted_on)
    cycle = Climatology.fit(seen, train, harmonics=config.harmonics)
    transform = TargetTransform.fit(seen, train, cycle, config.target, truth.names)
    if cells is not None:
        cycle, transform = cycle.filled(), replace(transform, shift=transform.shift.filled())
    reference = _reference(seen, truth, cycle, train, cells is None)
    lags, leads, encoder = config.inputs.steps_back, tuple(config.target.leads), inputs.transform
    names, units = forcing_names(forcings)
    raw = forcing_values(forcings, axis.time)
    scalars = ScalarTransform.fit(raw, names, units, train, calendar=config.inputs.calendar)
    require_different(encoder.names, scalars.names)
    constant = () if encoder.grid.stations else channels_without_place(predictors, encoder.names)
    schema = Schema(
        channels=(*lag_names(encoder.names, lags), *scalars.names),
        channel_units=(*encoder.units * len(lags), *scalars.channel_units),
        targets=tuple(lead_name(name, lead) for lead in leads for name in truth.names),
        target_units=truth.units * len(leads),
        input_grid=encoder.grid,
        target_grid=truth.grid,
        mask=truth.mask,
        static=statics.values,
        statics=statics.names,
        step=np.timedelta64(axis.step, "us"),
        scalars=(*lag_names(constant, lags), *scalars.names),
        channel_affine=channel_affine(encoder, scalars, backend),
        target_affine=target_affine(transform, backend, len(leads)),
        leads=leads,
        classes=truth.classes,
        target_standard_names=truth.standard_names * len(leads),
        regions=parts.names,
        region=parts.of_cell,
        class_shares=class_shares(seen, train, truth.classes, truth.grid.area * truth.mask) if truth.classes else (),
    )
    chosen = _windows_of(axis, config, inputs.complete, _known_by_split(truth, axis, cells, backend))
    if inputs.usable is not None:
        finite = np.asarray(
            backend.to_host(xp.any(xp.isfinite(whole(truth.values)), axis=1))
        )  # of a table, which is small
        chosen = {name: with_truth(part, finite, inputs.usable, name) for name, part in chosen.items()}
    require_every_lead(chosen, truth.known, leads)
    fitted: dict[str, Any] = {
        "schema": schema,
        "transform": transform,
        "reference": reference,
        "encoder": encoder,
        "scalars": scalars,
        "label": label,
        "backend": backend,
    }
    recipe = Recipe(**fitted)
    elsewhere = {name: prepare_elsewhere(recipe, name, test, months, region, room) for name, test in tests.items()}
    steps = Steps(
        axis.time, axis.phase, inputs.values, scalars.forward(raw, axis.phase), inputs.complete, inputs.usable
    )
    return Prepared(
        **fitted,
        splits=chosen,
        steps=steps,
        target=truth.values,
        elsewhere=elsewhere,
        facts=summarise(
            axis,
            inputs,
            truth,
            statics,
            cycle,
            transform,
            chosen,
            config,
            months,
            elsewhere,
            scalars,
            notes,
            schema.class_shares,
            steps=steps,
            label=label,
            cells=cells,
            regions=parts,
        ),
        cells=cells,
    )


def _reference(
    seen: Array, truth: Truth, cycle: Climatology, train: TrainSplit, every_cell: bool
) -> Climatology | EmpiricalClimatology | ClassFrequencies:
    """Return what is known of the target without predictors."""
    if truth.classes:
        area = truth.grid.area * truth.mask
        return ClassFrequencies.fit(seen, train, len(truth.classes), area, per_cell=not truth.grid.image)
    rain = "precipitation" in map(quantity, truth.units, truth.standard_names)
    return EmpiricalClimatology.fit(seen, train) if rain and every_cell else cycle


def _known_by_split(
    truth: Truth, axis: Axis, cells: Mapping[str, np.ndarray] | None, backend: Backend
) -> dict[str, np.ndarray | None]:
    """Return by split which steps have truth in it; None for a test set without any."""
    known: dict[str, np.ndarray | None] = dict.fromkeys(axis.positions, truth.known)
    if cells is not None:
        xp = backend.xp
        for name, inside in cells.items():
            finite = anywhere(only(truth.values, inside), xp.isfinite, backend)
            # A basin without gauge is a test set like one without truth: predicted, never scored.
            unscored = name not in ("train", "validation") and not finite.any()
            known[name] = None if unscored else finite
    return known | dict.fromkeys(truth.without)


def _windows_of(
    axis: Axis, config: PrepareConfig, complete: np.ndarray, known: Mapping[str, np.ndarray | None]
) -> dict[str, Windows]:
    lags, leads = config.inputs.steps_back, config.target.leads
    return {
        name: windows(
            name,
            index,
            axis.count,
            axis.step,
            lags,
            complete,
            known[name],
            leads,
        )
        for name, index in axis.positions.items()
    }
