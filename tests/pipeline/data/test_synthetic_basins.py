"""The made basins: a closed water balance, gaps, and how much of the flow a model can know."""

import numpy as np
import pytest

from pipeline.data.catalog import Catalog, find_catalog
from pipeline.data.synthetic import BasinConfig, BasinWorld
from pipeline.data.synthetic.basins import CONSTANTS, run_stores
from pipeline.errors import CatalogError


@pytest.fixture(scope="module")
def world():
    return BasinWorld(BasinConfig())


def by_hand(rain, warmth, depth, slope):
    """The stores of one basin, day by day in plain Python."""
    c = CONSTANTS
    snow, capacity = 0.0, c.capacity_per_metre * depth
    soil, flow = 0.5 * capacity, []
    for water, degrees in zip(rain, warmth, strict=True):
        frozen = water / (1 + np.exp((degrees - c.snow_at) / (0.5 * c.snow_width)))
        melt = min(snow, c.melt * max(degrees - c.snow_at, 0))
        snow += frozen - melt
        inflow, filling = water - frozen + melt, soil / capacity
        runoff = inflow * filling**2
        soil += inflow - runoff
        if soil > capacity:
            runoff, soil = runoff + soil - capacity, capacity
        soil -= min(soil, c.pet_per_kelvin * max(degrees, 0) * filling)
        drained = (c.release + c.release_per_slope * slope) * soil
        soil -= drained
        flow.append(runoff + drained)
    return flow


def test_the_stores_are_those_of_a_loop_over_basins(world):
    rain, warmth = (field[:400] for field in world.weather)
    depth, slope = world.statics["soil_depth"], world.statics["slope"]
    flow = run_stores(rain, warmth, depth, slope)
    for basin in (0, 1, 7):
        expected = by_hand(rain[:, basin], warmth[:, basin], depth[basin], slope[basin])
        np.testing.assert_allclose(flow[:, basin], expected, rtol=1e-10)


def test_frost_holds_water_back_and_drought_empties_the_store():
    depth, slope = np.ones(1), np.full(1, 0.1)
    release = CONSTANTS.release + CONSTANTS.release_per_slope * 0.1
    dry = run_stores(np.zeros((50, 1)), np.full((50, 1), -5.0), depth, slope)[:, 0]
    np.testing.assert_allclose(dry[1:] / dry[:-1], 1 - release, rtol=1e-12)
    frost = run_stores(np.full((50, 1), 10.0), np.full((50, 1), -20.0), depth, slope)[:, 0]
    np.testing.assert_allclose(frost, dry, rtol=1e-6)
    storm = run_stores(np.full((5, 1), 500.0), np.full((5, 1), 10.0), depth, slope)[:, 0]
    assert storm[-1] > 480


def test_water_is_neither_made_nor_lost(world):
    """Over years flow and evaporation together are what fell."""
    rain = world.weather[0].sum(axis=0)
    flow = world.flow.sum(axis=0)
    assert (flow < rain).all()
    assert (flow > 0.3 * rain).all()
    assert (world.flow >= 0).all()


def test_measured_flow_is_close_to_the_truth_and_has_gaps(world):
    measured, truth = (world.dataset(part) for part in ("series", "truth"))
    assert dict(measured.sizes) == dict(truth.sizes) == {"time": 2922, "station": 12}
    flow, true = measured["flow"].values, truth["flow_true"].values
    gap = np.isnan(flow)
    assert 0.01 < gap.mean() < 0.06
    runs = (gap[1:] & ~gap[:-1]).sum()
    assert 8 < gap.sum() / runs < 40, "gaps last weeks"
    assert not np.isnan(measured[["pr", "tas"]].to_array()).any()
    error = np.log(flow / true)[~gap]
    assert error.std() == pytest.approx(0.08, rel=0.1)


def efficiency(found, flow):
    """Nash-Sutcliffe efficiency of each basin, over the days with measured flow."""
    spread = np.nanmean((flow - np.nanmean(flow, axis=0)) ** 2, axis=0)
    return 1 - np.nanmean((flow - found) ** 2, axis=0) / spread


def test_what_a_model_can_reach_lies_well_over_a_climatology(world):
    """The figures of docs/synthetic.md."""
    series, true = world.dataset("series"), world.dataset("truth")["flow_true"].values
    flow = series["flow"].values
    best = efficiency(true, flow)
    assert (round(float(best.min()), 2), round(float(best.max()), 2)) == (0.96, 0.99)
    day = series["time"].dt.dayofyear.values
    near = np.abs((day[:, None] - np.arange(1, 367) + 183) % 366 - 183) <= 10
    usual = np.stack([np.nanmean(flow[column], axis=0) for column in near.T])[day - 1]
    reached = efficiency(usual, flow)
    assert reached.min() == pytest.approx(0.09, abs=0.01)
    assert reached.max() == pytest.approx(0.69, abs=0.01)
    assert np.corrcoef(reached, world.statics["elevation"])[0, 1] > 0.8


def test_flow_depends_on_what_does_not_change(world):
    """With another basin's soil and slope the flow is another: statics are worth having."""
    rain, warmth = world.weather
    depth, slope = world.statics["soil_depth"], world.statics["slope"]
    other = run_stores(rain, warmth, depth[::-1], slope[::-1])
    assert np.abs(other - world.flow).mean() > 0.1 * world.flow.mean()


def test_parts_share_stations_and_are_the_same_every_time(world):
    series, static = world.dataset("series"), world.dataset("static")
    assert static["soil_depth"].dims == ("station",)
    assert series["station"].values[[0, -1]].tolist() == ["B01", "B12"]
    assert series["lat"].equals(static["lat"])
    assert BasinWorld(BasinConfig()).dataset("series").identical(series)
    assert not np.array_equal(BasinWorld(BasinConfig(seed=1)).dataset("static")["area"], static["area"])


def test_shipped_entries_are_one_world(monkeypatch, tmp_path, load_entry):
    catalog = Catalog.load(find_catalog())
    names = ("series", "static", "truth")
    entries = [catalog[f"synthetic-basins{'' if name == 'series' else '-' + name}"] for name in names]
    assert [entry.options.pop("part") for entry in entries] == list(names)
    assert entries[0].options == entries[1].options == entries[2].options


def test_the_part_must_be_said(entry_of, load_entry):
    with pytest.raises(CatalogError, match=r"options\.part: this key is required"):
        load_entry(entry_of("synthetic_basins", [], {"flow": {"units": "mm d-1"}}))
