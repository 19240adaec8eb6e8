"""What every score of classes promises, whatever it measures."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.metrics import METRICS, Case, ClassMetric, Place
from pipeline.metrics.classes.evaluate import evaluate_classes
from pipeline.prediction import Prediction

NAMES = tuple(name for name in METRICS.names() if issubclass(METRICS.get(name), ClassMetric))
TIMES, SHAPE, CLASSES = 24, (6, 12), ("background", "cyclone", "river")
GRID = Grid(np.linspace(-50.0, 50.0, SHAPE[0]), np.arange(SHAPE[1]) * 360.0 / SHAPE[1])
MASK = np.ones(SHAPE, bool)
MASK[0, :3] = False
PLACE = Place(GRID, MASK)
WEIGHTS = GRID.area[MASK]
DAYS = np.datetime64("2001-01-01", "D") + np.arange(TIMES)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def _truth(rng):
    """Return a block of the second class and a belt of the third at every time, shape (time, lat, lon)."""
    truth = np.zeros((TIMES, *SHAPE))
    for field in truth:
        row, column = rng.integers(1, 3), rng.integers(0, SHAPE[1])
        field[np.ix_([row, row + 1], (column + np.arange(3)) % SHAPE[1])] = 1
        field[5, (column + np.arange(5)) % SHAPE[1]] = 2
    return truth


def _case(error, *, missing=0.0, seed=0):
    """Return a case whose log-odds are those of the truth with noise of standard deviation `error`; 0: sure and right."""
    rng = np.random.default_rng(seed)
    truth = _truth(rng)[:, MASK]
    right = (truth == np.arange(3)[:, None, None]).astype(float)
    logits = 4.0 * right + error * rng.normal(size=right.shape)
    chance = np.exp(logits) / np.exp(logits).sum(axis=0) if error else right
    truth[rng.random(truth.shape) < missing] = np.nan
    prediction = Prediction("categorical", {"probabilities": chance})
    return Case(prediction, truth, prediction, time=DAYS, place=PLACE)


def _rows(name, case, *, time=DAYS):
    found = evaluate_classes(
        {"model": {"event": case}},
        split="test",
        time=time,
        weights=WEIGHTS,
        classes=CLASSES,
        place=PLACE,
        seed=0,
        metrics=(name,),
        resamples=20,
    )
    return {row.group: row for row in found.scores}


def test_a_perfect_forecast_is_perfect_for_every_class(name):
    rows = _rows(name, _case(0.0))
    perfect = METRICS.get(name).perfect
    if perfect is None:
        assert all(np.isfinite(row.value) for row in rows.values())  # as much as the truth allows, see its own test
        return
    assert {row.group: row.value for row in rows.values()} == pytest.approx(dict.fromkeys(rows, perfect), abs=1e-12)
    assert rows["all"].n == TIMES


def test_larger_errors_are_worse(name):
    metric = METRICS.get(name)
    good, bad = (_rows(name, _case(error))["all"].value for error in (1.5, 4.0))
    if metric.better == "closer":
        assert abs(bad - metric.perfect) > abs(good - metric.perfect)
    elif name == "boundary_unmatched":
        assert 0.0 <= good <= bad <= 1.0
    else:
        assert (bad > good) == (metric.better == "lower")


def test_the_order_of_times_does_not_matter(name):
    case = _case(2.0, missing=0.1)
    shuffled = replace(case.select(np.random.default_rng(1).permutation(TIMES), -2), time=DAYS)
    assert _rows(name, shuffled)["all"].value == pytest.approx(_rows(name, case)["all"].value, rel=1e-12)


def test_what_stands_where_there_is_no_truth_does_not_matter(name):
    case = _case(2.0, missing=0.1)
    hidden = np.isnan(case.truth)
    whole = _rows(name, case)["all"].value
    for other in (np.nan, 999.0):
        prediction = case.prediction.map(lambda values, other=other: np.where(hidden, other, values))
        assert _rows(name, replace(case, prediction=prediction))["all"].value == pytest.approx(whole, rel=1e-12)


def test_times_without_truth_do_not_count(name):
    case = _case(2.0)
    case.truth[:8] = np.nan
    part = replace(case.select(slice(8, TIMES), -2), place=PLACE)
    rows = _rows(name, case)
    assert rows["all"].n == TIMES - 8
    assert rows["all"].value == pytest.approx(_rows(name, part, time=DAYS[8:])["all"].value, rel=1e-12)


def test_counts_are_sums_that_add_up(name):
    metric, case = METRICS.get(name)(), replace(_case(2.0, missing=0.1), weights=WEIGHTS)
    counts = metric.counts(case)
    assert isinstance(counts, np.ndarray)
    assert counts.dtype == np.float64
    assert counts.shape[0] == TIMES
    halves = [metric.counts(case.select(part, -2)) for part in (slice(0, 10), slice(10, TIMES))]
    np.testing.assert_allclose(np.concatenate(halves), counts, rtol=1e-12)
    assert metric.value(np.zeros((2, 5, counts.shape[1]))).shape == (2, 5)
    assert np.isnan(metric.value(np.zeros((1, counts.shape[1])))).all()
    each = metric.by_class(np.stack([counts.sum(axis=0)] * 4))
    assert each is None or each.shape == (4, len(CLASSES))


def test_interval_holds_the_value(name):
    row = _rows(name, _case(2.0, missing=0.05), time=np.arange(TIMES))["all"]
    assert np.isfinite([row.value, row.low, row.high]).all()
    assert row.low <= row.value <= row.high


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(name, kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    case = _case(2.0, missing=0.05)
    moved = replace(case, prediction=case.prediction.map(place), truth=place(case.truth))
    expected = {group: row.value for group, row in _rows(name, case).items()}
    assert {group: row.value for group, row in _rows(name, moved).items()} == pytest.approx(expected, rel=1e-9)


def test_it_applies_to_classes_alone(name):
    metric, case = METRICS.get(name)(), _case(2.0)
    assert metric.applies(case, "1")
    point = Prediction("point", {"mean": case.truth})
    assert not metric.applies(replace(case, prediction=point), "1")
    assert metric.applies(replace(case, place=None), "1") == (not metric.needs_place)
