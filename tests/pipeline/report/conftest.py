"""A run folder as the stages write it, from synthetic fields: made for any models, members, channels."""

import copy
import itertools
import json
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

SCORES = ["model", "split", "variable", "group", "metric", "value", "units", "low", "high", "n"]
COMPARISONS = ["model", "reference", *SCORES[1:5], "difference", "low", "high", "relative", "n"]
PARTS = yaml.safe_load((Path(__file__).parent / "fake_run.yaml").read_text(encoding="utf-8"))
MODELS = ("climatology", "persistence", "interpolation", "ridge", "random_forest", "unet", "unet+deep_ensemble")
BASELINES = ("climatology", "persistence", "interpolation", "ridge")
NOISE, LAND = PARTS["noise"], PARTS["land"]
LAT = np.arange(35.25, 44.3, 0.5)
LON = np.arange(-9.75, 4.3, 0.5)


@dataclass
class Fake:
    """What the folder holds; every part can be left out."""

    models: tuple = MODELS
    baselines: tuple = BASELINES
    noise: dict = field(default_factory=dict)
    variable: str = "tas"
    units: str = "degC"
    channels: tuple = ("tas", "pr", "psl", "ta850", "hus850")
    members: int = 5
    years: int = 5
    months: tuple = (12, 1, 2)
    validation: bool = True
    intervals: bool = True
    seasons: bool = False
    attributions: bool = True
    diagnostics: bool = True
    predictions: bool = True
    history: bool = True
    provenance: dict = field(default_factory=dict)
    experiment: dict = field(default_factory=dict)
    effective: float = 64.0
    mask: bool = True
    name: str = "iberia-tas-20260102T030405Z-a1b2c3"
    seed: int = 3


def _json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def _rng(fake, *words):
    return np.random.default_rng([fake.seed, *(zlib.crc32(str(word).encode()) for word in words)])


def _mask(fake):
    if not fake.mask:
        return np.ones((len(LAT), len(LON)), bool)
    from matplotlib.path import Path as Polygon

    x, y = np.meshgrid(LON, LAT)
    return Polygon(LAND).contains_points(np.c_[x.ravel(), y.ravel()], radius=0.1).reshape(x.shape)


def _smooth(noise, passes=6):
    """Smooth in space and keep the deviation, so that fields look like weather."""
    before = noise.std()
    for _ in range(passes):
        padded = np.pad(noise, [(0, 0)] * (noise.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
        noise = (
            padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + noise
        ) / 5
    return noise * before / noise.std()


def _times(fake, first, years):
    days = pd.date_range(f"{first}-06-01", f"{first + years}-05-31")
    return days[days.month.isin(fake.months)].to_numpy()


def _truth(fake, times, word="test"):
    rng = _rng(fake, "truth", word)
    day = pd.DatetimeIndex(times).dayofyear.to_numpy()
    x, y = np.meshgrid(LON, LAT)
    base = 9 - 0.9 * (y - 40) + 0.15 * (x + 3) - 5 * np.exp(-((x + 4) ** 2 / 8 + (y - 41) ** 2 / 4))
    year = 6 * np.cos(2 * np.pi * (day - 200) / 365.25)
    weather = _smooth(rng.normal(size=(len(times), *x.shape)), 14) * 2.2
    for i in range(1, len(times)):
        weather[i] = 0.75 * weather[i - 1] + 0.66 * weather[i]
    truth = base + year[:, None, None] + weather
    return np.where(_mask(fake), truth, np.nan).astype(np.float32)


def _prediction(fake, model, truth):
    rng = _rng(fake, "prediction", model)
    size = {**NOISE, **fake.noise}.get(model, 1.4 + rng.uniform(0, 0.8))
    error = _smooth(rng.normal(size=truth.shape), 3)
    x, y = np.meshgrid(LON, LAT)
    where = 1 + 0.25 * np.sin(x / 2.2 + len(model)) * np.cos(y / 1.7)
    mean = truth + size * 0.97 * where * error + 0.25 * size * where * _smooth(rng.normal(size=truth.shape[1:]), 4)
    return mean.astype(np.float32), size


def _write_predictions(run, fake, model, times, truth, split="test"):
    from scipy.stats import norm

    mean, size = _prediction(fake, model, truth)
    v, dims = fake.variable, ("time", "lat", "lon")
    data = {f"{v}_truth": (dims, truth), v: (dims, mean)}
    if model not in ("persistence", "interpolation", "random_forest"):
        epistemic = 0.25 * size**2 * (1 + 0.4 * np.sin(LON / 3))[None, None, :] * np.ones_like(mean)
        aleatoric = 0.7 * size**2 * np.ones_like(mean)
        sd = np.sqrt(aleatoric + epistemic)
        data[f"{v}_aleatoric"] = (dims, np.where(np.isnan(mean), np.nan, aleatoric).astype(np.float32))
        if "+" in model:
            data[f"{v}_epistemic"] = (dims, np.where(np.isnan(mean), np.nan, epistemic).astype(np.float32))
            spread = _rng(fake, "member", model).normal(size=(fake.members, *mean.shape)) * np.sqrt(epistemic)
            data[f"{v}_member"] = (("member", *dims), (mean + spread).astype(np.float32))
        for level in (5, 25, 50, 75, 95):
            data[f"{v}_q{level:02d}"] = (dims, (mean + norm.ppf(level / 100) * sd).astype(np.float32))
    coords = {"time": times, "lat": LAT, "lon": LON, "split": ("time", np.full(len(times), split, object))}
    dataset = xr.Dataset(data, coords)
    dataset[v].attrs["units"] = fake.units
    folder = run / ("predictions" if split == "test" else "work/validation")
    folder.mkdir(parents=True, exist_ok=True)
    dataset.to_netcdf(folder / f"{model}.nc")
    return mean, dataset


def _score_rows(fake, model, split, mean, dataset, times):
    rng = _rng(fake, "scores", model, split)
    v, truth = fake.variable, dataset[f"{fake.variable}_truth"].values
    months = pd.DatetimeIndex(times).month.to_numpy()
    season = np.array(["DJF", "MAM", "JJA", "SON"])[(months % 12) // 3]
    groups = {"all": np.ones(len(times), bool)}
    if fake.seasons:
        groups |= {f"season={name}": season == name for name in dict.fromkeys(season)}
    rows = []
    for group, rows_in in groups.items():
        gap = (mean - truth)[rows_in]
        values = {"rmse": np.sqrt(np.nanmean(gap**2)), "mae": np.nanmean(abs(gap)), "bias": np.nanmean(gap)}
        values["pearson_r"] = 0.9 + rng.uniform(0, 0.08)
        if f"{v}_q05" in dataset:
            low, high = (dataset[f"{v}_q{q}"].values[rows_in] for q in ("05", "95"))
            inside = (truth[rows_in] >= low) & (truth[rows_in] <= high)
            values |= {
                "crps": 0.56 * values["rmse"], "coverage_50": 0.49 + rng.uniform(-0.03, 0.03),
                "coverage_90": inside[np.isfinite(gap)].mean(), "width_90": np.nanmean(high - low),
                "spread_skill": np.nanmean(high - low) / 3.29 / values["rmse"], "nll": 1.5 + 0.2 * values["rmse"],
            }  # fmt: skip
        for metric, value in values.items():
            unit = "K" if metric in ("rmse", "mae", "bias", "crps", "width_90") else "1"
            half = 0.05 * abs(value) + 0.004 if fake.intervals else np.nan
            rows.append((model, split, v, group, metric, value, unit, value - half, value + half, int(rows_in.sum())))
    return rows


def _write_diagnostics(run, fake, model, mean, dataset, reference):
    v, truth = fake.variable, dataset[f"{fake.variable}_truth"].values
    gap, dims = (dataset[v] - dataset[f"{v}_truth"]), ("lat", "lon")
    rmse, bias = np.sqrt((gap**2).mean("time")).values, gap.mean("time").values
    maps = {"rmse": rmse, "bias": bias, "bias_low": bias - 0.16, "bias_high": bias + 0.16}
    if reference is not None:
        skill = 100 * (1 - rmse / reference)
        maps |= {"skill": skill, "skill_low": skill - 9, "skill_high": skill + 9}
    data = {f"{v}_{name}": (dims, values) for name, values in maps.items()}
    if f"{v}_q05" in dataset:
        from scipy.stats import norm

        data[f"{v}_aleatoric"] = (dims, dataset[f"{v}_aleatoric"].mean("time").values)
        sd = (dataset[f"{v}_q95"].values - dataset[f"{v}_q05"].values) / 3.29
        pit = norm.cdf((truth - mean) / sd)[np.isfinite(mean)]
        level = np.linspace(0.05, 0.95, 19)
        observed = np.array([(pit <= p).mean() for p in level])
        for name, shift in (("observed", 0), ("low", -0.02), ("high", 0.02)):
            data[f"{v}_calibration_{name}"] = ("level", observed + shift)
        data[f"{v}_calibration_level"] = ("level", level)
        data[f"{v}_pit_count"] = ("bin", np.histogram(pit, 20, (0, 1))[0])
        bins = np.linspace(0.8, 1.2, 8) * np.nanmean(sd)
        data[f"{v}_spread_bin_spread"] = ("spread_bin", bins)
        data[f"{v}_spread_bin_rmse"] = ("spread_bin", bins * 1.03 + 0.05 * np.sin(bins * 9))
        if f"{v}_epistemic" in dataset:
            data[f"{v}_epistemic"] = (dims, dataset[f"{v}_epistemic"].mean("time").values)
            ranks = (dataset[f"{v}_member"].values < truth).sum(axis=0)[np.isfinite(truth)]
            data[f"{v}_rank_count"] = ("rank", np.bincount(ranks, minlength=fake.members + 1))
        cells = np.cos(np.deg2rad(dataset["lat"])) * np.isfinite(gap)
        parts = dataset[[f"{v}_{kind}" for kind in ("aleatoric", "epistemic") if f"{v}_{kind}" in dataset]]
        means = parts.assign({f"{v}_squared_error": gap**2}).weighted(cells).mean(dims)
        data |= {f"{k}_by_time": x for k, x in means.assign({f"{v}_area": cells.sum(dims)}).items()}
    (run / "diagnostics").mkdir(exist_ok=True)
    xr.Dataset(data, {"lat": LAT, "lon": LON}).to_netcdf(run / "diagnostics" / f"{model}.nc")
    return rmse


def _write_attributions(run, fake, model):
    rng, count = _rng(fake, "attributions", model), len(fake.channels)
    importance = np.sort(rng.gamma(1.0, 0.35, count))[::-1]
    places = {"lat": np.linspace(35, 45, 7), "lon": np.linspace(-10, 5, 9)}
    methods = {m: said for m, said in PARTS["attributions"].items() if said["kind"] == "score" or "unet" in model}
    data, coords = {}, {"channel": np.array(fake.channels, object), **places}
    for method, said in methods.items():
        attrs = {**said, "findings": json.dumps(said["findings"])}
        data[f"{method}_importance"] = ("channel", importance, attrs)
        data |= {f"{method}_{end}": ("channel", importance * by) for end, by in (("low", 0.8), ("high", 1.2))}
        if said["kind"] == "departure":
            field = _smooth(rng.normal(size=(count, 7, 9)), 3) * importance[:, None, None] * 0.02
            data[f"{method}_map"] = (("channel", "lat", "lon"), field)
            data[f"{method}_share"] = ((group := f"{method}_group"), "v"), [importance / importance.sum()]
            coords |= {group: ["all"], f"{group}_kind": (group, ["all"]), f"{group}_days": (group, [64])}
            coords[f"{method}_variable"] = ("v", np.array(fake.channels, object))
    dataset = xr.Dataset(data, coords, {"explanations": json.dumps(list(methods))})
    dataset.to_netcdf(run / "attributions" / f"{model}.nc")


def _write_models(run, fake):
    for model in fake.models:
        base, _, method = model.partition("+")
        if method:
            said = {"seconds": 0.2, "members": fake.members, "calibration": 1.04}
            _json(run / "models" / model / "summary.json", said)
            continue
        deep = base.startswith("unet")
        for number in range(fake.members if deep else 1):
            folder = run / "models" / base / f"member-{number:02d}"
            chosen = {"best_epoch": 31, "parameters": 123457} if deep else {"penalty": 300.0, "components": [1, 2, 3]}
            _json(folder / "summary.json", {"seconds": 41.5 + number if deep else 0.8, "member": number, **chosen})
            if deep and fake.history:
                _history(_rng(fake, base, number)).to_csv(folder / "history.csv", index=False)


def _history(rng):
    epoch = np.arange(1, 41)
    train = 0.2 + 0.8 * np.exp(-epoch / 8) + 0.01 * rng.normal(size=40)
    rise = 0.0004 * np.maximum(epoch - 28, 0) ** 2
    loss = 0.3 + 0.7 * np.exp(-epoch / 9) + rise + 0.012 * rng.normal(size=40)
    columns = {"epoch": epoch, "train_loss": train, "validation_loss": loss, "lr": 1e-3, "seconds": 1.0}
    return pd.DataFrame(columns)


def _experiment(fake):
    tree = copy.deepcopy(PARTS["experiment"])
    tree["name"] = fake.name.partition("-2026")[0]
    tree["data"]["predictors"][0]["variables"] = list(fake.channels)
    tree["data"]["target"]["variables"] = [fake.variable]
    tree["data"]["months"] = list(fake.months)
    tree["split"]["test"] = {"test": ["1997-06-01", f"{1997 + fake.years}-05-31"]}
    tree["models"] = {model: {"kind": model} for model in fake.models if "+" not in model}
    tree["uncertainty"][0]["members"] = fake.members
    return {**tree, **fake.experiment}


def _ingest(fake):
    tree = copy.deepcopy(PARTS["ingest"])
    coarse, fine = tree["datasets"]["iberia-ncep"], tree["datasets"]["iberia-eobs"]
    gaps = [{"before": "1983-02-28", "after": "1983-12-01", "steps": 275}] * 19
    coarse["variables"] = [{**coarse["variables"][0], "name": name, "gaps": gaps} for name in fake.channels]
    fine["variables"] = [{**fine["variables"][0], "name": fake.variable, "units": fake.units, "gaps": gaps}]
    return tree


def _write_stages(run, fake, test, validation):
    splits = copy.deepcopy(PARTS["splits"])
    splits["validation"]["samples"] = len(validation)
    splits["test"] = {"first": str(test[0])[:10], "last": str(test[-1])[:10], "samples": len(test)}
    summaries = {
        "prepare": {"splits": splits, "gap": "10D"},
        "score": {"n_effective": {"test": {fake.variable: fake.effective}}},
    }
    for number, (stage, seconds) in enumerate(PARTS["seconds"].items()):
        record = {"stage": stage, "digest": "0" * 64, "started": f"2026-01-02T03:0{number}:00+00:00"}
        record |= {"seconds": seconds, "peak_memory_mib": 410.5 + 90 * number, "summary": summaries.get(stage, {})}
        record["outputs"] = [{"path": "scores.csv", "sha256": "ab" * 32, "bytes": 4711}] if stage == "score" else []
        _json(run / "stages" / f"{stage}.json", record)


def _provenance(fake):
    return {**PARTS["provenance"], "baselines": list(fake.baselines), **fake.provenance}


def build(parent, fake):
    run = parent / fake.name
    run.mkdir(parents=True)
    test, validation = _times(fake, 1997, fake.years), _times(fake, 1995, 2)
    scores, rmse, squares = [], {}, {}
    truths = {"test": _truth(fake, test), "validation": _truth(fake, validation, "validation")}
    results = {}
    for model in fake.models:
        if fake.validation:
            mean, data = _write_predictions(run, fake, model, validation, truths["validation"], "validation")
            scores += _score_rows(fake, model, "validation", mean, data, validation)
        results[model] = _write_predictions(run, fake, model, test, truths["test"])
        scores += _score_rows(fake, model, "test", *results[model], test)
        squares[model] = np.nanmean((results[model][0] - truths["test"]) ** 2)
    known = [model for model in fake.baselines if model in fake.models]
    best = min(known, key=squares.get) if known else None
    for model in sorted(fake.models, key=lambda m: m != best) if fake.diagnostics else ():
        rmse[model] = _write_diagnostics(run, fake, model, *results[model], rmse.get(best))
    pd.DataFrame(scores, columns=SCORES).to_csv(run / "scores.csv", index=False)
    rows = []
    for reference, model in itertools.permutations(fake.models, 2):
        if reference in known:
            base = np.sqrt(squares[reference])
            gap, half = np.sqrt(squares[model]) - base, 0.05 if fake.intervals else np.nan
            labels = (model, reference, "test", fake.variable, "all", "rmse")
            rows.append((*labels, gap, gap - half, gap + half, gap / base, len(test)))
    pd.DataFrame(rows, columns=COMPARISONS).to_csv(run / "comparisons.csv", index=False)
    for path in () if fake.predictions else (run / "predictions").iterdir():
        path.unlink()
    (run / "attributions").mkdir()
    for model in sorted({"unet", "random_forest", "ridge"} & set(fake.models)) if fake.attributions else ():
        _write_attributions(run, fake, model)
    _write_models(run, fake)
    _write_stages(run, fake, test, validation)
    times = _times(fake, 1982, 20)
    (run / "work" / "ingest").mkdir(parents=True, exist_ok=True)
    truth = xr.Dataset({fake.variable: (("time", "lat", "lon"), _truth(fake, times, "all"))})
    truth.assign_coords(time=times, lat=LAT, lon=LON).to_netcdf(run / "work/ingest/iberia-eobs.nc")
    _json(run / "work/ingest/summary.json", _ingest(fake))
    (run / "experiment.yaml").write_text(yaml.safe_dump(_experiment(fake), sort_keys=False))
    _json(run / "provenance.json", _provenance(fake))
    return run


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Return a function that writes a fake run folder, the caller's own, and returns its path."""
    built = {}

    def make(**parts):
        fake = Fake(**parts)
        if repr(fake) not in built:
            built[repr(fake)] = build(tmp_path_factory.mktemp("built"), fake)
        run = built[repr(fake)]
        return Path(shutil.copytree(run, tmp_path_factory.mktemp("runs") / run.name))

    return make


@pytest.fixture(scope="session")
def whole_run(make_run):
    """A run with everything in it; not to be changed."""
    return make_run()
