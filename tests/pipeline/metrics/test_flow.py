from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scores.continuous import nse, pbias

from pipeline.metrics import METRICS, Case
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.pooling import cell_median, series_median
from pipeline.prediction import Prediction
from pipeline.report.metric_words import metric_words

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
OF_FLOW = ("log_nse", "pbias", "fhv", "fms", "flv", "peak_timing", "low_flow_bias")


@pytest.fixture
def flow():
    """Skewed flow of six basins with errors in proportion, a tenth of it missing."""
    rng = np.random.default_rng(3)
    truth = rng.gamma(0.7, 30.0, (400, 6))
    mean = truth * rng.lognormal(0.1, 0.4, truth.shape)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    point = Prediction("point", {"mean": mean})
    time = np.datetime64("2001-01-01", "D") + np.arange(400)
    return Case(point, truth, point, units="m3 s-1", time=time)


def _with(case, mean=None, truth=None):
    changed = case if mean is None else replace(case, prediction=Prediction("point", {"mean": mean}))
    return changed if truth is None else replace(changed, truth=truth)


def _arrays(*fields):
    return (xr.DataArray(field, dims=("time", "cell")) for field in fields)


def test_log_nse_is_the_efficiency_of_logs_with_one_per_cent_of_the_mean_added(flow, score):
    added = 0.01 * np.nanmean(flow.truth, axis=0)
    gone = np.isnan(flow.truth)
    logs = np.where(gone, np.nan, np.log(flow.mean + added)), np.log(flow.truth + added)
    expected = nse(*_arrays(*logs), preserve_dims="cell").to_numpy()
    np.testing.assert_allclose(score("log_nse", flow), expected, rtol=1e-10)
    assert score("log_nse", flow, WEIGHTS) == pytest.approx(np.average(expected, weights=WEIGHTS), rel=1e-10)


def test_log_nse_is_the_same_in_other_units(flow, score):
    other = _with(flow, 35.3 * flow.mean, 35.3 * flow.truth)
    np.testing.assert_allclose(score("log_nse", other), score("log_nse", flow), rtol=1e-10)


def test_a_flow_predicted_below_zero_counts_as_none(flow, score):
    dry, below = flow.mean.copy(), flow.mean.copy()
    dry[::9], below[::9] = 0.0, -5.0
    np.testing.assert_array_equal(score("log_nse", _with(flow, below)), score("log_nse", _with(flow, dry)))
    assert np.isfinite(score("log_nse", _with(flow, below))).all()


def test_days_without_flow_have_a_log_and_basins_without_any_have_no_score(flow, score):
    truth = flow.truth.copy()
    truth[::7, 0] = 0.0
    truth[:, 1] = 0.0
    for name in ("log_nse", "pbias"):
        found = score(name, _with(flow, truth=truth))
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


def test_percent_bias_agrees_with_scores(flow, score):
    mean, truth = _arrays(np.where(np.isnan(flow.truth), np.nan, flow.mean), flow.truth)
    expected = pbias(mean, truth, preserve_dims="cell").to_numpy()
    np.testing.assert_allclose(score("pbias", flow), expected, rtol=1e-10)
    assert score("pbias", flow, WEIGHTS) == pytest.approx(np.average(expected, weights=WEIGHTS), rel=1e-10)


def test_a_quarter_too_much_is_a_bias_of_25_per_cent(flow, score):
    np.testing.assert_allclose(score("pbias", _with(flow, 1.25 * np.nan_to_num(flow.truth))), 25.0, rtol=1e-12)


@pytest.mark.parametrize("name", OF_FLOW)
def test_scores_of_flow_are_for_series_of_volumes_in_a_time(name, flow):
    metric = METRICS.get(name)()
    assert metric.tasks == {"series"}
    assert metric.applies(flow, "m3 s-1")
    assert metric.applies(flow, "cfs")
    for units in ("mm d-1", "degC", "m s-1", "1"):
        assert not metric.applies(flow, units)
    assert metric.applies(replace(flow, standard_name="runoff_flux"), "mm d-1")
    assert not metric.applies(replace(flow, standard_name="rainfall_rate"), "mm d-1")


@pytest.mark.parametrize("name", ["peak_timing", "low_flow_bias"])
def test_scores_of_days_need_daily_flow(name, flow):
    months = np.arange("1980-01", "2013-05", dtype="datetime64[M]").astype("datetime64[D]")
    assert not METRICS.get(name)().applies(replace(flow, time=months), "m3 s-1")
    with pytest.raises(ValueError, match=r"^expected a case that knows its times, got one without\.$"):
        METRICS.get(name)().terms(replace(flow, time=None))


@pytest.mark.parametrize("cells", [1, 2, 5, 6])
def test_median_over_cells_is_that_of_the_known_ones(cells):
    values = np.random.default_rng(0).normal(size=(40, cells))
    values[np.random.default_rng(1).random(values.shape) < 0.3] = np.nan
    values[0] = np.nan
    values[1, 0] = -np.inf
    some = ~np.isnan(values).all(axis=1)
    found = cell_median(values)
    np.testing.assert_array_equal(found[some], np.nanmedian(values[some], axis=1))
    assert np.isnan(found[~some]).all()


def test_over_leads_a_median_is_of_every_lead_by_itself():
    values = np.random.default_rng(2).normal(size=(5, 12))
    values[0, :4] = np.nan
    values[1, 3] = np.nan
    expected = np.nanmean(
        [[np.nan if np.isnan(part).all() else np.nanmedian(part) for part in row.reshape(3, 4)] for row in values],
        axis=1,
    )
    np.testing.assert_allclose(series_median(values, 3), expected, rtol=1e-12)
    np.testing.assert_array_equal(series_median(values), cell_median(values))


@pytest.mark.parametrize("metric", ["nse", "kge", "log_nse", "fhv"])
def test_the_score_of_all_leads_is_the_mean_of_the_medians_of_each(metric, flow):
    """Two leads of three basins: a far lead that is worse throughout cannot be half of one pooled median."""
    rng = np.random.default_rng(8)
    far = flow.mean[:, 3:] * rng.lognormal(0.3, 1.0, (400, 3))
    case = _with(flow, np.concatenate([flow.mean[:, :3], far], axis=1))
    case = replace(case, climatology=Prediction("point", {"mean": 0.0 * case.mean}))

    def rows(part, **options):
        found = evaluate(
            {"m": {"q": part}}, split="test", time=part.time, weights=np.ones(part.truth.shape[1]),
            units={"q": "m3 s-1"}, seed=0, metrics=(metric,), task="series", resamples=20, seasons=False, **options,
        )  # fmt: skip
        return found.scores[0]

    each = [rows(case.select(slice(first, first + 3), -1)).value for first in (0, 3)]
    assert rows(case, leads=2).value == pytest.approx(np.mean(each), rel=1e-9)
    assert rows(case).value != pytest.approx(np.mean(each), rel=1e-3)


@pytest.mark.parametrize("name", ["nse", "kge", *OF_FLOW])
def test_the_report_has_words_for_every_score_of_series(name):
    words = metric_words(name)
    assert words.label not in ("", name)
    higher, lower = ("nse", "kge", "log_nse"), ("peak_timing",)
    expected = "higher is better" if name in higher else "lower is better" if name in lower else "best 0"
    assert words.direction == expected
