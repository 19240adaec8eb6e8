"""Classes made of values: what becomes of a class that never occurs."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.backend import get_backend
from pipeline.errors import DataError
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.splits import TimeSplit

SPLIT = TimeSplit(("2000", "2001"), ("2002", "2002"), {"test": ("2003", "2003")})
TIME = pd.date_range("2000-01-01", "2003-12-31")


def pressure(low, high, units="Pa"):
    """Every other day low, every other high, at all cells; the first row is never known."""
    values = np.where(np.arange(len(TIME)) % 2, low, high)[:, None, None] * np.ones((1, 3, 3))
    values[:, 0] = np.nan
    coords = {"time": TIME, "lat": [40.0, 41.0, 42.0], "lon": [0.0, 1.0, 2.0]}
    return xr.Dataset({"psl": (("time", "lat", "lon"), values.astype("f4"), {"units": units})}, coords)


def prepared(target, label):
    predictor = target.fillna(float(target["psl"].mean()))
    predictor["psl"] = predictor["psl"].astype("f4").assign_attrs(units="Pa")
    config = PrepareConfig.model_validate({"target": {"label": label}})
    return prepare([("era", predictor)], target, config=config, split=SPLIT, backend=get_backend("cpu"), classes=True)


def message_of(target, label):
    with pytest.raises(DataError) as caught:
        prepared(target, label)
    return str(caught.value)


def test_a_threshold_that_is_never_met_is_told_with_the_range():
    assert message_of(pressure(99000.0, 102000.0), {"kind": "deep_low"}) == (
        "the target: class 'deep_low' never occurs in the train split: the label 'deep_low' wants values below 980 hPa "
        "(98000 Pa), and those of the train split are 99000 to 102000 Pa. Write a threshold within under "
        "prepare.target.label, below: NUMBER with its units."
    )


def test_a_threshold_that_is_always_met_lacks_the_background():
    assert message_of(pressure(93000.0, 94000.0), {"kind": "deep_low"}).startswith(
        "the target: class 'background' never occurs in the train split: the label 'deep_low' wants values below 980 hPa"
    )


def test_anomalies_are_called_so():
    said = message_of(pressure(101000.0, 101000.5), {"kind": "deep_low", "of": "anomaly"})
    assert "wants anomalies below -20 hPa (-2000 Pa), and those of the train split are " in said


def test_an_event_that_is_never_long_enough_is_told_with_the_options():
    label = {"kind": "threshold", "above": 1000, "units": "hPa", "min_days": 5, "name": "high"}
    said = message_of(pressure(99000.0, 102000.0), label)
    assert said.startswith(
        "the target: class 'high' never occurs in the train split: the label 'threshold' finds none."
    )
    assert "Take a longer split.train, or other options under prepare.target.label; now they are {" in said
    assert "'min_days': 5" in said
    assert "Write a threshold within" not in said


def test_both_classes_are_enough():
    made = prepared(pressure(97000.0, 102000.0), {"kind": "deep_low"})
    assert made.samples("train").schema.classes == ("background", "deep_low")


@pytest.mark.parametrize(
    ("options", "known"), [({}, True), ({"min_days": 2}, False), ({"max_gap": 1}, False), ({"min_days": 1}, True)]
)
def test_what_lasts_is_known_later_and_so_is_yesterday(options, known):
    label = {"kind": "threshold", "above": 1000, "units": "hPa", "name": "high", **options}
    target = pressure(99000.0, 102000.0)
    target["psl"][:, 1:] = 99000.0
    target["psl"][10:20, 1:] = 102000.0  # an event of ten days
    samples = prepared(target, label).samples("train")
    assert (samples.previous is not None) == known
    if known:
        np.testing.assert_array_equal(samples.previous[1:], samples.target[:-1])
