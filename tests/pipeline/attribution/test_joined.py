"""Groups of days, members together, and the file that holds them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from pipeline.attribution import Attribution, Curve, Finding, light
from pipeline.attribution.groups import day_groups, find_regimes
from pipeline.attribution.joined import join, shares_of
from pipeline.attribution.serial import to_dataset, write_attributions
from pipeline.cf import names_back


def finding(check="completeness", passed=True, essential=True, **curves):
    return Finding(check, 0.003, 0.01, passed, essential, "The parts miss it by 0.3 %.", curves)


def attribution(values, **keys):
    importance = np.abs(values).sum(axis=(2, 3)).mean(axis=0)
    return Attribution(
        "integrated_gradients", values.astype(np.float32), importance, importance - 0.1, importance + 0.1,
        "mean over days of the absolute attribution, summed over cells [degC]", (finding(),), "A note.",
        numbers=values.sum(axis=(1, 2, 3)), **keys,
    )  # fmt: skip


def joined(attributions, samples, groups=None, **keys):
    groups = day_groups(samples, None, []) if groups is None else groups
    said = {
        "name": "ig", "title": "Integrated gradients", "kind": "departure", "label": "mean tas over 11 cells",
        "units": "degC", "baseline": "zero",
    }  # fmt: skip
    return join(attributions, groups, samples.schema, 0, **{**said, **keys})


@pytest.fixture
def values():
    return np.random.default_rng(8).normal(size=(60, 3, 3, 4))


def test_seasons_are_groups_where_there_are_two(samples):
    assert [group.name for group in day_groups(samples, None, ["season"])] == ["all"]
    year = replace(samples, time=np.datetime64("2001-01-01", "ns") + np.arange(60) * np.timedelta64(5, "D"))
    found = day_groups(year, None, ["season"])
    assert [group.name for group in found] == ["all", "DJF", "MAM", "JJA", "SON"]
    assert sum(group.days.sum() for group in found[1:]) == 60


def test_all_days_are_a_group_however_few(samples):
    assert [group.name for group in day_groups(samples.take(slice(0, 1)), np.zeros(1), ["season", "third"])] == ["all"]


def test_thirds_are_those_of_the_number(samples):
    numbers = np.random.default_rng(0).permutation(60).astype(float)
    lowest, middle, highest = day_groups(samples, numbers, ["third"])[1:]
    assert [g.name for g in (lowest, middle, highest)] == ["lowest third", "middle third", "highest third"]
    assert numbers[lowest.days].max() < numbers[middle.days].min() < numbers[highest.days].min()
    assert not day_groups(samples, np.zeros(60), ["third"])[1:]  # all days are the same


def test_regimes_are_clusters_of_the_inputs(samples, context):
    labels = np.arange(60) % 10 < 3
    inputs = samples.inputs * 0.01 + np.where(labels, 3.0, -3.0)[:, None, None, None].astype(np.float32)
    there = samples.with_inputs(inputs)
    found = find_regimes(there, there, 2, context)
    np.testing.assert_array_equal(found == 1, labels)  # the rarer one comes second
    groups = day_groups(there, None, ["regime"], train=there, regimes=2, context=context)
    assert [group.name for group in groups] == ["all", "regime 1", "regime 2"]
    assert groups[1].days.sum() == 42


def test_tiles_have_no_seasons(samples):
    tiles = replace(samples, time=np.arange(60))
    assert [group.name for group in day_groups(tiles, None, ["season"])] == ["all"]


def test_shares_are_of_variables_with_all_their_lags(samples, values):
    one = joined([attribution(values)], samples)
    assert one.shares.variables == ("a", "b")
    amount = np.abs(values.astype(np.float32)).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(
        one.shares.share[0], [amount[:2].sum() / amount.sum(), amount[2] / amount.sum()], rtol=1e-5
    )
    assert (one.shares.low < one.shares.share).all()
    assert (one.shares.share < one.shares.high).all()
    np.testing.assert_array_equal(one.shares.least, one.shares.most)
    assert one.spread is None
    np.testing.assert_allclose(one.daily[:, 0], values[:, :2].sum(axis=(1, 2, 3)), atol=1e-4)


def test_members_have_a_mean_a_spread_and_a_range(samples, values):
    other = values * np.array([2.0, 1.0, 0.5])[:, None, None]
    one = joined([attribution(values), attribution(other)], samples)
    np.testing.assert_allclose(one.group_maps[0], (values + other).mean(axis=0) / 2, atol=1e-6)
    spread = np.stack([values.mean(axis=0), other.mean(axis=0)]).std(axis=0, ddof=1)
    np.testing.assert_allclose(one.spread, spread, atol=1e-6)
    assert one.members == 2
    assert one.shares.least[0, 0] < one.shares.share[0, 0] < one.shares.most[0, 0]
    assert (one.least <= one.importance).all()
    assert (one.importance <= one.most).all()
    assert one.findings[-1].check == "agreement"
    assert one.findings[-1].value > 0.5


def test_nothing_attributed_has_no_shares(samples):
    one = joined([attribution(np.zeros((60, 3, 3, 4)))], samples)
    assert not one.shares.share.any()
    assert not one.shares.high.any()


def test_the_share_of_a_group_is_that_of_its_days():
    absolute = np.zeros((1, 6, 2))
    absolute[0, :3, 0] = absolute[0, 3:, 1] = 1.0
    first = np.arange(6) < 3
    groups = [
        type("Days", (), {"name": name, "kind": "season", "days": days})
        for name, days in (("DJF", first), ("JJA", ~first))
    ]
    np.testing.assert_array_equal(shares_of(absolute, ("a", "b"), groups, 0).share, [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("findings", "wanted"),
    [
        ([], "grey"),
        ([finding(passed=None)], "grey"),
        ([finding(), finding(passed=None)], "green"),
        ([finding(), finding("infidelity", passed=False, essential=False)], "amber"),
        ([finding(passed=False), finding("infidelity", passed=False, essential=False)], "red"),
    ],
)
def test_the_light(findings, wanted):
    assert light(findings) == wanted


def test_the_file_holds_all_that_is_needed_to_redraw(samples, values, tmp_path, complaints):
    year = replace(samples, time=np.datetime64("2001-01-01", "ns") + np.arange(60) * np.timedelta64(5, "D"))
    curve = Curve("a", np.arange(4.0), np.arange(4.0), np.arange(4.0) - 1, np.arange(4.0) + 1, "K")
    short = Curve("b", np.arange(3.0), np.zeros(3), np.zeros(3), np.zeros(3), "1")
    drawn = finding("deletion", x=np.linspace(0, 1, 5), deletion=np.arange(5.0))
    parts = [replace(attribution(values * k, curves=(curve, short)), findings=(finding(), drawn)) for k in (1.0, 1.1)]
    one = joined(parts, year, day_groups(year, None, ["season"]))
    permuted = Attribution(
        "permutation", None, np.array([0.1, 0.0, 0.3]), None, None, "increase [K]", (finding("blocks"),), "Other."
    )
    two = joined([permuted], year, name="permutation", kind="score", title="Permutation importance", baseline="")
    path = tmp_path / "unet.nc"
    header = {"title": "What drives it", "history": "made by a test"}
    write_attributions(path, [one, two], [year, year], samples.schema, header)
    assert complaints(path) == []
    found = names_back(xr.load_dataset(path))
    assert json.loads(found.attrs["explanations"]) == ["ig", "permutation"]
    assert found["ig_map"].dims == ("channel", "lat", "lon")
    np.testing.assert_allclose(found["ig_map"], values.mean(axis=0) * 1.05, atol=1e-5)
    assert found["ig_group_map"].dims == ("ig_group", "channel", "lat", "lon")
    assert found["ig_group"].values.tolist() == ["all", "DJF", "MAM", "JJA", "SON"]
    assert found["ig_group_days"].values.sum() == 120
    assert found["ig_variable"].values.tolist() == ["a", "b"]
    assert found["ig_share"].shape == (5, 2)
    assert found["ig_daily"].dims == ("ig_variable", "ig_time")
    assert found["ig_time"].dtype.kind == "M"
    np.testing.assert_array_equal(found["ig_deletion_deletion"], np.arange(5.0))
    assert found["ig_moved_channel"].values.tolist() == ["a", "b"]
    assert np.isnan(found["ig_effect_at"][1, 3])
    attrs = found["ig_importance"].attrs
    assert attrs["light"] == "green"
    assert attrs["baseline"] == "zero"
    assert [each["check"] for each in json.loads(attrs["findings"])] == ["completeness", "deletion", "agreement"]
    assert found["ig_map"].attrs["units"] == "degC"
    assert "permutation_map" not in found
    assert "permutation_low" not in found
    assert found["channel"].values.tolist() == list(samples.schema.channels)
    assert all(found[name].attrs.get("long_name") for name in found.variables)


def test_stations_are_written_as_stations(samples, values):
    from pipeline.grid import Grid

    grid = Grid(np.array([[1.0, 2.0]]), np.array([[5.0, 6.0]]), ("row", "station"), ("x", "y"))
    schema = replace(samples.schema, input_grid=grid)
    there = replace(samples, schema=schema, inputs=samples.inputs[:, :, :1, :2])
    one = joined([attribution(values[:, :, :1, :2])], there)
    assert to_dataset([one], [there], schema)["ig_map"].dims == ("channel", "station")


def test_tiles_are_written_by_number(samples, values):
    tiles = replace(samples, time=np.arange(60))
    found = to_dataset([joined([attribution(values)], tiles)], [tiles], samples.schema)
    assert found["ig_time"].values.tolist() == list(range(60))


def test_old_calendars_are_written(samples, values, tmp_path, complaints):
    import cftime

    days = np.array([cftime.Datetime360Day(2001, 2 + k // 30, 1 + k % 30) for k in range(60)])
    there = replace(samples, time=days)
    header = {"title": "What drives it", "history": "made by a test"}
    write_attributions(tmp_path / "x.nc", [joined([attribution(values)], there)], [there], samples.schema, header)
    assert complaints(tmp_path / "x.nc") == []
