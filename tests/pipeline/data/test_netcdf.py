"""netCDF files, one and many, whole and damaged."""

import shutil

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pipeline.data._classic import missing_bytes
from pipeline.errors import DataError

TAS = {"tas": {"units": "K"}}
FORMATS = ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT"]


@pytest.fixture
def load_files(tmp_path, entry_of, load_entry):
    """Loads files by their names in tmp_path."""

    def run(files, variables=TAS, **options):
        return load_entry(entry_of("netcdf", files, variables, **options))

    return run


def test_times_may_be_split_over_files_that_count_from_other_dates(tmp_path, make_field, load_files):
    whole = make_field(days=6)
    for number, part in enumerate((whole.isel(time=slice(3)), whole.isel(time=slice(3, 6)))):
        units = f"days since {1990 + number}-01-01"
        part.to_netcdf(tmp_path / f"t{number}.nc", encoding={"time": {"units": units}})
    loaded = load_files(["t*.nc"])
    np.testing.assert_array_equal(loaded.data["tas"], whole["tas"])
    assert (loaded.data["time"].values == whole["time"].values).all()
    assert [found.path.name for found in loaded.files] == ["t0.nc", "t1.nc"]


def test_files_in_any_order_come_out_in_time(tmp_path, make_field, load_files):
    whole = make_field(days=4)
    whole.isel(time=slice(2, 4)).to_netcdf(tmp_path / "a.nc")
    whole.isel(time=slice(2)).to_netcdf(tmp_path / "b.nc")
    np.testing.assert_array_equal(load_files(["a.nc", "b.nc"]).data["tas"], whole["tas"])


def test_variables_may_be_split_over_files(tmp_path, make_field, load_files):
    for name in ("tas", "pr"):
        whole = make_field(name, days=4, seed=len(name))
        for half in (0, 1):
            whole.isel(time=slice(2 * half, 2 * half + 2)).to_netcdf(tmp_path / f"{name}{half}.nc")
    loaded = load_files(["*.nc"], {"pr": {"units": "K"}, "tas": {"units": "K"}})
    np.testing.assert_array_equal(loaded.data["pr"], make_field("pr", days=4, seed=2)["pr"])
    np.testing.assert_array_equal(loaded.data["tas"], make_field("tas", days=4, seed=3)["tas"])


def test_repairs_of_many_files_name_the_file(tmp_path, make_field, load_files):
    for number in (0, 1):
        data = make_field(days=2).assign_coords(time=[2.0 * number, 2.0 * number + 1])
        data["time"].attrs = {"units": "days since 2001-00-01", "calendar": "noleap"}
        data.to_netcdf(tmp_path / f"t{number}.nc")
    texts = [repair.text for repair in load_files(["t*.nc"]).repairs]
    assert texts[0] == "t0.nc: times in 'days since 2001-00-01' are read as 'days since 2001-01-01'"
    assert len(texts) == 2


def test_another_grid_in_one_entry_is_refused(tmp_path, make_field, load_files):
    make_field().to_netcdf(tmp_path / "tas.nc")
    make_field("pr", lat=(40.5, 41.5)).to_netcdf(tmp_path / "pr.nc")
    both = {"tas": {"units": "K"}, "pr": {"units": "K"}}
    with pytest.raises(
        DataError, match=r"set: expected files on one grid and with the same times, got others in pr.nc"
    ):
        load_files(["tas.nc", "pr.nc"], both)
    make_field(start="2002-01-01", lat=(40.5, 41.5)).to_netcdf(tmp_path / "tas2.nc")
    with pytest.raises(
        DataError, match=r"set: expected 2 files of one grid and calendar after one another, from tas.nc"
    ):
        load_files(["tas.nc", "tas2.nc"])


def test_overlapping_files_are_refused(tmp_path, make_field, load_files):
    make_field(days=3).to_netcdf(tmp_path / "a.nc")
    make_field(days=3, start="2001-01-03").to_netcdf(tmp_path / "b.nc")
    with pytest.raises(DataError, match="expected every time once, got 2001-01-03 twice"):
        load_files(["a.nc", "b.nc"])


def test_the_same_field_twice_without_time_is_refused(tmp_path, make_field, load_files):
    for name in "ab":
        make_field().isel(time=0, drop=True).to_netcdf(tmp_path / f"{name}.nc")
    with pytest.raises(
        DataError, match=r"set: expected a time in a.nc, which has the same variables as a.nc, got none"
    ):
        load_files(["a.nc", "b.nc"])


def test_a_group_can_be_chosen(tmp_path, make_field, load_files):
    make_field().to_netcdf(tmp_path / "a.nc", group="inner")
    np.testing.assert_array_equal(load_files(["a.nc"], group="inner").data["tas"], make_field()["tas"])
    with pytest.raises(DataError, match=r"a.nc: expected a whole netCDF file, got .*none"):
        load_files(["a.nc"], group="none")


@pytest.mark.parametrize("format_", FORMATS)
def test_every_netcdf_format_is_read_and_a_cut_one_refused(tmp_path, make_field, load_files, format_):
    data = make_field(days=40)
    data["time"].encoding["dtype"] = "f8"
    path = tmp_path / "a.nc"
    data.to_netcdf(path, format=format_, unlimited_dims=["time"])
    np.testing.assert_array_equal(load_files(["a.nc"]).data["tas"], data["tas"])
    assert missing_bytes(path) == 0
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(
        DataError, match=r"a.nc: (the file is damaged: its header promises \d+ bytes|expected a whole netCDF)"
    ):
        load_files(["a.nc"])


@pytest.mark.parametrize("format_", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("records", [1, 5])
@pytest.mark.parametrize("variables", [{"a": "f8"}, {"a": "i2"}, {"a": "i1", "b": "f4"}, {"a": "i2", "b": "i1"}])
def test_the_header_promises_what_the_library_writes(tmp_path, format_, records, variables):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=format_) as data:
        data.createDimension("time", None)
        data.createDimension("x", 3)
        data.title = "odd"
        data.createVariable("fixed", "i1", ("x",))[:] = [1, 2, 3]
        for name, kind in variables.items():
            data.createVariable(name, kind, ("time", "x")).units = "K"
            data[name][:] = np.ones((records, 3))
    size = path.stat().st_size
    assert missing_bytes(path) == 0
    path.write_bytes(path.read_bytes()[: size - 8])
    # The library may pad the end by up to three bytes.
    assert 5 <= missing_bytes(path) <= 8


def test_a_header_that_is_cut_lacks_something(tmp_path, make_field):
    path = tmp_path / "a.nc"
    make_field().to_netcdf(path, format="NETCDF3_CLASSIC")
    path.write_bytes(path.read_bytes()[:60])
    assert missing_bytes(path) > 0


def test_damage_inside_shows_on_reading_and_names_the_file(tmp_path, make_field, load_files):
    path = tmp_path / "a.nc"
    data = make_field(days=2000)
    data.to_netcdf(path, encoding={"tas": {"zlib": True, "fletcher32": True}})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\x55" * 2000
    path.write_bytes(bytes(content))
    with pytest.raises(
        DataError, match=r"set: reading .*a.nc failed \(.*\). The file is damaged or cut off: fetch it again"
    ):
        load_files(["a.nc"])


def test_what_is_no_netcdf_is_refused(tmp_path, load_files):
    (tmp_path / "a.nc").write_text("<html>404 not found</html>")
    with pytest.raises(DataError, match=r"a.nc: expected a whole netCDF file, got OSError: .* Is it cut off\?"):
        load_files(["a.nc"])


def test_one_file_is_opened_lazily(tmp_path, make_field, entry_of):
    from pipeline.backend import get_backend
    from pipeline.data.netcdf import NetcdfReader

    make_field().to_netcdf(tmp_path / "a.nc")
    entry = entry_of("netcdf", ["a.nc"], TAS)
    data = NetcdfReader().read(entry, (tmp_path / "a.nc",), get_backend("cpu"))
    assert not data["tas"].variable._in_memory
    data.close()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("zipped", [False, True])
def test_zarr_stores_are_read(tmp_path, make_field, entry_of, load_entry, version, zipped):
    data = make_field()
    data.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False)
    if zipped:
        shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "a.zarr")
    loaded = load_entry(entry_of("zarr", ["a.zarr.zip" if zipped else "a.zarr"], {"tas": {"units": "degC"}}))
    np.testing.assert_allclose(loaded.data["tas"], data["tas"] - 273.15, atol=1e-4)
    assert loaded.data["tas"].dims == ("time", "lat", "lon")


def test_stores_split_by_time_are_joined(tmp_path, make_field, entry_of, load_entry):
    data = make_field(days=4)
    data.isel(time=slice(2)).to_zarr(tmp_path / "a.zarr", consolidated=False)
    data.isel(time=slice(2, 4)).to_zarr(tmp_path / "b.zarr", consolidated=False)
    loaded = load_entry(entry_of("zarr", ["a.zarr", "b.zarr"], TAS))
    np.testing.assert_array_equal(loaded.data["tas"], data["tas"])


def test_what_is_no_zarr_store_is_refused(tmp_path, entry_of, load_entry):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "b.zarr").write_text("x")
    for name in ("a.zarr", "b.zarr"):
        with pytest.raises(DataError, match=rf"{name}: expected a Zarr store, got "):
            load_entry(entry_of("zarr", [name], TAS))


def test_xarray_declared_fill_values_are_missing(tmp_path, load_files, make_field):
    data = make_field()
    values = data["tas"].values.copy()
    values[0, 0, 0] = 1e20
    raw = xr.Dataset(
        {"tas": (data["tas"].dims, values, {"units": "K", "missing_value": np.float32(1e20)})}, data.coords
    )
    raw.to_netcdf(tmp_path / "a.nc")
    assert int(np.isnan(load_files(["a.nc"]).data["tas"]).sum()) == 1
