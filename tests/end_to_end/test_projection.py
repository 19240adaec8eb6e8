"""Fields on a rotated grid: what is written lies on the same plane as what was read, for those who only read CF."""

import numpy as np
import pytest
import xarray as xr

POLE = {
    "grid_mapping_name": "rotated_latitude_longitude",
    "grid_north_pole_latitude": 49.5,
    "grid_north_pole_longitude": 176.0,
}


def places(rlat, rlon, mapping):
    """Latitudes and longitudes of a rotated grid, from nothing but its axes and its mapping (degrees)."""
    lat, lon = np.deg2rad(np.meshgrid(rlat, rlon, indexing="ij"))
    tilt, turn = np.deg2rad(90.0 - mapping["grid_north_pole_latitude"]), mapping["grid_north_pole_longitude"]
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    x, z = x * np.cos(tilt) - z * np.sin(tilt), x * np.sin(tilt) + z * np.cos(tilt)
    east = np.rad2deg(np.arctan2(y, x)) + turn + 180.0
    return np.rad2deg(np.arcsin(z)), (east + 180.0) % 360.0 - 180.0


@pytest.fixture(scope="module")
def rotated():
    """Return a function that lays a regular field on a rotated grid near it."""

    def laid(data):
        rlat, rlon = np.linspace(-0.8, 0.8, data.sizes["lat"]), np.linspace(-1.0, 1.0, data.sizes["lon"])
        lat, lon = places(rlat, rlon, POLE)
        known = {"lat": ("latitude", "degrees_north"), "lon": ("longitude", "degrees_east")}
        attrs = {name: {"standard_name": word, "units": units} for name, (word, units) in known.items()}
        turned = xr.Dataset(
            {name: (("time", "rlat", "rlon"), field.values, field.attrs) for name, field in data.data_vars.items()},
            {
                "time": data["time"],
                "rlat": ("rlat", rlat, {"standard_name": "grid_latitude", "units": "degrees"}),
                "rlon": ("rlon", rlon, {"standard_name": "grid_longitude", "units": "degrees"}),
                "lat": (("rlat", "rlon"), lat, attrs["lat"]),
                "lon": (("rlat", "rlon"), lon, attrs["lon"]),
            },
        )
        for field in turned.data_vars.values():
            field.attrs["grid_mapping"] = "rotated_pole"
        return turned.assign(rotated_pole=((), b"", POLE))

    return laid


def test_all_that_is_written_names_the_plane_of_what_was_read(world, rotated, command, complaints, tmp_path):
    world.coarse, fine = rotated(world.coarse), rotated(world.fine)
    world.experiment["models"] = {
        "climatology": {"kind": "climatology"},
        "net": {"kind": "deepesd", "epochs": 1, "filters": [4]},
    }
    world.experiment["explain"] = [{"method": "saliency", "days": 4}]
    world.write()
    fine.to_netcdf(world.folder / "fine.nc")
    assert world.run() == 0
    run = next((world.folder / "runs").iterdir())
    new = tmp_path / "new.nc"
    world.coarse.isel(time=slice(0, 9)).to_netcdf(new)
    bundle, out = tmp_path / "bundle", tmp_path / "out.nc"
    assert command("bundle", str(run), "--model", "net", "--to", str(bundle)) == 0
    assert command("predict", str(bundle), "--input", str(new), "--to", str(out)) == 0
    files = [
        out,
        *(path for folder in ("predictions", "diagnostics", "attributions") for path in (run / folder).glob("*.nc")),
    ]
    assert {path.parent.name for path in files} >= {"predictions", "diagnostics", "attributions"}
    assert {path.name: found for path in files if (found := complaints(path))} == {}
    for path in files:
        with xr.open_dataset(path, decode_coords="all") as data:
            mapped = [name for name, field in data.data_vars.items() if {"y", "x"} <= set(field.dims)]
            assert mapped or path.stem == "novelty", path
            assert {data[name].encoding["grid_mapping"] for name in mapped} <= {"crs"}
            if mapped:
                lat, lon = places(data["y"], data["x"], data["crs"].attrs)
                np.testing.assert_allclose(data["lat"], lat, atol=1e-4)
                np.testing.assert_allclose(data["lon"], lon, atol=1e-4)
