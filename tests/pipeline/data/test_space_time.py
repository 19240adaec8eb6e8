"""R matrices of space and time with places and mask in objects of their own."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import CatalogError, DataError

LAT, LON = np.array([1.0, -1.0, 3.0]), np.array([124.0, 126.0])
MATRIX = {"values": "temp", "places": "where", "mask": "land", "start": "1970-01-01", "step": "MS"}
SPECS = {"sst": {"units": "K", "source_units": "K", "from": "temp", "standard_name": "temperature_anomaly"}}


def objects(frame=True):
    """Five months on 3 x 2 cells in a scrambled order; row k of the matrix is k, k + 100, ..."""
    order = np.random.default_rng(0).permutation(6)
    lat, lon = (axis.ravel()[order] for axis in np.meshgrid(LAT, LON, indexing="ij"))
    values = np.arange(6.0)[:, None] + 100.0 * np.arange(5)
    found = {
        "temp": pd.DataFrame({f"V{n + 1}": values[:, n] for n in range(5)}) if frame else values,
        "where": pd.DataFrame({"lon": lon, "lat": lat}),
        "land": pd.DataFrame({"mask": (np.arange(6) == 4).astype(float)}),
    }
    return found, lat, lon, values


@pytest.fixture
def load_matrix(tmp_path, write_rda, entry_of, load_entry):
    def run(found, **changes):
        for name, value in found.items():
            write_rda(tmp_path / f"{name}.rda", {name: value})
        files = [f"{name}.rda" for name in found]
        return load_entry(entry_of("rda", files, SPECS, matrix=MATRIX | changes)).data["sst"]

    return run


@pytest.mark.parametrize("frame", [True, False])
def test_each_row_lies_at_its_place_and_masked_ones_are_missing(load_matrix, frame):
    found, lat, lon, values = objects(frame)
    sst = load_matrix(found)
    assert sst.dims == ("time", "lat", "lon")
    assert sst["lat"].values.tolist() == [-1.0, 1.0, 3.0]
    assert [str(time)[:10] for time in sst["time"].values[[0, 1, -1]]] == ["1970-01-01", "1970-02-01", "1970-05-01"]
    for row in range(6):
        got = sst.sel(lat=lat[row], lon=lon[row]).values
        np.testing.assert_array_equal(got, np.full(5, np.nan) if row == 4 else values[row])


def test_without_a_mask_all_values_count(load_matrix):
    found, *_ = objects()
    assert bool(load_matrix(found, mask=None).notnull().all())
    assert int(load_matrix(found, masked=0.0).notnull().isel(time=0).sum()) == 1


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"values": "tmp"}, r"set: no R object 'tmp' in the files\. Did you mean 'temp'\?"),
        ({}, {"lat": "latitude"}, "'where': expected a data frame with a column 'latitude', got lon, lat"),
        ({}, {"places": "numbers"}, "'numbers': expected a data frame with a column 'lat', got no columns"),
        ({"land": pd.DataFrame({"m": np.zeros(5)})}, {}, "objects of as many places, got others: .* land has 5"),
        ({"land": pd.DataFrame({"m": np.zeros(6), "n": np.zeros(6)})}, {}, "one value a place in 'land', got 2"),
        ({"temp": np.array(list("abcdef"))}, {}, "'temp': expected a matrix or a data frame of numbers"),
        ({"temp": np.zeros((6, 2, 2))}, {}, r"'temp': expected a matrix or a data frame, got shape \(6, 2, 2\)"),
        ({}, {"start": "soon"}, "expected a date as start and a frequency as step"),
    ],
)
def test_what_does_not_fit_is_named(load_matrix, change, options, message):
    found, *_ = objects()
    with pytest.raises(DataError, match=message):
        load_matrix(found | {"numbers": np.zeros(6)} | change, **options)


def test_places_that_are_no_grid_are_refused(load_matrix):
    found, lat, _, _ = objects()
    found["where"] = found["where"].assign(lat=np.where(np.arange(6) == 0, 9.0, lat))
    with pytest.raises(DataError, match="each cell of a regular grid once in 'where', got 6 places with 4 latitudes"):
        load_matrix(found)


def test_the_options_name_what_is_needed(entry_of, load_entry):
    with pytest.raises(CatalogError, match=r"options.matrix.start: this key is required"):
        load_entry(entry_of("rda", ["a.rda"], SPECS, matrix={"values": "a", "places": "b"}))


def test_without_the_options_they_are_pointed_at(tmp_path, write_rda, entry_of, load_entry):
    write_rda(tmp_path / "temp.rda", {"temp": np.zeros((6, 2))})
    with pytest.raises(DataError, match="matrix of space and time, say so under options: matrix"):
        load_entry(entry_of("rda", ["temp.rda"], SPECS))
