"""R data of the climate4R kind, written on the spot with the attributes R would give them."""

import numpy as np
import pytest

from pipeline.errors import DataError

TA = {"ta": {"units": "K"}}


@pytest.fixture
def load_rda(tmp_path, write_rda, entry_of, load_entry):
    """Writes objects to x.rda and loads them."""

    def run(objects, variables=TA, **options):
        write_rda(tmp_path / "x.rda", objects)
        return load_entry(entry_of("rda", ["x.rda"], variables, **options))

    return run


def test_a_grid_has_its_values_places_dates_and_units(make_grid, load_rda):
    grid = make_grid(units="Kelvin")
    data = load_rda(
        {"obj": grid},
        {"ta": {"units": "degC"}},
    ).data
    np.testing.assert_allclose(data["ta"], grid["Data"].data - 273.15, atol=1e-4)
    assert data["ta"].dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(data["lat"], [35.0, 37.5])
    np.testing.assert_array_equal(data["lon"], [-10.0, -7.5, -5.0])
    assert str(data["time"].values[2])[:10] == "1982-12-03"


def test_dims_are_those_that_the_object_names(make_grid, load_rda, noted):
    grid = make_grid()
    turned = grid | {"Data": noted(grid["Data"].data.transpose(2, 1, 0), {"dimensions": ["lon", "lat", "time"]})}
    np.testing.assert_allclose(load_rda({"obj": turned}).data["ta"], grid["Data"].data, rtol=1e-6)


def test_a_level_is_part_of_the_name(make_grid, load_rda):
    spec = {"ta850": {"units": "K", "from": "ta@850"}}
    assert load_rda({"obj": make_grid(level=850)}, spec).data["ta850"].shape == (3, 2, 3)
    with pytest.raises(DataError, match=r"no variable 'ta' in the files. Known: ta@850"):
        load_rda({"obj": make_grid(level=850)})


def test_stations_have_ids_names_and_altitudes(make_grid, load_rda):
    data = load_rda({"obj": make_grid(stations=True)}).data
    assert data["ta"].dims == ("time", "station")
    assert data["station"].values.tolist() == ["000212", "000214"]
    assert data["station_name"].values.tolist() == ["UPPER", "LOWER"]
    np.testing.assert_array_equal(data["altitude"], [690.0, 77.0])
    np.testing.assert_array_equal(data["lon"], [-6.7, -9.1])


def test_a_multigrid_holds_several_variables(make_grid, load_rda, noted):
    one, two = make_grid(seed=1), make_grid(seed=2)
    both = np.stack([one["Data"].data, two["Data"].data])
    multi = one | {
        "Variable": noted(
            {"varName": np.array(["ta", "hus"]), "level": np.array([850.0, np.nan])}, {"units": ["K", "1"]}
        ),
        "Data": noted(both, {"dimensions": ["var", "time", "lat", "lon"]}),
    }
    specs = {"hus": {"units": "1"}, "ta850": {"units": "K", "from": "ta@850"}}
    data = load_rda(
        {"obj": multi},
        specs,
    ).data
    np.testing.assert_allclose(data["ta850"], one["Data"].data, rtol=1e-6)
    np.testing.assert_allclose(data["hus"], two["Data"].data, rtol=1e-6)


def test_a_file_without_units_needs_the_catalogs(make_grid, load_rda):
    with pytest.raises(DataError, match="the file does not say its units"):
        load_rda({"obj": make_grid(units=None)})
    assert load_rda({"obj": make_grid(units=None)}, {"ta": {"units": "K", "source_units": "K"}}).repairs == ()


def test_one_object_of_several_is_named(make_grid, load_rda):
    objects = {"first": make_grid(seed=1), "second": make_grid(seed=2)}
    data = load_rda(objects, object="second").data
    np.testing.assert_allclose(data["ta"], objects["second"]["Data"].data, rtol=1e-6)
    with pytest.raises(
        DataError, match=r"x.rda: expected one climate4R object, got first, second; name one in options: obj"
    ):
        load_rda(objects)
    with pytest.raises(
        DataError, match=r"x.rda: expected an R object 'secnd'. Did you mean 'second'\? Known: first, second"
    ):
        load_rda(objects, object="secnd")


def test_what_is_no_climate4r_object_is_refused(make_grid, load_rda, noted):
    message = r"x.rda: expected a climate4R object \(a list of Variable, Data, xyCoords, Dates\), got frame with a, b"
    with pytest.raises(DataError, match=message):
        load_rda({"frame": {"a": np.arange(3.0), "b": np.arange(3.0)}})
    with pytest.raises(DataError, match="got v with no named parts"):
        load_rda({"v": np.arange(3.0)})
    wrong = make_grid() | {"Data": noted(np.ones((3, 2, 3)), {"dimensions": ["time", "lat"]})}
    with pytest.raises(DataError, match=r"x.rda: expected dims \('time', 'lat'\), got an array of shape \(3, 2, 3\)"):
        load_rda({"obj": wrong})
    wrong = make_grid() | {"Dates": {"start": np.array(["1983-02-30", "1983-03-01", "x"])}}
    with pytest.raises(DataError, match=r"x.rda: expected dates such as '1982-12-01 GMT', got one that is none"):
        load_rda({"obj": wrong})


def test_a_single_object_without_a_name_is_refused(tmp_path, entry_of, load_entry):
    import rdata

    rdata.write_rds(tmp_path / "x.rds", np.arange(3.0))
    with pytest.raises(DataError, match=r"x.rds: expected an R data file written by save\(\), got no named object"):
        load_entry(entry_of("rda", ["x.rds"], TA))


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_refused(tmp_path, make_grid, write_rda, entry_of, load_entry, damage):
    path = tmp_path / "x.rda"
    write_rda(path, {"obj": make_grid()})
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"not R", "empty": b""}[damage])
    with pytest.raises(DataError, match=r"x.rda: expected an R data file"):
        load_entry(entry_of("rda", ["x.rda"], TA))
