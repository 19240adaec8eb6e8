"""Each target has the best baseline of its own, and differences to it."""

from types import SimpleNamespace

import numpy as np
import pytest

from flows.stages.score import _best_baselines, _evaluate, _further
from pipeline.metrics import Case
from pipeline.prediction import Prediction

TIME = np.arange("2001-01-01", "2001-07-20", dtype="datetime64[D]")
ERRORS = {"ridge": {"tas": 0.5, "pr": 3.0}, "analogs": {"tas": 1.0, "pr": 2.0}, "unet": {"tas": 0.8, "pr": 1.0}}


@pytest.fixture
def space():
    """What of a workspace the scores ask for: two targets on four cells, two baselines."""
    traits = {name: {"baseline"} if name != "unet" else set() for name in ERRORS}
    schema = SimpleNamespace(
        variables=("tas", "pr"), target_units=("K", "mm d-1"), mask=np.ones((2, 2), bool), leads=(0,), classes=(), target_standard_names=(), regions=(), region=None,
        target_grid=SimpleNamespace(area=np.ones((2, 2))),
    )  # fmt: skip
    return SimpleNamespace(
        plan=SimpleNamespace(
            metrics=("rmse", "mae", "crps"),
            models={name: SimpleNamespace(type=SimpleNamespace(traits=found)) for name, found in traits.items()},
            experiment=SimpleNamespace(seed=1, task="downscaling"),
        ),
        prepared=SimpleNamespace(
            schema=schema, samples=lambda _: SimpleNamespace(time=TIME, valid_time=lambda _: TIME)
        ),
    )


@pytest.fixture
def cases():
    """Point forecasts whose errors have the deviations ``ERRORS``."""
    rng = np.random.default_rng(0)
    truth = rng.normal(10.0, 3.0, (len(TIME), 4))
    usual = Prediction("point", {"mean": np.full_like(truth, 10.0)})
    return {
        model: {
            name: Case(Prediction("point", {"mean": truth + sd * rng.normal(size=truth.shape)}), truth, usual)
            for name, sd in sizes.items()
        }
        for model, sizes in ERRORS.items()
    }


def test_each_target_is_compared_with_its_own_best_baseline(space, cases):
    best = _best_baselines(space, _evaluate(space, "validation", cases, None))
    assert best == {"tas": "ridge", "pr": "analogs"}
    rows = _further(space, "test", cases, {"pr": best["pr"]})
    assert {(row.variable, row.metric, row.reference) for row in rows} == {("pr", "crps", "analogs")}
    gap = {row.model: row for row in rows if row.group == "all"}["unet"]
    # The CRPS of a point forecast is its mean absolute error.
    error = {
        model: np.abs(cases[model]["pr"].prediction.mean() - cases[model]["pr"].truth).mean()
        for model in ("unet", "analogs")
    }
    assert gap.difference == pytest.approx(error["unet"] - error["analogs"], rel=1e-9)
    assert gap.low < gap.difference < gap.high < 0
    assert _further(space, "test", cases, {}) == []


def test_without_baselines_there_is_none(space, cases):
    for model in space.plan.models.values():
        model.type.traits = set()
    assert _best_baselines(space, _evaluate(space, "validation", cases, None)) == {}
