from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.errors import ConfigError, DataError
from pipeline.metrics import METRICS, Case, FieldMetric, SeriesMetric, YearMetric
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.groups import area_series, make_groups
from pipeline.prediction import Prediction
from pipeline.seeding import derive_seed

CELLS = 6
WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
YEAR = np.arange("2000-01-01", "2001-01-01", dtype="datetime64[D]")


def _models(make_case, n, families=("point", "normal", "mixture", "members"), **options):
    return {family: {"tas": make_case(family, n=n, **options)} for family in families}


def _evaluate(cases, time, **options):
    settings = {"split": "test", "time": time, "weights": WEIGHTS, "units": {"tas": "degC"}, "seed": 4, "resamples": 60}
    return evaluate(cases, **(settings | options))


def _find(rows, **wanted):
    found = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_values_are_the_scores_of_the_whole_series(make_case, score):
    cases = _models(make_case, len(YEAR))
    found = _evaluate(cases, YEAR)
    seed = derive_seed(4, "draws:tas")
    drawn = {model: replace(by["tas"], time=YEAR, units="degC", seed=seed).with_draws() for model, by in cases.items()}
    for row in (row for row in found.scores if row.group == "all"):
        metric, case = METRICS.get(row.metric)(), drawn[row.model]
        if isinstance(metric, YearMetric | FieldMetric):
            continue  # tests/pipeline/metrics/test_index_scores.py, test_energy.py
        if isinstance(metric, SeriesMetric):
            counts = np.ones((len(YEAR), 1), np.int32)
            expected = np.average(metric.cells(case, counts)[0], weights=WEIGHTS)
        else:
            expected = score(row.metric, case, WEIGHTS)
        assert row.value == pytest.approx(float(expected), rel=1e-9, abs=1e-12)
        assert row.low <= row.high
        assert row.n == len(YEAR)
        assert row.units == ("K" if metric.units == "target" else "1")


def test_seasons_are_scored_on_their_own_times(make_case, score):
    cases = _models(make_case, len(YEAR), ("normal",))
    names = ("rmse", "crps", "pearson_r", "sd_ratio", "nse", "acc", "spread_skill", "coverage_90")
    found = _evaluate(cases, YEAR, metrics=(*names, "bias_q98"))
    summer = np.flatnonzero(np.isin(YEAR.astype("datetime64[M]").astype(int) % 12, [5, 6, 7]))
    part = cases["normal"]["tas"].select(summer, -2)
    row = _find(found.scores, group="season=JJA", metric="rmse")
    assert row.n == 92
    for name in names:
        row = _find(found.scores, group="season=JJA", metric=name)
        assert row.value == pytest.approx(float(score(name, part, WEIGHTS)), rel=1e-9)
    assert {row.group for row in found.scores} == {"all", *(f"season={name}" for name in ("DJF", "MAM", "JJA", "SON"))}


def test_one_season_alone_is_all_times_under_another_name(make_case, winters):
    found = _evaluate(_models(make_case, len(winters), ("normal",)), winters, metrics=("rmse",))
    first, second = found.scores
    assert (first.group, second.group) == ("all", "season=DJF")
    assert (first.value, first.low, first.high) == (second.value, second.low, second.high)


def test_every_split_and_variable_has_resamples_of_its_own(winters):
    series = np.sin(np.arange(len(winters)))

    def counts(purpose):
        return make_groups(winters, series, seed=4, purpose=purpose, resamples=20)[0].counts

    np.testing.assert_array_equal(counts("test:tas"), counts("test:tas"))
    assert (counts("test:tas") != counts("validation:tas")).any()
    assert (counts("test:tas") != counts("test:pr")).any()


def test_intervals_are_percentiles_over_resampled_blocks(make_case, winters, score, expanded):
    case = make_case("normal", n=len(winters))
    found = _evaluate({"m": {"tas": case}}, winters, metrics=("rmse", "bias_q02"), resamples=200)
    # The same resamples by hand: times repeated, scored anew.
    group = make_groups(winters, area_series(case, WEIGHTS), seed=4, purpose="test:tas", resamples=200)[0]
    rmse, bias = [], []
    for counts in group.counts:
        times = np.concatenate(
            [np.tile(np.arange(a, b), count) for (a, b), count in zip(group.blocks.edges, counts, strict=True)]
        )
        part = case.select(times, -2)
        rmse.append(score("rmse", part, WEIGHTS))
        paired = np.where(np.isfinite(part.truth), part.mean, np.nan)
        cells = np.nanquantile(paired, 0.02, axis=0) - np.nanquantile(part.truth, 0.02, axis=0)
        bias.append(np.average(cells, weights=WEIGHTS))
    for name, values in (("rmse", rmse), ("bias_q02", bias)):
        row = _find(found.scores, group="all", metric=name)
        ends = np.quantile(values, expanded(len(group.blocks)))
        assert (row.low, row.high) == pytest.approx(tuple(ends), rel=1e-9)


def test_differences_are_paired(make_case, winters):
    truth = make_case("point", n=len(winters))
    better = Case(truth.prediction.map(lambda mean: mean + 0.0), truth.truth, truth.climatology)
    worse = Case(truth.prediction.map(lambda mean: 4.0 * mean - 3.0 * truth.truth), truth.truth, truth.climatology)
    worse.mean[np.isnan(worse.mean)] = 0.0
    named = {"ridge": {"tas": worse}, "unet": {"tas": better}}
    found = _evaluate(named, winters, reference="ridge", metrics=("rmse", "pearson_r"), resamples=1000)
    row = _find(found.comparisons, group="all", metric="rmse")
    assert (row.model, row.reference) == ("unet", "ridge")
    scores = {model: _find(found.scores, model=model, group="all", metric="rmse") for model in ("unet", "ridge")}
    # Errors of the one are four times those of the other, day by day: the difference is as sure as the score.
    assert row.difference == pytest.approx(-3 * scores["unet"].value, rel=1e-9)
    assert row.high - row.low == pytest.approx(3 * (scores["unet"].high - scores["unet"].low), rel=0.15)
    assert 0.5 * (row.high + row.low) == pytest.approx(row.difference, rel=1e-12)
    assert row.relative == pytest.approx(-0.75, rel=1e-9)
    assert np.isnan(_find(found.comparisons, group="all", metric="pearson_r").relative)
    maps = found.maps["unet"]["tas"]
    for part in (maps.skill, maps.skill_low, maps.skill_high):
        np.testing.assert_allclose(part, 75.0, rtol=1e-9)
    assert found.maps["ridge"]["tas"].skill is None


def test_scores_both_have_are_compared_and_no_others(make_case, winters):
    found = _evaluate(_models(make_case, len(winters), ("point", "normal")), winters, reference="point")
    names = {row.metric for row in found.comparisons}
    assert "crps" in names
    assert "nll" not in names
    assert {row.model for row in found.comparisons} == {"normal"}


def test_maps_hold_each_cell(make_case, winters, score):
    cases = _models(make_case, len(winters), ("mixture", "members", "point"))
    found = _evaluate(cases, winters, metrics=("mae",))
    case, maps = cases["mixture"]["tas"], found.maps["mixture"]["tas"]
    np.testing.assert_allclose(maps.rmse, score("rmse", case), rtol=1e-12)
    np.testing.assert_allclose(maps.bias, score("bias", case), rtol=1e-12)
    assert (maps.bias_low <= maps.bias).all()
    assert (maps.bias <= maps.bias_high).all()
    expected = np.nanmean(np.where(np.isfinite(case.truth), case.prediction.variances()[0], np.nan), axis=0)
    np.testing.assert_allclose(maps.aleatoric, expected, rtol=1e-12)
    assert found.maps["members"]["tas"].aleatoric is None
    assert found.maps["members"]["tas"].epistemic.shape == (CELLS,)
    assert found.maps["point"]["tas"].epistemic is None
    assert {row.metric for row in found.scores} == {"mae"}


def test_the_order_of_models_changes_nothing(make_case, winters):
    cases = _models(make_case, len(winters), ("point", "normal"))
    one = _evaluate(cases, winters, reference="normal")
    other = _evaluate(dict(reversed(cases.items())), winters, reference="normal")
    assert sorted(map(repr, one.scores)) == sorted(map(repr, other.scores))
    assert list(map(repr, one.comparisons)) == list(map(repr, other.comparisons))
    assert one.scores[0].model == "point"


def test_another_seed_moves_intervals_and_no_values(make_case, winters):
    cases = _models(make_case, len(winters), ("normal",))
    names = [name for name in METRICS.names() if not METRICS.get(name).uses_draws]
    one, other = (_evaluate(cases, winters, seed=seed, metrics=names).scores for seed in (1, 2))
    assert [row.value for row in one] == [row.value for row in other]
    assert [row.low for row in one] != [row.low for row in other]


def test_another_seed_moves_scores_of_draws(make_case, winters):
    cases = _models(make_case, len(winters), ("normal", "point"))
    one, other = (_evaluate(cases, winters, seed=seed, metrics=("bias_txx",)).scores for seed in (1, 2))
    for a, b in zip(one, other, strict=True):
        assert (a.value == b.value) == (a.model == "point")  # a point is its own draw


def test_scores_take_at_most_as_many_resamples_as_they_say(make_case, winters):
    cases = _models(make_case, len(winters), ("members",))
    names = ("bias_lag1", "bias_q98", "rmse")
    few, many = (_evaluate(cases, winters, metrics=names, resamples=count).scores for count in (250, 300))
    for a, b in zip(few, many, strict=True):
        assert ((a.low, a.high) == (b.low, b.high)) == (a.metric != "rmse")


def test_chunks_of_cells_give_the_same(make_case, winters, monkeypatch):
    cases = _models(make_case, len(winters))
    whole = _evaluate(cases, winters, reference="point")
    monkeypatch.setattr("pipeline.metrics.sums._MEMORY", 1)
    monkeypatch.setattr("pipeline.metrics.resampled._VALUES", 10)
    monkeypatch.setattr("pipeline.metrics.sums.chunks.__defaults__", (1,))
    parts = _evaluate(cases, winters, reference="point")
    for one, other in zip(whole.scores, parts.scores, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.low == pytest.approx(other.low, rel=1e-9, nan_ok=True)  # three winters are few years


def test_strict_arrays_and_other_backends_give_the_same(make_case, winters, backend):
    cases = _models(make_case, len(winters))
    expected = _evaluate(cases, winters, reference="point")
    for place in (array_api_strict.asarray, backend.asarray):
        moved = {
            model: {
                name: Case(case.prediction.map(place), place(case.truth), case.climatology.map(place))
                for name, case in variables.items()
            }
            for model, variables in cases.items()
        }
        found = _evaluate(moved, winters, reference="point")
        for one, other in zip(expected.scores, found.scores, strict=True):
            assert (one.model, one.metric) == (other.model, other.metric)
            np.testing.assert_allclose([other.value, other.low], [one.value, one.low], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(to_host(found.maps["normal"]["tas"].skill), expected.maps["normal"]["tas"].skill)


def test_a_short_split_carries_a_warning_instead_of_a_claim(make_case, winters):
    few = _evaluate(_models(make_case, 20, ("point",)), winters[:20], metrics=("rmse",))
    assert few.warnings[0] == (
        f"The split 'test' holds about {few.samplings[0].independent:.0f} independent samples of tas (20 time steps, "
        f"decorrelation time {few.samplings[0].decorrelation:.1f} steps), fewer than 30: "
        "read its scores as an indication, not as a claim."
    )
    assert "(season=DJF)" in few.warnings[1]
    many = _evaluate(_models(make_case, len(winters), ("point",)), winters, metrics=("rmse",))
    assert many.warnings == ()
    assert many.samplings[0].kind == "runs"
    assert many.samplings[0].times == len(winters)


def test_a_prediction_with_holes_is_refused(make_case, winters):
    cases = _models(make_case, len(winters), ("normal",), missing=0.0)
    cases["normal"]["tas"].prediction.parameters["sd"][3:5, 2] = np.nan
    message = (
        r"^expected a finite sd of tas from 'normal' wherever 'test' has truth, got 2 values that are not\. "
        r"A model must predict every cell of the mask\.$"
    )
    with pytest.raises(DataError, match=message):
        _evaluate(cases, winters)


def test_a_prediction_may_have_holes_where_there_is_no_truth(make_case, winters):
    cases = _models(make_case, len(winters), ("normal",), missing=0.0)
    whole = cases["normal"]["tas"]
    whole.truth[3:5, 2] = np.nan
    expected = _evaluate(cases, winters)
    whole.prediction.parameters["mean"][3:5, 2] = np.nan
    fresh = Case(whole.prediction, whole.truth, whole.climatology)
    assert str(_evaluate({"normal": {"tas": fresh}}, winters).scores) == str(expected.scores)


def test_all_models_must_be_asked_about_the_same_truth(make_case, winters):
    cases = _models(make_case, len(winters), ("normal",)) | {
        "other": {"tas": make_case("point", n=len(winters), seed=2)}
    }
    message = (
        r"^expected all models to be scored on the same truth of tas on 'test', got other missing values for 'other'"
    )
    with pytest.raises(DataError, match=message):
        _evaluate(cases, winters)


def test_a_split_without_truth_is_not_scored(make_case, winters):
    cases = _models(make_case, len(winters), ("normal",), missing=1.0)
    message = (
        r"^expected truth of tas on 'test', got none that is finite\. "
        r"A split without truth is predicted and not scored\.$"
    )
    with pytest.raises(DataError, match=message):
        _evaluate(cases, winters)


def test_shapes_must_fit(make_case, winters):
    message = (
        r"^expected the truth of tas for 'point' on 'test' in shape \(time, cell\) = \(271, 6\), got \(120, 6\)\.$"
    )
    with pytest.raises(DataError, match=message):
        _evaluate(_models(make_case, 120, ("point",)), winters)


def test_the_reference_must_be_a_model(make_case, winters):
    message = r"^expected one of the models as reference, got 'poin'\. Did you mean 'point'\? Known: point\.$"
    with pytest.raises(ConfigError, match=message):
        _evaluate(_models(make_case, len(winters), ("point",)), winters, reference="poin")


def test_point_forecast_equals_its_members_of_one(make_case, winters):
    point = make_case("point", n=len(winters))
    members = Case(Prediction("members", {"members": point.mean[None]}), point.truth, point.climatology)
    found = _evaluate({"point": {"tas": point}, "members": {"tas": members}}, winters, metrics=("crps", "rmse"))
    for name in ("crps", "rmse"):
        one, other = (_find(found.scores, model=m, group="all", metric=name) for m in ("point", "members"))
        assert one.value == pytest.approx(other.value, rel=1e-12)
