"""Flow: hydrographs of the year that the rule says, duration curves, what is said of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from pipeline.report import flow_words
from pipeline.report.answers import answer
from pipeline.report.figures.time import Series
from pipeline.report.load import load_run
from pipeline.report.sections import cases, flow, hydrograph
from pipeline.report.study import study

RIVER = {"variable": "qobs", "units": "m3 s-1", "leads": (0,), "step": "D", "parts": "season", "times": 900}


@pytest.fixture(scope="module")
def river(series_run):
    return study(load_run(series_run(**RIVER, bands=False)))


@pytest.fixture(scope="module")
def basins(series_run):
    return study(load_run(series_run(**RIVER, stations=3)))


def _saved(found, model="lstm"):
    data = xr.load_dataset(found.run.path / f"predictions/{model}.nc")
    return data["qobs_truth"].values.astype(float), data["qobs"].values.astype(float), data["time"].values


def test_the_year_shown_holds_the_highest_flow(river):
    truth, _, time = _saved(river)
    record = hydrograph.record_of(river, "qobs")
    part = hydrograph.part_of(river, "qobs", record)
    highest = int(np.argmax(truth[:, 0]))
    assert part.series.truth[part.peak] == pytest.approx(truth[highest, 0])
    assert part.series.time[part.peak] == time[highest]
    assert str(time[highest])[:10] in part.rule
    assert part.series.time[-1] - part.series.time[0] <= np.timedelta64(364, "D")


def test_the_section_opens_with_the_peak(river):
    found, lead = hydrograph.blocks(river, "qobs")
    assert lead.startswith("At the highest flow, ")
    assert [figure.name for figure in found] == ["series-qobs", "cases-qobs"]
    assert "highest flows of 3 calendar years" in found[1].caption or "2 calendar years" in found[1].caption


def test_best_and_worst_peak_by_brute_force(river):
    truth, mean, time = (part[:, 0] if part.ndim == 2 else part for part in _saved(river))
    off = {}
    for year in np.unique(time.astype("datetime64[Y]")):
        rows = np.flatnonzero(time.astype("datetime64[Y]") == year)
        if len(rows) >= 183:
            row = max(rows, key=lambda k: truth[k])
            off[row] = abs(mean[row] - truth[row]) / truth[row]
    best, worst = cases.best_and_worst(river, "qobs", hydrograph.record_of(river, "qobs").series, None)
    assert best.mark == time[min(off, key=off.get)]
    assert worst.mark == time[max(off, key=off.get)]


def test_stretches_by_brute_force():
    rng = np.random.default_rng(1)
    time = np.datetime64("2000-01-01") + np.arange(260)
    truth = rng.normal(size=260)
    mean = truth + np.repeat([0.1, 0.9, 0.3, 0.5], [60, 60, 60, 80])

    class Fake:
        step = "day"
        run = SimpleNamespace(shown_lead=None)
        units = {"x": "K"}  # noqa: RUF012

    best, worst = cases._stretches(Fake(), "x", Series(time, truth, mean, ()))
    assert best.series.time[0] == time[0]
    assert worst.series.time[0] == time[60]
    assert cases._stretches(Fake(), "x", Series(time[:20], truth[:20], mean[:20], ())) == ()


def test_best_and_worst_forecast_by_brute_force(series_run):
    found = study(load_run(series_run()))
    data = xr.load_dataset(found.run.path / "predictions/lstm.nc")
    rmse = np.sqrt(((data["nino34"] - data["nino34_truth"]).astype(float) ** 2).mean(("lead", "station"))).values
    record = hydrograph.record_of(found, "nino34")
    best, worst = cases.best_and_worst(found, "nino34", record.series, None)
    assert str(data["time"].values[rmse.argmin()])[:10] in best.title
    assert str(data["time"].values[rmse.argmax()])[:10] in worst.title
    assert len(best.series.time) == 6


def test_series_of_several_leads_stand_at_the_time_that_is_forecast(series_run):
    found = study(load_run(series_run()))
    data = xr.load_dataset(found.run.path / "predictions/lstm.nc")
    record = hydrograph.record_of(found, "nino34")
    assert (record.series.time == data["valid_time"].values[:, 2]).all()
    assert record.series.truth == pytest.approx(data["nino34_truth"].values[:, 2, 0].astype(float))
    assert len(record.series.bands) == 2


def test_efficiencies_by_brute_force():
    rng = np.random.default_rng(2)
    truth, mean = rng.gamma(2, 5, (50, 4)), rng.gamma(2, 5, (50, 4))
    truth[3, 0] = np.nan
    truth[:, 3] = 1.0
    found = flow.efficiencies(truth, mean)
    for k in range(3):
        good = np.isfinite(truth[:, k])
        t, m = truth[good, k], mean[good, k]
        assert found[k] == pytest.approx(1 - sum((m - t) ** 2) / sum((t - t.mean()) ** 2))
    assert np.isnan(found[3])


def test_duration_curve_says_what_is_exceeded(river):
    truth, mean, _ = _saved(river)
    figure = flow._durations(river, "qobs")
    for flows in (truth, mean):
        shown = float(np.quantile(flows[:, 0], 0.99))
        told = [float(text.replace("\u00a0m", "")) for text in _amounts(figure.caption)]
        assert any(abs(value / shown - 1) < 0.03 for value in told)
    svg = figure.pictures[0].light.decode()
    assert "truth" in svg
    assert "ridge" in svg


def _amounts(caption):
    import re

    return re.findall(r"\d+(?:\.\d+)?\u00a0m", caption)


def test_flow_tables_are_of_flow_alone(river, series_run):
    assert [table.name for table in flow.score_tables(river, "qobs", "test")] == ["flow-qobs-test", "flow-qobs-test-2"]
    other = study(load_run(series_run()))
    assert flow.score_tables(other, "nino34", "test") == []
    assert not flow.is_flow(other, "nino34")


def test_basins_are_sorted_by_the_headline_model(basins):
    table = flow._basins(basins, "qobs")[-1]
    values = [row[1].key for row in table.rows]
    assert values == sorted(values, reverse=True)
    truth, mean, _ = _saved(basins)
    assert values == pytest.approx(sorted(flow.efficiencies(truth, mean), reverse=True))
    assert table.columns[0].title == "Basin"


def test_the_verdict_says_the_efficiency(river, basins, series_run):
    assert " lstm reaches an NSE of 0." in answer(river).text
    assert " lstm reaches a median NSE of 0." in answer(basins).text
    assert "NSE" not in answer(study(load_run(series_run()))).text


def test_what_is_said_of_high_flow_is_what_was_scored(river):
    row = river.score("lstm", "fhv")
    said = flow_words.extremes(river, "qobs")
    assert said.startswith("Of lstm, the volume of the highest 2\u00a0% of flows is ")
    assert ("too high" if row["value"] > 0 else "too low") in said
    assert "\u00a0d off on average" in said


def test_a_gap_breaks_the_line():
    from pipeline.report.figures.lines import unbroken

    time = np.array(["2001-01-01", "2001-01-02", "2001-01-03", "2001-02-01"], "datetime64[D]")
    whole = unbroken(Series(time, np.ones(4), np.ones(4), ((np.zeros(4), np.ones(4), "band"),)))
    assert np.isnan(whole.mean).tolist() == [False, False, False, True, False]
    assert np.isnan(whole.bands[0][0]).sum() == 1
    same = Series(time[:3], np.ones(3), np.ones(3), ())
    assert unbroken(same) is same
