from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError, UnknownNameError
from pipeline.metrics import METRICS, Case
from pipeline.metrics.blocks import make_blocks
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.groups import group_name, make_groups
from pipeline.prediction import Prediction

MONTHLY = np.arange("1990-01", "2020-01", dtype="datetime64[M]").astype("datetime64[D]")
DAILY = np.arange("1999-12-01", "2009-12-01", dtype="datetime64[D]")
WEIGHTS = np.array([1.0, 2.0, 0.5])
NAMES = tuple(f"month={month:02d}" for month in range(1, 13))
SEASONS = tuple(f"season={name}" for name in ("DJF", "MAM", "JJA", "SON"))


def _groups(time, *, seed=0, **options):
    series = np.random.default_rng(0).normal(size=len(time))
    return make_groups(time, series, seed=4, purpose="test:x", resamples=20, **options)


def _case(time, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(20.0, 3.0, (len(time), 3))
    mean = truth + rng.normal(0.0, 1.0, truth.shape)
    usual = Prediction("normal", {"mean": np.full(truth.shape, 20.0), "sd": np.full(truth.shape, 3.0)})
    return Case(Prediction("point", {"mean": mean}), truth, usual)


def _evaluate(time, cases=None, **options):
    cases = {"m": {"x": _case(time)}} if cases is None else cases
    settings = {"split": "test", "time": time, "weights": WEIGHTS, "units": {"x": "m3 s-1"}, "seed": 4}
    return evaluate(cases, **(settings | {"resamples": 30, "metrics": ("rmse", "mae")} | options))


def test_months_come_behind_all_and_the_seasons():
    groups = _groups(MONTHLY, months=True)
    assert [group.names for group in groups] == [(name,) for name in ("all", *SEASONS, *NAMES)]
    assert (MONTHLY[groups[8].index].astype("datetime64[M]").astype(int) % 12 == 3).all()
    assert groups[8].of_month
    assert not groups[0].of_month
    assert [group.names for group in _groups(MONTHLY, seasons=False)] == [("all",)]


def test_months_change_nothing_of_the_other_groups():
    for plain, other in zip(_groups(DAILY), _groups(DAILY, months=True), strict=False):
        assert plain.names == other.names
        np.testing.assert_array_equal(plain.index, other.index)
        np.testing.assert_array_equal(plain.counts, other.counts)


def test_months_without_truth_are_no_groups():
    series = np.where(np.arange(len(MONTHLY)) % 12 < 2, 1.0, np.nan)
    groups = make_groups(MONTHLY, series, seed=0, purpose="test", resamples=5, months=True)
    assert [group.names[0] for group in groups] == ["all", "season=DJF", "month=01", "month=02"]


def test_samples_without_dates_have_no_months():
    assert [group.names for group in _groups(np.arange(40), months=True)] == [("all",)]


def test_a_prefix_is_part_of_every_name_and_of_no_seed():
    plain, led = _groups(DAILY, months=True), _groups(DAILY, months=True, prefix="lead=3")
    assert [group.names[0] for group in led[:3]] == ["lead=3", "lead=3;season=DJF", "lead=3;season=MAM"]
    assert led[8].names == ("lead=3;month=04",)
    for one, other in zip(plain, led, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
    winters = DAILY[:60]
    assert _groups(winters, prefix="lead=3")[0].names == ("lead=3", "lead=3;season=DJF")


def test_pairs_of_a_name_are_sorted():
    assert group_name("tile=2;lead=3", "season=JJA") == "lead=3;season=JJA;tile=2"
    assert group_name() == "all"


@pytest.mark.parametrize("prefix", ["all", "lead", "lead=", "=3", "lead=3;", "season=DJF", "lead=3;month=04"])
def test_a_prefix_that_is_no_name_is_refused(prefix):
    expected = (
        r"^expected as prefix of groups key=value pairs joined by ';' such as 'lead=3', none of them a season or "
        rf"month, got '{prefix}'\.$"
    )
    with pytest.raises(ConfigError, match=expected):
        _groups(DAILY, prefix=prefix)


def test_blocks_of_a_month_of_monthly_data_are_years():
    april = next(group for group in _groups(MONTHLY, months=True) if group.names == ("month=04",))
    assert april.blocks.kind == "years"
    np.testing.assert_array_equal(april.blocks.edges, np.stack([np.arange(30), np.arange(1, 31)], axis=1))
    assert april.counts.shape == (20, 30)


def test_blocks_of_a_month_of_daily_data_are_years_of_days():
    april = next(group for group in _groups(DAILY, months=True) if group.names == ("month=04",))
    assert april.blocks.kind == "years"
    assert (np.diff(april.blocks.edges, axis=1) == 30).all()


def test_years_that_go_together_are_drawn_together():
    aprils = MONTHLY[3::12]
    slow = np.sin(np.arange(30) / 3.0)
    blocks = make_blocks(aprils, slow, one_month=True)
    assert blocks.kind == "runs"
    assert (np.diff(blocks.edges, axis=1) >= 3.0 * blocks.decorrelation).all()
    # Without being told, values a year apart are as any other: runs of three decorrelation times.
    assert make_blocks(aprils, np.tile([1.0, -1.0], 15)).kind == "runs"


def test_the_interval_of_a_month_is_as_wide_as_means_of_years_scatter():
    widths, means = [], []
    options = {"months": True, "seasons": False, "metrics": ("bias",), "month_metrics": ("bias",), "resamples": 100}
    for seed in range(50):
        found = _evaluate(MONTHLY, {"m": {"x": _case(MONTHLY, seed)}}, **options)
        row = next(row for row in found.scores if row.group == "month=04")
        assert row.n == 30
        widths.append(row.high - row.low)
        means.append(row.value)
    # Of independent years a few in a hundred seem to go together, and have too few blocks for an interval.
    assert np.isfinite(widths).mean() >= 0.94
    assert np.nanmean(widths) == pytest.approx(2 * 1.96 * np.std(means), rel=0.25)


def test_months_have_some_scores_and_all_models_share_their_resamples():
    case = _case(MONTHLY)
    double = case.prediction.map(lambda mean: case.truth + 2.0 * (mean - case.truth))
    cases = {"m": {"x": case}, "double": {"x": replace(case, prediction=double)}}
    found = _evaluate(MONTHLY, cases, months=True, reference="m", resamples=1000)
    april = {(row.model, row.metric): row for row in found.scores if row.group == "month=04"}
    assert set(april) == {("m", "rmse"), ("double", "rmse")}
    assert {row.metric for row in found.scores if row.group == "season=MAM"} == {"rmse", "mae"}
    error = (case.mean - case.truth)[3::12]
    assert april["m", "rmse"].value == pytest.approx(np.sqrt(np.average((error**2).mean(axis=0), weights=WEIGHTS)))
    change = next(row for row in found.comparisons if row.group == "month=04")
    # The one has twice the errors of the other: their difference is as sure as the score.
    width = april["m", "rmse"].high - april["m", "rmse"].low
    assert change.high - change.low == pytest.approx(width, rel=0.15)
    assert 0.5 * (change.low + change.high) == pytest.approx(april["m", "rmse"].value, rel=1e-9)


def test_month_groups_change_no_other_row():
    plain, more = (_evaluate(DAILY, months=months, reference="m") for months in (False, True))
    assert tuple(row for row in more.scores if not row.group.startswith("month=")) == plain.scores
    assert {row.group for row in more.samplings} == {"all", *SEASONS, *NAMES}
    assert more.warnings == plain.warnings
    np.testing.assert_array_equal(more.maps["m"]["x"].rmse, plain.maps["m"]["x"].rmse)


def test_two_variables_together_are_not_scored_by_month():
    cases = {"m": {"x": _case(DAILY), "y": _case(DAILY, 1)}}
    found = _evaluate(DAILY, cases, units={"x": "1", "y": "1"}, months=True, metrics=("rmse", "bias_cross_correlation"))
    assert {row.group for row in found.scores if row.variable == "x~y"} == {"all", *SEASONS}


def test_scores_of_a_lead_are_those_without_its_name():
    plain, led = _evaluate(DAILY), _evaluate(DAILY, prefix="lead=3")
    named = [
        replace(row, group=row.group.replace("all", "lead=3").replace("season", "lead=3;season"))
        for row in plain.scores
    ]
    assert led.scores == tuple(named)


def test_seasons_can_be_left_out():
    assert {row.group for row in _evaluate(DAILY, seasons=False).scores} == {"all"}


def test_an_unknown_score_of_months_is_refused():
    with pytest.raises(UnknownNameError, match=r"rmze"):
        _evaluate(DAILY, month_metrics=("rmze",))


def test_over_series_some_scores_are_the_median_basins_and_others_the_mean():
    case = _case(DAILY)
    case.mean[:, 2] += 40.0  # a basin that this model cannot do
    names = ("nse", "kge", "log_nse", "fhv", "rmse")
    one_by_one = {}
    for name in names:
        rows = [
            _evaluate(DAILY, {"m": {"x": case.select(slice(cell, cell + 1), -1)}}, weights=WEIGHTS[:1], metrics=(name,))
            for cell in range(3)
        ]
        one_by_one[name] = [next(row.value for row in part.scores if row.group == "all") for part in rows]
    series, fields = (
        {row.metric: row for row in _evaluate(DAILY, {"m": {"x": case}}, metrics=names, task=task).scores
         if row.group == "all"}
        for task in ("series", "downscaling")
    )  # fmt: skip
    for name in names[:4]:
        assert series[name].value == pytest.approx(np.median(one_by_one[name]), rel=1e-12)
        assert series[name].low <= series[name].value <= series[name].high
        assert fields[name].value == pytest.approx(np.average(one_by_one[name], weights=WEIGHTS), rel=1e-9)
    assert series["rmse"] == fields["rmse"]


def test_by_default_the_scores_of_the_task_are_worked_out():
    found = {
        task: {row.metric for row in _evaluate(DAILY, metrics=None, task=task, resamples=2).scores}
        for task in ("series", "downscaling")
    }
    assert {"nse", "kge", "rmse"} <= found["downscaling"]
    assert found["series"] - found["downscaling"] == {
        name for name in METRICS.names() if METRICS.get(name).tasks == {"series"}
    }
    assert found["downscaling"] <= found["series"]
