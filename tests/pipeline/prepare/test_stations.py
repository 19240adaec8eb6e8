"""A table of stations as the target: one row of cells from the samples to the file."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import DataError
from pipeline.prepare.config import PrepareConfig, TargetConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared

PLACES = {"lat": ("station", [40.5, 43.9, 41.0]), "lon": ("station", [0.5, 5.0, 2.0])}


@pytest.fixture
def table(field):
    grid = field("tas", seed=3)
    cells = grid.tas.values[:, [0, 2, 1], [0, 3, 1]].copy()
    cells[::7, 1] = np.nan
    coords = {"time": grid.time, "station": ["007", "012", "100"], **PLACES}
    coords["altitude"] = ("station", [10.0, 800.0, 300.0], {"units": "m"})
    return xr.Dataset({"tas": (("time", "station"), cells, {"units": "K"})}, coords)


def test_stations_are_samples_in_one_row(field, table, split, backend, tmp_path):
    height = table.altitude.drop_vars("altitude").to_dataset(name="altitude")
    config = PrepareConfig(target=TargetConfig(scale="per_cell"))
    prepared = prepare(
        [("era", field("psl"))], table, [height, orography()], config=config, split=split, backend=backend
    )
    prepared.save(tmp_path)
    for made in (prepared, Prepared.load(tmp_path, backend)):
        schema = made.schema
        assert schema.target_grid.stations == ("007", "012", "100")
        assert schema.mask.shape == (1, 3)
        assert schema.statics == ("altitude", "orog")
        known = made.truth("test")
        expected = table.tas.sel(time=made.samples("test").time).values
        np.testing.assert_array_equal(known[:, 0, 0], expected)
        numbers = schema.static[0, 0]
        np.testing.assert_allclose(numbers, (np.array([10, 800, 300]) - 370) / np.std([10, 800, 300]), rtol=1e-5)
        assert schema.static[1, 0, 1] > schema.static[1, 0, 2] > schema.static[1, 0, 0]


def orography():
    lat, lon = np.arange(40.0, 46.0), np.arange(0.0, 8.0)
    return xr.Dataset(
        {"orog": (("lat", "lon"), lat[:, None] * 100 + 0 * lon, {"units": "m"})}, {"lat": lat, "lon": lon}
    )


def test_a_region_keeps_the_stations_inside(field, table, split, cpu):
    prepared = prepare(
        [("era", field("psl"))], table, config=PrepareConfig(), split=split, region={"lat": (40.0, 42.0)}, backend=cpu
    )
    assert prepared.schema.target_grid.stations == ("007", "100")


def test_a_variable_may_be_treated_otherwise(field, split, backend):
    target = field("tas", "pr", seed=2)
    target["pr"] = np.maximum(target.pr - 280, 0).assign_attrs(units="mm d-1")
    config = PrepareConfig(
        target=TargetConfig(scale="per_cell", variables={"pr": {"anomaly": "none", "scale": "per_field"}})
    )
    prepared = prepare([("era", field("psl"))], target, config=config, split=split, backend=backend)
    train = prepared.backend.to_host(prepared.samples("train").target)
    truth = prepared.truth("train")
    np.testing.assert_allclose(train[:, 0].std(axis=0), 1, atol=0.01)
    deviation = truth[:, 1].std()
    np.testing.assert_allclose(train[:, 1], truth[:, 1] / deviation, rtol=1e-4)
    assert train[:, 1].min() == 0.0
    assert prepared.schema.target_affine is None  # tas follows the day of the year
    mean = config.model_copy(update={"target": config.target.model_copy(update={"anomaly": "mean"})})
    made = prepare([("era", field("psl"))], target, config=mean, split=split, backend=backend)
    affine = made.schema.target_affine
    np.testing.assert_array_equal(affine.shift[1], 0)
    np.testing.assert_allclose(affine.scale[1], deviation, rtol=1e-4)
    np.testing.assert_allclose(affine.shift[0], truth[:, 0].mean(axis=0), rtol=1e-5)
    none = PrepareConfig(target=TargetConfig(scale="none", anomaly="none"))
    plain = prepare([("era", field("psl"))], target, config=none, split=split, backend=backend)
    np.testing.assert_array_equal(prepared.backend.to_host(plain.samples("train").target), truth)


def test_static_values_go_to_stations_by_their_identifiers(field, table, split, cpu):
    """In another order, and with a station more than the target has."""
    more = xr.Dataset(
        {"slope": ("station", [3.0, 9.0, 1.0, 2.0], {"units": "1"})},
        {"station": ["100", "999", "007", "012"], "lat": ("station", [0.0] * 4), "lon": ("station", [0.0] * 4)},
    )
    prepared = prepare([("era", field("psl"))], table, [more], config=PrepareConfig(), split=split, backend=cpu)
    np.testing.assert_allclose(prepared.schema.static[0, 0], (np.array([1, 2, 3]) - 2) / np.std([1, 2, 3]), rtol=1e-6)
    with pytest.raises(
        DataError, match=r"data.static: expected values of all 3 stations of the target, got none for 012"
    ):
        prepare(
            [("era", field("psl"))], table, [more.isel(station=[0, 1, 2])],
            config=PrepareConfig(), split=split, backend=cpu,
        )  # fmt: skip


def test_predictors_may_be_carried_to_the_stations(field, table, split, backend, tmp_path):
    config = PrepareConfig(regrid={"to": "target"})
    made = prepare([("era", field("psl"))], table, config=config, split=split, backend=backend)
    made.save(tmp_path)
    loaded = Prepared.load(tmp_path, backend)
    assert loaded.schema.input_grid.same(table_grid := made.schema.target_grid)
    assert table_grid.stations == ("007", "012", "100")
    assert loaded.samples("test").inputs.shape[1:] == (1, 1, 3)


def test_a_table_of_predictors_has_all_stations_of_the_target(table, split, cpu):
    rain = table[["tas"]].rename(tas="rain").isel(station=[2, 0])
    message = (
        r"^predictor 'gauges': expected all 3 stations of the target, got none for 012\. Leave them out of the target"
    )
    with pytest.raises(DataError, match=message):
        prepare([("gauges", rain)], table, config=PrepareConfig(), split=split, backend=cpu)


def test_tables_in_another_order_are_matched_by_the_names_of_stations(table, split, cpu):
    rain = table[["tas"]].rename(tas="rain")
    made = [
        prepare([("gauges", rain.isel(station=order))], table, config=PrepareConfig(), split=split, backend=cpu)
        for order in ([0, 1, 2], [2, 0, 1])
    ]
    first, second = (one.samples("test").inputs for one in made)
    np.testing.assert_array_equal(first, second)
