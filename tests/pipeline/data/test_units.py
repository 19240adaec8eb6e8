"""Climate spellings of units, and conversions against values from tables."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pint
import pytest

from pipeline.data import units as units_module
from pipeline.data.units import conversion, has_offset, is_unit, spell
from pipeline.errors import DataError


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("K", "degC", 273.15, 0.0),
        ("degC", "K", 0.0, 273.15),
        ("degF", "degC", 212.0, 100.0),
        ("F", "K", 32.0, 273.15),
        ("Celsius_scale", "degC", 21.5, 21.5),
        ("Celsius", "K", -273.15, 0.0),
        ("deg_C", "degC", 3.0, 3.0),
        ("Pa", "hPa", 101325.0, 1013.25),
        ("Pascals", "hPa", 100.0, 1.0),
        ("mb", "Pa", 1.0, 100.0),
        ("kg m-2 s-1", "mm d-1", 1.0, 86400.0),
        ("kg m**-2 s**-1", "mm/day", 1.0, 86400.0),
        ("Kg/m^2/s", "mm d**-1", 1.0, 86400.0),
        ("mm d-1", "kg m-2 s-1", 86400.0, 1.0),
        ("mm s-1", "mm d-1", 1.0, 86400.0),
        ("m day-1", "mm d-1", 0.001, 1.0),
        ("kg m-2", "mm", 7.0, 7.0),
        ("inch", "mm", 1.0, 25.4),
        ("kg kg-1", "g/kg", 0.001, 1.0),
        ("kg.kg-1", "g kg-1", 0.001, 1.0),
        ("g/kg", "1", 5.0, 0.005),
        ("%", "1", 50.0, 0.5),
        ("", "%", 0.25, 25.0),
        ("m**3 s**-1", "m3 s-1", 4.0, 4.0),
        ("cfs", "m3 s-1", 1.0, 0.028316846592),
        ("m s**-1", "km h-1", 10.0, 36.0),
        ("W m**-2", "W/m2", 3.0, 3.0),
        ("1e-3 kg kg-1", "g kg-1", 2.0, 2.0),
        ("10^-3 kg/kg", "1", 2.0, 0.002),
        ("0.1 mm", "mm", 5.0, 0.5),
        ("gpm", "m", 5500.0, 5500.0),
    ],
)
def test_a_value_is_the_same_quantity_in_other_units(source, target, value, expected):
    assert conversion(source, target)(value) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("units", ["K", "degF", "kg m-2 s-1", "hPa", "g/kg", "W m-2"])
def test_back_and_forth_changes_nothing(units):
    other = {"K": "degF", "degF": "degC", "kg m-2 s-1": "mm d-1", "hPa": "Pa", "g/kg": "1", "W m-2": "mW cm-2"}[units]
    values = np.linspace(-50.0, 400.0, 7)
    np.testing.assert_allclose(conversion(other, units)(conversion(units, other)(values)), values, rtol=1e-9, atol=1e-9)


def test_two_spellings_of_a_unit_need_no_conversion():
    assert not conversion("mm d**-1", "mm d-1").changes
    assert not conversion("Celsius", "degC").changes
    assert conversion("K", "degC").changes


@pytest.mark.parametrize(("source", "target"), [("mm", "mm d-1"), ("m", "K"), ("Pa", "m s-1"), ("J m-2", "W m-2")])
def test_other_quantities_are_refused(source, target):
    with pytest.raises(DataError, match=f"units '{source}' cannot be converted to '{target}': they measure different"):
        conversion(source, target)


def test_a_scale_that_is_not_linear_is_refused():
    with pytest.raises(DataError, match="cannot be converted to 'W' by a factor and an offset"):
        conversion("dBW", "W")


@pytest.mark.parametrize("units", ["furlongs per whim", "kg m-", "?", "days since 1950-01-01"])
def test_what_is_no_unit_is_refused(units):
    assert not is_unit(units)
    with pytest.raises(DataError, match="expected units such as 'K', 'mm d-1' or 'kg m-2 s-1', got "):
        conversion(units, "K")


def test_spelling_leaves_pints_own_form_alone():
    for units in ("kg m**-2 s**-1", "degC", "m**3/s", "W m**-2"):
        assert spell(units) == units


def test_temperature_scales_have_an_offset():
    assert [has_offset(units) for units in ("degC", "Celsius", "degF", "K", "Pa")] == [True, True, True, False, False]


def test_an_amount_where_a_rate_is_wanted_says_over_what():
    """ERA5 gives precipitation in m, meaning the metres of each hour."""
    with pytest.raises(
        DataError, match=r"measure different things\. If .* of one day each, write source_units: m d-1; of an"
    ):
        conversion("m", "mm d-1")
    assert conversion("m h-1", "mm d-1").factor == pytest.approx(24000.0)
    with pytest.raises(DataError, match=r"measure different things\.$"):
        conversion("K", "mm d-1")


@pytest.fixture
def nothing_known():
    """No unit is known before, nor after, so that none is of another registry."""
    caches = (conversion, units_module._unit, units_module._registry)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_threads_that_ask_at_once_get_units_of_one_registry(nothing_known, monkeypatch):
    made, usual = [], pint.UnitRegistry

    def slowly():
        made.append(1)
        time.sleep(0.05)  # long enough for the others to ask for it, too
        return usual()

    monkeypatch.setattr(pint, "UnitRegistry", slowly)
    pairs = [("degC", "K"), ("mm d-1", "kg m-2 s-1"), ("Pa", "hPa"), ("m s-1", "km h-1")]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: conversion(*pair).factor, pairs))
    assert len(made) == 1
    assert found == pytest.approx([1.0, 1.0 / 86400.0, 0.01, 3.6])
