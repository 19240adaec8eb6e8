import os
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid
from pipeline.objects import components, measure, overlaps, persistent_events
from pipeline.sphere import cell_area

GLOBE = Grid(np.linspace(-60.0, 60.0, 7), np.arange(12) * 30.0)
PART = Grid(np.linspace(-60.0, 60.0, 7), np.arange(12) * 5.0)
IMAGE = Grid(np.arange(7.0), np.arange(12.0), ("y", "x"))


def _flooded(mask, wrap):
    """Label one field cell by cell, as one would by hand: the oracle."""
    labels, number = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        number += 1
        labels[start], queue = number, deque([start])
        while queue:
            row, column = queue.popleft()
            for i in (row - 1, row, row + 1):
                for j in (column - 1, column, column + 1):
                    at = (i, j % mask.shape[1]) if wrap else (i, j)
                    if 0 <= at[0] < mask.shape[0] and 0 <= at[1] < mask.shape[1] and mask[at] and not labels[at]:
                        labels[at] = number
                        queue.append(at)
    return labels


@pytest.mark.parametrize(("grid", "wrap"), [(GLOBE, True), (PART, False), (IMAGE, False)])
@pytest.mark.parametrize("density", [0.1, 0.3, 0.5])
def test_components_are_those_of_a_flood(grid, wrap, density):
    mask = np.random.default_rng(0).random((20, *grid.shape)) < density
    found = components(mask, grid)
    numbers = 0
    for time, field in enumerate(mask):
        expected = _flooded(field, wrap)
        expected = np.where(field, expected + numbers, 0)
        numbers = max(numbers, int(expected.max()))
        pairs = set(zip(found.labels[time].ravel().tolist(), expected.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})  # one to one
        assert {found.time[a - 1] for a, _ in pairs if a} <= {time}
    assert len(found) == numbers
    assert (np.diff(found.time) >= 0).all()
    assert found.labels.dtype == np.int32


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_areas_touch_across_the_seam_by_side_and_corner(step):
    mask = np.zeros((1, *GLOBE.shape), bool)
    mask[0, 3, -1] = mask[0, 3 + step, 0] = True
    assert len(components(mask, GLOBE)) == 1
    assert len(components(mask, PART)) == 2


def test_two_arms_that_meet_at_the_seam_are_one_area():
    mask = np.zeros((2, *GLOBE.shape), bool)
    mask[:, 1, 8:] = mask[:, 5, 8:] = True  # two arms
    mask[0, 1:6, 0] = True  # and what joins them behind the seam
    assert components(mask, GLOBE).time.tolist() == [0, 1, 1]


def test_nothing_has_no_components():
    found = components(np.zeros((3, *GLOBE.shape), bool), GLOBE)
    assert len(found) == 0
    assert measure(found, GLOBE).area.shape == (0,)
    assert persistent_events(np.zeros((3, *GLOBE.shape), bool), GLOBE).max() == 0


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(DataError, match=r"expected a mask of shape \(time, 7, 12\), got \(7, 12\)"):
        components(np.zeros((7, 12), bool), GLOBE)


def test_places_and_areas_are_right_across_the_seam():
    mask = np.zeros((1, *GLOBE.shape), bool)
    mask[0, 3, [10, 11, 0]] = mask[0, 1, 4:6] = True
    field = np.arange(84.0).reshape(1, *GLOBE.shape)
    found = measure(components(mask, GLOBE), GLOBE, field)
    assert found.cells.tolist() == [2, 3]
    np.testing.assert_allclose(found.lon, [135.0, 330.0])
    np.testing.assert_allclose(found.lat, [-40.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.area, [2 * cell_area(GLOBE)[1, 0], 3 * cell_area(GLOBE)[3, 0]])
    np.testing.assert_allclose(found.intensity, [(16 + 17) / 2, (46 + 47 + 36) / 3])


def test_longitudes_are_in_the_range_of_the_grid():
    grid = Grid(GLOBE.lat, GLOBE.lon - 180.0)
    mask = np.zeros((1, *grid.shape), bool)
    mask[0, 3, [0, -1]] = True
    assert measure(components(mask, grid), grid).lon[0] == pytest.approx(165.0)


def test_a_ring_round_the_globe_has_no_longitude():
    mask = np.zeros((1, *GLOBE.shape), bool)
    mask[0, 3] = True
    found = measure(components(mask, GLOBE), GLOBE)
    assert np.isnan(found.lon[0])
    assert found.lat[0] == pytest.approx(0.0)


def test_an_image_is_measured_in_cells():
    mask = np.zeros((1, *IMAGE.shape), bool)
    mask[0, 2, 3:6] = True
    found = measure(components(mask, IMAGE), IMAGE)
    assert (found.area[0], found.lat[0], found.lon[0]) == (3.0, 2.0, 4.0)


def test_overlaps_are_those_of_a_loop():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 6, (3, 7, 12)), rng.integers(0, 5, (3, 7, 12))
    area = rng.random((7, 12))
    pairs = overlaps(first, second, area)
    found = dict(zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.area, strict=True))
    expected = {(a, b): (((first == a) & (second == b)) * area).sum() for a in range(1, 6) for b in range(1, 5)}
    assert found == pytest.approx(expected)


def _moving(steps, *, width=4, times=6):
    mask = np.zeros((times, *GLOBE.shape), bool)
    for time in range(times):
        mask[time, 3, (np.arange(width) + time * steps) % 12] = True
    return mask


@pytest.mark.parametrize(("steps", "lasts"), [(1, True), (2, True), (3, False)])
def test_an_event_keeps_half_of_its_area_from_time_to_time(steps, lasts):
    # Of four cells three, two or one stay; the last time has none after it and would stay alone.
    assert (persistent_events(_moving(steps), GLOBE, overlap=0.5, persistence=2).max() > 0) == lasts


def test_persistence_counts_times():
    mask = _moving(0, times=5)
    assert persistent_events(mask, GLOBE, persistence=5).max() == 1
    assert persistent_events(mask, GLOBE, persistence=6).max() == 0


def test_no_event_crosses_a_gap():
    mask = _moving(0, times=6)
    runs = np.array([0, 0, 0, 0, 1, 1])
    events = persistent_events(mask, GLOBE, persistence=3, runs=runs)
    assert events.max(axis=(1, 2)).tolist() == [1, 1, 1, 1, 0, 0]
    events = persistent_events(mask, GLOBE, persistence=2, runs=runs)
    assert events.max(axis=(1, 2)).tolist() == [1, 1, 1, 1, 2, 2]


def test_both_sides_ask_for_the_time_before_too():
    mask = np.zeros((6, *GLOBE.shape), bool)
    mask[:3, 3, 0] = True  # one cell,
    mask[3:, 3, :8] = True  # then eight: all of the one stays, and an eighth of the eight was there
    assert persistent_events(mask, GLOBE, persistence=6).max() == 1
    assert persistent_events(mask, GLOBE, persistence=6, both_sides=True).max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 1.5}, "an overlap from 0 to 1, got 1.5"),
        ({"persistence": 0}, "a persistence of 1 time or more, got 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        persistent_events(_moving(0), GLOBE, **options)


def test_runs_of_another_number_of_times_are_refused():
    with pytest.raises(DataError, match="the number of a run for each of 6 times, got 5"):
        persistent_events(_moving(0), GLOBE, runs=np.zeros(5, int))


@pytest.mark.real
def test_blocking_of_a_real_autumn_is_the_documented_one():
    if "FINESCALE_DATA" not in os.environ:
        pytest.skip("FINESCALE_DATA is not set: the real files are not there")
    with xr.open_dataset(Path(os.environ["FINESCALE_DATA"]) / "z500-blocking" / "anom_test.nc") as data:
        grid = Grid(np.asarray(data["latitude"], float), np.asarray(data["longitude"], float))
        mask = np.asarray(data["anom"]) >= 150.0
    events = persistent_events(mask, grid, overlap=0.5, persistence=5)
    assert events.max() == 3
    flags = [events == number for number in (1, 2, 3)]
    assert [int(flag.any(axis=(1, 2)).sum()) for flag in flags] == [11, 6, 11]
    assert [float(100.0 * flag.mean()) for flag in flags] == pytest.approx([7.1, 0.31, 3.4], abs=0.02)
