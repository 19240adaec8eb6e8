"""Scores of flow on the Salmon River, of a climatology; skipped where FINESCALE_DATA is not set."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import xarray as xr

from pipeline.metrics import METRICS, Case
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction

pytestmark = pytest.mark.real
RIVER = "basin-salmon/Salmon-River-Near-Prince-George_meteo_daily.nc"


@pytest.fixture(scope="module")
def river():
    """Flow from 2000-10 on, and the mean of its day of the year before 1995-10 as prediction."""
    folder = os.environ.get("FINESCALE_DATA")
    if not folder:
        pytest.skip("FINESCALE_DATA is not set: no real files")
    with xr.open_dataset(Path(folder) / RIVER) as dataset:
        flow = dataset["qobs"].squeeze().to_series()
    flow = flow.where(flow >= 0.0)  # -1.2345 where it is missing
    usual = flow[:"1995-09"].groupby(flow[:"1995-09"].index.dayofyear).mean()
    test = flow["2000-10":]
    point = Prediction("point", {"mean": usual.reindex(test.index.dayofyear).to_numpy()[:, None]})
    return Case(point, test.to_numpy()[:, None], point, units="m3 s-1", time=test.index.to_numpy("datetime64[D]"))


def test_all_scores_of_a_climatology(river):
    names = tuple(name for name in METRICS.names() if METRICS.get(name).tasks == {"series"})
    found = evaluate(
        {"climatology": {"flow": river}}, split="test", time=river.time, weights=np.ones(1),
        units={"flow": "m3 s-1"}, seed=0, metrics=("nse", *names), task="series", resamples=100,
    )  # fmt: skip
    value = {row.metric: row for row in found.scores if row.group == "all"}
    assert set(value) == {"nse", *names}
    known = np.isfinite(river.truth[:, 0])
    mean, truth = river.mean[known, 0], river.truth[known, 0]
    assert value["nse"].value == pytest.approx(1.0 - ((mean - truth) ** 2).mean() / truth.var(), rel=1e-9)
    assert 0.6 < value["nse"].value < 0.7
    assert value["pbias"].value == pytest.approx(100.0 * (mean.sum() / truth.sum() - 1.0), rel=1e-9)
    assert value["fhv"].value < 0.0  # a mean has no floods
    assert value["flv"].value > 0.0  # and no droughts
    assert all(row.low <= row.value <= row.high for name, row in value.items() if name != "peak_timing")


def test_peaks_of_a_river_with_gaps_are_those_of_scipy_without_its_missing_days(river):
    _, peak = METRICS.get("peak_timing")().terms(river)
    series = pd.Series(river.truth[:, 0], pd.DatetimeIndex(river.time)).dropna()
    expected, _ = scipy.signal.find_peaks(series.to_numpy(), distance=100, prominence=series.std(ddof=0))
    inside = [
        day for day in expected
        if 3 <= day < len(series) - 3 and series.index[day + 3] - series.index[day - 3] == pd.Timedelta("6D")
    ]  # fmt: skip
    np.testing.assert_array_equal(
        river.time[np.flatnonzero(peak[:, 0])], series.index[inside].to_numpy("datetime64[D]")
    )
