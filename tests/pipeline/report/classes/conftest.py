"""A run folder of a segmentation, tiles of images or days on a grid, made by what writes real ones."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.stages._classes import _dataset
from pipeline.grid import Grid
from pipeline.metrics import Case, Place
from pipeline.metrics.classes.evaluate import evaluate_classes, event_series
from pipeline.metrics.groups import make_groups
from pipeline.metrics.tables import write_comparisons, write_scores
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, Variable, write_forecasts
from pipeline.prepare.tiles import Tile

NAMES = ("clear", "cloud", "shadow", "haze", "snow", "water", "smoke", "dust")
SIZE, WIDTH, HEIGHT = 16, 40, 96
# How much of the truth a model sees, and how sure it is; the first sees nothing.
SKILL = {"class_frequencies": (0.0, 1.0), "pixel_forest": (1.2, 1.0), "class_unet": (2.6, 1.0), "cgnet": (1.8, 0.4)}
BASELINES = ("class_frequencies", "pixel_forest")
SPLITS = {"validation": ("x 40", "79"), "test": ("x 80", "119"), "first": ("x 80", "119")}


@dataclass
class FakeClasses:
    """What the folder holds."""

    models: tuple = ("class_frequencies", "pixel_forest", "class_unet")
    skill: dict = field(default_factory=dict)
    classes: tuple = NAMES[:3]
    tiles: bool = True
    days: int = 60
    predictions: bool = True
    diagnostics: bool = True
    missing: float = 0.0
    absent: bool = False
    intervals: bool = True
    validation: bool = True
    made: bool = False
    loss: str = "cross_entropy (weights inverse_sqrt)"
    seed: int = 5


def _truth(rng, shape, classes):
    """Return smooth areas of every class, the later the rarer."""
    noise = rng.normal(size=shape)
    for axis in (-1, -2):
        for _ in range(6):
            noise = (np.roll(noise, 1, axis) + noise + np.roll(noise, -1, axis)) / 3
    edges = np.quantile(noise, np.cumsum(0.55 * 0.45 ** np.arange(classes - 1)))
    return np.searchsorted(edges, noise).astype(np.float32)


def _chances(rng, truth, classes, skill, sharp):
    each = np.arange(classes)[:, None, None, None]
    logits = sharp * (skill * (truth == each) + rng.normal(size=(classes, *truth.shape)) * (1 if skill else 0))
    logits[0] += 0.1
    chance = np.exp(logits)
    return (chance / chance.sum(axis=0)).astype(np.float32)


def _said(rng, fake, model, truth):
    """Return what a model answers, of shape (time, lat, lon); an ensemble is the mixture of three."""
    name, _, method = model.partition("+")
    classes, skill = len(fake.classes), {**SKILL, **fake.skill}[name]
    answers = [{"probabilities": _chances(rng, truth, classes, *skill)} for _ in range(3 if method else 1)]
    alone = Prediction("categorical", answers[0])
    return Prediction("categorical_mixture", alone.formulas.mix(answers)) if method else alone


def _tiles(rng, classes, split):
    """Return truth of shape (tile, y, x) and where tiles were cut; what two share is known in the first alone."""
    images = ("left", "right") if split != "first" else ("left",)
    first = int(SPLITS[split][0].split()[1])
    truth, origins = [], []
    for image in images:
        whole = _truth(rng, (HEIGHT, WIDTH), classes)
        seen = np.zeros(whole.shape, bool)
        for y in range(0, HEIGHT, SIZE):
            for x in (0, 16, WIDTH - SIZE):
                place = np.s_[y : y + SIZE, x : x + SIZE]
                truth.append(np.where(seen[place], np.nan, whole[place]))
                seen[place] = True
                origins.append(Tile(image, y, first + x))
    return np.stack(truth), origins


def _world(fake, split):
    rng = np.random.default_rng([fake.seed, len(split)])
    count = len(fake.classes) - fake.absent
    if fake.tiles:
        truth, origins = _tiles(rng, count, split)
        axis = np.arange(SIZE, dtype=float)
        return truth, None, origins, Grid(axis, axis, ("y", "x"), image=True)
    first = "2001-01-01" if split == "validation" else "2002-01-01"
    time = (np.datetime64(first) + np.arange(fake.days)).astype("datetime64[ns]")
    grid = Grid(np.linspace(-82.5, 82.5, 12), np.arange(24) * 15.0)
    return _truth(rng, (fake.days, *grid.shape), count), time, [], grid


def _json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


def _splits(fake):
    names = ["validation"] if fake.validation else []
    return [*names, "test", *(["first"] if fake.tiles else [])]


def _split(run, fake, split, written, origins):
    """Score a split, keep its forecasts, and return scores, comparisons and how many samples it has."""
    truth, time, cut, grid = _world(fake, split)
    rng = np.random.default_rng([fake.seed, 7, len(split)])
    truth = np.where(rng.random(truth.shape) < fake.missing, np.nan, truth)
    start = len(origins)
    origins += cut
    time = np.arange(start, start + len(truth)) if time is None else time
    mask, weights = np.ones(grid.shape, bool), grid.area.ravel()
    cases = {}
    for model in fake.models:
        said = _said(rng, fake, model, np.nan_to_num(truth))
        if split != "validation":
            targets = said.map(lambda array: array[..., None, :, :])
            written.setdefault(model, []).append(Forecast(split, time, targets, truth[:, None].astype(np.float32)))
        rows = said.map(lambda array: array.reshape(*array.shape[:-2], -1))
        cases[model] = {"mask": Case(rows, truth.reshape(len(truth), -1), rows, time=time)}
    known = [model for model in BASELINES if model in fake.models]
    options = {"split": split, "time": time, "weights": weights, "place": Place(grid, mask), "seed": 1, "resamples": 60}
    found = evaluate_classes(cases, classes=fake.classes, reference=known[-1] if known else None, **options)
    if split == "test" and fake.diagnostics:
        schema = SimpleNamespace(target_grid=grid, mask=mask, classes=fake.classes)
        for model, by in cases.items():
            series = event_series(by["mask"], weights)
            groups = make_groups(time, series, seed=1, purpose="x", resamples=60, seasons=False)
            (run / "diagnostics").mkdir(exist_ok=True)
            prepared = SimpleNamespace(schema=schema)
            _dataset(prepared, by, weights, {"mask": groups[0]}).to_netcdf(run / "diagnostics" / f"{model}.nc")
    return found, len(truth), grid


def _experiment(fake):
    tree = {"name": "masks", "question": "Which pixels are cloud?", "task": "segmentation", "seed": 1}
    tree["models"] = {model: {"kind": model} for model in fake.models if "+" not in model}
    tree["augment"] = [{"kind": "flip_longitude", "probability": 0.25, "models": None}]
    if fake.tiles:
        tree["data"] = {"images": ["left", "right"]}
        tree["split"] = {"by": "block", "along": "x", "margin": 10, "tile": [SIZE, SIZE], "stride": [8, 8]}
        tree["split"]["images"] = {"first": ["left"]}
    else:
        tree["split"] = {
            "by": "time",
            "train": ["2000-01-01", "2000-12-31"],
            "test": {"test": ["2002-01-01", "2002-03-01"]},
        }
    return tree


def _write_stages(run, fake, counts):
    splits = {"train": {"samples": 90, "span": ["x 0", "29"]}}
    splits |= {name: {"samples": count, "span": list(SPLITS[name])} for name, count in counts.items()}
    if not fake.tiles:
        splits = {"train": {"samples": 366, "first": "2000-01-01", "last": "2000-12-31"}}
    share = np.diff([0.0, *np.cumsum(0.55 * 0.45 ** np.arange(len(fake.classes) - 1)), 1.0])
    classes = [{"name": name, "share": float(part)} for name, part in zip(fake.classes, share, strict=True)]
    summaries = {
        "prepare": {"splits": splits, "classes": classes},
        "score": {"n_effective": {name: {"mask": float(count)} for name, count in counts.items()}},
    }
    for stage, summary in summaries.items():
        _json(
            run / "stages" / f"{stage}.json",
            {"stage": stage, "seconds": 1.0, "peak_memory_mib": 99.0, "summary": summary},
        )


def build(parent, fake):
    run = parent / "masks-20260102T030405Z-a1b2c3"
    run.mkdir()
    written, origins, scores, comparisons, counts = {}, [], [], [], {}
    for split in _splits(fake):
        found, counts[split], grid = _split(run, fake, split, written, origins)
        scores += found.scores
        comparisons += found.comparisons
    write_scores(run / "scores.csv", scores)
    write_comparisons(run / "comparisons.csv", comparisons)
    if not fake.intervals:
        for name in ("scores", "comparisons"):
            pd.read_csv(run / f"{name}.csv").assign(low=np.nan, high=np.nan).to_csv(run / f"{name}.csv", index=False)
    variables = [Variable("mask", "1", classes=fake.classes)]
    (run / "predictions").mkdir()
    for model, forecasts in written.items() if fake.predictions else ():
        path = run / "predictions" / f"{model}.nc"
        write_forecasts(path, forecasts, model=model, variables=variables, grid=grid, origins=origins)
    for model in (name for name in fake.models if "+" not in name):
        _json(run / "models" / model / "member-00" / "summary.json", {"seconds": 1.0, "loss": fake.loss})
    _write_stages(run, fake, counts)
    (run / "experiment.yaml").write_text(yaml.safe_dump(_experiment(fake), sort_keys=False))
    data = [{"dataset": "left", "how": "synthetic"}] if fake.made else []
    _json(run / "provenance.json", {"baselines": [m for m in BASELINES if m in fake.models], "data": data})
    return run


@pytest.fixture(scope="session")
def make_class_run(tmp_path_factory):
    """Return a function that writes a run folder of classes, the caller's own, and returns its path."""
    built = {}

    def make(**parts):
        fake = FakeClasses(**parts)
        if repr(fake) not in built:
            built[repr(fake)] = build(tmp_path_factory.mktemp("built"), fake)
        run = built[repr(fake)]
        return Path(shutil.copytree(run, tmp_path_factory.mktemp("runs") / run.name))

    return make
