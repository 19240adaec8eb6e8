"""Steps of prepare on arrays, event labels and yearly indices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.parity.record import EXACT, ROUNDING, SUMS, Record
from pipeline.backend import Backend
from pipeline.grid import Grid
from pipeline.metrics.indices import INDICES, indices_of_years
from pipeline.prediction import Prediction
from pipeline.prepare import powers
from pipeline.prepare.anomalies import less_mean
from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig, TargetConfig
from pipeline.prepare.dates import phase_of_year
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.frequencies import ClassFrequencies, class_shares
from pipeline.prepare.inputs import InputTransform
from pipeline.prepare.labels import LABELS, make_label
from pipeline.prepare.missing import deal_with
from pipeline.prepare.quantiles import column_quantiles
from pipeline.prepare.regrid import Regridder
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TimeSplit
from pipeline.prepare.transform import TargetTransform
from pipeline.rows.room import Room

Array = Any
Given = Mapping[str, Array]

TIME = np.arange("1991-01-01", "1997-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
PHASE = phase_of_year(TIME)
SPLIT = TimeSplit(("1991", "1994"), ("1995", "1995"), {"test": ("1996", "1996")})
TRAIN = SPLIT.train_split(TIME)
GRID = Grid(np.array([40.0, 45.0, 50.0]), np.array([0.0, 5.0, 10.0, 15.0]))
FINE = Grid(np.linspace(41.0, 49.0, 9), np.linspace(1.0, 14.0, 11))
POINTS = Grid(np.full((1, 5), 44.3), np.array([[1.0, 4.4, 7.0, 9.9, 14.0]]), ("row", "station"), tuple("abcde"))
NAMES = ("psl", "tas")
# Options with which the made pressure has events of every class.
EVENTS = {
    "threshold": {"above": 1200.0, "units": "Pa", "of": "anomaly", "min_days": 2},
    "deep_low": {"below": 98500.0, "units": "Pa"},
    "blocking": {"above": 800.0, "units": "Pa", "persistence": 3},
    "marine_heatwave": {"categories": True},
    "percentile_extreme": {"percentile": 10.0, "side": "below", "name": "cold"},
}


def fields() -> dict[str, np.ndarray]:
    """Return six years of pressure with a season, a memory of some days and gaps, as two variables."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(len(TIME), 1, 1)) + 0.5 * rng.normal(size=(len(TIME), *GRID.shape))
    for day in range(1, len(TIME)):
        noise[day] += 0.85 * noise[day - 1]
    season = 6 * np.cos(2 * np.pi * PHASE)[:, None, None]
    one = 1000 + season + 5 * noise
    made = np.stack([one, 0.3 * one[:, ::-1] + rng.normal(size=one.shape)], axis=1)
    made[rng.random(made.shape) < 0.02] = np.nan
    made[:, 1, 0, 0] = np.nan
    return {"values": made}


def classes() -> dict[str, np.ndarray]:
    """Return class numbers with gaps, shape (time, 1, lat, lon)."""
    rng = np.random.default_rng(4)
    made = rng.integers(0, 3, (len(TIME), 1, *GRID.shape)).astype(float)
    made[rng.random(made.shape) < 0.05] = np.nan
    return {"values": made}


def rain() -> dict[str, np.ndarray]:
    """Return daily amounts, four days of ten dry, with gaps."""
    rng = np.random.default_rng(5)
    made = np.maximum(0.0, rng.gamma(0.8, 6.0, (len(TIME), 7)) - 2.0)
    made[rng.random(made.shape) < 0.01] = np.nan
    return {"values": made}


def standardised(per: str, backend: Backend, given: Given) -> dict[str, Array]:
    scaler = Standardiser.fit(given["values"], TRAIN, per=per, names=NAMES)
    moved = scaler.transform(given["values"])
    return {"mean": scaler.mean, "moved": moved, "back": scaler.inverse(moved)}


def climatology(backend: Backend, given: Given) -> dict[str, Array]:
    found = Climatology.fit(given["values"], TRAIN, harmonics=2)
    return {"mean": found.mean_at(PHASE[:400]), "sd": found.sd_at(PHASE[:400])}


def anomalies(rows: slice, backend: Backend, given: Given) -> dict[str, Array]:
    values = given["values"]
    found = Climatology.fit(values, TRAIN, harmonics=2)
    scale = 3.0 * backend.xp.ones_like(values[0, ...])
    made = less_mean(values[rows, ...], found, PHASE[rows], scale)
    return {"anomalies": less_mean(values[rows, ...], found, PHASE[rows]), "scaled": made}


def empirical(backend: Backend, given: Given) -> dict[str, Array]:
    found = EmpiricalClimatology.fit(given["values"], TRAIN, members=9, windows=6)
    crps = found.crps(given["values"][:60, ...], PHASE[:60])
    return {"values": found.values, "members": found.forecast(PHASE[:60]).members, "crps": crps}


def input_transform(missing: str, backend: Backend, given: Given) -> dict[str, Array]:
    asked = PrepareConfig.model_validate({"inputs": {"anomaly": "day_of_year", "missing": missing}})
    covered = np.ones((2, *GRID.shape), bool)
    made = InputTransform.fit(given["values"], TRAIN, asked, GRID, NAMES, ("hPa", "K"), covered)
    room = Room(backend)
    values, lacking = made.forward(given["values"], PHASE, room)
    run = np.zeros(len(TIME), int)
    filled = deal_with(values, lacking, missing, run, table=False, room=room)
    return {"values": values, "missing": backend.asarray(lacking), "filled": filled.values}


def target_transform(anomaly: str, scale: str, backend: Backend, given: Given) -> dict[str, Array]:
    values = given["values"]
    reference = Climatology.fit(values, TRAIN, harmonics=2)
    made = TargetTransform.fit(values, TRAIN, reference, TargetConfig(anomaly=anomaly, scale=scale), NAMES)
    moved = made.forward(values, PHASE)
    return {"moved": moved, "back": made.to_units(Prediction("point", {"mean": moved}), PHASE).mean()}


def power(kind: str, backend: Backend, given: Given) -> dict[str, Array]:
    moved = powers.forward(given["values"], kind)
    return {"moved": moved, "back": powers.backward(moved, kind)}


def quantiles(backend: Backend, given: Given) -> dict[str, Array]:
    return {"quantiles": column_quantiles(given["values"], np.linspace(0.0, 1.0, 11))}


def regridded(target: Grid, method: str, backend: Backend, given: Given) -> dict[str, Array]:
    return {"values": Regridder.between(GRID, target, method)(given["values"][:200, ...])}


def frequencies(backend: Backend, given: Given) -> dict[str, Array]:
    names, area = ("a", "b", "c"), GRID.area
    found = ClassFrequencies.fit(given["values"], TRAIN, 3, area, per_cell=True)
    shares = np.asarray(class_shares(given["values"], TRAIN, names, area))
    return {"values": found.values, "shares": backend.asarray(shares)}


def label(kind: str, backend: Backend, given: Given) -> dict[str, Array]:
    values = given["values"][:, 0, ...]
    made = make_label({"kind": kind, **EVENTS.get(kind, {})}).fit(values, TIME, TRAIN, GRID, units="hPa")
    found = {"label": made.label(values, TIME, GRID), "intensity": made.intensity(values, TIME, GRID)}
    return {name: backend.asarray(values) for name, values in found.items()}


def index(name: str, backend: Backend, given: Given) -> dict[str, Array]:
    units = "K" if INDICES[name].quantity == "temperature" else "mm day-1"
    return dict(indices_of_years([name], given["values"], TIME, units))


RECORDS = (
    *(Record("prepare", f"Standardiser {per}", fields, partial(standardised, per), ROUNDING)
      for per in ("per_field", "per_cell")),
    Record("prepare", "Climatology", fields, climatology, SUMS),
    Record("prepare", "less_mean of years", fields, partial(anomalies, slice(None)), SUMS),
    Record("prepare", "less_mean of some days", fields, partial(anomalies, slice(20, 90)), SUMS),
    Record("prepare", "EmpiricalClimatology", fields, empirical, ROUNDING),
    *(Record("prepare", f"InputTransform {missing}", fields, partial(input_transform, missing), SUMS)
      for missing in ("leave_out", "mean", "last")),
    *(Record("prepare", f"TargetTransform {anomaly} {scale}", fields, partial(target_transform, anomaly, scale), SUMS)
      for anomaly, scale in (("none", "per_field"), ("mean", "per_cell"), ("day_of_year", "per_cell"))),
    *(Record("prepare", f"powers {kind}", rain, partial(power, kind), ROUNDING) for kind in ("sqrt", "log1p")),
    Record("prepare", "column_quantiles", rain, quantiles, ROUNDING),
    *(Record("prepare", f"Regridder {method}", fields, partial(regridded, FINE, method), ROUNDING)
      for method in ("nearest", "bilinear", "conservative")),
    Record("prepare", "Regridder to points", fields, partial(regridded, POINTS, "bilinear"), ROUNDING),
    Record("prepare", "ClassFrequencies", classes, frequencies, ROUNDING),
    *(Record("label", kind, fields, partial(label, kind), EXACT if kind == "deep_low" else SUMS)
      for kind in LABELS.names()),
    *(Record("index", name, rain, partial(index, name), ROUNDING) for name in INDICES),
)  # fmt: skip
