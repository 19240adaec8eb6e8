"""Every kind of file of predictions before an independent checker, and before a reader that knows CF alone."""

from dataclasses import replace

import cf_xarray  # noqa: F401 - gives datasets their ``cf``
import cftime
import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.prediction import FAMILIES
from pipeline.prediction.serial import Forecast, Variable, write_forecasts
from pipeline.prediction.serial.beside import add_beside
from pipeline.projection import Projection

LAT, LON = np.meshgrid(np.linspace(40, 42, 3), np.linspace(-5, -4, 2), indexing="ij")
POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 39.25,
    "grid_north_pole_longitude": -162.0,
}
CONE = {
    "grid_mapping_name": "lambert_conformal_conic",
    "standard_parallel": [30.0, 60.0],
    "longitude_of_central_meridian": 10.0,
    "latitude_of_projection_origin": 45.0,
}


def plane(standard, units, mapping):
    sizes = {"y": ("latitude", 3), "x": ("longitude", 2)} if units == "degrees" else {"y": ("y", 3), "x": ("x", 2)}
    axes = {
        name: xr.Variable(name, np.arange(float(size)), {"standard_name": standard.format(word), "units": units})
        for name, (word, size) in sizes.items()
    }
    return Projection(axes, mapping)


TABLE = Grid(LAT.reshape(1, -1), LON.reshape(1, -1), ("row", "station"), tuple("abcdef"))
GRIDS = {
    "regular": Grid(LAT[:, 0], LON[0]),
    "projected": Grid(LAT, LON, ("y", "x")),
    "rotated": Grid(LAT, LON, ("y", "x"), projection=plane("grid_{}", "degrees", POLE)),
    "cone": Grid(LAT, LON, ("y", "x"), projection=plane("projection_{}_coordinate", "km", CONE)),
    "some plane": Grid(LAT, LON, ("y", "x"), projection=plane("projection_{}_coordinate", "km", {})),
    "stations": TABLE,
    "nowhere": replace(TABLE, lat=np.full((1, 6), np.nan), lon=np.full((1, 6), np.nan)),
    "pixels": Grid(np.arange(3.0), np.arange(2.0), ("y", "x"), image=True),
}
VARIABLES = (Variable("tas", "degC", "air_temperature"), Variable("pr", "mm day-1", long_name="precipitation"))
CLASSES = (Variable("event", "1", classes=("none", "tropical cyclone", "river")),)
DAYS = np.datetime64("1997-12-01", "ns") + np.arange(6) * np.timedelta64(1, "D")


@pytest.fixture
def write(tmp_path, make_prediction, truth):
    """Write what a family says of six days, two targets and six cells; return the file."""

    def made(family, grid, *, time=DAYS, leads=None, known=True, splits=True, **options):
        said = make_prediction(family, dtype=np.float32)
        variables = VARIABLES
        if said.is_categorical:
            variables, said = CLASSES, said.map(lambda values: values[..., :1, :, :])
        if leads:  # the second target is the first, a step later
            variables = variables[:1]
        seen = truth[:, : len(variables) * len(leads or (0,))].astype(np.float32)

        def laid(values):
            return values.reshape(*values.shape[:-2], *grid.shape)

        valid = None if leads is None else np.stack([time + lead * np.timedelta64(1, "D") for lead in leads], 1)
        forecast = Forecast("test", time, said.map(laid), laid(seen) if known else None, valid)
        path = tmp_path / "made.nc"
        write_forecasts(
            path, [forecast], model="m", variables=variables, grid=grid, leads=leads, splits=splits,
            attrs={"history": "made by a test"}, **options,
        )  # fmt: skip
        return path

    return made


@pytest.mark.parametrize("family", FAMILIES.names())
def test_no_family_has_anything_that_cf_forbids_or_advises_against(family, write, complaints):
    assert complaints(write(family, GRIDS["regular"])) == []


@pytest.mark.parametrize("name", GRIDS)
def test_no_grid_does(name, write, complaints):
    family = "categorical" if name == "pixels" else "mixture"
    time = np.arange(6) if name == "pixels" else DAYS
    assert complaints(write(family, GRIDS[name], time=time)) == []


def test_nor_do_forecasts_ahead_calendars_and_files_without_splits_or_truth(write, complaints):
    assert complaints(write("normal", GRIDS["stations"], leads=(1, 3))) == []
    for calendar in ("noleap", "360_day"):
        days = np.array([cftime.datetime(2000, 2, 20 + day, calendar=calendar) for day in range(6)])
        assert complaints(write("point", GRIDS["regular"], time=days)) == []
    assert complaints(write("quantiles", GRIDS["projected"], splits=False, known=False)) == []


def test_nor_does_what_is_known_beside_them(write, complaints):
    for grid in (GRIDS["regular"], TABLE):
        path = write("normal", grid, splits=False)
        add_beside(path, {"novelty": (np.ones((6, 6)) if grid.stations else np.ones(6), "how strange")}, grid)
        assert complaints(path) == []


def test_the_checker_would_say_it(write, complaints):
    path = write("normal", GRIDS["regular"])
    with xr.open_dataset(path) as data:
        data["tas"].attrs["units"] = "furlongs"
        data.to_netcdf(path.with_name("bad.nc"))
    assert any("furlongs" in said for said in complaints(path.with_name("bad.nc")))


def test_a_reader_of_cf_finds_axes_units_and_what_belongs_together(write):
    with xr.open_dataset(write("mixture", GRIDS["regular"])) as data:
        assert data.cf.axes == {"X": ["lon"], "Y": ["lat"], "T": ["time"]}
        assert {name: data.cf[name].name for name in ("latitude", "longitude", "realization")} == {
            "latitude": "lat", "longitude": "lon", "realization": "member",
        }  # fmt: skip
        assert "tas_epistemic" in data.cf["tas"].coords or "tas_epistemic" in data["tas"].attrs["ancillary_variables"]
        assert data["tas"].attrs["units_metadata"] == "temperature: on_scale"
        assert data["tas_param_sd"].attrs["units_metadata"] == "temperature: difference"
    with xr.open_dataset(write("mixture", GRIDS["projected"])) as data:
        assert set(data["tas"].coords) == {"time", "split", "lat", "lon"}
        assert data.cf["latitude"].dims == ("y", "x")
    with xr.open_dataset(write("mixture", TABLE)) as data:
        assert data.attrs["featureType"] == "timeSeries"
        assert data.cf.cf_roles == {"timeseries_id": ["station_name"]}
        assert set(data["tas_member"].coords) >= {"station_name", "lat", "lon"}
    with xr.open_dataset(write("categorical", GRIDS["regular"])) as data:
        assert data["event"].cf.is_flag_variable
        assert set(np.unique(data["event"].values[data["event"].cf == "river"])) == {2.0}
        assert data["event_param_probabilities"]["class_name"].values.tolist() == list(CLASSES[0].classes)
    with xr.open_dataset(write("normal", TABLE, leads=(1, 3))) as data:
        assert data.cf["forecast_reference_time"].name == "time"
        assert data["tas"]["valid_time"].dims == ("time", "lead")
