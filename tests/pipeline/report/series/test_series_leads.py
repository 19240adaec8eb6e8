"""Scores by lead: what is drawn is what the scores say, and months are those in which forecasts begin."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.report import lead_scores, leads
from pipeline.report.figures import heat, lines
from pipeline.report.load import load_run
from pipeline.report.sections import lead_heat
from pipeline.report.sections import leads as section
from pipeline.report.study import study

PAINTED = True  # tests look at maps


@pytest.fixture(scope="module")
def found(series_run):
    return study(load_run(series_run()))


def test_leads_come_from_the_groups(found):
    assert found.run.leads == (1, 2, 3, 4, 5, 6)
    assert found.run.shown_lead == 3


def test_gains_are_the_share_of_the_baseline(found):
    gain = lead_scores.gains(found, "nino34", "test")
    scores = found.run.scores.query("split == 'test' and metric == 'rmse' and group == 'lead=4'").set_index("model")
    own, base = scores.loc["lstm", "value"], scores.loc["ridge", "value"]
    assert gain.value[3] == pytest.approx(100 * (1 - own / base))
    pair = found.run.comparisons.query("model == 'lstm' and group == 'lead=4'").iloc[0]
    assert gain.low[3] == pytest.approx(-100 * pair["high"] / base)
    assert gain.high[3] == pytest.approx(-100 * pair["low"] / base)


def test_gains_of_a_comparison_the_other_way_round(found):
    pairs = found.run.comparisons.query("group == 'lead=4'")
    turned = pairs.rename(columns={"model": "reference", "reference": "model"})
    turned = turned.assign(low=-pairs["high"], high=-pairs["low"])
    assert lead_scores._bounds(turned, "lstm", "ridge") == pytest.approx(lead_scores._bounds(pairs, "lstm", "ridge"))
    assert np.isnan(lead_scores._bounds(pairs, "lstm", "nobody")).all()


def test_sentence_says_at_which_leads(found, series_run):
    assert lead_scores.sentence(found, "nino34", "test").startswith(
        "lstm has a lower RMSE than ridge at every lead (beyond doubt at each of these), most, by "
    )
    unsure = study(load_run(series_run(intervals=False)))
    assert "(no interval is known)" in lead_scores.sentence(unsure, "nino34", "test")
    alone = study(load_run(series_run(models=("lstm",), baselines=())))
    assert lead_scores.sentence(alone, "nino34", "test").count("months ahead") == 1


def test_sentence_where_no_lead_is_better(series_run):
    parts = {"models": ("ridge", "climatology", *(f"lstm_v{i}" for i in range(28))), "leads": (1, 2)}
    worse = study(load_run(series_run(**parts)))
    said = lead_scores.sentence(worse, "nino34", "test")
    gain = lead_scores.gains(worse, "nino34", "test")
    assert (" at no lead; it comes nearest " in said) == bool((gain.value <= 0).all())


def test_heat_stands_at_the_month_in_which_forecasts_begin(found):
    rows = lead_heat._parts(found, "nino34", "test", "pearson_r", "month")
    # A value of April, three months ahead, was forecast in January.
    own = rows[(rows["lead"] == 3) & (rows["part"] == "04")]
    assert set(own["column"]) == {0}
    # January, one month ahead: December of the year before.
    assert set(rows[(rows["lead"] == 1) & (rows["part"] == "01")]["column"]) == {11}
    every = pd.date_range("2000-01-01", periods=12, freq="MS")
    for begun in every:
        valid = begun + pd.DateOffset(months=5)
        part = rows[(rows["lead"] == 5) & (rows["part"] == f"{valid.month:02d}")]
        assert set(part["column"]) == {begun.month - 1}


def test_heats_of_two_models_share_their_scale_and_say_of_how_many_years(found):
    figure = lead_heat.lead_heat(found, "nino34", "test")
    assert [picture.title for picture in figure.pictures] == ["Pearson r, lstm", "Pearson r, ridge"]
    assert "on one colour scale" in figure.caption
    assert "each number is of 8 years" in figure.caption
    assert "begun in" in figure.pictures[0].alt


def test_seasons_for_daily_data(series_run):
    daily = {"variable": "tmax", "leads": (1, 2), "step": "D", "times": 420, "parts": "season"}
    figure = lead_heat.lead_heat(study(load_run(series_run(**daily))), "tmax", "test")
    assert figure.pictures[0].title == "ACC, lstm"
    assert "season that is forecast" in figure.caption
    assert "samples" in figure.caption


def test_curves_keep_to_few_lines(series_run):
    parts = {"models": ("ridge", "climatology", *(f"lstm_v{i}" for i in range(28))), "leads": (1, 2)}
    many = study(load_run(series_run(**parts)))
    figure = section._curves(many, "nino34", "test")
    assert f"The {section.MOST_LINES} best of 30 models." in figure.caption
    svg = figure.pictures[0].light.decode()
    assert "climatology" in svg
    assert "ridge" in svg


def test_table_by_lead_downloads_all_models(found):
    table = section._table(found, "nino34", "test")
    assert [row[0].text for row in table.rows] == ["1", "2", "3", "4", "5", "6"]
    assert set(table.source["model"]) == set(found.models)
    assert table.columns[-1].title == "RMSE reduction"


def test_at_lead_takes_the_times_that_are_forecast():
    time = pd.date_range("2000-01-01", periods=3, freq="MS")
    valid = np.stack([time + pd.DateOffset(months=lead) for lead in (1, 4)], axis=1)
    data = xr.Dataset(
        {"x": (("time", "lead"), np.arange(6.0).reshape(3, 2))},
        {"time": time, "lead": [1, 4], "valid_time": (("time", "lead"), valid)},
    )
    part = leads.at_lead(data, 4)
    assert part["x"].values.tolist() == [1.0, 3.0, 5.0]
    assert str(part["time"].values[0])[:10] == "2000-05-01"
    assert leads.at_lead(data, 9)["x"].values.tolist() == [0.0, 2.0, 4.0]  # none of that lead: the one in the middle
    assert leads.at_lead(part, 4) is part


def test_numbers_in_squares_can_be_read_in_both_themes():
    data = heat.Heat(np.array([[0.1, np.nan], [0.9, -0.2]]), ("1", "2"), ("a", "b"), "r", "c", "t", "An alt text.")
    from pipeline.report.figures.maps import Scale

    picture = heat.heat(data, Scale.of("sequential", "1", data.values))
    assert picture.light != picture.dark
    assert picture.alt == "An alt text."


def test_a_line_alone_needs_no_name():
    line = lines.Line("only one", "#0072b2", np.arange(3.0), np.arange(3.0))
    axis = lines.Axis("x", "y")
    assert "only one" not in lines.lines([line], axis, "An alt text.").light.decode()
    other = lines.Line("another", "#d55e00", np.arange(3.0), np.arange(3.0))
    assert "only one" in lines.lines([line, other], axis, "An alt text.").light.decode()
