import array_api_strict
import numpy as np
import pytest
import xarray as xr
from scores.spatial import fss_2d

from pipeline.backend.special import to_host
from pipeline.metrics.neighbourhood import fraction_errors, fractions_skill_score

AREA = np.linspace(0.5, 1.5, 9)[:, None] * np.ones(11)


def _fields(times=5, shape=(9, 11), seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random((times, *shape)) < 0.3).astype(float)
    return rng.random((times, *shape)), truth, rng.random((times, *shape)) < 0.8


def _by_loops(forecast, truth, known, area, width):
    rows, columns = truth.shape
    errors = largest = 0.0
    for i in range(rows):
        for j in range(columns):
            if known[i, j]:
                box = (
                    slice(max(0, i - width // 2), i + width // 2 + 1),
                    slice(max(0, j - width // 2), j + width // 2 + 1),
                )
                f, o = forecast[box][known[box]].mean(), truth[box][known[box]].mean()
                errors += area[i, j] * (f - o) ** 2
                largest += area[i, j] * (f * f + o * o)
    return errors, largest


@pytest.mark.parametrize("width", [1, 3, 5, 25])
def test_it_is_what_it_says_cell_by_cell(width):
    forecast, truth, known = _fields()
    found = fraction_errors(forecast, truth, known, AREA, width)
    expected = np.array([_by_loops(f, o, k, AREA, width) for f, o, k in zip(forecast, truth, known, strict=True)])
    np.testing.assert_allclose(np.stack(found, axis=1), expected, rtol=1e-10)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_it_agrees_with_scores(width):
    rng = np.random.default_rng(3)
    # Without rain near the edges: there `scores` drops windows that are kept, and cut, here.
    inside = np.zeros((30, 30), bool)
    inside[6:-6, 6:-6] = True
    forecast, truth = (np.where(inside, rng.gamma(0.5, 4.0, (3, 30, 30)), 0.0) for _ in range(2))
    data = [xr.DataArray(values, dims=("time", "lat", "lon")) for values in (forecast, truth)]
    expected = fss_2d(*data, event_threshold=1.0, window_size=(width, width), spatial_dims=["lat", "lon"]).item()
    sums = fraction_errors(forecast > 1.0, truth > 1.0, np.ones(truth.shape, bool), np.ones((30, 30)), width)
    found = fractions_skill_score(*(part.sum() for part in sums))
    assert found == pytest.approx(expected, rel=1e-9)


def test_rain_one_cell_beside_is_worth_something_in_a_neighbourhood_and_nothing_without():
    truth, forecast, known = np.zeros((1, 9, 9)), np.zeros((1, 9, 9)), np.ones((1, 9, 9), bool)
    truth[0, 4, 4] = forecast[0, 4, 5] = 1.0
    alone, near = (fractions_skill_score(*fraction_errors(forecast, truth, known, np.ones((9, 9)), n)) for n in (1, 3))
    assert alone[0] == pytest.approx(0.0)
    assert near[0] == pytest.approx(1.0 - 6.0 / 18.0)


def test_the_truth_itself_is_perfect_and_no_event_at_all_is_nan():
    _, truth, known = _fields()
    truth[1] = 0.0
    found = fractions_skill_score(*fraction_errors(truth, truth, known, AREA, 3))
    assert np.isnan(found[1])
    np.testing.assert_allclose(np.delete(found, 1), 1.0, rtol=1e-12)


def test_what_is_not_known_does_not_matter():
    forecast, truth, known = _fields()
    hidden = fraction_errors(np.where(known, forecast, np.nan), np.where(known, truth, 9.0), known, AREA, 3)
    np.testing.assert_array_equal(hidden, fraction_errors(forecast, truth, known, AREA, 3))


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    parts = (*_fields(), AREA)
    found = fraction_errors(*(place(part) for part in parts), 3)
    assert all(type(part) is type(place(AREA)) for part in found)
    np.testing.assert_allclose([to_host(part) for part in found], fraction_errors(*parts, 3), rtol=1e-12)
