"""Every model on the made climate whose best possible score is known, through the catalog and prepare.

No model may do better than the truth itself: one that does has seen what it must not.
"""

from __future__ import annotations

import numpy as np
import pytest

from models import MODELS
from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.data.synthetic import SyntheticConfig, generate, known_best
from pipeline.model import Context
from pipeline.prepare.config import InputsConfig, PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("2001", "2007"), ("2008", "2008"), {"test": ("2009", "2010")})
TEST_DAYS = slice(-730, None)
# The made temperature depends on the day's weather alone: no day of the year is taken out.
CONFIG = PrepareConfig(inputs=InputsConfig(anomaly="none"), target=TargetConfig(anomaly="mean"))
# What some networks ask for beside it: a window of days, the day of the year.
WIDER = PrepareConfig(
    inputs=InputsConfig(anomaly="none", lags=[0, 1], calendar=True), target=TargetConfig(anomaly="mean")
)
NEEDS_MORE = {"conv_lstm", "doury_unet"}
SMALL = {"epochs": 1, "width": 4, "lr": 3e-3, "batch_size": 32}
QUICK = {
    "conv_lstm": SMALL,
    "convcnp": SMALL,
    "doury_unet": SMALL,
    "noise_unet": {**SMALL, "draws": 2},
    "residual_unet": SMALL,
    "random_forest": {"trees": 20},
    "unet": {"epochs": 3, "width": 4, "depth": 1, "lr": 3e-3, "batch_size": 32},
    "deepesd": {"epochs": 5, "lr": 2e-3, "batch_size": 32},
}


@pytest.fixture(scope="module")
def best():
    climate = generate(SyntheticConfig(variant="linear"))
    return known_best(climate, TEST_DAYS)


@pytest.fixture(scope="module")
def prepare_as(tmp_path_factory):
    """Return a function that prepares the made climate with some options."""
    folder, backend = tmp_path_factory.mktemp("cache"), get_backend("cpu")
    catalog = Catalog.load(find_catalog())
    coarse, fine, static = (
        load(f"synthetic-linear-{part}", catalog, Places(None, folder, folder), backend).data
        for part in ("coarse", "fine", "static")
    )
    return lambda config: prepare([("coarse", coarse)], fine, [static], config=config, split=SPLIT, backend=backend)


@pytest.fixture(scope="module")
def prepared(prepare_as):
    return prepare_as(CONFIG)


@pytest.fixture(scope="module")
def wider(prepare_as):
    return prepare_as(WIDER)


@pytest.fixture(scope="module")
def predicted(prepared):
    """Return a function that fits a model on train and validation, and predicts the test set in units."""

    def predict(kind, prepared=prepared):
        context = Context(get_backend("cpu"), seed=1, name=kind)
        model = MODELS.get(kind)
        fitted = model(model.Config(**QUICK.get(kind, {}))).fit(
            prepared.samples("train"), prepared.samples("validation"), context
        )
        test = prepared.samples("test")
        return prepared.to_units(fitted.predict(test, context), test)

    return predict


def area_mean(values, prepared):
    """Return the mean over days and land cells, by area."""
    weight = np.cos(np.deg2rad(prepared.schema.target_grid.lat))[:, None] * prepared.schema.mask
    return float((np.where(prepared.schema.mask, values[:, 0], 0.0) * weight).sum() / (weight.sum() * len(values)))


def rmse(prediction, prepared):
    error = np.asarray(prediction.mean(), float) - prepared.truth("test")
    return np.sqrt(area_mean(error**2, prepared))


def test_the_test_period_is_the_one_that_the_best_is_known_for(prepared):
    assert len(prepared.samples("test")) == TEST_DAYS.start * -1
    assert int(prepared.schema.mask.sum()) == int(np.isfinite(prepared.truth("test")[0, 0]).sum())


def test_ridge_reaches_the_known_best_within_two_percent(prepared, predicted, best):
    prediction = predicted("ridge")
    assert best.rmse - 3 * best.rmse_error < rmse(prediction, prepared) < 1.02 * best.rmse
    # The noise is normal and of one size, so the whole distribution comes close too.
    truth = prepared.truth("test")
    assert area_mean(prediction.crps(truth), prepared) == pytest.approx(best.crps, rel=0.02)
    assert area_mean(prediction.nll(truth), prepared) == pytest.approx(best.nll, rel=0.02)
    held = (truth >= prediction.quantile(0.05)) & (truth <= prediction.quantile(0.95))
    assert area_mean(held, prepared) == pytest.approx(0.9, abs=0.02)


DOWNSCALING = {kind for kind in MODELS.names() if "downscaling" in MODELS.get(kind).tasks}


@pytest.mark.parametrize("kind", sorted(DOWNSCALING - {"ridge"}))
def test_no_model_is_better_than_the_truth(kind, prepared, wider, predicted, best):
    world = wider if kind in NEEDS_MORE else prepared
    assert rmse(predicted(kind, world), world) > best.rmse - 3 * best.rmse_error
