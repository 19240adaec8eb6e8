"""Numbers that stand for no value where the file does not say so."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.data._sentinels import code_at_an_end, is_code, stand_ins
from pipeline.data.checks import faults

RNG = np.random.default_rng(5)
RAIN = np.where(RNG.random(3000) < 0.7, 0.0, RNG.gamma(0.6, 8.0, 3000)).astype("f4")
FLOW = np.exp(RNG.normal(1.0, 1.2, 3000)).astype("f4")
WARM = RNG.normal(12.0, 8.0, 3000).astype("f4")


def with_marks(values, mark, count):
    marked = np.array(values, copy=True)
    marked[np.linspace(0, len(values) - 1, count).astype(int)] = mark
    return marked


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("code", [-9, -99, -999, -9999, -99.9, -999.9, -999.99, -32768, 9999, 32767, 1e20, 9.96921e36])
def test_known_codes_are_told_in_single_and_double_precision(code, kind):
    assert is_code(float(np.dtype(kind).type(code))) == (code != -9)


@pytest.mark.parametrize("value", [0.0, -1.2345, 9.0, 12.0, 98.0, -998.0, 99.5, np.nan, np.inf])
def test_other_numbers_are_no_codes(value):
    assert not is_code(value)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_found_in_plain_data(seed):
    rng = np.random.default_rng(seed)
    for values in (
        rng.normal(280, 5, 4000).astype("f4"),
        rng.normal(0, 1, 4000),
        rng.gamma(0.3, 5, 4000).astype("f4"),
        np.where(rng.random(4000) < 0.8, 0, rng.gamma(0.6, 8, 4000)).astype("f4"),  # many zeros
        np.exp(rng.normal(0, 2, 4000)).astype("f4"),
        np.round(rng.normal(10, 8, 4000), 1),
        rng.integers(0, 100, 4000).astype("f4"),  # 99 among others
        rng.integers(-40, 40, 4000).astype("f4"),
        rng.integers(1, 3, 4000).astype("f4"),
        np.full(4000, 7.0) + rng.choice([0, 1e-6], 4000),  # a constant with the noise of its precision
        np.sin(np.arange(4000) / 365 * 6.28) * 10,
    ):
        assert stand_ins(values) == ()
        assert code_at_an_end(values, float(values.min()), float(values.max())) is None


@pytest.mark.parametrize(
    ("values", "mark", "count", "found"),
    [
        (FLOW, -9999, 4, (-9999.0,)),
        (FLOW, -9999, 1, (-9999.0,)),
        (FLOW, -99.9, 1, ()),  # flows are up to several hundred: not as far as these are apart
        (WARM, -99.9, 1, (-99.9,)),
        (WARM, -999.99, 2, (-999.99,)),
        (WARM, 9999, 2, (9999.0,)),
        (WARM, 9999, 1, ()),  # once above all others it may be a value
        (WARM, 1e20, 3, (1e20,)),
        (WARM, -1.2345, 4, ()),  # degrees lie on both sides of it
        (FLOW, -1.2345, 4, (-1.2345,)),
        (FLOW, -1.2345, 2, ()),
        (RAIN, -1.0, 30, (-1.0,)),
        (RAIN, 0.0, 30, ()),
        (WARM, np.nan, 30, ()),
    ],
)
def test_what_is_found_in_single_precision(values, mark, count, found):
    if found == () and mark == -99.9:
        values = values / values.max() * 800
    assert stand_ins(with_marks(values, mark, count)) == found


def test_several_are_found_but_none_in_what_is_nothing_else():
    both = with_marks(with_marks(WARM, -9999, 5), 1e20, 3)
    assert set(stand_ins(both)) == {-9999.0, 1e20}
    assert stand_ins(np.full(50, -999.0)) == ()
    assert stand_ins(np.full(50, np.nan)) == ()
    assert stand_ins(np.empty(0)) == ()


def series(values, units, name="a", **attrs):
    data = xr.Dataset({name: ("time", np.asarray(values, "f4"), {"units": units, **attrs})})
    return data.assign_coords(time=pd.date_range("2000", periods=len(values)))


def found(*arguments, **attrs):
    return [(fault.kind, fault.text) for fault in faults(series(*arguments, **attrs))]


@pytest.mark.parametrize("mark", [-9999.0, -999.0, -99999.0])
def test_a_code_that_nobody_declared_is_a_fault(mark):
    ((kind, text),) = found(with_marks(WARM, mark, 4), "1")
    assert kind == "undeclared missing"
    assert text == (
        f"a has 4 of 3000 values at {mark:g}, far from all others. Where that stands for none, write missing: "
        f"[{mark:g}] beside its units in the catalog"
    )


@pytest.mark.parametrize(
    ("units", "name"),
    [("m3 s-1", "a"), ("mm d-1", "rain"), ("mm d-1", "prcp"), ("kg m-2 s-1", "pr_mean"), ("mm d-1", "total_precip")],
)
def test_amounts_below_none_are_a_fault(units, name):
    ((kind, text),) = found(with_marks(FLOW, -1.2345, 4), units, name)
    assert kind == "range"
    assert "down to -1.2345" in text or "expected" in text


def test_a_flow_below_none_is_told_with_what_to_write():
    ((_, text),) = found(with_marks(FLOW, -1.2345, 4), "m3 s-1", "q")
    assert text.startswith(
        "q has values down to -1.2345 m3 s-1, expected none below 0. Write what stands for none under"
    )
    assert "such as missing: [-1.2345]" in text


@pytest.mark.parametrize(
    ("units", "name", "attrs"),
    [
        ("mm d-1", "rain_anomaly", {}),
        ("m3 s-1", "q", {"long_name": "difference from the mean flow"}),
        ("m3 s-1", "q", {"standard_name": "tidal_flow"}),
        ("mm d-1", "evaporation", {}),
        ("mm d-1", "pet", {}),
        ("mm d-1", "snowpack", {}),
        ("K", "dt", {"standard_name": "air_temperature_anomaly"}),
    ],
)
def test_what_may_be_below_none_is_no_fault(units, name, attrs):
    assert found(with_marks(FLOW, -1.2345, 4), units, name, **attrs) == []


def test_what_rounding_leaves_below_none_is_no_fault():
    assert found(with_marks(RAIN, -1e-4, 40), "mm d-1", "rain") == []


FEW = {
    "humidity": ([99.0, 99.0, 98.5], "%", {"standard_name": "relative_humidity"}),
    "pressure": ([999.0, 999.0, 998.2], "hPa", {"standard_name": "air_pressure_at_mean_sea_level"}),
    "forest": ([99.0, 99.0, 60.0], "%", {}),
    "rounding": ([-0.01, 0.3], "mm d-1", {"name": "pr"}),
}


@pytest.mark.parametrize("what", FEW)
def test_few_values_are_no_reason_to_refuse_one_of_them(what):
    values, units, attrs = FEW[what]
    data = series(values, units, **attrs)
    assert faults(data, part=True) == ()
    assert what == "rounding" or faults(data) == ()


def test_a_value_within_the_limits_of_its_name_is_no_code():
    values = np.r_[np.linspace(10.0, 11.0, 200), 99.0, 99.0]
    assert found(values, "%")[0][0] == "undeclared missing"
    assert found(values, "%", standard_name="relative_humidity") == []


@pytest.mark.parametrize("mark", [-999.0, -9999.0])
def test_a_part_of_the_data_is_refused_for_what_is_no_value_anywhere(mark):
    assert [fault.kind for fault in faults(series([3.0, mark, 4.0], "1"), part=True)] == ["undeclared missing"]
    assert faults(series([3.0, 99.0, 99.0], "1"), part=True) == ()
