"""GRIB files as services deliver them: levels, forecast steps, several kinds of levels in one file."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.data.describe import draft_entry
from pipeline.errors import DataError

cfgrib = pytest.importorskip("cfgrib")
LAT, LON = np.array([42.0, 41.0, 40.0]), np.array([-2.0, -1.0, 0.0, 1.0])
T2M = {"t2m": {"units": "degC"}}


@pytest.fixture
def write_grib(tmp_path):
    """Factory of GRIB files: (short name, level type, values, coords) for each group of messages."""
    import eccodes

    def write(name, *parts):
        path = tmp_path / name
        with path.open("wb") as file:
            for short_name, level_type, values, coords in parts:
                coords = {"time": pd.DatetimeIndex(coords["time"]), **coords}
                for place in itertools.product(*(range(len(coords[dim])) for dim in coords)):
                    at = {dim: coords[dim][number] for dim, number in zip(coords, place, strict=True)}
                    message(eccodes, file, short_name, level_type, values[place], at)
        return path

    return write


def message(eccodes, file, short_name, level_type, field, at):
    kind = "pl" if level_type == "isobaricInhPa" else "sfc"
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_{kind}_grib1")
    keys = {
        "Ni": len(LON), "Nj": len(LAT), "iDirectionIncrementInDegrees": 1.0, "jDirectionIncrementInDegrees": 1.0,
        "latitudeOfFirstGridPointInDegrees": LAT[0], "latitudeOfLastGridPointInDegrees": LAT[-1],
        "longitudeOfFirstGridPointInDegrees": LON[0], "longitudeOfLastGridPointInDegrees": LON[-1],
        "shortName": short_name, "typeOfLevel": level_type, "dataDate": int(at["time"].strftime("%Y%m%d")),
        "dataTime": int(at["time"].strftime("%H%M")), "bitsPerValue": 24,
    }  # fmt: skip
    keys |= {"level": int(at["level"])} if "level" in at else {}
    keys |= {"endStep": int(at["step"] / pd.Timedelta(hours=1))} if "step" in at else {}
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, field.astype(float).ravel())
    eccodes.codes_write(handle, file)
    eccodes.codes_release(handle)


def days(count=3):
    return {"time": pd.date_range("2001-01-01T12", periods=count, unit="ns")}


def made(*shape, level=280.0):
    return (level + np.arange(float(np.prod(shape)))).reshape(shape).astype("f4")


def test_a_field_comes_in_units_from_south_to_north(write_grib, entry_of, load_entry):
    values = made(3, 3, 4)
    write_grib("a.grib", ("2t", "heightAboveGround", values, days()))
    data = load_entry(entry_of("grib", ["a.grib"], T2M)).data
    assert data["t2m"].dims == ("time", "lat", "lon")
    np.testing.assert_allclose(data["t2m"], values[:, ::-1] - 273.15, atol=1e-2)
    assert data["lat"].values.tolist() == [40.0, 41.0, 42.0]
    assert (data["time"].values == days()["time"].values).all()


def test_surface_and_two_and_ten_metres_stand_side_by_side(write_grib, entry_of, load_entry):
    parts = [("2t", "heightAboveGround", 280.0), ("10u", "heightAboveGround", -9.0), ("msl", "meanSea", 1e5)]
    write_grib("a.grib", *((name, level, made(3, 3, 4, level=first), days()) for name, level, first in parts))
    names = {"t2m": {"units": "K"}, "u10": {"units": "m s-1"}, "msl": {"units": "Pa"}}
    assert load_entry(entry_of("grib", ["a.grib"], names)).data["msl"].shape == (3, 3, 4)


def test_levels_are_chosen_by_pressure(write_grib, entry_of, load_entry):
    values = made(3, 2, 3, 4, level=230.0)
    write_grib("a.grib", ("t", "isobaricInhPa", values, {**days(), "level": [850.0, 500.0]}))
    spec = {"ta500": {"units": "K", "from": "t", "select": {"isobaricInhPa": 500}}}
    data = load_entry(entry_of("grib", ["a.grib"], spec)).data
    np.testing.assert_allclose(data["ta500"], values[:, 1, ::-1], atol=1e-2)


def test_steps_of_forecasts_lie_along_the_time_they_are_valid(write_grib, entry_of, load_entry):
    steps = pd.to_timedelta([1, 2, 3], unit="h")
    starts = pd.to_datetime(["2001-01-01T06", "2001-01-01T09"])
    values = made(2, 3, 3, 4)
    write_grib("a.grib", ("2t", "heightAboveGround", values, {"time": starts, "step": steps}))
    data = load_entry(entry_of("grib", ["a.grib"], {"t2m": {"units": "K"}})).data
    assert data["time"].values.astype("datetime64[h]").astype(str).tolist() == [
        f"2001-01-01T{hour:02d}" for hour in (7, 8, 9, 10, 11, 12)
    ]
    np.testing.assert_allclose(data["t2m"], values.reshape(6, 3, 4)[:, ::-1], atol=1e-2)


def test_accumulations_of_a_day_have_no_hours_but_its_own(write_grib, entry_of, load_entry):
    """A service cuts at the day: of the start at 18 h before it come the last steps, of its own the first."""

    def parts(day):
        for start, steps in (("-6h", range(6, 13)), ("6h", range(1, 13)), ("18h", range(1, 6))):
            time = pd.DatetimeIndex([pd.Timestamp(day) + pd.Timedelta(start)])
            coords = {"time": time, "step": pd.to_timedelta(list(steps), unit="h")}
            yield ("2t", "heightAboveGround", made(1, len(steps), 3, 4, level=280.0 + time[0].hour), coords)

    for number, day in enumerate(("2001-01-01", "2001-01-02")):
        write_grib(f"d{number}.grib", *parts(day))
    data = load_entry(entry_of("grib", ["d*.grib"], {"t2m": {"units": "K"}})).data
    expected = np.arange("2001-01-01T00", "2001-01-03T00", dtype="datetime64[h]")
    assert (data["time"].values == expected).all()
    assert np.isfinite(data["t2m"].values).all()
    assert float(data["t2m"][0, -1, 0]) == pytest.approx(280.0 + 18.0, abs=1e-2)


def test_one_start_with_steps_has_its_valid_times(write_grib, entry_of, load_entry):
    coords = {**days(1), "step": pd.to_timedelta([6, 12], unit="h")}
    values = made(1, 2, 3, 4)
    write_grib("a.grib", ("2t", "heightAboveGround", values, coords))
    data = load_entry(entry_of("grib", ["a.grib"], {"t2m": {"units": "K"}})).data
    assert data["time"].values.astype("datetime64[h]").astype(str).tolist() == ["2001-01-01T18", "2001-01-02T00"]


def test_a_file_a_month_follows_in_time(write_grib, entry_of, load_entry):
    for number in (1, 2):
        times = {"time": pd.date_range(f"2001-0{number}-01", periods=2, unit="ns")}
        write_grib(f"m{number}.grib", ("2t", "heightAboveGround", made(2, 3, 4), times))
    assert load_entry(entry_of("grib", ["m*.grib"], T2M)).data.sizes["time"] == 4


def test_one_name_on_two_kinds_of_levels_asks_which(write_grib, entry_of, load_entry):
    write_grib(
        "a.grib",
        ("t", "isobaricInhPa", made(3, 3, 4), {**days()}),
        ("t", "surface", made(3, 3, 4), days()),
    )
    spec = {"t": {"units": "K"}}
    with pytest.raises(DataError, match=r"a.grib: t stands on several kinds of levels. Choose one in the catalog"):
        load_entry(entry_of("grib", ["a.grib"], spec))
    chosen = entry_of("grib", ["a.grib"], spec, filter_by_keys={"typeOfLevel": "surface"})
    assert load_entry(chosen).data["t"].shape == (3, 3, 4)
    nothing = entry_of("grib", ["a.grib"], spec, filter_by_keys={"typeOfLevel": "meanSea"})
    with pytest.raises(DataError, match=r"a.grib: no message has \{'typeOfLevel': 'meanSea'\}; see what"):
        load_entry(nothing)


def test_what_is_no_grib_or_cut_off_is_called_so(tmp_path, write_grib, entry_of, load_entry):
    (tmp_path / "a.grib").write_bytes(b"CDF\x01 and more")
    with pytest.raises(DataError, match=r"a.grib: expected a GRIB file, which begins with the letters GRIB"):
        load_entry(entry_of("grib", ["a.grib"], T2M))
    whole = write_grib("b.grib", ("2t", "heightAboveGround", made(3, 3, 4), days())).read_bytes()
    (tmp_path / "b.grib").write_bytes(whole[:-30])
    with pytest.raises(
        DataError, match=r"b.grib: expected whole GRIB messages, got PrematureEndOfFileError.* Is it cut off"
    ):
        load_entry(entry_of("grib", ["b.grib"], T2M))


def test_without_cfgrib_the_message_says_what_to_install(tmp_path, monkeypatch, entry_of, load_entry):
    (tmp_path / "a.grib").write_bytes(b"GRIB")
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    with pytest.raises(DataError, match=r"not usable here .* Install them: pip install 'finescale\[grib\]'"):
        load_entry(entry_of("grib", ["a.grib"], T2M))


def test_a_grib_file_is_drafted_level_by_level(tmp_path, write_grib, entry_of, load_entry):
    path = write_grib("a.grib2", ("t", "isobaricInhPa", made(3, 2, 3, 4), {**days(), "level": [850.0, 500.0]}))
    path.rename(tmp_path / "unnamed")
    text = draft_entry(tmp_path / "unnamed", "mine")
    assert "format: grib" in text
    assert "t850" in text
    assert "isobaricInhPa: 500.0" in text


@pytest.mark.real
def test_era5_over_the_united_kingdom(real_data, entry_of, load_entry):
    path = real_data / "era5-uk-hourly-grib/era5-2mt-2019-03-uk.grib"
    data = load_entry(entry_of("grib", [path], T2M)).data
    assert dict(data.sizes) == {"time": 744, "lat": 33, "lon": 49}
    assert float(data["t2m"].min()) == pytest.approx(265.7 - 273.15, abs=0.1)
    assert "t2m:" in draft_entry(path, "era5-uk")
