import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.objects import components
from pipeline.sphere import cell_area
from pipeline.tracks import track

GLOBE = Grid(np.linspace(-60.0, 60.0, 7), np.arange(12) * 30.0)


def _tracks(mask, **options):
    return track(components(mask, GLOBE), GLOBE, class_name="cyclone", **options)


def _boxes(*times):
    """Return a mask of boxes, by time (row, first column, width), wrapped."""
    mask = np.zeros((len(times), *GLOBE.shape), bool)
    for field, boxes in zip(mask, times, strict=True):
        for row, column, width in boxes:
            field[row, (column + np.arange(width)) % 12] = True
    return mask


def test_an_object_is_followed_across_the_seam():
    (found,) = _tracks(_boxes(*([(3, 9 + time, 2)] for time in range(4))))
    assert (found.class_name, found.first, found.last, len(found)) == ("cyclone", 0, 3, 4)
    np.testing.assert_allclose(found.lon, [285.0, 315.0, 345.0, 15.0])
    np.testing.assert_allclose(found.lat, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.area_km2, 2 * cell_area(GLOBE)[3, 0])
    assert (found.split_from, found.merged_into) == (None, None)


def test_the_larger_part_goes_on_and_the_smaller_one_splits():
    first, second = _tracks(_boxes([(3, 0, 6)], [(3, 0, 3), (3, 4, 2)], [(3, 0, 3), (3, 4, 2)]))
    assert (first.first, first.last, first.split_from) == (0, 2, None)
    assert (second.first, second.last, second.split_from) == (1, 2, 0)
    np.testing.assert_allclose(first.lon, [75.0, 30.0, 30.0])


def test_the_smaller_one_merges_into_the_larger_one():
    first, second = _tracks(_boxes([(3, 0, 2), (3, 3, 3)], [(3, 0, 6)], [(3, 0, 6)]))
    assert (first.last, first.merged_into) == (0, 1)
    assert (second.last, second.merged_into) == (2, None)


def test_what_does_not_overlap_is_another_track():
    found = _tracks(_boxes([(3, 0, 2)], [(3, 2, 2)], [(1, 2, 2)]))
    assert [(each.first, each.last) for each in found] == [(0, 0), (1, 1), (2, 2)]


def test_least_overlap_is_of_the_smaller_area():
    mask = _boxes([(3, 0, 2)], [(3, 1, 5)])
    assert len(_tracks(mask, overlap=0.5)) == 1
    assert len(_tracks(mask, overlap=0.6)) == 2


def test_short_tracks_are_left_out_and_no_longer_pointed_at():
    mask = _boxes([(3, 0, 2), (3, 3, 3)], [(3, 0, 6)], [(3, 0, 3), (3, 4, 2)], [(3, 0, 3)], [(3, 0, 3)])
    every = _tracks(mask)
    assert [(each.merged_into, each.split_from) for each in every] == [(1, None), (None, None), (None, 1)]
    (kept,) = _tracks(mask, persistence=2)
    assert (kept.first, kept.last, kept.split_from, kept.merged_into) == (0, 4, None, None)


def test_no_track_crosses_a_gap():
    mask = _boxes(*([(3, 0, 3)] for _ in range(4)))
    assert [len(each) for each in _tracks(mask, runs=np.array([0, 0, 0, 1]))] == [3, 1]


def test_every_area_is_in_one_track_and_times_follow_each_other():
    mask = np.random.default_rng(3).random((15, *GLOBE.shape)) < 0.25
    found = components(mask, GLOBE)
    tracks = track(found, GLOBE, class_name="river")
    assert sorted(np.concatenate([each.labels for each in tracks]).tolist()) == list(range(1, len(found) + 1))
    for each in tracks:
        np.testing.assert_array_equal(each.times, np.arange(each.first, each.last + 1))
        np.testing.assert_array_equal(found.time[each.labels - 1], each.times)
        if each.merged_into is not None:
            heir = tracks[each.merged_into]
            after = heir.labels[heir.times == each.last + 1][0]
            assert (found.labels[each.last + 1][found.labels[each.last] == each.labels[-1]] == after).any()
    assert any(each.merged_into is not None for each in tracks)
    assert any(each.split_from is not None for each in tracks)


def test_nothing_has_no_tracks():
    assert _tracks(_boxes([], [])) == ()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"overlap": -0.1}, ConfigError, "an overlap from 0 to 1, got -0.1"),
        ({"persistence": 0}, ConfigError, "a persistence of 1 time or more, got 0"),
        ({"runs": np.zeros(3, int)}, DataError, "the number of a run for each of 2 times, got 3"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        _tracks(_boxes([(3, 0, 2)], [(3, 0, 2)]), **options)
