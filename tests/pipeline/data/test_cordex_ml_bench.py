"""The benchmark's files: every spelling of the tree, every trap of the files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import xarray as xr

from pipeline.data.catalog import check_reader, make_entry
from pipeline.data.files import Places, resolve
from pipeline.data.synthetic.cordex_tree import LEVELS, write_cordex_tree
from pipeline.errors import CatalogError, DataError
from pipeline.prepare.dates import calendar_of
from pipeline.prepare.scaling import Standardiser
from pipeline.prepare.splits import TimeSplit

NAMES = [f"{letter}_{level}" for letter in "uvqtz" for level in LEVELS]
UNITS = {"u": "m s-1", "v": "m s-1", "q": "kg kg-1", "t": "K", "z": "m"}
PREDICTORS = {name: {"units": UNITS[name[0]]} for name in NAMES}
TARGET = {"tasmax": {"units": "K"}, "pr": {"units": "mm d-1", "minimum": 0}}
ESD = {"part": "predictors", "experiment": "ESD_pseudo_reality"}
IMPERFECT = {"part": "test", "period": "historical", "quality": "imperfect"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tree of each domain, 40 days a period; not to be written to."""
    root = tmp_path_factory.mktemp("made")
    for domain in ("NZ", "SA", "ALPS"):
        write_cordex_tree(root, domain, days=40, cells=12, coarse=8)
    return root


@pytest.fixture
def tree(made, tmp_path):
    """A copy of the NZ tree that may be changed."""
    shutil.copytree(made / "NZ_domain", tmp_path / "NZ_domain")
    return tmp_path


@pytest.fixture
def read(load_entry, entry_of):
    def run(root, variables, **options):
        return load_entry(entry_of("cordex_ml_bench", [root], variables, **options))

    return run


def change(path, function):
    data = xr.load_dataset(path, decode_times=False)
    changed = function(data)
    path.unlink()
    changed.to_netcdf(path)


def train_file(tree):
    return tree / "NZ_domain/train/ESD_pseudo_reality/predictors/ACCESS-CM2_1961-1980.nc"


@pytest.mark.parametrize(
    "move",
    [
        {"NZ_domain": "NZ_Domain"},
        {"NZ_domain": "nz"},
        {"NZ_domain": "NZ/NZ_domain"},
        {"NZ_domain": "Bench-data/NZ/NZ_domain"},
        {"NZ_domain": "bench_data/NZ_domain"},
        {"NZ_domain/train/ESD_pseudo_reality": "NZ_domain/train/ESD_pseudo-reality"},
        {
            "NZ_domain/train/ESD_pseudo_reality/predictors/Static_fields.nc": "NZ_domain/train/ESD_pseudo_reality/predictors/static.nc"
        },
    ],
    ids=lambda move: next(iter(move.values())),
)
def test_every_spelling_of_the_tree_is_found(tree, read, move):
    for old, new in move.items():
        (tree / new).parent.mkdir(parents=True, exist_ok=True)
        (tree / old).rename(tree / "moving")
        (tree / "moving").rename(tree / new)
    for part, variables in (("predictors", PREDICTORS), ("target", TARGET), ("static", {"orog": {"units": "m"}})):
        loaded = read(tree, variables, domain="NZ", part=part, experiment="ESD_pseudo_reality")
        assert list(loaded.data) == list(variables)
    assert read(tree, PREDICTORS, domain="NZ", **IMPERFECT).data.sizes["time"] == 40


def test_the_emulators_short_name_and_the_domains_own_folder_are_found(tree, read):
    train = tree / "NZ_domain/train"
    (train / "Emulator_hist_future").rename(train / "Emulator_hist_fut")
    options = {"domain": "NZ", "part": "target", "experiment": "Emulator_hist_future"}
    loaded = read(tree / "NZ_domain", TARGET, **options)
    years = loaded.data["time"].dt.year.values
    assert set(years) == {1961, 2080}


def test_only_the_files_that_are_read_are_digested(made, entry_of, tmp_path):
    entry = entry_of("cordex_ml_bench", [made], PREDICTORS, domain="SA", **ESD)
    found = resolve(entry, Places(None, tmp_path, tmp_path))
    assert [record.path.name for record in found] == ["ACCESS-CM2_1961-1980.nc"]
    assert found[0].bytes == found[0].path.stat().st_size


def test_a_file_itself_may_be_named(tree, read):
    assert read(train_file(tree), PREDICTORS, domain="NZ", **ESD).data.sizes["time"] == 40


def test_channels_come_by_name_whatever_their_order_in_the_file(made, read):
    perfect = {**IMPERFECT, "quality": "perfect"}
    orders = []
    for options in (ESD, perfect, IMPERFECT):
        loaded = read(made, PREDICTORS, domain="SA", **options)
        assert list(loaded.data) == NAMES
        with xr.open_dataset(loaded.files[0].path) as raw:
            orders.append([name for name in raw.data_vars if name in NAMES])
            for name in NAMES:
                np.testing.assert_array_equal(loaded.data[name].values, raw[name].values)
    assert orders[0] != orders[2]


def test_bounds_and_grid_mappings_are_left_out(made, read):
    target = read(made, TARGET, domain="SA", part="target", experiment="ESD_pseudo_reality")
    with xr.open_dataset(target.files[0].path) as raw:
        assert {"crs", "lat_bnds", "lon_bnds"} <= set(raw.variables)
    assert set(target.data.variables) == {"tasmax", "pr", "time", "lat", "lon"}
    test = read(made, PREDICTORS, domain="SA", **IMPERFECT)
    assert "time_bnds" not in test.data.variables


def test_calendars_and_hours_of_each_file_are_kept(made, read):
    train = read(made, PREDICTORS, domain="NZ", **ESD).data["time"].values
    test = read(made, PREDICTORS, domain="NZ", **IMPERFECT).data["time"].values
    assert (calendar_of(train), calendar_of(test)) == ("proleptic_gregorian", "noleap")
    assert str(train[0]).startswith("1961-01-01T00:00")
    assert (test[0].year, test[0].hour) == (1981, 12)


def test_rounded_minutes_of_the_south_african_target_stay_on_their_day(made, read):
    options = {"domain": "SA", "experiment": "Emulator_hist_future"}
    target = read(made, TARGET, part="target", **options).data["time"].values.astype("datetime64[D]")
    predictors = read(made, PREDICTORS, part="predictors", **options).data["time"].values.astype("datetime64[D]")
    np.testing.assert_array_equal(target, predictors)


def test_the_alps_have_two_dimensional_coordinates_and_predictors_one_dimensional(made, read):
    options = {"domain": "ALPS", "experiment": "ESD_pseudo_reality"}
    target = read(made, TARGET, part="target", **options).data
    assert target["tasmax"].dims == ("time", "y", "x")
    assert target["lat"].dims == ("y", "x")
    assert read(made, PREDICTORS, part="predictors", **options).data["t_850"].dims == ("time", "lat", "lon")
    static = read(made, {"orog": {"units": "m"}}, part="static", **options)
    np.testing.assert_array_equal(static.data["lat"].values, target["lat"].values)
    assert "latitudes and longitudes are those of pr_tasmax_CNRM-CM5_1961-1980.nc" in [r.text for r in static.repairs]


def test_columns_before_rows_are_turned(made, read, tmp_path):
    shutil.copytree(made / "ALPS_domain", tmp_path / "ALPS_domain")
    options = {"domain": "ALPS", "part": "target", "experiment": "ESD_pseudo_reality"}
    before = read(tmp_path, TARGET, **options)
    change(before.files[0].path, lambda data: data.transpose("time", "x", "y"))
    after = read(tmp_path, TARGET, **options)
    assert after.data["tasmax"].dims == ("time", "y", "x")
    for name in ("tasmax", "lat", "lon", "y", "x"):
        np.testing.assert_array_equal(after.data[name].values, before.data[name].values)


def test_units_that_a_file_does_not_say_are_those_of_the_benchmark(made, read):
    target = read(made, TARGET, domain="NZ", part="target", experiment="ESD_pseudo_reality")
    assert target.data["pr"].attrs["units"] == "mm d-1"
    assert target.data["pr"].dtype == np.float32
    assert "the file does not say the units of pr; the benchmark's are 'mm d-1'" in [r.text for r in target.repairs]
    south = read(made, TARGET, domain="SA", part="target", experiment="ESD_pseudo_reality")
    assert [repair.kind for repair in south.repairs] == []  # it says mm/day


def test_units_that_a_file_says_are_converted(tree, read):
    before = read(tree, PREDICTORS, domain="NZ", **ESD).data

    def turn(data):
        data["z_500"] = (9.80665 * data["z_500"]).assign_attrs(units="m2 s-2")
        data["t_500"] = (data["t_500"] - 273.15).assign_attrs(units="degC")
        return data

    change(train_file(tree), turn)
    after = read(tree, PREDICTORS, domain="NZ", **ESD)
    np.testing.assert_allclose(after.data["z_500"], before["z_500"], rtol=1e-6)
    np.testing.assert_allclose(after.data["t_500"], before["t_500"], rtol=1e-6)
    assert "z_500, a geopotential in 'm2 s-2', is turned into height" in [r.text for r in after.repairs]


def test_other_units_than_the_variables_own_are_refused(tree, read):
    change(train_file(tree), lambda data: data.assign(z_500=data["z_500"].assign_attrs(units="K")))
    with pytest.raises(DataError, match=r"variable 'z_500': the file has 'K', 'm' is wanted"):
        read(tree, PREDICTORS, domain="NZ", **ESD)


def test_a_cell_that_never_changes_is_read_and_scaled_without_harm(made, read):
    data = read(made, PREDICTORS, domain="NZ", **ESD).data
    assert float(data["z_850"][:, 0, 0].std()) == 0.0
    time = data["time"].values
    test = {"test": ("1961-02-04", "1961-02-09")}
    split = TimeSplit(("1961-01-01", "1961-01-31"), ("1961-02-01", "1961-02-03"), test)
    values = data["z_850"].values[:, None]
    fitted = Standardiser.fit(values, split.train_split(time), per="per_cell", names=("z_850",))
    assert fitted.constant == (1,)
    assert float(fitted.deviation[0, 0, 0]) == 1.0


def test_periods_in_files_of_their_own_are_joined(tree, read):
    path = tree / "NZ_domain/train/Emulator_hist_future/predictors/ACCESS-CM2_1961-1980_2080-2099.nc"
    data = xr.load_dataset(path, decode_times=False)
    path.unlink()
    data.isel(time=slice(0, 40)).to_netcdf(path.with_name("ACCESS-CM2_1961-1980.nc"))
    data.isel(time=slice(40, None)).to_netcdf(path.with_name("ACCESS-CM2_2080-2099.nc"))
    loaded = read(tree, PREDICTORS, domain="NZ", part="predictors", experiment="Emulator_hist_future")
    assert len(loaded.files) == 2
    assert set(loaded.data["time"].dt.year.values) == {1961, 2080}


def test_of_several_climate_models_one_is_named(tree, read):
    folder = tree / "NZ_domain/test/historical/predictors/imperfect"
    shutil.copy(folder / "ACCESS-CM2_1981-2000.nc", folder / "EC-Earth3_1981-2000.nc")
    shutil.copy(folder / "ACCESS-CM2_1981-2000.nc", folder / "._EC-Earth3_1981-2000.nc")  # as macOS archives have
    with pytest.raises(DataError, match=r"one climate model in .*ACCESS-CM2_1981-2000.nc, EC-Earth3_1981-2000.nc.*gcm"):
        read(tree, PREDICTORS, domain="NZ", **IMPERFECT)
    loaded = read(tree, PREDICTORS, domain="NZ", gcm="ec_earth3", **IMPERFECT)
    assert loaded.files[0].path.name == "EC-Earth3_1981-2000.nc"
    with pytest.raises(DataError, match=r"a file of the climate model 'MPI-ESM-LR' in .* it holds ACCESS-CM2"):
        read(tree, PREDICTORS, domain="NZ", gcm="MPI-ESM-LR", **IMPERFECT)


def test_what_is_not_there_is_said_with_what_is(tree, read):
    with pytest.raises(
        DataError, match=r"expected a folder SA_domain, SA, .*found none; it holds NZ_domain. Unpack SA"
    ):
        read(tree, PREDICTORS, domain="SA", **ESD)
    with pytest.raises(DataError, match=r"expected a folder SA_domain"):
        read(tree / "NZ_domain", PREDICTORS, domain="SA", **ESD)
    folder = tree / "NZ_domain/train/ESD_pseudo_reality/predictors"
    (folder / "Static_fields.nc").unlink()
    with pytest.raises(DataError, match=r"Static_fields.nc or static.nc in .* it holds ACCESS-CM2_1961-1980.nc"):
        read(tree, {"orog": {"units": "m"}}, domain="NZ", part="static", experiment="ESD_pseudo_reality")
    train_file(tree).unlink()
    with pytest.raises(DataError, match=r"a file GCM_PERIOD.nc in .* it holds nothing"):
        read(tree, PREDICTORS, domain="NZ", **ESD)
    shutil.rmtree(tree / "NZ_domain/test/historical")
    with pytest.raises(
        DataError, match=r"a folder historical in .*test, found none; it holds end_century, mid_century"
    ):
        read(tree, PREDICTORS, domain="NZ", **IMPERFECT)


def test_static_fields_without_orography_are_refused(tree, read):
    path = train_file(tree).with_name("Static_fields.nc")
    change(path, lambda data: data.rename(orog="sftlf"))
    with pytest.raises(DataError, match=r"no variable 'orog' in the files.* Known: sftlf"):
        read(tree, {"orog": {"units": "m"}}, domain="NZ", part="static", experiment="ESD_pseudo_reality")


def test_static_fields_of_another_grid_are_not_placed_on_the_targets(made, read, tmp_path):
    shutil.copytree(made / "ALPS_domain", tmp_path / "ALPS_domain")
    folder = tmp_path / "ALPS_domain/train/ESD_pseudo_reality"
    change(folder / "predictors/Static_fields.nc", lambda data: data.isel(y=slice(0, 5)))
    options = {"domain": "ALPS", "part": "static", "experiment": "ESD_pseudo_reality"}
    with pytest.raises(DataError, match=r"on the target's grid of pr_tasmax_CNRM-CM5_1961-1980.nc, got other sizes"):
        read(tmp_path, {"orog": {"units": "m"}}, **options)
    shutil.rmtree(folder / "target")
    with pytest.raises(DataError, match=r"expected latitudes and longitudes in the file or a target beside it"):
        read(tmp_path, {"orog": {"units": "m"}}, **options)


def test_series_are_none_of_the_benchmarks_fields(tree, read):
    change(train_file(tree), lambda data: data.isel(lat=0, drop=True))
    with pytest.raises(DataError, match=r"expected fields of two horizontal dims for 'u_850', got .*16 x 16 cells"):
        read(tree, PREDICTORS, domain="NZ", **ESD)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "NZ", "part": "target"}, r"expected a value for experiment with part 'target', got None"),
        ({"domain": "NZ", "part": "test", "period": "historical"}, r"expected a value for quality with part 'test'"),
        ({"domain": "NZ", "quality": "perfect", **ESD}, r"expected none for quality with part 'predictors', got 'perf"),
        ({"domain": "UK", **ESD}, r"domain.*'NZ', 'SA' or 'ALPS'"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(options, message, tmp_path):
    raw = {"format": "cordex_ml_bench", "files": [{"path": "."}], "variables": TARGET, "licence": "x"}
    with pytest.raises(CatalogError, match=message):
        check_reader(make_entry("set", {**raw, "options": options}, "catalog.yaml"), "catalog.yaml")
