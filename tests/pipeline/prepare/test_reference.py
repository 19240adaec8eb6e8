"""What a run's climatology is: a normal curve, or for precipitation the quantiles of the train days."""

import numpy as np
import pytest

from pipeline.prepare.climatology import Climatology
from pipeline.prepare.config import PrepareConfig, TargetConfig
from pipeline.prepare.empirical import EmpiricalClimatology
from pipeline.prepare.leakage import check_leakage
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.recipe import Recipe

CONFIG = PrepareConfig(target=TargetConfig(variables={"pr": {"anomaly": "none"}}))


@pytest.fixture
def rain(field):
    """Temperature, and rain that falls on about every other day."""
    target = field("tas", "pr", seed=2)
    pr = np.maximum(2 * (target.pr - target.pr.mean("time")), 0)
    return target.assign(pr=pr.astype("float32").assign_attrs(units="mm d-1"))


def test_precipitation_is_judged_against_quantiles(field, rain, split, backend, tmp_path):
    prepared = prepare([("era", field("psl"))], rain, config=CONFIG, split=split, backend=backend)
    assert isinstance(prepared.reference, EmpiricalClimatology)
    samples = prepared.samples("test")
    forecast = prepared.climatology(samples)
    members = backend.to_host(forecast.parameters["members"])
    assert forecast.family == "members"
    assert members.shape == (25, len(samples), 2, 3, 4)
    assert members[:, :, 1].min() == 0.0
    seen, twelfth = prepared.truth("train"), np.floor(12 * prepared.samples("train").day)
    for day in (0, 100, -1):  # the quantiles of the train days in its twelfth of the year and those beside it
        apart = np.abs(twelfth - np.floor(12 * samples.day[day]))
        expected = np.quantile(seen[np.minimum(apart, 12 - apart) <= 1], (np.arange(25) + 0.5) / 25, axis=0)
        np.testing.assert_allclose(members[:, day], expected, rtol=1e-5)
    # The shift of temperature is still its normal day of the year; that of rain is nothing.
    assert prepared.transform.shift.used == 2
    np.testing.assert_array_equal(backend.to_host(prepared.transform.shift.mean)[:, 1], 0)

    prepared.save(tmp_path)
    for loaded in (Prepared.load(tmp_path, backend), Recipe.load(tmp_path, backend)):
        again = loaded.climatology(samples).parameters["members"]
        np.testing.assert_array_equal(backend.to_host(again), members)


def test_temperature_is_judged_against_a_normal_curve(field, rain, split, cpu):
    prepared = prepare([("era", field("psl"))], rain[["tas"]], config=PrepareConfig(), split=split, backend=cpu)
    assert isinstance(prepared.reference, Climatology)
    assert prepared.climatology(prepared.samples("test")).family == "normal"


def test_the_quantiles_are_those_of_the_train_split(field, rain, split, cpu):
    report = check_leakage([("era", field("psl"))], rain, config=CONFIG, split=split, backend=cpu)
    assert report.moved == ()
    assert "reference_values" in report.compared
