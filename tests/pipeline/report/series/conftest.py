"""A run folder of the task series as the stages write it: stations or one series, one lead or several."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

SCORES = ["model", "split", "variable", "group", "metric", "value", "units", "low", "high", "n"]
COMPARISONS = ["model", "reference", *SCORES[1:5], "difference", "low", "high", "relative", "n"]
NOISE = {"climatology": 1.0, "persistence": 0.75, "ridge": 0.5, "lstm": 0.35}
FLOW_SCORES = {"log_nse": "1", "pbias": "%", "fhv": "%", "fms": "%", "flv": "%", "peak_timing": "d"}


@dataclass
class Series:
    """What the folder holds."""

    models: tuple = tuple(NOISE)
    baselines: tuple = ("climatology", "persistence", "ridge")
    variable: str = "nino34"
    units: str = "K"
    leads: tuple = (1, 2, 3, 4, 5, 6)
    step: str = "MS"
    times: int = 96
    stations: int = 1
    placed: bool = False
    bands: bool = True
    intervals: bool = True
    parts: str = "month"
    predictions: bool = True
    split: dict = field(default_factory=dict)
    prepared: dict = field(default_factory=dict)
    first: str = "1993-01-01"
    name: str = "st{:03d}"


def _rng(*words):
    return np.random.default_rng([sum(map(ord, str(word))) for word in words])


def _truth(fake, times):
    """Return truth of shape (time, station): a slow wave, or flow with one flood a year."""
    rng = _rng("truth", fake.variable)
    count = len(times)
    shape = (count, fake.stations)
    day = pd.DatetimeIndex(times).dayofyear.to_numpy()[:, None]
    if fake.units == "m3 s-1":
        year = pd.DatetimeIndex(times).year.to_numpy()
        height = rng.uniform(60, 300, year.max() + 1)[year][:, None]
        flood = height * np.exp(-(((day - 120) / 15.0) ** 2))
        return (4 + flood) * np.exp(0.1 * rng.normal(size=shape)) * np.linspace(1, 2, fake.stations)
    wave = np.sin(np.arange(count) / 7.0)[:, None]
    return wave * np.linspace(1, 1.5, fake.stations) + 0.2 * rng.normal(size=shape)


def _predict(fake, model, truth):
    """Return predictions of shape (time, lead, station), worse with every lead."""
    rng = _rng("prediction", model)
    spread = truth.std(axis=0)
    grows = 1 + 0.15 * np.arange(truth.shape[1])[:, None]
    size = NOISE.get(model, 0.6)
    return truth * (1 - 0.3 * size) + size * grows * truth.std(axis=(0, 1)) * rng.normal(size=truth.shape) * np.sign(
        spread
    )


def _dataset(fake, model, split, times):
    last = times[-1] + (times[-1] - times[-2])
    known = pd.date_range(times[0], last, freq=fake.step)
    whole = _truth(fake, pd.date_range(times[0], periods=len(times) + max(fake.leads), freq=fake.step))
    assert len(known) >= len(times)
    truth = np.stack([whole[lead : lead + len(times)] for lead in fake.leads], axis=1)
    mean = _predict(fake, model, truth)
    sd = NOISE.get(model, 0.6) * truth.std()
    parts = {"": mean, "_truth": truth}
    if fake.bands:
        levels = (("q05", -1.645), ("q25", -0.674), ("q50", 0.0), ("q75", 0.674), ("q95", 1.645))
        parts |= {f"_{name}": mean + z * sd for name, z in levels} | {"_aleatoric": np.full(mean.shape, sd**2)}
    several = fake.leads != (0,)
    dims = ("time", "lead", "station") if several else ("time", "station")
    data = {
        f"{fake.variable}{name}": (
            dims,
            (values if several else values[:, 0]).astype(np.float32),
            {"units": fake.units},
        )
        for name, values in parts.items()
    }
    coords = {"time": times, "split": ("time", np.full(len(times), split, object)), **_places(fake)}
    if several:
        index = pd.date_range(times[0], periods=len(times) + max(fake.leads), freq=fake.step)
        valid = np.stack([index[lead : lead + len(times)] for lead in fake.leads], axis=1)
        coords |= {"lead": np.array(fake.leads, np.int32), "valid_time": (("time", "lead"), valid)}
    return xr.Dataset(data, coords, {"family": "normal" if fake.bands else "point"}), truth, mean


def _places(fake):
    names = np.array([fake.name.format(k) for k in range(fake.stations)], object)
    lat, lon = (np.linspace(*ends, fake.stations) if fake.placed else np.full(fake.stations, np.nan)
                for ends in ((38.0, 43.0), (-8.0, 2.0)))  # fmt: skip
    if fake.placed and fake.stations > 2:
        lat[0] = lon[0] = np.nan  # one is at no known place
    return {"station": names, "lat": ("station", lat), "lon": ("station", lon)}


def _values(fake, truth, mean):
    gap = mean - truth
    found = {"rmse": np.sqrt(np.mean(gap**2)), "mae": np.mean(abs(gap)), "bias": np.mean(gap)}
    found["pearson_r"] = np.corrcoef(truth.ravel(), mean.ravel())[0, 1]
    found["acc"] = found["pearson_r"] - 0.01
    found["nse"] = 1 - np.mean(gap**2) / np.var(truth)
    if fake.bands:
        found |= {"coverage_90": 0.9 + 0.02 * np.tanh(gap.mean()), "spread_skill": 1.02, "crps": 0.56 * found["rmse"]}
    if fake.units == "m3 s-1":
        found |= dict.fromkeys(FLOW_SCORES, float(10 * gap.mean()))
    return found


def _rows(fake, model, split, times, truth, mean):
    groups = {"all": (truth, mean)}
    for k, lead in enumerate(fake.leads if len(fake.leads) > 1 else ()):
        groups[f"lead={lead}"] = truth[:, k], mean[:, k]
        index = pd.date_range(times[0], periods=len(times) + lead, freq=fake.step)[lead:]
        named = {
            "month": [f"{m:02d}" for m in index.month],
            "season": [("DJF", "MAM", "JJA", "SON")[m % 12 // 3] for m in index.month],
        }
        labels = np.array(named[fake.parts])
        for name in sorted(set(labels)):
            groups[f"lead={lead};{fake.parts}={name}"] = truth[labels == name, k], mean[labels == name, k]
    unitless = {"pearson_r", "acc", "nse", "coverage_90", "spread_skill"}
    rows = []
    for group, (true, own) in groups.items():
        for metric, value in _values(fake, true, own).items():
            half = 0.05 * abs(value) + 0.01 if fake.intervals else np.nan
            unit = FLOW_SCORES.get(metric, "1" if metric in unitless else fake.units)
            rows.append(
                (model, split, fake.variable, group, metric, value, unit, value - half, value + half, len(true))
            )
    return rows


def _write_diagnostics(run, fake, model, times, truth, mean, reference):
    gap = mean - truth
    several = fake.leads != (0,)
    dims = ("lead", "station") if several else ("station",)
    rmse = np.sqrt((gap**2).mean(axis=0))
    maps = {
        "rmse": rmse,
        "bias": gap.mean(axis=0),
        "bias_low": gap.mean(axis=0) - 0.1,
        "bias_high": gap.mean(axis=0) + 0.1,
    }
    if fake.bands:
        maps["aleatoric"] = np.full(rmse.shape, 0.5)
    if reference is not None and model != reference[0]:
        skill = 100 * (1 - rmse / reference[1])
        maps |= {"skill": skill, "skill_low": skill - 9, "skill_high": skill + 9}
    data = {f"{fake.variable}_{name}": (dims, v if several else v[0]) for name, v in maps.items()}
    coords = _places(fake) | ({"lead": list(fake.leads)} if several else {})
    if fake.bands:
        along = ("time", "lead") if several else ("time",)
        series = {"aleatoric": np.full(gap.shape[:2], 0.5), "squared_error": (gap**2).mean(axis=-1)}
        series["area"] = np.full(gap.shape[:2], float(fake.stations))
        data |= {f"{fake.variable}_{name}_by_time": (along, v if several else v[:, 0]) for name, v in series.items()}
        coords["time"] = times
        if several:
            index = pd.date_range(times[0], periods=len(times) + max(fake.leads), freq=fake.step)
            valid = np.stack([index[lead : lead + len(times)] for lead in fake.leads], axis=1)
            coords["valid_time"] = (("time", "lead"), valid)
    (run / "diagnostics").mkdir(exist_ok=True)
    xr.Dataset(data, coords).to_netcdf(run / f"diagnostics/{model}.nc")
    return rmse


def _comparisons(fake, frame):
    test = frame[(frame["split"] == "test") & (frame["metric"] == "rmse")].set_index(["model", "group"])["value"]
    rows = []
    for (model, group), value in test.items():
        base = test["ridge", group] if "ridge" in fake.models else None
        if model != "ridge" and base is not None:
            half = 0.1 * base if fake.intervals else np.nan
            gap = value - base
            labels = (model, "ridge", "test", fake.variable, group, "rmse")
            rows.append((*labels, gap, gap - half, gap + half, gap / base, fake.times))
    return pd.DataFrame(rows, columns=COMPARISONS)


def _json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def build(run, fake):
    """Write the run folder ``run``."""
    (run / "predictions").mkdir(parents=True)
    times = pd.date_range(fake.first, periods=fake.times, freq=fake.step)
    early = pd.date_range("1985-01-01", periods=24, freq=fake.step)
    rows, results = [], {}
    for model in fake.models:
        rows += _rows(fake, model, "validation", early, *_dataset(fake, model, "validation", early)[1:])
        data, truth, mean = _dataset(fake, model, "test", times)
        results[model] = truth, mean
        rows += _rows(fake, model, "test", times, truth, mean)
        if fake.predictions:
            data.to_netcdf(run / f"predictions/{model}.nc")
    frame = pd.DataFrame(rows, columns=SCORES)
    frame.to_csv(run / "scores.csv", index=False)
    _comparisons(fake, frame).to_csv(run / "comparisons.csv", index=False)
    reference = None
    if "ridge" in results:
        reference = "ridge", np.sqrt(((results["ridge"][1] - results["ridge"][0]) ** 2).mean(axis=0))
    for model, (truth, mean) in results.items():
        _write_diagnostics(run, fake, model, times, truth, mean, reference)
    experiment = {
        "name": "waves", "question": "How will it be?", "task": "series",
        "data": {"target": {"dataset": "series", "variables": [fake.variable]}},
        "split": fake.split or {"by": "time", "train": ["1960-01-01", "1984-12-31"], "validation": ["1985-01-01", "1986-12-31"],
                                "test": {"test": ["1993-01-01", "2002-12-31"]}},
        "models": {model: {"kind": model} for model in fake.models},
    }  # fmt: skip
    (run / "experiment.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))
    days = 1.0 if fake.step == "D" else 31.0
    prepared = {
        "splits": {"train": {"first": "1960-01-01", "last": "1984-12-01", "samples": 290, "steps": 300, "dropped": {}}},
        "step_days": days, "gap": "0D", "targets": [{"name": fake.variable, "units": fake.units}],
        "target_grid": {"dims": ["row", "station"]}, "mask": {"cells": fake.stations, "of": fake.stations},
        "scaling": {"inputs": {"lags": [0], "window": 12, "missing": "mean"}, "target": {"leads": list(fake.leads)}},
        **fake.prepared,
    }  # fmt: skip
    _json(
        run / "stages/prepare.json", {"stage": "prepare", "seconds": 1.0, "peak_memory_mib": 100.0, "summary": prepared}
    )
    score = {"n_effective": {"test": {fake.variable: 45.0}}}
    _json(run / "stages/score.json", {"stage": "score", "seconds": 1.0, "peak_memory_mib": 100.0, "summary": score})
    _json(run / "provenance.json", {"finescale": "0.1.0", "baselines": list(fake.baselines), "warnings": []})
    return run


@pytest.fixture(scope="session")
def series_run(tmp_path_factory):
    """Return a function that writes the run folder of a series, built once for the same parts; not to be changed."""
    built: dict[str, Path] = {}

    def make(**parts):
        fake = Series(**parts)
        if repr(fake) not in built:
            built[repr(fake)] = build(tmp_path_factory.mktemp("series") / "waves-20260102T030405Z-a1b2c3", fake)
        return built[repr(fake)]

    return make


FLOW = {
    "variable": "qobs", "units": "m3 s-1", "leads": (0,), "step": "D", "times": 1500, "parts": "season", "bands": False,
}  # fmt: skip


@pytest.fixture(scope="session")
def flow():
    """Parts of a run of one river's daily flow without leads."""
    return dict(FLOW)
