"""Parts of the target that scores are told of: which cells belong to them, and what they are called."""

import numpy as np
import pytest
import xarray as xr

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.prepare.config import PrepareConfig
from pipeline.prepare.making import prepare
from pipeline.prepare.prepared import Prepared
from pipeline.prepare.region_config import ScoredRegion
from pipeline.prepare.regions import find_regions
from pipeline.prepare.statics import Height, build_statics

QUARTERS = ("north-west", "north-east", "south-west", "south-east")


def grid(rows=4, columns=4, south=40.0, west=0.0):
    return Grid(south + np.arange(rows), west + np.arange(columns))


def row(lat, lon, names=None):
    names = names or [f"s{number}" for number in range(len(lat))]
    return Grid(np.array([lat], float), np.array([lon], float), ("row", "station"), tuple(names))


def auto(where, mask=None, height=None):
    return find_regions("auto", where, np.ones(where.shape, bool) if mask is None else mask, height)


def boxes(**named):
    return {name: ScoredRegion(**bounds) for name, bounds in named.items()}


def test_a_grid_falls_into_quarters():
    found = auto(grid())
    assert (found.names, found.how) == (QUARTERS, "quarters")
    expected = [[2, 2, 3, 3], [2, 2, 3, 3], [0, 0, 1, 1], [0, 0, 1, 1]]  # latitude rises with the row
    assert found.of_cell.tolist() == expected
    assert auto(Grid(np.arange(43.0, 39.0, -1), np.arange(4.0))).of_cell.tolist() == expected[::-1]
    projected = Grid(*np.meshgrid(np.arange(40.0, 44.0), np.arange(4.0), indexing="ij"), ("y", "x"))
    assert auto(projected).of_cell.tolist() == expected


def test_medians_are_those_of_the_mask():
    mask = np.zeros((4, 8), bool)
    mask[:, :4] = True
    found = auto(grid(4, 8), mask)
    assert found.of_cell[0].tolist() == [2, 2, 3, 3, -1, -1, -1, -1]


def test_quarters_without_cells_are_left_out():
    mask = np.zeros((6, 6), bool)
    mask[:3, :3] = mask[3:, 3:] = True  # the south-west and the north-east alone
    found = auto(grid(6, 6), mask)
    assert found.names == ("north-east", "south-west")
    assert found.of_cell[0, 0] == 1
    assert found.of_cell[5, 5] == 0
    on_one_parallel = auto(row(np.full(10, 50.0), np.arange(10.0)))
    assert on_one_parallel.names == ("west", "east")


@pytest.mark.parametrize("west", [176.0, -4.0])
def test_the_west_is_the_west_across_a_date_line(west):
    lon = west + np.arange(8.0)
    turned = (lon + 180.0) % 360.0 - 180.0, lon % 360.0
    for axis in turned:
        found = auto(Grid(np.arange(40.0, 44.0), axis))
        assert found.names == QUARTERS
        assert found.of_cell[-1].tolist() == [0] * 4 + [1] * 4


def test_a_grid_around_the_earth_has_zones_and_no_east():
    found = auto(Grid(np.arange(-80.0, 81.0, 20.0), np.arange(0.0, 360.0, 30.0)))
    assert (found.names, found.how) == (("northern extratropics", "tropics", "southern extratropics"), "latitude")
    assert found.of_cell[:, 3].tolist() == [2, 2, 2, 2, 1, 1, 0, 0, 0]  # 20 S is south of the tropics, 20 N in them
    arctic = auto(Grid(np.arange(62.0, 90.0, 4.0), np.arange(0.0, 360.0, 30.0)))
    assert arctic.names == ("north", "south")


@pytest.mark.parametrize("where", [grid(3, 9), row([50.0], [7.0]), row([np.nan], [np.nan]), grid(1, 1)])
def test_small_ones_have_none(where):
    found = auto(where)
    assert (found.names, found.of_cell, found.how, found.notes) == ((), None, "none", ())
    assert found.facts(where.area) == {"how": "none", "regions": []}


def test_none_is_none():
    assert find_regions("none", grid(), np.ones((4, 4), bool)).names == ()


def test_a_few_stations_are_a_region_each():
    mask = np.array([[True, False, True]])
    found = auto(row([50, 51, 52], [7, 8, 9], ["a=1", "b", "c;2"]), mask)
    assert (found.names, found.how) == (("a-1", "c-2"), "stations")
    assert found.of_cell.tolist() == [[0, -1, 1]]
    alike = auto(row([50, 51], [7, 8], ["a=1", "a;1"]))
    assert alike.names == ("a-1 (1)", "a-1 (2)")


def test_many_stations_have_heights_or_quarters_or_no_place():
    lat, lon = np.repeat([40.0, 50.0], 6), np.tile(np.arange(6.0), 2)
    where = row(lat, lon)
    assert auto(where).names == QUARTERS
    lat[0] = np.nan
    assert auto(row(lat, lon)).of_cell[0, 0] == -1
    assert auto(row(np.full(12, np.nan), np.full(12, np.nan))).names == ()
    found = auto(where, height=Height("altitude", np.arange(0.0, 1200.0, 100.0)[None, :]))
    assert (found.names, found.how) == (("low land", "middle heights", "mountains"), "height")
    assert found.of_cell.tolist() == [[0] * 4 + [1] * 4 + [2] * 4]  # of a station at 0 m none says it is at sea


def test_pixels_have_quarters_of_their_tile():
    found = auto(Grid(np.arange(4.0), np.arange(6.0), ("y", "x")))
    assert (found.names, found.how) == (("upper left", "upper right", "lower left", "lower right"), "pixels")
    assert found.of_cell.tolist() == [[0] * 3 + [1] * 3] * 2 + [[2] * 3 + [3] * 3] * 2


def test_heights_are_thirds_of_the_area():
    rng = np.random.default_rng(0)
    where = grid(30, 40, south=35.0)
    metres = rng.gamma(1.0, 600.0, where.shape)
    mask = rng.random(where.shape) < 0.7
    found = auto(where, mask, Height("orog", metres))
    assert found.names == ("low land", "middle heights", "mountains")
    area = where.area * mask
    for number in range(3):
        share = area[found.of_cell == number].sum() / area.sum()
        assert share == pytest.approx(1 / 3, abs=2 / mask.sum())
    ordered = [metres[found.of_cell == number] for number in range(3)]
    assert ordered[0].max() < ordered[1].min() < ordered[1].max() < ordered[2].min()
    cuts = ordered[0].max(), ordered[1].max()
    assert found.notes == (
        f"Scores by region are by the height of the ground, orog: low land up to {cuts[0]:.0f} m, middle heights up "
        f"to {cuts[1]:.0f} m, mountains above {cuts[1]:.0f} m.",
    )
    assert (found.of_cell[~mask] == -1).all()


def test_low_relief_has_no_mountains():
    metres = np.linspace(1.0, 250.0, 16).reshape(4, 4)
    assert auto(grid(), height=Height("orog", metres)).names[-1] == "high land"


def test_the_sea_is_a_region_of_its_own():
    metres = np.concatenate([np.zeros(12), np.linspace(10.0, 2000.0, 24)]).reshape(6, 6)
    found = auto(grid(6, 6), height=Height("orog", metres))
    assert found.names == ("sea", "low land", "middle heights", "mountains")
    assert [int((found.of_cell == number).sum()) for number in range(4)] == [12, 8, 8, 8]
    assert found.notes[0].startswith("Scores by region are by the height of the ground, orog: sea at or below 0 m, low")
    few = np.zeros((4, 4))
    few[0] = 5.0
    assert auto(grid(), height=Height("orog", few)).names == ("sea", "land")
    one = np.linspace(0.0, 1000.0, 36).reshape(6, 6)  # a single cell at 0 m is no sea
    assert auto(grid(6, 6), height=Height("orog", one)).names == ("low land", "middle heights", "mountains")


def test_heights_that_tell_nothing_apart_leave_quarters():
    assert auto(grid(), height=Height("orog", np.full((4, 4), 300.0))).names == QUARTERS
    mostly_unknown = np.full((4, 4), np.nan)
    mostly_unknown[0] = [1.0, 2.0, 3.0, 4.0]
    assert auto(grid(), height=Height("orog", mostly_unknown)).names == QUARTERS
    two = np.full((4, 4), 100.0)
    two[0] = 900.0
    assert auto(grid(), height=Height("orog", two)).names == ("low land", "mountains")


def test_boxes_have_the_cells_inside_and_the_first_of_two_has_what_they_share():
    where = grid(4, 6)
    asked = boxes(west={"lon": (0.0, 2.0)}, north={"lat": (42.0, 99.0)}, rest={"lat": (39, 40), "lon": (3, 9)})
    found = find_regions(asked, where, np.ones((4, 6), bool))
    assert (found.names, found.how) == (("west", "north", "rest"), "named")
    assert found.of_cell.tolist() == [[0, 0, 0, 2, 2, 2], [0, 0, 0, -1, -1, -1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert found.notes == ("Regions west and north share 6 cells; the first one has them.",)
    facts = found.facts(where.area)
    assert [(part["name"], part["cells"]) for part in facts["regions"]] == [("west", 12), ("north", 6), ("rest", 3)]
    assert sum(part["share"] for part in facts["regions"]) == pytest.approx(1.0)


def test_a_box_may_be_given_in_other_longitudes():
    found = find_regions(boxes(a={"lon": (350.0, 361.0)}), grid(4, 4, west=-2.0), np.ones((4, 4), bool))
    assert found.of_cell[0].tolist() == [0, 0, 0, 0]
    found = find_regions(boxes(a={"lon": (350.0, 360.0)}), grid(4, 4, west=-2.0), np.ones((4, 4), bool))
    assert found.of_cell[0].tolist() == [0, 0, 0, -1]


def test_stations_may_be_named():
    asked = boxes(alps={"stations": ["c", "a"]}, north={"lat": (51.0, 60.0)})
    found = find_regions(asked, row([50, 51, 52], [7, 8, 9], ["a", "b", "c"]), np.ones((1, 3), bool))
    assert found.of_cell.tolist() == [[0, 1, 0]]
    assert found.notes == ("Regions alps and north share 1 cells; the first one has them.",)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (boxes(far={"lat": (60.0, 70.0)}), r"^regions\.far: expected cells that are scored, got none\. The cells lie within lat 40 to 43 and lon 1 to 3\.$"),
        (boxes(a={"lat": (39.0, 50.0)}, b={"lon": (1.0, 2.0)}), r"^regions\.b: expected cells that are scored, got cells that regions named before it have\. The"),
        (boxes(a={"stations": ["x"]}), r"^regions\.a\.stations: expected stations that are scored, got 'x'\. The target is a grid: give lat and lon\.$"),
    ],
)  # fmt: skip
def test_regions_without_cells_are_refused(asked, message):
    mask = np.ones((4, 4), bool)
    mask[:, 0] = False
    with pytest.raises(ConfigError, match=message):
        find_regions(asked, grid(), mask)


def test_stations_that_are_not_there_are_refused():
    where = row([50, 51], [7, 8], ["Bilbao", "Oviedo"])
    with pytest.raises(ConfigError, match=r"got 'Bilbo'\. Did you mean 'Bilbao'\? Known: Bilbao, Oviedo\.$"):
        find_regions(boxes(a={"stations": ["Bilbo"]}), where, np.ones((1, 2), bool))
    nowhere = row([np.nan, np.nan], [np.nan, np.nan])
    with pytest.raises(ConfigError, match=r"got none\. The cells lie within no known place\.$"):
        find_regions(boxes(a={"lat": (0.0, 90.0)}), nowhere, np.ones((1, 2), bool))


def fields(name, attrs, values=None):
    values = np.arange(12.0).reshape(3, 4) * 100 if values is None else values
    return xr.Dataset({name: (("lat", "lon"), values, attrs)}, {"lat": [40.0, 42.0, 44.0], "lon": [0.0, 2.0, 4.0, 6.0]})


@pytest.mark.parametrize(
    ("name", "attrs", "there"),
    [
        ("orog", {"units": "m"}, True),
        ("elev_mean", {"units": "m"}, True),
        ("z", {"units": "metres", "standard_name": "surface_altitude"}, True),
        ("orog", {"units": "km"}, False),
        ("orog", {}, False),
        ("height", {"units": "m", "standard_name": "sea_surface_wave_significant_height"}, False),
        ("relief", {"units": "m"}, False),
    ],
)
def test_a_height_is_known_by_its_name_and_units(name, attrs, there):
    where = Grid(np.array([40.0, 42.0, 44.0]), np.array([0.0, 2.0, 4.0, 6.0]))
    found = build_statics([fields("slope", {"units": "1"}), fields(name, attrs)], where, "bilinear").height
    assert (found is not None) == there
    if found is not None:
        assert found.name == name
        np.testing.assert_allclose(found.values, np.arange(12.0).reshape(3, 4) * 100)  # in metres, not standardised


def test_they_are_prepared_saved_and_come_back(field, split, cpu, tmp_path):
    data, target = [("era", field("psl"))], field("tas", seed=1)
    made = prepare(data, target, [fields("orog", {"units": "m"})], config=PrepareConfig(), split=split, backend=cpu)
    made.save(tmp_path)
    for one in (made, Prepared.load(tmp_path, cpu)):
        assert one.schema.regions == ("low land", "middle heights", "mountains")
        assert one.schema.region.tolist() == [[0] * 4, [1] * 4, [2] * 4]
        assert one.summary()["regions"]["how"] == "height"
        assert [part["cells"] for part in one.summary()["regions"]["regions"]] == [4, 4, 4]
        assert any("height of the ground, orog" in note for note in one.summary()["notes"])
    asked = boxes(east={"lon": (3.0, 9.0)})
    named = prepare(data, target, config=PrepareConfig(), split=split, backend=cpu, regions=asked)
    assert named.schema.region.tolist() == [[-1, -1, 0, 0]] * 3
    without = prepare(data, target, config=PrepareConfig(), split=split, backend=cpu, regions="none")
    assert (without.schema.regions, without.schema.region) == ((), None)
    without.save(tmp_path / "none")
    assert Prepared.load(tmp_path / "none", cpu).schema.region is None
