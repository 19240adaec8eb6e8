"""Scores of parts of the cells: against the same scores of these cells alone."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest
from scipy.stats import norm

from pipeline.metrics import Case
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.groups import area_series, make_groups
from pipeline.metrics.regions import REGIONAL, CellRegions, regions_with_truth
from pipeline.prediction import Prediction

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
REGIONS = CellRegions(("north", "south"), np.array([1, 0, 1, -1, 0, 1]))
YEARS = np.arange("1990-12-01", "2000-12-01", dtype="datetime64[D]")[::5]


def _evaluate(cases, time, **options):
    settings = {"split": "test", "time": time, "weights": WEIGHTS, "units": {"tas": "degC"}, "seed": 4, "resamples": 60}
    return evaluate(cases, **(settings | {"regions": REGIONS} | options))


def _by_region(rows):
    return {(row.model, row.group, row.metric): row for row in rows if "region=" in row.group}


def test_values_and_intervals_are_those_of_the_cells_alone(make_case, score, expanded):
    cases = {family: {"tas": make_case(family, n=len(YEARS))} for family in ("normal", "members", "point")}
    found = _by_region(_evaluate(cases, YEARS).scores)
    assert {group for _, group, _ in found} == {
        f"region={name}{season}"
        for name in REGIONS.names
        for season in ("", *(f";season={name}" for name in ("DJF", "MAM", "JJA", "SON")))
    }
    case = cases["normal"]["tas"]
    groups = make_groups(YEARS, area_series(case, WEIGHTS), seed=4, purpose="test:tas", resamples=60)
    for (name, cells), group in ((part, group) for part in REGIONS for group in groups[:2]):
        own = case.select(cells, -1).select(group.index, -2)
        label = f"region={name}" if group.names[0] == "all" else f"region={name};{group.names[0]}"
        for metric in REGIONAL:
            if ("normal", label, metric) not in found:
                assert metric == "interval_score_90"  # not known here
                continue
            row = found["normal", label, metric]
            assert row.value == pytest.approx(float(score(metric, own, WEIGHTS[cells])), rel=1e-9)
            assert row.n == int(np.isfinite(own.truth).any(axis=1).sum())
            drawn = []
            for counts in group.counts:  # the same resamples by hand: times repeated, scored anew
                edges = zip(group.blocks.edges, counts, strict=True)
                times = np.concatenate([np.tile(np.arange(a, b), count) for (a, b), count in edges])
                drawn.append(score(metric, own.select(times, -2), WEIGHTS[cells]))
            ends = np.quantile(drawn, expanded(len(group.blocks)))
            assert (row.low, row.high) == pytest.approx(tuple(ends), rel=1e-9)
    assert {metric for model, _, metric in found if model == "point"} == {"rmse", "bias", "crps"} & set(REGIONAL)
    assert not any(row.group.startswith("region") for row in _evaluate(cases, YEARS, reference="point").comparisons)


def test_a_spread_that_is_halved_in_one_region_is_found_there_and_nowhere_else():
    rng = np.random.default_rng(0)
    shape = (len(YEARS), 60)
    sd = np.full(shape, 2.0)
    truth = sd * rng.standard_normal(shape)
    of_cell = np.repeat([0, 1, 2], 20)
    wrong = np.where(of_cell == 1, 0.5, 1.0) * sd
    usual = Prediction("normal", {"mean": np.zeros(shape), "sd": sd})
    case = Case(Prediction("normal", {"mean": np.zeros(shape), "sd": wrong}), truth, usual)
    regions = CellRegions(("low", "middle", "high"), of_cell)
    made = _evaluate({"m": {"tas": case}}, YEARS, weights=np.ones(60), regions=regions, resamples=200)
    found = _by_region(made.scores)
    halved = 2 * norm.cdf(norm.ppf(0.95) / 2) - 1
    for season in ("", ";season=DJF", ";season=JJA"):
        rows = {name: found["m", f"region={name}{season}", "coverage_90"] for name in regions.names}
        assert rows["middle"].value == pytest.approx(halved, abs=0.02)
        assert rows["middle"].high < 0.87
        for name in ("low", "high"):
            assert rows[name].value == pytest.approx(0.9, abs=0.02)
            assert rows[name].low < 0.9 < rows[name].high


def test_a_region_without_truth_has_no_rows_and_one_with_little_no_interval(make_case):
    case = make_case("normal", n=len(YEARS), missing=0.0)
    north = np.flatnonzero(REGIONS.of_cell == 0)
    truth = case.truth.copy()
    truth[:, north] = np.nan
    gone = _by_region(_evaluate({"m": {"tas": replace(case, truth=truth)}}, YEARS).scores)
    assert {group.partition(";")[0] for _, group, _ in gone} == {"region=south"}
    truth[:200, north] = case.truth[:200, north]  # three of ten years
    some = _by_region(_evaluate({"m": {"tas": replace(case, truth=truth)}}, YEARS).scores)
    few, enough = some["m", "region=north", "rmse"], some["m", "region=south", "rmse"]
    assert few.n == 200
    assert np.isfinite(few.value)
    assert np.isnan([few.low, few.high]).all()
    assert enough.low < enough.value < enough.high


def test_months_have_no_regions_and_one_season_has_the_name_of_both(make_case, winters):
    case = {"m": {"tas": make_case("normal", n=len(winters))}}
    found = _by_region(_evaluate(case, winters, months=True, metrics=("rmse",)).scores)
    assert {group for _, group, _ in found} == {
        f"region={name}{season}" for name in REGIONS.names for season in ("", ";season=DJF")
    }
    assert found["m", "region=north", "rmse"].value == found["m", "region=north;season=DJF", "rmse"].value


def test_series_have_the_median_over_the_region(make_case, score):
    case = make_case("normal", n=len(YEARS))
    found = _by_region(_evaluate({"m": {"tas": case}}, YEARS, task="series", metrics=("rmse", "crps")).scores)
    cells = np.flatnonzero(REGIONS.of_cell == 1)
    for metric in ("rmse", "crps"):
        expected = score(metric, case.select(cells, -1), WEIGHTS[cells])
        assert found["m", "region=south", metric].value == pytest.approx(float(expected), rel=1e-9)


def test_leads_have_regions_together(make_case, score):
    case = make_case("normal", n=len(YEARS), cells=12)
    both = CellRegions(REGIONS.names, np.tile(REGIONS.of_cell, 2))
    options = {"weights": np.tile(WEIGHTS, 2), "leads": 2, "seasons": False, "regions": both, "metrics": ("rmse",)}
    found = _by_region(_evaluate({"m": {"tas": case}}, YEARS, **options).scores)
    cells = np.flatnonzero(both.of_cell == 0)
    assert found["m", "region=north", "rmse"].value == pytest.approx(
        float(score("rmse", case.select(cells, -1), np.tile(WEIGHTS, 2)[cells])), rel=1e-9
    )


def test_two_variables_have_regions_each_and_their_pair_none(make_case):
    cases = {"m": {name: make_case("normal", n=len(YEARS), seed=seed) for seed, name in enumerate(("tas", "ps"))}}
    made = _evaluate(cases, YEARS, units={"tas": "degC", "ps": "hPa"}, metrics=("rmse", "bias_cross_correlation"))
    assert {row.variable for row in made.scores if "region=" in row.group} == {"tas", "ps"}


def test_any_array_library_will_do(make_case):
    host = make_case("normal", n=len(YEARS))

    def strict(array):
        return array_api_strict.asarray(array)

    moved = Case(host.prediction.map(strict), strict(host.truth), host.climatology.map(strict))
    options = {"metrics": ("rmse", "coverage_90", "crps")}
    one, two = (_by_region(_evaluate({"m": {"tas": case}}, YEARS, **options).scores) for case in (host, moved))
    assert one.keys() == two.keys()
    for key, row in one.items():
        assert (row.value, row.low, row.high) == pytest.approx(
            (two[key].value, two[key].low, two[key].high), rel=1e-9, nan_ok=True
        )


def test_regions_that_have_no_cells_are_passed_over():
    regions = CellRegions(("a", "b"), np.array([1, 1]))
    assert [name for name, _ in regions] == ["b"]
    assert regions_with_truth(None, (), np.ones((3, 2), bool)) == []
