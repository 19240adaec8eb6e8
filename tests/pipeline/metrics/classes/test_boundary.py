import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from pipeline.grid import Grid
from pipeline.metrics import METRICS, Place
from pipeline.metrics.classes.boundary import boundary, distances

IMAGE = Grid(np.arange(20.0), np.arange(30.0), ("y", "x"))
GLOBE = Grid(np.linspace(-70.0, 70.0, 15), np.arange(24) * 15.0)


def _place(grid):
    return Place(grid, np.ones(grid.shape, bool))


def _case(make_class_case, grid, truth, predicted, **options):
    rows = (np.asarray(field).reshape(len(field), -1) for field in (truth, predicted))
    return make_class_case(*rows, place=_place(grid), weights=options.pop("weights", None), **options)


def _blobs(grid, seed, n=3):
    """Return smooth random classes, shape (time, lat, lon)."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=(n, *grid.shape))
    for axis in (1, 2):
        field = sum(np.roll(field, step, axis) for step in (-2, -1, 0, 1, 2))
    return np.digitize(field, [2.0, 6.0])


def _edges(inside, wrap):
    """Find boundary cells cell by cell: the oracle."""
    rows, columns = inside.shape
    found = []
    for i, j in zip(*np.nonzero(inside), strict=True):
        near = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
        near = [(a, b % columns if wrap else b) for a, b in near]
        if any(0 <= a < rows and 0 <= b < columns and not inside[a, b] for a, b in near):
            found.append((i, j))
    return found


def _arc(grid, one, other):
    (a, b), (c, d) = one, other
    p, q = np.deg2rad([grid.lat[a], grid.lat[c]])
    angle = np.sin(p) * np.sin(q) + np.cos(p) * np.cos(q) * np.cos(np.deg2rad(grid.lon[b] - grid.lon[d]))
    return 6371.0 * np.arccos(np.clip(angle, -1.0, 1.0))


def test_distances_round_the_globe_are_those_of_a_loop(make_class_case, class_score):
    truth, predicted = _blobs(GLOBE, 0), _blobs(GLOBE, 1)
    area = GLOBE.area
    overall, each = class_score("boundary_distance", _case(make_class_case, GLOBE, truth, predicted))
    expected = []
    for of in range(3):
        total = weight = 0.0
        for t, p in zip(truth, predicted, strict=True):
            sides = _edges(t == of, True), _edges(p == of, True)
            for here, there in (sides, sides[::-1]):
                for cell in here:
                    total += area[cell] * min(_arc(GLOBE, cell, other) for other in there)
                    weight += area[cell]
        expected.append(total / weight)
    np.testing.assert_allclose(each, expected, rtol=1e-6)
    assert overall == pytest.approx(np.mean(expected), rel=1e-6)


def test_distances_in_an_image_are_those_of_a_distance_transform(make_class_case, class_score):
    truth, predicted = _blobs(IMAGE, 2), _blobs(IMAGE, 3)
    _, each = class_score("boundary_distance", _case(make_class_case, IMAGE, truth, predicted))
    for of in range(3):
        apart = []
        for t, p in zip(truth, predicted, strict=True):
            edges = [np.zeros(IMAGE.shape, bool), np.zeros(IMAGE.shape, bool)]
            for edge, side in zip(edges, (t, p), strict=True):
                edge[tuple(np.array(_edges(side == of, False)).T)] = True
            for here, there in (edges, edges[::-1]):
                apart.append(distance_transform_edt(~there)[here])
        assert each[of] == pytest.approx(np.concatenate(apart).mean(), rel=1e-9)


def test_a_shift_across_the_seam_is_as_far_as_elsewhere(make_class_case, class_score):
    found = []
    for column in (5, 21):
        truth, predicted = np.zeros((2, 1, *GLOBE.shape), int)
        truth[0, :, (column + np.arange(3)) % 24] = 1  # a band from pole to pole
        predicted[0, :, (column + 1 + np.arange(3)) % 24] = 1
        found.append(class_score("boundary_distance", _case(make_class_case, GLOBE, truth, predicted))[1][1])
    assert found[0] == pytest.approx(found[1])
    step = 2 * 6371.0 * np.arcsin(np.cos(np.deg2rad(GLOBE.lat)) * np.sin(np.deg2rad(7.5)))
    assert found[0] == pytest.approx(np.average(step, weights=np.cos(np.deg2rad(GLOBE.lat))), rel=1e-2)


def test_edges_of_the_domain_and_of_what_is_known_are_no_boundaries(make_class_case):
    inside, known = np.ones((1, 4, 6), bool), np.ones((1, 4, 6), bool)
    assert not boundary(inside, known, wrap=False).any()
    inside[0, :, 4:], known[0, :, 4:] = False, False
    assert not boundary(inside, known, wrap=True).any()
    known[0, 1, 4] = True
    assert np.argwhere(boundary(inside, known, wrap=True)).tolist() == [[0, 1, 3]]


def test_times_with_one_boundary_are_left_out_and_counted(make_class_case, class_score):
    truth, predicted = np.zeros((2, 4, *IMAGE.shape), int)
    truth[:3, 4:8, 4:8] = 1
    predicted[:2, 4:8, 5:9] = 1  # one cell to the right; the third is missed, the fourth has none
    case = _case(make_class_case, IMAGE, truth, predicted)
    of_two = _case(make_class_case, IMAGE, truth[:2], predicted[:2])
    assert class_score("boundary_distance", case)[1][1] == class_score("boundary_distance", of_two)[1][1] > 0.0
    np.testing.assert_allclose(class_score("boundary_unmatched", case)[1], [1 / 3, 1 / 3, np.nan])


def test_where_no_time_has_both_there_is_no_distance(make_class_case, class_score):
    truth = np.zeros((1, *IMAGE.shape), int)
    truth[0, 3:5, 3:5] = 2
    overall, each = class_score("boundary_distance", _case(make_class_case, IMAGE, truth, np.zeros_like(truth)))
    assert np.isnan(each).all()
    assert np.isnan(overall)


def test_units_are_km_on_the_globe_and_cells_in_an_image(make_class_case):
    metric = METRICS.get("boundary_distance")()
    for grid, units in ((GLOBE, "km"), (IMAGE, "1")):
        field = np.zeros((1, *grid.shape), int)
        assert metric.units_of(_case(make_class_case, grid, field, field)) == units


def test_opposite_points_are_half_the_globe_apart():
    apart = distances(np.array([[1.0, 0.0, 0.0]]), np.array([[-1.0, 0.0, 0.0]]), on_globe=True)
    assert apart[0][0] == apart[1][0] == pytest.approx(np.pi * 6371.0)
