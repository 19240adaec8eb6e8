"""What aggregates look like in a file, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline.attribution.dispersion import saliency_aggregates
from pipeline.attribution.dispersion_file import to_variables
from pipeline.errors import ConfigError, DataError
from pipeline.grid import Grid


class Reader(nn.Module):
    """Every cell reads itself and the first one."""

    def forward(self, inputs):
        return (inputs + inputs[:, :, :1, :1].square()).sum(1, keepdim=True)


@pytest.fixture
def inputs(samples):
    return torch.from_numpy(np.asarray(samples.inputs))


@pytest.fixture
def found(samples, inputs):
    summer = np.arange(len(inputs)) % 2 == 0
    return saliency_aggregates(Reader(), inputs, samples.schema, groups={"JJA": summer, "DJF": ~summer}, cells=6)


def test_a_file_has_every_number_with_its_units(found, samples, tmp_path):
    schema = samples.schema
    coords = {"channel": ("channel", np.asarray(schema.channels, dtype=object)), **schema.input_grid.coords()}
    xr.Dataset(coords=coords).assign(to_variables(found, "looks")).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "a.nc") as data:
        assert data["looks_saliency"].dims == ("channel", "lat", "lon")
        assert data["looks_dispersion"].dims == ("target_lat", "target_lon")
        assert data["looks_group_saliency"].dims == ("looks_group", "channel", "lat", "lon")
        assert data["looks_group_dispersion"].dims == ("looks_group", "target_lat", "target_lon")
        assert data["looks_share"].dims == ("looks_variable",)
        assert data["looks_group_share"].dims == ("looks_group", "looks_variable")
        assert data["looks_variable"].values.tolist() == ["a", "b"]
        assert data["looks_group"].values.tolist() == ["JJA", "DJF"]
        assert data["target_lat"].attrs["units"] == "degrees_north"
        np.testing.assert_array_equal(data["target_lat"], schema.target_grid.lat)
        np.testing.assert_allclose(data["looks_saliency"], found.whole.saliency, rtol=1e-6)
        np.testing.assert_allclose(data["looks_dispersion"], found.whole.dispersion, rtol=1e-6)
        np.testing.assert_allclose(data["looks_group_dispersion"][1], found.groups["DJF"].dispersion, rtol=1e-6)
        np.testing.assert_allclose(data["looks_share_high"], found.whole.shares_high, rtol=1e-6)
        np.testing.assert_allclose(data["looks_group_distance"][0], found.groups["JJA"].distance)
        np.testing.assert_allclose(data["looks_group_distance_low"][1], found.groups["DJF"].low)
        about = data["looks_dispersion"].attrs
        assert about["units"] == data["looks_group_distance"].attrs["units"] == "km"
        assert about["distance"] == found.whole.distance
        assert about["distance_sampling_error"] == found.whole.sampling_error > 0
        assert "6 cells drawn of 11" in about["comment"]
        assert data["looks_saliency"].attrs["maps"] == 6 * 60
        assert all(each.attrs.get("long_name") for each in data.data_vars.values())


def test_without_groups_there_are_no_variables_of_groups(samples, inputs):
    found = to_variables(saliency_aggregates(Reader(), inputs, samples.schema), "looks")
    assert not [name for name in found if "group" in name]


def test_places_of_a_projected_target_come_back_with_its_dispersion(samples, inputs, tmp_path):
    lat, lon = np.meshgrid(np.linspace(40, 44, 3), np.linspace(0, 6, 4), indexing="ij")
    schema = replace(samples.schema, target_grid=Grid(lat, lon + 0.1 * lat, ("y", "x")))
    found = to_variables(saliency_aggregates(Reader(), inputs, schema), "looks")
    xr.Dataset(found).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "a.nc") as data:
        assert data["looks_dispersion"].dims == ("target_y", "target_x")
        assert {"target_lat", "target_lon"} <= set(data["looks_dispersion"].coords)


def refused(samples, inputs, error, match, *, network=None, schema=None, **options):
    with pytest.raises(error, match=match):
        saliency_aggregates(network or Reader(), inputs, schema or samples.schema, **options)


def test_what_does_not_fit_is_refused(samples, inputs):
    refused(samples, inputs, ConfigError, "expected gradient or", of="gradients")
    refused(samples, inputs, ConfigError, "expected a baseline", of="input_x_gradient")
    refused(samples, inputs[:, :2], DataError, r"\(60, 2, 3, 4\)")
    refused(samples, inputs[:0], DataError, "a day at least")
    for days in (np.ones(3, bool), np.zeros(60, bool), np.ones(60)):
        refused(samples, inputs, ConfigError, "groups: JJA", groups={"JJA": days})
    refused(samples, inputs, DataError, "mask with cells", schema=replace(samples.schema, mask=np.zeros((3, 4), bool)))


def test_cells_without_a_place_are_refused(samples, inputs):
    image = Grid(np.arange(3.0), np.arange(4.0), ("y", "x"))
    refused(samples, inputs, DataError, "expected inputs at known", schema=replace(samples.schema, input_grid=image))
    lost = Grid(np.full((1, 12), np.nan), np.zeros((1, 12)), ("row", "station"), tuple("abcdefghijkl"))
    refused(samples, inputs, DataError, "expected target at known", schema=replace(samples.schema, target_grid=lost))


def test_gradients_that_are_not_finite_are_refused(samples, inputs):
    class Root(nn.Module):
        def forward(self, fields):
            return fields[:, :1].abs().sqrt()

    inputs = inputs.clone()
    inputs[[3, 8], 0, 1, 1] = 0.0  # where the root has no finite slope
    refused(samples, inputs, DataError, "on 2 of 60 days", network=Root())
