"""Scores of years: what `evaluate` makes of draws, years and cells."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.metrics import METRICS, Case
from pipeline.metrics.bootstrap import resample
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.indices import INDICES, indices_of_years
from pipeline.prediction import Prediction

TIME = np.arange("1990-01-01", "1999-01-01", dtype="datetime64[D]")
YEARS, CELLS = 9, 3
WEIGHTS = np.array([1.0, 2.0, 0.5])
NAMES = {
    "mm d-1": ("bias_sdii", "bias_rx1day", "bias_cdd", "bias_cwd"),
    "degC": ("bias_txx", "bias_tnn"),
}


def _case(units="mm d-1", family="members", seed=0, missing=0.02):
    rng = np.random.default_rng(seed)
    shape = (len(TIME), CELLS)

    def days(*lead):
        if units == "degC":
            level = np.repeat(rng.normal(0.0, 1.0, (*lead, YEARS, 1)), [365 + (y in (2, 6)) for y in range(YEARS)], -2)
            return 12.0 + level + rng.normal(0.0, 8.0, (*lead, *shape))
        return np.where(rng.random((*lead, *shape)) < 0.5, rng.gamma(0.8, 8.0, (*lead, *shape)), 0.0)

    truth, members = days(), days(4) * 1.2
    truth[rng.random(shape) < missing] = np.nan
    truth[:60, 1] = np.nan  # 1990 does not count in this cell
    parameters = {
        "members": {"members": members},
        "point": {"mean": members[0]},
        "normal": {"mean": members[0], "sd": np.full(shape, 3.0)},
    }[family]
    usual = Prediction("point", {"mean": np.zeros(shape)})
    return Case(Prediction(family, parameters), truth, usual)


def _evaluate(case, names, units="mm d-1", weights=WEIGHTS, time=TIME, **options):
    settings = {"split": "test", "time": time, "weights": weights, "units": {"x": units}, "seed": 4, "resamples": 30}
    return evaluate({"m": {"x": case}}, metrics=names, **(settings | options))


def _yearly(index, case, draw, units):
    """Return an index of a draw and of the truth, (year, cell), on the days that have truth."""
    series = np.where(np.isfinite(case.truth), draw, np.nan)
    return (indices_of_years([index], part, TIME, units)[index] for part in (series, case.truth))


@pytest.mark.parametrize("family", ["members", "point"])
@pytest.mark.parametrize(("units", "names"), NAMES.items(), ids=NAMES)
def test_a_bias_is_the_mean_over_draws_years_and_cells(units, names, family):
    case = _case(units, family)
    sizes = tuple(f"abs_{name}" for name in names)
    found = {row.metric: row for row in _evaluate(case, (*names, *sizes), units).scores if row.group == "all"}
    for name in names:
        biases = []
        for draw in case.draws:
            prediction, truth = _yearly(METRICS.get(name).index, case, draw, units)
            biases.append(np.nanmean(prediction, axis=0) - np.nanmean(truth, axis=0))
        cells = np.mean(biases, axis=0)
        assert found[name].value == pytest.approx(np.average(cells, weights=WEIGHTS), rel=1e-9)
        assert found[f"abs_{name}"].value == pytest.approx(np.average(np.abs(cells), weights=WEIGHTS), rel=1e-9)
        expected = {"1": "1", "d": "d", "target": "K" if units == "degC" else units}[METRICS.get(name).units]
        assert found[name].units == found[f"abs_{name}"].units == expected


def test_biases_of_both_signs_cancel_in_one_score_and_not_in_the_other():
    case = _case("degC", "point", missing=0.0)
    case = replace(case, prediction=Prediction("point", {"mean": case.truth + np.array([2.0, 2.0, -12.0])}))
    case.prediction.parameters["mean"][:60, 1] = 0.0
    found = {row.metric: row.value for row in _evaluate(case, ("bias_txx", "abs_bias_txx"), "degC").scores[:2]}
    assert found["bias_txx"] == pytest.approx(0.0, abs=1e-12)
    assert found["abs_bias_txx"] == pytest.approx(12.0 / 3.5, rel=1e-12)


def test_intervals_are_of_years_drawn_anew(expanded):
    case = _case("degC", "point")
    row = _evaluate(case, ("bias_tnn",), "degC").scores[0]
    prediction, truth = _yearly("tnn", case, case.draws[0], "degC")
    drawn = []
    for counts in resample(YEARS, 4, "test:x:all:years", count=250):
        again = np.repeat(np.arange(YEARS), counts)
        drawn.append(np.average(np.nanmean(prediction[again] - truth[again], axis=0), weights=WEIGHTS))
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(drawn, expanded(YEARS))), rel=1e-9)


def test_models_share_their_resamples_of_years():
    case = _case("degC", "point")
    other = replace(case, prediction=case.prediction.map(lambda mean: mean + 2.0))
    settings = {"split": "test", "time": TIME, "weights": WEIGHTS, "units": {"x": "degC"}, "seed": 4, "resamples": 30}
    found = evaluate({"m": {"x": case}, "n": {"x": other}}, metrics=("bias_txx",), reference="m", **settings)
    row = next(row for row in found.comparisons if row.group == "all")
    assert (row.difference, row.low, row.high) == pytest.approx((2.0, 2.0, 2.0), rel=1e-9)


def test_one_year_has_a_value_and_no_interval():
    case = _case(missing=0.0).select(slice(365, 730), -2)
    row = _evaluate(case, ("bias_rx1day",), time=TIME[365:730]).scores[0]
    assert np.isfinite(row.value)
    assert np.isnan([row.low, row.high]).all()


def test_few_years_have_no_interval_however_many_blocks_their_days_make():
    case = _case(missing=0.0).select(slice(0, 3 * 365), -2)
    found = _evaluate(case, ("bias_rx1day", "rmse"), time=TIME[: 3 * 365])
    assert found.samplings[0].blocks >= 8
    rows = {row.metric: row for row in found.scores if row.group == "all"}
    assert np.isnan([rows["bias_rx1day"].low, rows["bias_rx1day"].high]).all()
    assert np.isfinite([rows["rmse"].low, rows["rmse"].high]).all()


def test_a_season_is_scored_on_its_own_days():
    case = _case(missing=0.0)
    case.truth[:60, 1] = 0.0
    rows = {row.group: row.value for row in _evaluate(case, ("bias_rx1day",)).scores}
    summer = np.flatnonzero(np.isin(TIME.astype("datetime64[M]").astype(int) % 12, [5, 6, 7]))
    part = case.select(summer, -2)
    expected = [np.nanmean(draw.reshape(YEARS, 92, CELLS).max(axis=1), axis=0) for draw in part.draws]
    expected = np.mean(expected, axis=0) - part.truth.reshape(YEARS, 92, CELLS).max(axis=1).mean(axis=0)
    assert rows["season=JJA"] == pytest.approx(np.average(expected, weights=WEIGHTS), rel=1e-9)


def test_a_draw_without_a_wet_day_does_not_take_its_cell_away():
    case = _case(missing=0.0)
    case.truth[:60, 1] = 1.0
    case.prediction.parameters["members"][0] = 0.0
    found = _evaluate(case, ("bias_sdii",)).scores[0].value
    biases = []
    for draw in case.draws[1:]:
        prediction, truth = _yearly("sdii", case, draw, "mm d-1")
        biases.append(prediction.mean(axis=0) - truth.mean(axis=0))
    assert found == pytest.approx(np.average(np.mean(biases, axis=0), weights=WEIGHTS), rel=1e-9)


def test_the_deviation_over_years_is_that_of_yearly_means():
    case = _case("degC", missing=0.0)
    case.truth[:60, 1] = 12.0
    found = _evaluate(case, ("interannual_sd_ratio",), "degC").scores[0]
    ratios = []
    for draw in case.draws:
        prediction, truth = _yearly("mean", case, draw, "degC")
        ratios.append(prediction.std(axis=0) / truth.std(axis=0))
    assert found.value == pytest.approx(np.average(np.mean(ratios, axis=0), weights=WEIGHTS), rel=1e-9)
    assert found.units == "1"


def test_few_years_have_no_deviation_and_other_steps_no_days():
    case = replace(_case(), time=TIME, units="mm d-1")
    metric = METRICS.get("interannual_sd_ratio")()
    assert metric.applies(case, "mm d-1")
    assert not metric.applies(case.select(slice(0, 7 * 365), -2), "mm d-1")
    firsts = np.arange("1800", "2000", dtype="datetime64[Y]").astype("datetime64[D]")
    yearly = replace(case.select(slice(0, 200), -2), time=firsts)
    for name in NAMES["mm d-1"]:
        assert METRICS.get(name)().applies(case, "mm d-1")
        assert not METRICS.get(name)().applies(case, "degC")
        assert not METRICS.get(name)().applies(yearly, "mm d-1")
        assert not METRICS.get(name)().applies(replace(case, time=None), "mm d-1")


def test_every_yearly_score_has_an_index_and_its_size():
    for name in METRICS.names():
        metric = METRICS.get(name)
        if name.startswith("abs_"):
            assert issubclass(metric, METRICS.get(name.removeprefix("abs_")))
        if hasattr(metric, "index"):
            assert metric.index in INDICES
            assert INDICES[metric.index].quantity in ("any", metric.quantity)


def test_parts_of_the_cells_give_the_same(monkeypatch):
    names = ("bias_cdd", "abs_bias_sdii", "bias_lag1", "bias_p98_wet", "sd_ratio_draws")
    whole = _evaluate(_case(family="normal"), names)
    monkeypatch.setattr("pipeline.metrics.sums.chunks.__defaults__", (1,))
    parts = _evaluate(_case(family="normal"), names)
    for one, other in zip(whole.scores, parts.scores, strict=True):
        np.testing.assert_allclose([other.value, other.low], [one.value, one.low], rtol=1e-9)
