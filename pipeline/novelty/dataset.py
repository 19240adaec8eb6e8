"""``diagnostics/novelty.nc``: how unusual the samples of every split are, and how models err on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from pipeline.grid import Grid
from pipeline.novelty.fitted import Scores
from pipeline.novelty.reference import SHARE
from pipeline.novelty.relation import Relation, Value
from pipeline.novelty.season import DAYS
from pipeline.prediction.serial.stamps import UNITS, Stamps
from pipeline.units import of_difference

SIDES = ("unusual", "rest")
OF_SAMPLE = {
    "distance": "Mahalanobis distance from the mean of the train climate at that time of the year, in its leading "
    "principal components",
    "distance_share": "share of train samples of that time of the year with a smaller distance",
    "residual": "root of the squares that the leading principal components leave",
    "residual_share": "share of train samples of that time of the year with a smaller residual",
    "novelty": "the larger of distance and residual, over what 99 % of the train samples of that time of the year stay "
    "below; above 1 a sample is unusual",
    "share": "share of train samples of that time of the year with a smaller novelty",
}
OF_SEASON = {
    "season_novelty": f"novelty of the mean over the {DAYS} days around",
    "season_share": f"share of train samples with a smaller novelty of the mean over the {DAYS} days around",
}
_INTERVAL = {"": "", "_low": ", lower end of the 95 % interval", "_high": ", upper end of the 95 % interval"}

ByModel = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Found:
    """What the score stage found of one run.

    Parameters
    ----------
    time : mapping of str to ndarray
        Times of every split, in the order of the file.
    scores : mapping of str to Scores
        Of every split; empty where novelty cannot be told.
    unusual : mapping of str to Value
        Share of unusual samples of every split.
    test : str or None
        The test set whose errors are related; None where there is none with truth.
    relations : mapping of str to mapping of str to Relation
        By model and variable, on that test set.
    disagreement : mapping of str to mapping of str to mapping of str to (ndarray, ndarray)
        By model, variable and split: the share of disagreement in all uncertainty of each sample, and the share of
        validation samples with less.
    facts : mapping
        What was fitted, for the attributes.
    """

    time: Mapping[str, np.ndarray]
    scores: Mapping[str, Scores] = field(default_factory=dict)
    unusual: Mapping[str, Value] = field(default_factory=dict)
    test: str | None = None
    relations: Mapping[str, Mapping[str, Relation]] = field(default_factory=dict)
    disagreement: Mapping[str, Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


def to_dataset(
    found: Found, variables: Sequence[str], units: Mapping[str, str], grid: Grid, classes: bool
) -> xr.Dataset:
    """Return all of it as one CF dataset.

    Parameters
    ----------
    found : Found
        What is written.
    variables : sequence of str
        Target variables.
    units : mapping of str to str
        Of each.
    grid : Grid
        Of the inputs: a table's stations get a dim of their own.
    classes : bool
        Whether errors are shares of the area with a wrong class.
    """
    parts: dict[str, xr.Variable] = {}
    table = bool(found.scores) and next(iter(found.scores.values())).measured.distance.shape[1] > 1
    if found.scores:
        parts |= _samples(found, ("time", "station") if table else ("time",)) | _sets(found)
    if found.relations:
        parts |= _relations(found, variables, units, classes)
    if found.disagreement:
        parts |= _disagreement(found, variables)
    coords = _coords(found, variables) | (grid.coords() if table else {})
    said = np.array([of_difference(units[name]) for name in variables], dtype=object)
    coords["target_units"] = ("target", said, {"long_name": "units of errors"})
    attrs = {"Conventions": "CF-1.11", "title": "How far samples lie from the train climate", "threshold": SHARE}
    attrs |= {"test": found.test} if found.test else {}
    attrs |= {f"fitted_{name}": _plain(value) for name, value in found.facts.items()}
    data = xr.Dataset(parts, coords, attrs)
    return data.rename(time="tile") if _tiles(found) else data


def _tiles(found: Found) -> bool:
    """Whether samples are tiles of images, which have numbers and no times."""
    return all(time.dtype.kind in "iu" for time in found.time.values())


def _samples(found: Found, dims: tuple[str, ...]) -> dict[str, xr.Variable]:
    parts = {}
    for name, words in OF_SAMPLE.items():
        each = [
            getattr(one.measured if name in ("distance", "residual") else one.judged, name)
            for one in found.scores.values()
        ]
        whole = np.concatenate(each)
        parts[name] = _variable(dims, whole if len(dims) > 1 else whole[:, 0], words)
    if all(one.season is not None for one in found.scores.values()):
        for name, words in OF_SEASON.items():
            kept = [getattr(one.season, name.removeprefix("season_")) for one in found.scores.values()]
            parts[name] = _variable(("time",), np.concatenate(kept), words)
    return parts


def _sets(found: Found) -> dict[str, xr.Variable]:
    counts = [int(np.isfinite(one.judged.novelty).sum()) for one in found.scores.values()]
    parts = {
        "samples": xr.Variable(
            "set", counts, {"long_name": "samples of the split whose novelty is known", "units": "1"}
        )
    }
    values = [found.unusual[name] for name in found.scores]
    parts |= _ends("unusual_share", ("set",), values, "share of samples farther from train than 99 % of its own")
    if forcings := list(next(iter(found.scores.values())).outside):
        outside = np.array([[one.outside[name].mean() for name in forcings] for one in found.scores.values()])
        words = "share of samples with the forcing outside its range in train"
        parts["forcing_outside"] = _variable(("set", "forcing"), outside, words)
    if all(one.season is not None for one in found.scores.values()):
        seasons = [
            float(np.mean(one.season.unusual[np.isfinite(one.season.novelty)])) if one.season is not None else np.nan
            for one in found.scores.values()
        ]
        parts["season_unusual_share"] = _variable(
            ("set",), np.array(seasons), f"share of samples whose {DAYS} days around are unusual"
        )
    return parts


def _relations(
    found: Found, variables: Sequence[str], units: Mapping[str, str], classes: bool
) -> dict[str, xr.Variable]:
    models = list(found.relations)
    shape = (len(models), len(variables))
    what = "share of the area with a wrong class" if classes else "root mean square error"
    # Targets of several units stand in one variable: their units are named beside them.
    unit = {"1"} if classes else {of_difference(units[name]) for name in variables}
    said = unit.pop() if len(unit) == 1 else "see target_units"
    times = sum(len(time) for time in found.time.values())
    start = sum(len(time) for time in list(found.time.values())[: list(found.time).index(str(found.test))])
    error = np.full((*shape, times), np.nan)
    parts: dict[str, xr.Variable] = {}
    grid = [[found.relations[model][name] for name in variables] for model in models]
    for row, line in enumerate(grid):
        for column, one in enumerate(line):
            error[row, column, start : start + len(one.error)] = one.error
    parts["error"] = _variable(("model", "target", "time"), error, f"{what} of each sample", said)
    sides = [[(one.unusual, one.rest) for one in line] for line in grid]
    dims = ("model", "target", "side")
    for name, words, own in (
        ("error_by_side", what, said),
        ("coverage_90", "share of truths in the 90 % interval", "1"),
    ):
        part = name.partition("_")[0]
        values = [getattr(side, part) for line in sides for pair in line for side in pair]
        parts |= _ends(name, dims, values, words, own, (*shape, 2))
    ranks = [one.rank for line in grid for one in line]
    return parts | _ends("rank_correlation", dims[:2], ranks, "Spearman's correlation of novelty and error", "1", shape)


def _disagreement(found: Found, variables: Sequence[str]) -> dict[str, xr.Variable]:
    models = list(found.disagreement)
    times = {name: len(time) for name, time in found.time.items()}
    whole = np.full((2, len(models), len(variables), sum(times.values())), np.nan)
    for row, model in enumerate(models):
        for column, variable in enumerate(variables):
            start = 0
            for split, count in times.items():
                for part, values in enumerate(found.disagreement[model].get(variable, {}).get(split, ())):
                    whole[part, row, column, start : start + count] = values
                start += count
    dims = ("ensemble", "target", "time")
    return {
        "disagreement": _variable(dims, whole[0], "share of the predictive uncertainty that is between members"),
        "disagreement_share": _variable(dims, whole[1], "share of validation samples with less disagreement"),
    }


def _coords(found: Found, variables: Sequence[str]) -> dict[str, Any]:
    coords: dict[str, Any] = {}
    stamps = Stamps()
    for split, time in found.time.items():
        stamps.add(split, time)
    if _tiles(found):
        coords["time"] = ("time", np.concatenate(stamps.times), {"long_name": "number of the tile"})
    else:
        attrs = {"standard_name": "time", "long_name": "time", "units": UNITS, "calendar": stamps.calendar}
        coords["time"] = ("time", stamps.seconds(), attrs)
    others = {"calendars": json.dumps(stamps.others(), sort_keys=True)} if stamps.others() else {}
    coords["split"] = ("time", stamps.names(), {"long_name": "name of the split", **others})
    coords["target"] = ("target", np.array(variables, dtype=object), {"long_name": "target variable"})
    names = {
        "set": (found.scores, "split"),
        "forcing": (next((one.outside for one in found.scores.values()), ()), "series without a place"),
        "model": (found.relations, "model or method"),
        "side": (SIDES if found.relations else (), "samples above the threshold, and the others"),
        "ensemble": (found.disagreement, "model or method with members"),
    }
    coords |= {
        dim: (dim, np.array(list(of), dtype=object), {"long_name": said}) for dim, (of, said) in names.items() if of
    }
    return coords


def _ends(
    name: str,
    dims: tuple[str, ...],
    values: Sequence[Value],
    words: str,
    units: str = "1",
    shape: tuple[int, ...] = (-1,),
) -> dict[str, xr.Variable]:
    """Return a number and the ends of its interval as three variables."""
    columns = np.array([(one.value, one.low, one.high) for one in values]).T
    return {
        f"{name}{end}": _variable(dims, column.reshape(shape), words + said, units)
        for column, (end, said) in zip(columns, _INTERVAL.items(), strict=True)
    }


def _variable(dims: tuple[str, ...], values: np.ndarray, words: str, units: str = "1") -> xr.Variable:
    attrs = {"long_name": words, "units": units}
    return xr.Variable(dims, values.astype(np.float32), attrs, encoding={"zlib": True, "complevel": 4})


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value
