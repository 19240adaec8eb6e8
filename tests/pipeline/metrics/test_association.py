from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scores.continuous import kge, nse
from scores.continuous.correlation import pearsonr

from pipeline.metrics import METRICS

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
    plain, case = score("pearson_r", make_case("point", missing=0.0), WEIGHTS), make_case("point", missing=0.0)
    case.mean[:] += offset
    case.truth[:] += offset
    assert score("pearson_r", case, WEIGHTS) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(("level", "noise"), [(4.0, 0.0), (0.0, 1e-7), (288.0, 3e-5), (-101325.0, 8e-3)])
def test_a_prediction_that_never_varies_has_no_correlation(level, noise, make_case, score):
    """Noise as that of float32: a share of the value, or where that is zero of what varies."""
    case = make_case("point")
    case.mean[:] = level + noise * np.random.default_rng(0).normal(size=case.mean.shape)
    assert np.isnan(score("pearson_r", case)).all()
    assert np.isnan(score("pearson_r", case, WEIGHTS))
    assert score("sd_ratio", case, WEIGHTS) == pytest.approx(0.0, abs=3e-3)


def test_a_prediction_that_hardly_varies_has_a_correlation_all_the_same(make_case, score):
    case = make_case("point")
    plain = score("pearson_r", case)
    small = make_case("point")
    small.mean[:] = 8.0 + 1e-3 * case.mean
    np.testing.assert_allclose(score("pearson_r", small), plain, rtol=1e-9)


def test_a_cell_without_variation_counts_as_none_beside_others(make_case, score):
    """Left out, it would reward a model that leaves out where it knows least."""
    expected, case = score("pearson_r", make_case("point")), make_case("point")
    case.mean[:, 2] = 4.0
    found = score("pearson_r", case)
    assert np.isnan(found).tolist() == [False, False, True, False, False, False]
    expected[2] = 0.0
    assert score("pearson_r", case, WEIGHTS) == pytest.approx(np.average(expected, weights=WEIGHTS), rel=1e-12)


def test_the_climatology_has_no_anomaly_to_go_with_the_truths(make_case, score):
    case = make_case("point")
    case.mean[:] = 8.0  # the climatology itself
    assert score("acc", case, WEIGHTS) == 0.0


def test_the_mean_flow_has_the_kling_gupta_efficiency_of_the_literature(make_case, score):
    """1 - sqrt(2) (Knoben et al. 2019): no variation, no correlation, no bias."""
    case = make_case("point", missing=0.0)
    case.mean[:] = case.truth.mean(axis=0)
    np.testing.assert_allclose(score("kge", case), 1.0 - 2.0**0.5, rtol=1e-9)


@pytest.mark.parametrize(
    ("units", "name", "meant"),
    [
        ("m3 s-1", "", True), ("mm d-1", "", True), ("mm d-1", "runoff_flux", True), ("mm d-1", "rainfall_rate", True),
        ("K", "air_temperature", False), ("degC", "", False), ("K", "sea_surface_temperature_anomaly", False),
        ("mm d-1", "rainfall_rate_anomaly", False), ("m3 s-1", "river_discharge_anomaly", False),
        ("m s-1", "eastward_wind", False), ("1", "", False),
    ],
)  # fmt: skip
def test_a_ratio_of_means_is_of_flow_and_rain_alone(units, name, meant, make_case):
    case = replace(make_case("point"), units=units, standard_name=name)
    assert METRICS.get("kge")().applies(case, units) == meant
    assert METRICS.get("nse")().applies(case, units)
    assert METRICS.get("pbias")().applies(case, units) == (
        meant and name != "rainfall_rate" and (units, name) != ("mm d-1", "")
    )


def test_of_temperature_it_would_be_another_in_other_units(make_case, score):
    """Why it is left out: the same series in K and in degC."""
    case, kelvin = make_case("point"), make_case("point")
    kelvin.mean[:] += 273.15
    kelvin.truth[:] += 273.15
    assert (score("kge", kelvin) - score("kge", case) > 1e-3).any()
    np.testing.assert_allclose(score("nse", kelvin), score("nse", case), rtol=1e-9)


@pytest.mark.parametrize("name", ["pearson_r", "sd_ratio", "nse", "kge"])
def test_cells_with_one_value_or_a_truth_that_never_varies_are_left_out(name, make_case, score):
    case = make_case("point")
    expected = score(name, case, np.array([0.0, 0.0, *WEIGHTS[2:]]))
    case.truth[:, 0] = np.nan
    case.truth[5, 0] = 1.0
    case.truth[:, 1] = 3.0
    assert np.isnan(score(name, case)[:2]).all()
    assert score(name, case, WEIGHTS) == pytest.approx(expected, rel=1e-12)
