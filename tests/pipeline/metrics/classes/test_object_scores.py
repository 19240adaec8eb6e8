from dataclasses import replace

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.metrics import Place
from pipeline.metrics.classes.objects import MATCH, matches, object_table
from pipeline.objects import components
from pipeline.sphere import cell_area

GLOBE = Grid(np.linspace(-60.0, 60.0, 9), np.arange(24) * 15.0)


def _case(make_class_case, truth, predicted, **options):
    rows = (np.asarray(field, float).reshape(len(field), -1) for field in (truth, predicted))
    return make_class_case(*rows, place=Place(GLOBE, np.ones(GLOBE.shape, bool)), **options)


def _boxes(times, *boxes):
    """Return classes with boxes (time, class, row, first column, height, width), wrapped."""
    field = np.zeros((times, *GLOBE.shape))
    for time, of, row, column, height, width in boxes:
        field[time, row : row + height, (column + np.arange(width))[None, :] % 24] = of
    return field.astype(float)


@pytest.fixture
def case(make_class_case):
    """Class 1: two hits, of which one across the seam, a miss and two false alarms; class 2 never predicted."""
    truth = _boxes(2, (0, 1, 2, 22, 2, 4), (0, 1, 6, 5, 2, 2), (1, 1, 4, 10, 2, 3), (1, 2, 0, 0, 1, 6))
    predicted = _boxes(2, (0, 1, 2, 23, 2, 4), (0, 1, 0, 12, 1, 2), (1, 1, 4, 9, 2, 3), (1, 1, 8, 20, 1, 1))
    return _case(make_class_case, truth, predicted)


def test_scores_of_hand_made_objects(case, class_score):
    np.testing.assert_allclose(class_score("object_recall", case)[1], [np.nan, 2 / 3, 0.0])
    np.testing.assert_allclose(class_score("object_false_alarms", case)[1], [np.nan, 2 / 4, np.nan])
    np.testing.assert_allclose(class_score("object_csi", case)[1], [np.nan, 2 / 5, 0.0])
    np.testing.assert_allclose(class_score("object_count_bias", case)[1], [np.nan, 4 / 3, 0.0])
    assert class_score("object_recall", case)[0] == pytest.approx(1 / 3)
    assert class_score("object_false_alarms", case)[0] == pytest.approx(1 / 2)


def test_the_table_counts_objects_and_their_areas(case):
    cyclone, river = object_table(case, ("background", "cyclone", "river"))
    assert (cyclone.class_name, cyclone.hits, cyclone.misses, cyclone.false_alarms) == ("cyclone", 2, 1, 2)
    area = cell_area(GLOBE)[:, 0]
    expected = [8 * area[2:4].mean(), 4 * area[6:8].mean(), 6 * area[4:6].mean()]
    assert cyclone.area_truth == pytest.approx(np.mean(expected))
    predicted = [8 * area[2:4].mean(), 2 * area[0], 6 * area[4:6].mean(), area[8]]
    assert cyclone.area_predicted == pytest.approx(np.mean(predicted))
    assert (river.hits, river.misses, river.false_alarms) == (0, 1, 0)
    assert river.area_truth == pytest.approx(6 * area[0])
    assert np.isnan(river.area_predicted)


@pytest.mark.parametrize(("width", "hit"), [(10, True), (11, False)])
def test_a_hit_shares_a_tenth_of_the_union(width, hit):
    truth = components(_boxes(1, (0, 1, 4, 0, 1, 1)) > 0, GLOBE)
    predicted = components(_boxes(1, (0, 1, 4, 0, 1, width)) > 0, GLOBE)
    assert MATCH == 0.1
    assert matches(truth, predicted, np.ones(GLOBE.shape)).tolist() == [hit]


def test_one_large_object_hits_one_small_one_only():
    small = components(_boxes(1, (0, 1, 4, 0, 1, 2), (0, 1, 4, 4, 1, 3)) > 0, GLOBE)
    large = components(_boxes(1, (0, 1, 4, 0, 1, 7)) > 0, GLOBE)
    assert matches(small, large, np.ones(GLOBE.shape)).tolist() == [False, True]  # the better of the two
    assert matches(large, small, np.ones(GLOBE.shape)).tolist() == [True]


def test_the_better_match_is_taken_first():
    # The prediction at 2..5 shares one cell with the first and two with the second; that at 0 has the first alone.
    truth = components(_boxes(1, (0, 1, 4, 0, 1, 3), (0, 1, 4, 4, 1, 3)) > 0, GLOBE)
    predicted = components(_boxes(1, (0, 1, 4, 0, 1, 1), (0, 1, 4, 2, 1, 4)) > 0, GLOBE)
    assert matches(truth, predicted, np.ones(GLOBE.shape)).tolist() == [True, True]


def test_objects_end_where_the_truth_is_not_known(make_class_case, class_score):
    truth = _boxes(1, (0, 1, 4, 2, 1, 5))
    case = _case(make_class_case, truth, _boxes(1, (0, 1, 4, 2, 1, 5), (0, 1, 7, 10, 1, 2)))
    assert class_score("object_false_alarms", case)[1][1] == 0.5
    known = truth.copy()
    known[0, 7, 8:14] = np.nan
    part = replace(case, truth=known.reshape(1, -1))
    assert class_score("object_false_alarms", part)[1][1] == 0.0


def test_without_any_object_there_is_no_score(make_class_case, class_score):
    case = _case(make_class_case, _boxes(2), _boxes(2))
    for name in ("object_recall", "object_false_alarms", "object_csi", "object_count_bias"):
        assert np.isnan(class_score(name, case)[0])
