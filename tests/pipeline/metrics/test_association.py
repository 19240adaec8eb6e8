import numpy as np
import pytest
import xarray as xr
from scores.continuous import kge, nse
from scores.continuous.correlation import pearsonr

WEIGHTS = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.1])


def _arrays(case):
    return (xr.DataArray(values, dims=("time", "cell")) for values in (case.mean, case.truth))


@pytest.mark.parametrize(("name", "function"), [("pearson_r", pearsonr), ("nse", nse), ("kge", kge)])
def test_cells_agree_with_scores(name, function, make_case, score):
    case = make_case("point")
    forecast, truth = _arrays(case)
    expected = function(forecast.where(truth.notnull()), truth, preserve_dims="cell").to_numpy()
    np.testing.assert_allclose(score(name, case), expected, rtol=1e-9)
    assert score(name, case, WEIGHTS) == pytest.approx(np.average(expected, weights=WEIGHTS), rel=1e-9)


def test_sd_ratio_is_the_ratio_of_standard_deviations(make_case, score):
    case = make_case("point", missing=0.0)
    np.testing.assert_allclose(score("sd_ratio", case), case.mean.std(axis=0) / case.truth.std(axis=0), rtol=1e-12)


def test_anomaly_correlation_is_pooled_over_times_and_cells(make_case, score):
    case = make_case("point")
    f, o = case.mean - 8.0, case.truth - 8.0
    f = np.where(np.isfinite(o), f, np.nan)
    expected = np.nansum(f * o * WEIGHTS) / np.sqrt(np.nansum(f * f * WEIGHTS) * np.nansum(o * o * WEIGHTS))
    assert score("acc", case, WEIGHTS) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(
        score("acc", case), np.nansum(f * o, 0) / np.sqrt(np.nansum(f * f, 0) * np.nansum(o * o, 0)), rtol=1e-12
    )


@pytest.mark.parametrize("offset", [0.0, 101325.0])
def test_digits_survive_far_from_zero(offset, make_case, score):
    case = make_case("point", missing=0.0)
    plain = score("pearson_r", case, WEIGHTS)
    case.mean[:] += offset
    case.truth[:] += offset
    assert score("pearson_r", case, WEIGHTS) == pytest.approx(plain, rel=1e-9)


def test_a_prediction_that_never_varies_has_no_correlation(make_case, score):
    case = make_case("point")
    case.mean[:] = 4.0
    assert score("pearson_r", case, WEIGHTS) == 0.0
    assert score("sd_ratio", case, WEIGHTS) == 0.0
    case.mean[:] = 8.0  # the climatology itself
    assert score("acc", case, WEIGHTS) == 0.0


@pytest.mark.parametrize("name", ["pearson_r", "sd_ratio", "nse", "kge"])
def test_cells_with_one_value_or_a_truth_that_never_varies_are_left_out(name, make_case, score):
    case = make_case("point")
    expected = score(name, case, np.array([0.0, 0.0, *WEIGHTS[2:]]))
    case.truth[:, 0] = np.nan
    case.truth[5, 0] = 1.0
    case.truth[:, 1] = 3.0
    assert np.isnan(score(name, case)[:2]).all()
    assert score(name, case, WEIGHTS) == pytest.approx(expected, rel=1e-12)
