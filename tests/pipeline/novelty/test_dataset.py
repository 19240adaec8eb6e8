"""What stands in ``diagnostics/novelty.nc``."""

import cftime
import numpy as np
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.novelty.dataset import Found, to_dataset
from pipeline.novelty.fitted import Measured, Scores
from pipeline.novelty.reference import Judged
from pipeline.novelty.relation import Relation, Side, Value

GRID = Grid(np.array([50.0, 51.0]), np.array([5.0, 6.0, 7.0]))
ROW = Grid(np.full((1, 3), 50.0), np.array([[5.0, 6.0, 7.0]]), ("row", "station"), ("a", "b", "c"))


def scores(count, cells=1, season=True, seed=0):
    rng = np.random.default_rng(seed)
    parts = [rng.random((count, cells)) for _ in range(6)]
    measured = Measured(
        np.arange(count), np.zeros(count), parts[0], parts[1], np.zeros((count, 1)), np.zeros((count, 1))
    )
    one = Judged(*(rng.random(count) for _ in range(4)))
    return Scores(measured, Judged(*parts[2:]), one if season else None, {"co2": np.arange(count) % 2 == 0})


def relation(count, start):
    numbers = [Value(start + k, start + k - 0.5, start + k + 0.5) for k in range(5)]
    return Relation(Side(*numbers[:2]), Side(*numbers[2:4]), numbers[4], start + np.arange(float(count)))


def found(cells=1, **parts):
    days = {name: np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "D") for name, start, count in (
        ("validation", "2000-01-01", 4), ("test", "2001-01-01", 6), ("gcm", "2080-01-01", 3))}  # fmt: skip
    made = {
        "time": days,
        "scores": {name: scores(len(time), cells, seed=k) for k, (name, time) in enumerate(days.items())},
        "unusual": {name: Value(0.1 * k, 0.0, 0.5) for k, name in enumerate(days)},
        "test": "test",
        "relations": {
            model: {name: relation(6, 10.0 * k + j) for j, name in enumerate(("tas", "pr"))}
            for k, model in enumerate(("ridge", "unet"))
        },
        "disagreement": {"unet": {"pr": {"validation": (np.full(4, 0.2), np.full(4, 0.5)), "test": (np.ones(6), np.zeros(6))}}},
        "facts": {"components": 4, "season": True},
    }  # fmt: skip
    return Found(**{**made, **parts})


def written(tmp_path, made, grid=GRID, classes=False):
    data = to_dataset(made, ["tas", "pr"], {"tas": "degC", "pr": "mm d-1"}, grid, classes)
    data.to_netcdf(tmp_path / "novelty.nc", engine="netcdf4")
    return xr.load_dataset(tmp_path / "novelty.nc")


def test_every_number_stands_where_its_name_says(tmp_path):
    made = found()
    data = written(tmp_path, made)
    assert data["split"].values.tolist() == ["validation"] * 4 + ["test"] * 6 + ["gcm"] * 3
    np.testing.assert_array_equal(data["time"][4:10], made.time["test"])
    for name in ("distance", "residual"):
        np.testing.assert_allclose(data[name][10:], getattr(made.scores["gcm"].measured, name)[:, 0], rtol=1e-6)
    for name in ("novelty", "share", "distance_share", "residual_share"):
        np.testing.assert_allclose(data[name][4:10], getattr(made.scores["test"].judged, name)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(data["season_share"][:4], made.scores["validation"].season.share, rtol=1e-6)
    assert data["unusual_share"].sel(set="gcm").item() == pytest.approx(0.2)
    assert data["samples"].values.tolist() == [4, 6, 3]
    np.testing.assert_allclose(data["forcing_outside"].sel(forcing="co2"), [0.5, 0.5, 2 / 3])
    part = data.sel(model="unet", target="pr")
    assert [part["error_by_side"].sel(side=side).item() for side in ("unusual", "rest")] == [11.0, 13.0]
    assert [part["coverage_90_low"].sel(side=side).item() for side in ("unusual", "rest")] == [11.5, 13.5]
    assert part["rank_correlation_high"].item() == 15.5
    np.testing.assert_allclose(part["error"], [np.nan] * 4 + [11, 12, 13, 14, 15, 16] + [np.nan] * 3)
    np.testing.assert_allclose(
        data["disagreement"].sel(ensemble="unet", target="pr"), [0.2] * 4 + [1] * 6 + [np.nan] * 3
    )
    assert np.isnan(data["disagreement_share"].sel(ensemble="unet", target="tas")).all()
    assert data["target_units"].values.tolist() == ["K", "mm d-1"]
    assert (data["error"].attrs["units"], data.attrs["threshold"], data.attrs["fitted_components"]) == (
        "see target_units", 0.99, 4,
    )  # fmt: skip


def test_stations_have_a_dim_and_places(tmp_path):
    data = written(tmp_path, found(3), ROW, classes=True)
    assert data["novelty"].dims == ("time", "station")
    assert data["station"].values.tolist() == ["a", "b", "c"]
    assert data["season_novelty"].dims == ("time",)
    assert data["error"].attrs["units"] == "1"


def test_what_is_not_known_is_left_out(tmp_path):
    bare = written(tmp_path, found(scores={}, unusual={}, relations={}, facts={}))
    assert set(bare.data_vars) == {"disagreement", "disagreement_share"}
    times = found().time
    season = {name: scores(len(time), season=name == "test") for name, time in times.items()}
    part = written(tmp_path, found(scores=season, disagreement={}))
    assert not any("season" in name or "disagree" in name for name in part.data_vars)


def test_splits_of_other_calendars_and_tiles(tmp_path):
    later = np.array([cftime.datetime(2080, 2, day, calendar="noleap") for day in (26, 27, 28)])
    times = {**found().time, "gcm": later}
    data = written(tmp_path, found(time=times))
    assert data["split"].attrs["calendars"] == '{"gcm": "noleap"}'
    assert str(data["time"].values[-1])[:10] == "2080-02-28"
    tiles = written(
        tmp_path, found(time={"validation": np.arange(4), "test": np.arange(4, 10), "gcm": np.arange(10, 13)})
    )
    assert tiles["tile"].values.tolist() == list(range(13))
