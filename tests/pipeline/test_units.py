import pytest

from pipeline.errors import DataError
from pipeline.units import converted, headline_metric, of_difference, of_variance, quantity


@pytest.mark.parametrize(
    ("units", "kind"),
    [
        ("mm d-1", "precipitation"),
        ("mm day-1", "precipitation"),
        ("mm/day", "precipitation"),
        ("mm s-1", "precipitation"),
        ("kg m-2 s-1", "precipitation"),
        ("Kg/m^2/s", "precipitation"),
        ("m d-1", "precipitation"),
        ("cm h-1", "precipitation"),
        ("inch day-1", "precipitation"),
        ("K", "temperature"),
        ("degC", "temperature"),
        ("Celsius_scale", "temperature"),
        ("degF", "temperature"),
        ("m3 s-1", "flow"),
        ("m**3 s**-1", "flow"),
        ("m3/s", "flow"),
        ("m3 d-1", "flow"),
        ("cfs", "flow"),
        ("ft3 s-1", "flow"),
        ("L s-1", "flow"),
        ("l/s", "flow"),
        ("1e-3 m3 s-1", "flow"),
        ("L s-1 km-2", "flow"),
        ("m3 s-1 km-2", "flow"),
        ("m**3 s**-1 km**-2", "flow"),
        ("l/s/km2", "flow"),
        ("kg s-1", "other"),  # of what it does not say
        ("m3", "other"),
        ("m3 m-2 s-1", "other"),
        ("m s-1", "other"),  # a wind
        ("cm s-1", "other"),  # a current
        ("km h-1", "other"),
        ("mm", "other"),  # of a day or of a month: it does not say
        ("kg kg-1", "other"),
        ("kg m-3", "other"),
        ("K d-1", "other"),
        ("1", "other"),
        ("", "other"),
        ("furlongs per whim", "other"),
    ],
)
def test_units_tell_rain_from_wind_temperature_and_flow(units, kind):
    assert quantity(units) == kind


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (1.0, "mm d-1", "kg m-2 s-1", 1.0 / 86400.0),
        (1.0, "mm d-1", "m d-1", 1e-3),
        (25.0, "degC", "K", 298.15),
        (0.0, "degC", "degF", 32.0),
        (7.0, "mm day-1", "mm d-1", 7.0),
    ],
)
def test_thresholds_are_converted(value, source, target, expected):
    assert converted(value, source, target) == pytest.approx(expected, rel=1e-9)


def test_a_threshold_of_something_else_is_refused():
    with pytest.raises(
        DataError, match=r"^units 'mm d-1' cannot be converted to 'K': they measure different things\.$"
    ):
        converted(1.0, "mm d-1", "K")


def test_differences_and_variances_have_units_of_their_own():
    assert [of_difference(units) for units in ("degC", "K", "mm d-1")] == ["K", "K", "mm d-1"]
    assert [of_variance(units) for units in ("degC", "mm d-1", "")] == ["K2", "(mm d-1)2", "1"]


@pytest.mark.parametrize(
    ("units", "name", "expected"),
    [
        ("mm d-1", "", "precipitation"),
        ("mm d-1", "lwe_precipitation_rate", "precipitation"),
        ("mm d-1", "rainfall_rate", "precipitation"),
        ("kg m-2 s-1", "precipitation_flux", "precipitation"),
        ("mm d-1", "runoff_flux", "flow"),
        ("kg m-2 s-1", "surface_runoff_flux", "flow"),
        ("mm d-1", "streamflow", "flow"),
        ("mm d-1", "water_potential_evaporation_flux", "other"),
        ("mm d-1", "lwe_precipitation_rate_anomaly", "other"),
        ("m3 s-1", "water_volume_transport_in_river_channel", "flow"),
        ("m3 s-1", "water_volume_transport_in_river_channel_anomaly", "other"),
        ("K", "sea_surface_temperature_anomaly", "temperature"),
        ("1", "runoff_ratio", "other"),
    ],
)
def test_where_units_do_not_say_what_is_measured_the_standard_name_does(units, name, expected):
    assert quantity(units, name) == expected


def test_flow_is_compared_by_the_error_of_its_mean_and_rain_by_the_crps():
    there = {"rmse", "crps"}
    assert headline_metric("mm d-1", there, "runoff_flux") == "rmse"
    assert headline_metric("mm d-1", there, "rainfall_rate") == headline_metric("mm d-1", there) == "crps"


@pytest.mark.parametrize("units", ["K", "degC", "Celsius", "degF"])
def test_a_temperature_is_known_without_the_library_of_units(units, monkeypatch):
    def loads_it(source, target):
        raise AssertionError(
            f"{source} was converted to {target}: that loads the library of units, which takes a second."
        )

    monkeypatch.setattr("pipeline.units._converts", loads_it)
    quantity.cache_clear()
    assert quantity(units) == "temperature"
