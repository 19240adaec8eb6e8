"""Ridge on the winters of Iberia, prepared as the shipped experiment says: the figure that it must reach."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from models.ridge import Ridge
from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.files import Places
from pipeline.data.load import load
from pipeline.experiment import Experiment
from pipeline.model import Context
from pipeline.prepare.config import InputsConfig, PrepareConfig, RegridConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.splits import TimeSplit
from pipeline.schema import read_yaml, validate

pytestmark = pytest.mark.real

SHIPPED = Path(__file__).parents[2] / "flows/experiments/iberia-tas.yaml"


@pytest.fixture(scope="module")
def experiment():
    return validate(Experiment, read_yaml(SHIPPED), where=SHIPPED.name)


@pytest.fixture(scope="module")
def prepared_with(experiment, tmp_path_factory):
    """Return a function that prepares the experiment's data by some ``prepare`` section."""
    if not os.environ.get("FINESCALE_DATA"):
        pytest.skip("FINESCALE_DATA is not set: the real files are not there")
    backend, catalog, data = get_backend("cpu"), Catalog.load(find_catalog()), experiment.data
    places = Places(Path(os.environ["FINESCALE_DATA"]), tmp_path_factory.mktemp("cache"), catalog.path.parent)

    def opened(source):
        return load(source.dataset, catalog, places, backend, source.variables).data

    predictors, target = [(source.dataset, opened(source)) for source in data.predictors], opened(data.target)
    split = TimeSplit.from_config(experiment.split)
    return lambda config: prepare(predictors, target, config=config, split=split, months=data.months, backend=backend)


def ridge_rmse(prepared):
    """Fit ridge on train, its penalty on validation; return its RMSE over the land cells of the test winters [K]."""
    context = Context(get_backend("cpu"), seed=1, name="ridge")
    model = Ridge().fit(prepared.samples("train"), prepared.samples("validation"), context)
    assert model.summary()["alpha"] not in (min(model.config.alphas), max(model.config.alphas))
    test, truth = prepared.samples("test"), prepared.truth("test")
    error = (np.asarray(prepared.to_units(model.predict(test, context), test).mean(), float) - truth)[:, 0]
    weight = np.cos(np.deg2rad(prepared.schema.target_grid.lat))[:, None] * prepared.schema.mask
    return np.sqrt((np.nan_to_num(error) ** 2 * weight).sum() / (weight.sum() * len(error)))


def test_ridge_as_the_experiment_prepares_it_reaches_its_figure(experiment, prepared_with):
    prepared = prepared_with(experiment.prepare)
    time = {name: prepared.samples(name).time.astype("datetime64[D]") for name in prepared.names}
    # The first day of each winter has no day before it, which the lag asks for.
    assert (str(time["train"][0]), str(time["train"][-1]), len(time["train"])) == ("1982-12-02", "1995-02-28", 1160)
    assert (str(time["validation"][0]), str(time["validation"][-1])) == ("1995-12-02", "1997-02-28")
    assert (str(time["test"][0]), str(time["test"][-1]), len(time["test"])) == ("1997-12-02", "2002-02-28", 446)
    assert int(prepared.schema.mask.sum()) == 330
    assert ridge_rmse(prepared) <= 1.54


def test_ridge_on_the_same_day_alone_is_between_what_is_known_of_it(prepared_with):
    config = PrepareConfig(
        regrid=RegridConfig(to="iberia-ncep-surface/tas"),
        inputs=InputsConfig(anomaly="none"),
        target=TargetConfig(anomaly="mean"),
    )
    # 1.474 is the best ridge known for these predictors, fitted on the validation winters too.
    assert 1.474 < ridge_rmse(prepared_with(config)) <= 1.54
