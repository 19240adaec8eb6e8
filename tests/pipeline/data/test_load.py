"""From a name to data: what is in the record, and bad input, each with its message and exit code 2."""

import contextlib

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.data.catalog import Catalog
from pipeline.data.files import Places, sha256_of
from pipeline.data.load import load
from pipeline.errors import CatalogError, ChecksumError, DataError

TAS = {"tas": {"units": "K", "standard_name": "air_temperature"}}


def test_a_dataset_is_loaded_by_its_name(tmp_path, make_field, entry_of):
    make_field().to_netcdf(tmp_path / "a.nc")
    digest = sha256_of(tmp_path / "a.nc")
    entry = entry_of("netcdf", [{"path": "a.nc", "sha256": digest}], TAS)
    catalog = Catalog(tmp_path / "c.yaml", {"set": entry})
    loaded = load("set", catalog, Places.of(catalog), get_backend("cpu"))
    assert loaded.name == "set"
    assert [(found.sha256, found.place) for found in loaded.files] == [(digest, "catalog")]
    with pytest.raises(CatalogError, match=r"no dataset 'sett'. Did you mean 'set'"):
        load("sett", catalog, Places.of(catalog), get_backend("cpu"))


def test_loaded_data_are_in_memory_and_the_file_is_closed(tmp_path, make_field, load_netcdf):
    loaded = load_netcdf(make_field(), TAS)
    (tmp_path / "data.nc").unlink()
    assert bool(np.isfinite(loaded.data["tas"]).all())


def test_progress_is_shown_of_finding_and_reading(tmp_path, make_field, entry_of, load_entry):
    said = []

    class Bar:
        def advance(self, amount=1.0, note=""):
            said.append((amount, note))

    @contextlib.contextmanager
    def progress(title, total=None):
        said.append((title, total))
        yield Bar()

    make_field().to_netcdf(tmp_path / "a.nc")
    load_entry(entry_of("netcdf", ["a.nc"], TAS), progress=progress)
    assert said == [("find set", 1), (1.0, "a.nc"), ("read set", 1), (1.0, "tas")]


def test_loading_twice_is_the_same_to_the_bit(make_field, load_netcdf):
    one, two = (load_netcdf(make_field(), {"tas": {"units": "degF"}}) for _ in range(2))
    assert one.data.identical(two.data)
    assert one.repairs == two.repairs


def test_what_is_written_from_a_loaded_dataset_loads_without_repairs(tmp_path, make_field, load_netcdf):
    odd = make_field().isel(lat=slice(None, None, -1)).assign_coords(lon=[357.0, 358.0, 359.0, 0.0])
    first = load_netcdf(odd, {"tas": {"units": "degC"}})
    again = load_netcdf(first.data, {"tas": {"units": "degC"}})
    assert first.repairs
    assert again.repairs == ()
    assert again.data.equals(first.data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d.assign(tas=d["tas"] * np.nan), "set: not fit for a run: tas has no value at all"),
        (
            lambda d: d.assign(tas=d["tas"].where(d["lat"] > 40.5, np.inf)),
            "not fit for a run: tas has 20 infinite values",
        ),
        (
            lambda d: d.assign(tas=d["tas"] - 273.15),
            "not fit for a run: tas has values from .* to .* K, expected 150 to 350",
        ),
        (lambda d: d.isel(time=slice(0)), "set: not fit for a run: there is no time in it; tas has no value at all"),
        (
            lambda d: d.assign_coords(lon=[0.0, 1.0, np.nan, 3.0]),
            "not fit for a run: some values of lon are not finite",
        ),
        (lambda d: d.isel(time=[0, 0]), "set: expected every time once, got 2001-01-01 twice"),
    ],
)
def test_data_that_a_run_would_trip_over_are_refused(make_field, load_netcdf, spoil, message):
    data = make_field()
    data = spoil(data).assign_attrs()
    data["tas"].attrs["units"] = "K"
    with pytest.raises(DataError, match=message) as caught:
        load_netcdf(data, TAS)
    assert caught.value.exit_code == 2


def test_data_check_may_see_what_a_run_refuses(make_field, load_netcdf):
    data = make_field()
    data["tas"][:] = np.nan
    assert bool(load_netcdf(data, TAS, check=False).data["tas"].isnull().all())


def test_a_missing_or_changed_file_is_refused(tmp_path, make_field, entry_of, load_entry):
    with pytest.raises(DataError, match=r"set: expected the file a.nc, found in none of") as caught:
        load_entry(entry_of("netcdf", ["a.nc"], TAS))
    assert caught.value.exit_code == 2
    make_field().to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ChecksumError, match=r"expected sha256 1{64}, got") as caught:
        load_entry(entry_of("netcdf", [{"path": "a.nc", "sha256": "1" * 64}], TAS))
    assert caught.value.exit_code == 2


def test_an_entry_of_ones_own_is_checked_like_a_catalogs(tmp_path, entry_of, load_entry):
    with pytest.raises(CatalogError, match=r"options.grop: unknown key. Did you mean 'group'"):
        load_entry(entry_of("netcdf", ["a.nc"], TAS, grop="x"))
