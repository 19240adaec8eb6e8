import numpy as np
import pytest


@pytest.mark.parametrize("name", ["rmse", "mae", "bias"])
def test_scores_are_area_means_over_the_truth_that_is_there(name, make_case, score):
    case = make_case("point")
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])
    total = area = 0.0
    for time in range(case.truth.shape[0]):
        for cell in range(case.truth.shape[1]):
            error = case.mean[time, cell] - case.truth[time, cell]
            if np.isfinite(error):
                total += weights[cell] * {"rmse": error**2, "mae": abs(error), "bias": error}[name]
                area += weights[cell]
    expected = total / area
    assert score(name, case, weights) == pytest.approx(expected**0.5 if name == "rmse" else expected, rel=1e-12)


@pytest.mark.parametrize("name", ["rmse", "mae", "bias"])
def test_maps_are_means_over_time(name, make_case, score):
    case = make_case("point")
    error = case.mean - case.truth
    expected = {
        "rmse": np.sqrt(np.nanmean(error**2, axis=0)),
        "mae": np.nanmean(np.abs(error), axis=0),
        "bias": np.nanmean(error, axis=0),
    }[name]
    np.testing.assert_allclose(score(name, case), expected, rtol=1e-12)


def test_bias_is_prediction_minus_truth(make_case, score):
    case = make_case("point", missing=0.0)
    case.truth[:] = case.mean - 2.0
    assert score("bias", case, np.ones(6)) == pytest.approx(2.0)
