import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.metrics import METRICS, ClassMetric, Place
from pipeline.metrics.classes import HEADLINE
from pipeline.metrics.classes.evaluate import REGIONAL, evaluate_classes, event_series
from pipeline.metrics.regions import CellRegions
from pipeline.metrics.tables import write_comparisons, write_scores
from pipeline.prediction import Prediction

CLASSES = ("background", "cyclone", "river")
GRID = Grid(np.linspace(-40.0, 40.0, 5), np.arange(8) * 45.0)
PLACE = Place(GRID, np.ones(GRID.shape, bool))
AREA = GRID.area[PLACE.mask]
YEAR = np.datetime64("2001-01-01", "D") + np.arange(0, 365, 5)


def _evaluate(cases, time, **options):
    settings = {"split": "test", "weights": AREA, "classes": CLASSES, "place": PLACE, "seed": 0, "resamples": 50}
    found = {model: {"event": case} for model, case in cases.items()}
    return evaluate_classes(found, time=time, **(settings | options))


@pytest.fixture
def cases(make_class_case):
    """Two models of the same truth, a good one and a poor one."""
    good = make_class_case(n=len(YEAR), cells=40, sharp=4.0, missing=0.05)
    poor = replace(make_class_case(n=len(YEAR), cells=40, sharp=1.0), truth=good.truth)
    return {"good": good, "poor": poor}


def _row(rows, **wanted):
    (found,) = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    return found


def test_groups_are_all_seasons_and_classes(cases):
    found = _evaluate(cases, YEAR, metrics=("iou", "accuracy", "object_csi"))
    groups = {row.group for row in found.scores if row.metric == "iou"}
    times = ["all", *(f"season={name}" for name in ("DJF", "MAM", "JJA", "SON"))]
    of_classes = {f"class={of}" if of_time == "all" else f"class={of};{of_time}" for of in CLASSES for of_time in times}
    assert groups == of_classes | set(times)
    assert {row.group for row in found.scores if row.metric == "accuracy"} == set(times)
    assert not any(row.group.startswith("class=background") for row in found.scores if row.metric == "object_csi")
    assert {row.group for row in found.samplings} == set(times)


def test_rows_of_classes_and_seasons_are_those_of_their_cells(cases, flat):
    found = _evaluate(cases, YEAR, metrics=("iou",)).scores
    season = np.isin((YEAR.astype("datetime64[M]").astype(int) % 12) + 1, [6, 7, 8])
    for label, rows in (("", np.ones(len(YEAR), bool)), (";season=JJA", season)):
        part = replace(cases["good"].select(np.flatnonzero(rows), -2), weights=AREA)
        truth, predicted, _, weights = flat(part)
        each = jaccard_score(truth, predicted, average=None, sample_weight=weights)
        for of, expected in zip(CLASSES, each, strict=True):
            row = _row(found, model="good", group=f"class={of}{label}")
            assert row.value == pytest.approx(expected, rel=1e-12)
            assert row.n == int(rows.sum())
        assert _row(found, model="good", group=label[1:] or "all").value == pytest.approx(each.mean(), rel=1e-12)


def test_an_ensemble_of_classes_is_scored_by_its_mean_probabilities(cases):
    said = cases["good"].prediction
    both = said.formulas.mix([said.parameters, cases["poor"].prediction.parameters])
    mean = (said.parameters["probabilities"] + cases["poor"].prediction.parameters["probabilities"]) / 2
    found = {
        "mixture": replace(cases["good"], prediction=Prediction("categorical_mixture", both)),
        "mean": replace(cases["good"], prediction=Prediction("categorical", {"probabilities": mean})),
    }
    rows = _evaluate(found, YEAR).scores
    mixture, alone = ([row.value for row in rows if row.model == model] for model in found)
    assert len(mixture) > 100
    np.testing.assert_allclose(mixture, alone, rtol=1e-9)


def test_the_better_model_has_a_positive_difference_in_the_headline(cases, tmp_path):
    found = _evaluate(cases, YEAR, reference="poor")
    row = _row(found.comparisons, model="good", metric=HEADLINE, group="all")
    assert row.difference > 0.0
    assert row.low <= row.difference <= row.high
    assert np.isnan(row.relative)
    loss = _row(found.comparisons, model="good", metric="log_loss", group="class=river")
    assert loss.difference < 0.0
    assert -1.0 < loss.relative < 0.0
    assert not any(row.model == "poor" for row in found.comparisons)
    assert found.maps == {"good": {}, "poor": {}}
    write_scores(tmp_path / "scores.csv", found.scores)
    write_comparisons(tmp_path / "comparisons.csv", found.comparisons)
    assert "good,test,event,class=river;season=JJA,iou," in (tmp_path / "scores.csv").read_text()


def test_all_scores_of_classes_are_there_by_default_and_others_never(cases):
    names = {name for name in METRICS.names() if issubclass(METRICS.get(name), ClassMetric)}
    assert {row.metric for row in _evaluate(cases, YEAR).scores} == names
    assert {row.metric for row in _evaluate(cases, YEAR, metrics=("rmse", "kappa")).scores} == {"kappa"}
    units = {row.metric: row.units for row in _evaluate(cases, YEAR).scores}
    assert (units["boundary_distance"], units["log_loss"], units["iou"]) == ("km", "nat", "1")


def test_a_model_equal_to_the_reference_differs_by_nothing(cases):
    found = _evaluate({"one": cases["good"], "other": cases["good"]}, YEAR, metrics=("iou",), reference="other")
    row = _row(found.comparisons, group="all")
    assert (row.difference, row.low, row.high) == (0.0, 0.0, 0.0)


def test_samples_without_dates_are_blocks_of_their_own(make_class_case):
    case = make_class_case(n=12, cells=40)
    case.truth[3] = np.nan
    found = _evaluate({"model": case}, np.arange(12), metrics=("iou", "kappa"))
    assert {row.group for row in found.scores} == {"all", *(f"class={of}" for of in CLASSES)}
    (sampling,) = found.samplings
    assert (sampling.kind, sampling.blocks, sampling.times) == ("samples", 12, 11)
    assert (sampling.decorrelation, sampling.independent) == (1.0, 11.0)
    assert "about 11 independent samples of event (11 that have no dates, each taken as one)" in found.warnings[0]
    assert np.isfinite(_row(found.scores, metric="iou", group="all").low)


def _tiles(images):
    """Return the strip of each tile of images of eight strips of two tiles."""
    return np.repeat(np.concatenate([np.arange(8) + 10 * image for image in range(images)]), 2)


def test_tiles_of_two_images_have_no_interval_and_a_warning(make_class_case):
    case = make_class_case(n=32, cells=40)
    found = _evaluate({"m": case}, np.arange(32), metrics=("iou",), strip=_tiles(2))
    assert np.isnan([[row.low, row.high] for row in found.scores]).all()
    assert np.isfinite([row.value for row in found.scores]).all()
    assert found.samplings[0].kind == "strips"
    assert 2 <= found.samplings[0].blocks <= 4
    assert re.search(
        r"\(32 tiles of images, whose neighbours are alike over \d\.\d strips; [234] blocks\)", found.warnings[0]
    )


def test_tiles_of_many_images_have_intervals_whatever_their_order(make_class_case):
    case = make_class_case(n=128, cells=40)
    rows = _evaluate({"m": case}, np.arange(128), metrics=("iou",), strip=_tiles(8)).scores
    order = np.argsort(
        np.tile(np.arange(8), 16), kind="stable"
    )  # strip by strip over all images, as splits may have it
    mixed = _evaluate({"m": case.select(order, -2)}, np.arange(128), metrics=("iou",), strip=_tiles(8)[order]).scores
    for one, other in zip(rows, mixed, strict=True):
        assert one.low < one.value < one.high
        assert (other.low, other.value, other.high) == pytest.approx((one.low, one.value, one.high), rel=0.02)


def test_the_bootstrap_of_samples_is_that_of_resampled_ones(make_class_case, expanded):
    case = make_class_case(n=12, cells=40)
    (row,) = [row for row in _evaluate({"m": case}, np.arange(12), metrics=("accuracy",), resamples=4000).scores]
    rng = np.random.default_rng(0)
    right = (case.prediction.parameters["probabilities"].argmax(axis=0) == case.truth) @ AREA / AREA.sum()
    drawn = right[rng.integers(0, 12, (4000, 12))].mean(axis=1)
    assert (row.low, row.high) == pytest.approx(np.quantile(drawn, expanded(12)), abs=0.006)


def test_the_series_of_events_is_their_share_of_the_known_area(make_class_case):
    case = make_class_case([[0, 1, 2], [0, 0, 1], [0, 0, 0]])
    case.truth[1, 2] = case.truth[2, :] = np.nan
    np.testing.assert_allclose(event_series(case, np.array([2.0, 1.0, 1.0])), [0.5, 0.0, np.nan])


def test_lasting_events_leave_few_independent_samples(make_class_case):
    truth = np.zeros((73, 40))
    truth[20:50, :20] = 1
    (sampling, *_) = _evaluate({"model": make_class_case(truth)}, YEAR, metrics=("iou",)).samplings
    assert sampling.decorrelation > 10.0
    assert sampling.independent < 8.0


def test_the_same_call_gives_the_same_rows(cases):
    first, second = (_evaluate(cases, YEAR, metrics=("iou", "kappa"), reference="poor") for _ in range(2))
    assert str(first) == str(second)


def test_what_is_no_number_of_a_class_is_refused(make_class_case):
    for value, words in ((3.0, "got 3.0"), (-1.0, "got -1.0"), (0.5, "got 0.5")):
        case = make_class_case(n=12, cells=40)
        case.truth[4, 2] = value
        with pytest.raises(
            DataError, match=f"whole numbers of classes from 0 to 2 as truth of event on 'test', {words}"
        ):
            _evaluate({"model": case}, np.arange(12))


def test_probabilities_that_are_none_are_refused(make_class_case):
    case = make_class_case(n=12, cells=40)
    case.prediction.parameters["probabilities"][0, 3, 3] += 0.01
    with pytest.raises(DataError, match="'model' that sum to 1 over classes on 'test', got a sum that is off by 0"):
        _evaluate({"model": case}, np.arange(12))
    case.prediction.parameters["probabilities"][0, 3, 3] = np.nan
    with pytest.raises(DataError, match="a finite probabilities of event from 'model'"):
        _evaluate({"model": case}, np.arange(12))


def test_predictions_of_other_classes_or_families_are_refused(make_class_case):
    case = make_class_case(n=12, cells=40, classes=2)
    with pytest.raises(DataError, match=r"the 3 classes background, cyclone, river from 'model' .* categorical of 2"):
        _evaluate({"model": case}, np.arange(12))
    point = replace(case, prediction=Prediction("point", {"mean": case.truth}))
    with pytest.raises(DataError, match="got a prediction of the family point"):
        _evaluate({"model": point}, np.arange(12))


def test_an_unknown_reference_is_refused(cases):
    with pytest.raises(ConfigError, match="expected one of the models as reference, got 'pour'"):
        _evaluate(cases, YEAR, reference="pour")


def test_regions_are_scored_on_their_own_cells(cases, class_score):
    regions = CellRegions(("west", "east"), np.where(np.arange(40) % 8 < 4, 0, 1))
    found = _evaluate(cases, YEAR, regions=regions, reference="good")
    rows = [row for row in found.scores if "region=" in row.group]
    assert {row.metric for row in rows} == set(REGIONAL)
    assert {row.group for row in rows} == {
        f"region={name}{season}"
        for name in regions.names
        for season in ("", *(f";season={name}" for name in ("DJF", "MAM", "JJA", "SON")))
    }
    spring = np.flatnonzero(np.isin((YEAR.astype("datetime64[M]").astype(int) % 12) + 1, [3, 4, 5]))
    for name, cells in regions:
        part = replace(cases["poor"].select(cells, -1), weights=AREA[cells])
        for metric in REGIONAL:
            row = _row(rows, model="poor", group=f"region={name}", metric=metric)
            assert row.value == pytest.approx(class_score(metric, part)[0], rel=1e-9)
            assert row.low <= row.value <= row.high
        row = _row(rows, model="poor", group=f"region={name};season=MAM", metric="iou")
        assert row.value == pytest.approx(class_score("iou", part.select(spring, -2))[0], rel=1e-9)
    assert not any("region=" in row.group for row in found.comparisons)
