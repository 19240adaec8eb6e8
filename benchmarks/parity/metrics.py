"""Scores, each over the whole path that a run takes: sums, groups, bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parity.record import SUMS, Record
from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case, ClassMetric, PairMetric, Place
from pipeline.metrics.classes.evaluate import evaluate_classes
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction

Array = Any

TIME = np.concatenate([np.datetime64(f"{year}-03-01", "D") + np.arange(25) for year in range(2001, 2009)])
CELLS, RESAMPLES = 16, 5
PLACE = Place(Grid(np.arange(40.0, 44.0), np.arange(-5.0, -1.0)), np.ones((4, 4), bool))
WEIGHTS = np.linspace(0.5, 1.5, CELLS)
CLASSES = ("background", "cyclone", "river")
UNITS = {"temperature": "K", "flow": "m3 s-1"}


def numbers(level: float) -> dict[str, np.ndarray]:
    """Return normal distributions about a level, truths drawn from them with gaps, and draws."""
    rng = np.random.default_rng(0)
    mean = level + rng.normal(0.0, 2.0, (len(TIME), CELLS))
    sd = rng.uniform(0.5, 1.5, mean.shape)
    truth = mean + sd * rng.standard_normal(mean.shape)
    truth[rng.random(truth.shape) < 0.05] = np.nan
    members = mean + sd * rng.standard_normal((5, *mean.shape))
    return {"mean": mean, "sd": sd, "truth": truth, "members": members, "usual": np.full(mean.shape, level)}


def score(name: str, units: str, backend: Backend, given: Mapping[str, Array]) -> dict[str, Array]:
    """Return a score of a mixture of five, or of members where it is one of members."""
    xp = backend.xp
    if name == "crps_fair":
        prediction = Prediction("members", {"members": given["members"]})
    else:
        prediction = Prediction("mixture", {"mean": given["members"], "sd": xp.stack([given["sd"]] * 5)})
    usual = Prediction("normal", {"mean": given["usual"], "sd": given["sd"] * 0 + 2.2})
    case = Case(prediction, given["truth"], usual, units=units, time=TIME, place=PLACE)
    cases = {"x": case}
    if issubclass(METRICS.get(name), PairMetric):
        cases["y"] = case.with_draws().select(backend.asarray(np.arange(CELLS)[::-1].copy()), -1)
    found = evaluate(
        {"model": cases},
        split="test",
        time=TIME,
        weights=WEIGHTS,
        units=dict.fromkeys("xy", units),
        seed=0,
        metrics=(name,),
        resamples=RESAMPLES,
    )
    return _rows(backend, found.scores)


def classes() -> dict[str, np.ndarray]:
    """Return chances of three classes on a grid, and what they are of."""
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.integers(0, 3, (len(TIME), 4)), 4, axis=1).astype(float)
    odds = 2.0 * (truth == np.arange(3)[:, None, None]) + rng.normal(size=(3, *truth.shape))
    truth[rng.random(truth.shape) < 0.05] = np.nan
    return {"chance": np.exp(odds) / np.exp(odds).sum(axis=0), "truth": truth}


def class_score(name: str, backend: Backend, given: Mapping[str, Array]) -> dict[str, Array]:
    """Return a score of classes, overall and class by class."""
    prediction = Prediction("categorical", {"probabilities": given["chance"]})
    case = Case(prediction, given["truth"], prediction, time=TIME, place=PLACE)
    found = evaluate_classes(
        {"model": {"event": case}},
        split="test",
        time=TIME,
        weights=WEIGHTS,
        classes=CLASSES,
        place=PLACE,
        seed=0,
        metrics=(name,),
        resamples=RESAMPLES,
    )
    return _rows(backend, found.scores)


def _rows(backend: Backend, rows: Any) -> dict[str, Array]:
    values = {row.group: [row.value, row.low, row.high] for row in rows}
    return {group: backend.asarray(np.asarray(found, float)) for group, found in values.items()}


def _record(name: str) -> Record:
    metric = METRICS.get(name)
    if issubclass(metric, ClassMetric):
        return Record("metric", name, classes, partial(class_score, name), SUMS)
    level = 40.0 if metric.quantity == "flow" else 18.0 if "r20" in name else 6.0  # no flow is below zero
    units = UNITS.get(metric.quantity, "mm day-1")
    return Record("metric", name, partial(numbers, level), partial(score, name, units), SUMS)


RECORDS = tuple(_record(name) for name in METRICS.names())
