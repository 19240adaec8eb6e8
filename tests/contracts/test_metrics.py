"""What every score promises, whatever it measures."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

from pipeline.backend import array_namespace
from pipeline.backend.special import to_host
from pipeline.grid import Grid
from pipeline.metrics import (
    METRICS,
    BinnedMetric,
    Case,
    ClassMetric,
    FieldMetric,
    Metric,
    PairMetric,
    Place,
    SeriesMetric,
    YearMetric,
)
from pipeline.metrics.evaluate import evaluate
from pipeline.prediction import Prediction

TIMES, CELLS = 200, 16
DAYS = np.concatenate([np.datetime64(f"{year}-03-01", "D") + np.arange(25) for year in range(2001, 2009)])
WEIGHTS = np.linspace(0.5, 1.5, CELLS)
PLACE = Place(Grid(np.arange(40.0, 44.0), np.arange(-5.0, -1.0)), np.ones((4, 4), bool))
KINDS = (Metric, SeriesMetric, YearMetric, FieldMetric, PairMetric, BinnedMetric, ClassMetric)
OF_VALUES = tuple(name for name in METRICS.names() if not issubclass(METRICS.get(name), ClassMetric))
ORDERED = {"bias_lag1", "peak_timing", "low_flow_bias"}  # look at neighbouring times, as scores of years do
SIZELESS = {"sharpness", "cv_spread", "ause"}  # of the forecast alone, or of the order of errors, not of their size
UNITS = {"temperature": "K", "flow": "m3 s-1"}


def _units(name):
    return UNITS.get(METRICS.get(name).quantity, "mm day-1")


def _case(name, *, error=1.0, missing=0.0, family=None, seed=0, n=TIMES):
    """Return a case with errors of `error` times what is predicted; `family` None: mixture of five, or members."""
    rng = np.random.default_rng(seed)
    level = 40.0 if METRICS.get(name).quantity == "flow" else 18.0 if "r20" in name else 6.0  # no flow is below zero
    mean = level + rng.normal(0.0, 2.0, (n, CELLS))
    sd = rng.uniform(0.5, 1.5, (n, CELLS))
    truth = mean + error * sd * rng.standard_normal((n, CELLS))
    truth[rng.random(truth.shape) < missing] = np.nan
    members = mean + sd * rng.standard_normal((5, n, CELLS))
    prediction = {
        "point": lambda: Prediction("point", {"mean": mean}),
        "members": lambda: Prediction("members", {"members": members}),
        "mixture": lambda: Prediction("mixture", {"mean": np.stack([mean] * 5), "sd": np.stack([sd] * 5)}),
    }[family or ("members" if name == "crps_fair" else "mixture")]()
    usual = Prediction("normal", {"mean": np.full_like(truth, level), "sd": np.full_like(truth, 2.2)})
    time = DAYS if n == TIMES else np.datetime64("2001-01-01", "D") + np.arange(n)
    return Case(prediction, truth, usual, units=_units(name), time=time, place=PLACE)


def _value(name, case, weights=WEIGHTS):
    cases = {"x": case}
    if issubclass(METRICS.get(name), PairMetric):
        back = array_namespace(case.truth).asarray(np.arange(case.truth.shape[1])[::-1].copy())
        cases["y"] = case.with_draws().select(back, -1)
    found = evaluate(
        {"model": cases},
        split="test",
        time=case.time,
        weights=weights,
        units={"x": _units(name), "y": _units(name)},
        seed=0,
        metrics=(name,),
        resamples=20,
    )
    return next(row for row in found.scores if row.group == "all")


def _sums(metric, case):
    return tuple(np.where(case.valid, term, 0.0).sum(axis=0) for term in metric.terms(case))


@pytest.fixture(params=OF_VALUES)
def name(request):
    """Scores of values; those of classes are held to the same in test_class_metrics.py."""
    return request.param


@pytest.mark.parametrize("name", METRICS.names())
def test_it_says_what_it_is(name):
    metric = METRICS.get(name)
    assert sum(issubclass(metric, kind) for kind in KINDS) == 1
    assert metric.label
    assert metric.better in {"lower", "higher", "closer"}
    assert metric.units in {"target", "1", "d", "%", "km", "nat"}
    assert metric.tasks
    assert metric.tasks <= {"downscaling", "series", "segmentation"}
    assert issubclass(metric, ClassMetric) == (metric.tasks == {"segmentation"})
    assert metric.quantity in {"any", "precipitation", "temperature", "flow", "amount"}
    assert not metric.absolute or (metric.better == "lower" and metric.upward)
    assert metric.better != "closer" or metric.perfect is not None
    assert (metric.__doc__ or "").strip()


def test_all_names_of_the_design_are_there():
    wanted = (
        "rmse mae bias pearson_r sd_ratio bias_q02 bias_q98 acc nse kge crps crps_fair crpss nll spread_skill "
        "coverage_50 coverage_90 coverage_95 width_50 width_90 width_95 brier_r01 brier_r10 brier_r20 "
        "bias_r01 bias_sdii bias_rx1day bias_cdd bias_cwd bias_p98_wet relative_bias_p98_wet bias_txx bias_tnn "
        "abs_bias_r01 abs_bias_sdii abs_bias_rx1day abs_bias_cdd abs_bias_cwd abs_bias_p98_wet abs_bias_txx "
        "abs_bias_tnn bias_lag1 interannual_sd_ratio sd_ratio_draws log_nse pbias fhv fms flv peak_timing low_flow_bias "
        "interval_score_50 interval_score_90 twcrps_q90 twcrps_r10 energy_score "
        "sharpness cv_spread ence ause miscalibration_area pit_index pit_coverage_90 brier_q90 brier_q90_reliability "
        "brier_q90_resolution brier_r01_reliability brier_r01_resolution ece ece_mass brier_reliability "
        "brier_resolution ause_entropy"
    )
    assert set(wanted.split()) <= set(METRICS.names())


def test_a_perfect_point_forecast_is_perfect(name):
    metric, case = METRICS.get(name)(), _case(name, error=0.0, family="point")
    if metric.applies(case, _units(name)):
        assert _value(name, case).value == pytest.approx(metric.perfect, abs=1e-12)


def test_a_true_distribution_is_perfect_where_closer_is_better(name):
    metric = METRICS.get(name)()
    if metric.probabilistic and metric.better == "closer":
        assert _value(name, _case(name, n=4000)).value == pytest.approx(metric.perfect, abs=0.02)


def test_larger_errors_are_worse_or_at_least_no_better(name):
    metric = METRICS.get(name)()
    good, bad = (_value(name, _case(name, error=error)).value for error in (1.0, 4.0))
    if name.startswith("width") or name in SIZELESS:
        assert good == pytest.approx(bad)
    elif metric.better == "closer":
        if metric.probabilistic:
            assert abs(bad - metric.perfect) > abs(good - metric.perfect)
    else:
        assert (bad > good) == (metric.better == "lower")


@pytest.mark.parametrize("family", ["point", "members", "mixture"])
def test_the_order_of_times_does_not_matter(name, family):
    case, metric = _case(name, missing=0.2, family=family).with_draws(), METRICS.get(name)()
    if name in ORDERED or isinstance(metric, YearMetric) or not metric.applies(case, _units(name)):
        return
    shuffled = replace(case.select(np.random.default_rng(1).permutation(TIMES), -2), time=DAYS)
    assert _value(name, shuffled).value == pytest.approx(_value(name, case).value, rel=1e-9, abs=1e-12)


def test_what_stands_where_there_is_no_truth_does_not_matter(name):
    case = _case(name, missing=0.05)
    hidden = np.isnan(case.truth)
    whole = _value(name, case).value
    other = case.prediction.map(lambda values: np.where(hidden, 999.0, values))
    assert _value(name, replace(case, prediction=other)).value == pytest.approx(whole, rel=1e-12)


def test_cells_without_truth_are_nan_in_the_map_and_missing_in_the_mean(name):
    metric = METRICS.get(name)()
    if isinstance(metric, FieldMetric | PairMetric):
        return  # of fields and of two variables: no score of a cell
    case = _case(name)
    case.truth[:, 1] = np.nan
    case = case.with_draws()
    found = _value(name, case).value
    rest = np.delete(np.arange(CELLS), 1)
    assert found == pytest.approx(_value(name, case.select(rest, -1), WEIGHTS[rest]).value, rel=1e-9)
    if isinstance(metric, SeriesMetric):
        assert np.isnan(metric.cells(case, np.ones((TIMES, 1), np.int32))[0, 1])
    elif isinstance(metric, Metric):
        assert np.isnan(metric.value(case.valid.sum(axis=0).astype(float), _sums(metric, case), None)[1])


def test_equal_area_of_equal_cells_is_one_cell(name):
    metric = METRICS.get(name)()
    if not isinstance(metric, Metric | SeriesMetric):
        return  # of years: tests/pipeline/metrics/test_index_scores.py
    case = _case(name, missing=0.1).with_draws()
    one = case.select(np.array([2] * CELLS), -1)
    if isinstance(metric, SeriesMetric):
        expected = metric.cells(case, np.ones((TIMES, 1), np.int32))[0, 2]
    else:
        expected = metric.value(case.valid.sum(axis=0).astype(float), _sums(metric, case), None)[2]
    assert _value(name, one).value == pytest.approx(abs(expected) if metric.absolute else float(expected), rel=1e-9)


def test_interval_holds_the_value_of_a_plain_case(name):
    row = _value(name, _case(name, missing=0.05))
    assert row.low <= row.high
    if METRICS.get(name).upward:
        assert 0.0 <= row.low <= row.value <= row.high
    assert np.isfinite([row.value, row.low, row.high]).all()


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(name, kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    case = _case(name, missing=0.05)
    moved = replace(
        case,
        prediction=case.prediction.map(place),
        truth=place(case.truth),
        climatology=case.climatology.map(place),
    )
    metric = METRICS.get(name)()
    if isinstance(metric, SeriesMetric):
        counts = np.ones((TIMES, 1), np.int32)
        found, expected = metric.cells(moved, place(counts)), metric.cells(case, counts)
        assert type(found) is type(moved.truth)
        np.testing.assert_allclose(to_host(found), expected, rtol=1e-9)
    for term, plain in zip(
        metric.terms(moved) if isinstance(metric, Metric) else (),
        metric.terms(case) if isinstance(metric, Metric) else (),
        strict=True,
    ):
        assert type(term) is type(moved.truth)
        np.testing.assert_allclose(to_host(term)[case.valid], plain[case.valid], rtol=1e-9, atol=1e-12)
    assert _value(name, moved).value == pytest.approx(_value(name, case).value, rel=1e-9)
