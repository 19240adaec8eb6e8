"""Run folders with explanations, written as the pipeline writes them, from made numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.attribution import Curve, Finding
from pipeline.attribution.groups import DayGroup
from pipeline.attribution.joined import Joined, shares_of
from pipeline.attribution.serial import to_dataset
from pipeline.grid import Grid
from pipeline.report.load import load_run
from pipeline.report.render import html
from pipeline.report.sections import contents, drivers
from pipeline.report.study import study
from pipeline.samples import Schema, variable_of

GRID = Grid(np.linspace(36.0, 44.0, 6), np.linspace(-9.0, 3.0, 8))
CHANNELS = ("tas", "psl", "pr")
WEIGHTS = (6.0, 3.0, 1.0)
COMPLETE = Finding("completeness", 0.004, 0.01, True, True, "The parts miss the departure by 0.4 %.")
MISSED = Finding("completeness", 0.3, 0.01, False, True, "The parts miss the departure by 30 %.")
SENSITIVE = Finding("max_sensitivity", 1.2, 1.0, False, False, "Noise changes the map by 120 % at most.")
OPEN = Finding("agreement", float("nan"), 0.5, None, False, "One member only.")


def schema_of(channels, grid):
    count = len(channels)
    return Schema(
        channels, ("K",) * count, ("tas",), ("K",), grid, grid, np.ones(grid.shape, bool),
        np.zeros((0, *grid.shape)), (), np.timedelta64(1, "D"),
    )  # fmt: skip


def groups_of(days, kinds=("season", "third")):
    """All days, then two seasons and three thirds."""
    place = np.arange(days)
    found = [DayGroup("all", "all", np.ones(days, bool))]
    if "season" in kinds:
        found += [DayGroup("DJF", "season", place < days // 2), DayGroup("JJA", "season", place >= days // 2)]
    if "third" in kinds:
        names = ("lowest third", "middle third", "highest third")
        found += [DayGroup(name, "third", place % 3 == k) for k, name in enumerate(names)]
    return found


def joined(
    channels=CHANNELS, weights=WEIGHTS, *, grid=GRID, days=12, members=1, findings=(COMPLETE, OPEN), kinds=(),
    name="integrated_gradients", title="Integrated gradients", kind="departure", baseline="the train climatology",
    same=False, low_day=1.0,
):  # fmt: skip
    """Return an explanation by a method of maps; members differ by a fifth of the first channel's weight."""
    random = np.random.default_rng(3)
    across = np.array(
        [np.sin(np.arange(np.prod(grid.shape)) / (2 + k)).reshape(grid.shape) for k in range(len(channels))]
    )
    if same:
        across[:] = np.abs(across[0])
    size = np.linspace(low_day, 1.2, days)[:, None] * np.ones(len(channels))
    size[:, 0] *= 1.0 if same else np.linspace(1.3, 0.7, days)
    values = []
    for member in range(members):
        own = np.array(weights, float)
        own[0] *= 1 + 0.2 * (member - (members - 1) / 2)
        own = np.ones_like(own) if same else own
        values.append(size[:, :, None, None] * (own[:, None, None] * across)[None] / 10)
    values = np.stack(values) + (0.0 if same else 0.002 * random.normal(size=(members, days, *across.shape)))
    variables = tuple(dict.fromkeys(variable_of(channel) for channel in channels))
    places = [[k for k, channel in enumerate(channels) if variable_of(channel) == one] for one in variables]
    absolute = np.abs(values).sum(axis=(3, 4))
    groups, mean = groups_of(days, kinds), values.mean(axis=0)
    importance = absolute.mean(axis=1)
    daily = np.stack([mean[:, own].sum(axis=(1, 2, 3)) for own in places], axis=1)
    return Joined(
        name=name, method=name, title=title, kind=kind, label="mean tas over 48 cells", units="K", baseline=baseline,
        members=members, measure="mean over days of the absolute attribution, summed over cells [K]",
        note=f"{title} of the mean tas over 48 cells on {days} days of test.",
        importance=importance.mean(axis=0), low=importance.mean(axis=0) * 0.9, high=importance.mean(axis=0) * 1.1,
        least=importance.min(axis=0), most=importance.max(axis=0), groups=tuple(groups),
        group_maps=np.stack([mean[group.days].mean(axis=0) for group in groups]),
        spread=values.mean(axis=1).std(axis=0, ddof=1) if members > 1 else None,
        daily=daily, shares=shares_of(np.stack([absolute[:, :, own].sum(axis=2) for own in places], axis=2), variables,
                                      groups, 0),
        numbers=daily.sum(axis=1), findings=tuple(findings), curves=(),
    )  # fmt: skip


def scored(channels=CHANNELS, importance=(3.0, 1.0, 0.0), *, members=1, findings=(), name="permutation", curves=()):
    """Return an explanation by a method without maps."""
    values = np.asarray(importance, float)
    effect = bool(curves)
    measure = "standard deviation of the effect over days [K]" if effect else "increase of the RMSE when permuted [K]"
    title = "Accumulated local effects" if effect else "Permutation importance"
    return Joined(
        name=name, method=name, title=title, kind="effect" if effect else "score", label="mean tas over 48 cells",
        units="K", baseline="", members=members, measure=measure, note=f"{title} on 12 days of test.",
        importance=values, low=None if effect else values - 0.2, high=None if effect else values + 0.2,
        least=values - 0.1, most=values + 0.1, groups=tuple(groups_of(12, ())), group_maps=None, spread=None,
        daily=None, shares=None, numbers=None, findings=tuple(findings), curves=tuple(curves),
    )  # fmt: skip


def effect(channel, units="degC", points=5):
    at = np.linspace(-2.0, 2.0, points)
    return Curve(channel, at, at**2 - 1, at**2 - 1.5, at**2 - 0.5, units)


def removal(passed=True):
    x = np.linspace(0, 1, 17)
    curves = {
        "x": x, "deletion": 2 - 2 * np.sqrt(x), "insertion": 2 * np.sqrt(x), "random_deletion": 2 - 2 * x,
        "random_low": 1.8 - 2 * x, "random_high": 2.2 - 2 * x,
    }  # fmt: skip
    return Finding("deletion", 1.4, 0.3, passed, False, "Putting cells to the baseline keeps the number lower.", curves)


def shuffling(passed=True):
    curves = {"x": np.linspace(0, 1, 4), "rho": np.array([1.0, 0.6, 0.3, 0.05 if passed else 0.8])}
    return Finding("randomisation", 0.05 if passed else 0.8, 0.3, passed, True, "The map correlates with it.", curves)


@pytest.fixture
def explained(make_run):
    """Return a function: explanations of every model, to the study of a run that holds them."""

    def make(models, *, channels=CHANNELS, grid=GRID, extra=None):
        run = make_run(
            models=("climatology", "ridge", "random_forest", "unet"), noise={"unet": 1.0}, years=1, attributions=False
        )
        dates = np.arange("1998-01-01", "2008-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
        schema = schema_of(channels, grid)
        for model, several in models.items():
            days = [SimpleNamespace(time=dates[: 12 if one.numbers is None else len(one.numbers)]) for one in several]
            data = to_dataset(several, days, schema).assign(extra or {})
            data.to_netcdf(run / "attributions" / f"{model}.nc", engine="netcdf4")
        return study(load_run(run))

    return make


def all_figures(blocks):
    """Return all figures by name, those of folded blocks too."""
    found = {}
    for block in blocks:
        if hasattr(block, "pictures"):
            found[block.name] = block
        elif hasattr(block, "summary"):
            found |= all_figures(block.blocks)
    return found


def plain(text):
    return text.replace("\u00a0", " ")


@pytest.fixture
def page(monkeypatch):
    """Return a function: a study, to the page with this section alone."""
    monkeypatch.setattr(contents, "_BUILDERS", (drivers.build,))
    return html


@pytest.fixture
def made():
    """What explanations are made of."""
    return SimpleNamespace(
        joined=joined, scored=scored, effect=effect, removal=removal, shuffling=shuffling, schema_of=schema_of,
        figures=all_figures, plain=plain, grid=GRID, complete=COMPLETE, missed=MISSED, sensitive=SENSITIVE, open=OPEN,
    )  # fmt: skip
