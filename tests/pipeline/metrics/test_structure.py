import array_api_strict
import numpy as np
import pytest

from pipeline.backend.special import to_host
from pipeline.metrics.structure import area_shares, pattern_correlation, structural_similarity

SHAPE = (14, 17)
AREA = np.linspace(0.5, 1.5, 14)[:, None] * np.ones(17)
ENDS = (-5.0, 15.0)


def _case(times=4, draws=2, shape=SHAPE, missing=0.2, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(5.0, 3.0, (times, *shape))
    forecasts = 0.7 * truth + rng.normal(0.0, 2.0, (draws, times, *shape))
    known = rng.random((times, *shape)) >= missing
    return truth, forecasts, known


def _ssim_by_loops(truth, forecast, known, area, ends, size=11, sigma=1.5):
    rows, columns = truth.shape
    span = ends[1] - ends[0]
    o, f = truth - ends[0], forecast - ends[0]
    total = weight = 0.0
    for i in range(rows):
        for j in range(columns):
            if not known[i, j]:
                continue
            here = [
                (p, q, np.exp(-((p - i) ** 2 + (q - j) ** 2) / (2 * sigma**2)))
                for p in range(max(0, i - size // 2), min(rows, i + size // 2 + 1))
                for q in range(max(0, j - size // 2), min(columns, j + size // 2 + 1))
                if known[p, q]
            ]
            w = np.array([item[2] for item in here])
            a, b = (np.array([field[p, q] for p, q, _ in here]) for field in (o, f))
            ma, mb = np.average(a, weights=w), np.average(b, weights=w)
            va, vb = np.average((a - ma) ** 2, weights=w), np.average((b - mb) ** 2, weights=w)
            ab = np.average((a - ma) * (b - mb), weights=w)
            c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
            total += area[i, j] * (2 * ma * mb + c1) * (2 * ab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            weight += area[i, j]
    return total / weight


def test_similarity_cell_by_cell():
    truth, draws, known = _case()
    found = structural_similarity(truth, draws, known, AREA, ENDS)
    for time in range(len(truth)):
        each = [_ssim_by_loops(truth[time], draw[time], known[time], AREA, ENDS) for draw in draws]
        assert found[time] == pytest.approx(np.mean(each), rel=1e-9)


@pytest.mark.parametrize(("shape", "size"), [((6, 20), 5), ((2, 3), 1), ((11, 11), 11), ((8, 7), 7)])
def test_the_window_shrinks_with_a_small_grid(shape, size):
    truth, draws, known = _case(times=1, draws=1, shape=shape, missing=0.0)
    area = np.ones(shape)
    expected = _ssim_by_loops(truth[0], draws[0, 0], known[0], area, ENDS, size, 1.5 * size / 11)
    assert structural_similarity(truth, draws, known, area, ENDS)[0] == pytest.approx(expected, rel=1e-9)


def test_the_truth_itself_is_like_the_truth():
    truth, _, known = _case()
    np.testing.assert_allclose(structural_similarity(truth, truth[None], known, AREA, ENDS), 1.0, rtol=1e-12)
    np.testing.assert_allclose(pattern_correlation(truth, truth[None], known, AREA), 1.0, rtol=1e-12)


def test_two_flat_fields_differ_in_their_means_alone():
    truth, forecast = np.full((1, 12, 12), 2.0), np.full((1, 1, 12, 12), 4.0)
    found = structural_similarity(truth, forecast, np.ones((1, 12, 12), bool), np.ones((12, 12)), (0.0, 10.0))
    c1 = 0.1**2
    assert found[0] == pytest.approx((2 * 2 * 4 + c1) / (4 + 16 + c1), rel=1e-12)


def test_similarity_does_not_depend_on_the_zero_or_the_size_of_the_units():
    truth, draws, known = _case()
    plain = structural_similarity(truth, draws, known, AREA, ENDS)
    ends = tuple(1.8 * (end + 273.15) for end in ENDS)
    moved = structural_similarity(1.8 * (truth + 273.15), 1.8 * (draws + 273.15), known, AREA, ends)
    np.testing.assert_allclose(moved, plain, rtol=1e-9)


def test_correlation_agrees_with_numpy():
    truth, draws, known = _case()
    found = pattern_correlation(truth, draws, known, AREA)
    for time in range(len(truth)):
        some = known[time]
        each = []
        for draw in draws:
            c = np.cov(draw[time][some], truth[time][some], aweights=AREA[some])
            each.append(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]))
        assert found[time] == pytest.approx(np.mean(each), rel=1e-9)


def test_correlation_far_from_zero_keeps_its_digits():
    truth, draws, known = _case()
    plain = pattern_correlation(truth, draws, known, AREA)
    np.testing.assert_allclose(pattern_correlation(truth + 1e5, draws + 1e5, known, AREA), plain, rtol=1e-7)


def test_a_truth_without_pattern_has_no_correlation_and_a_prediction_without_has_none():
    truth, draws, known = _case()
    truth[0] = 288.1
    draws[:, 1] = 288.1
    found = pattern_correlation(truth, draws, known, AREA)
    assert np.isnan(found[0])
    assert found[1] == 0.0
    assert (found[2:] > 0.5).all()


def test_what_is_not_known_does_not_matter_and_none_known_is_nan():
    truth, draws, known = _case()
    known[3] = False
    for function in (pattern_correlation, lambda *a: structural_similarity(*a, ENDS)):
        found = function(np.where(known, truth, np.nan), np.where(known, draws, np.nan), known, AREA)
        np.testing.assert_array_equal(
            found, function(np.where(known, truth, 99.0), np.where(known, draws, 0.0), known, AREA)
        )
        assert np.isnan(found[3])
        assert np.isfinite(found[:3]).all()


def test_shares_of_the_area_add_up_to_one():
    known = np.array([[[True, False], [True, True]]])
    np.testing.assert_allclose(area_shares(known, np.array([[1.0, 5.0], [2.0, 1.0]]))[0], [[0.25, 0.0], [0.5, 0.25]])


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    parts = (*_case(), AREA)
    moved = tuple(place(part) for part in parts)
    for function in (pattern_correlation, lambda *a: structural_similarity(*a, ENDS)):
        found = function(*moved)
        assert type(found) is type(moved[0])
        np.testing.assert_allclose(to_host(found), function(*parts), rtol=1e-12)
