"""Reading block by block gives what reading at once gives."""

import numpy as np
import pytest

from pipeline.backend import get_backend
from pipeline.data.blocks import Blocks
from pipeline.data.lows import Lows
from pipeline.errors import DataError

SPECS = {"tas": {"units": "degC"}}


@pytest.fixture
def opened(tmp_path, entry_of):
    def run(*names, specs=SPECS, **options):
        entry = entry_of("netcdf", list(names), specs, **options)
        return Blocks.open(entry, [tmp_path / name for name in names], get_backend("cpu"))

    return run


def test_blocks_are_the_whole(tmp_path, make_field, opened, entry_of, load_entry):
    field = make_field(days=7).sortby("lat", ascending=False)
    field.isel(time=slice(0, 4)).to_netcdf(tmp_path / "a.nc")
    field.isel(time=slice(4, 7)).to_netcdf(tmp_path / "b.nc")
    whole = load_entry(entry_of("netcdf", ["a.nc", "b.nc"], SPECS)).data
    with opened("a.nc", "b.nc") as blocks:
        assert (blocks.time == whole["time"].values).all()
        parts = [blocks.read(np.arange(start, min(start + 3, 7))) for start in range(0, 7, 3)]
        assert blocks.bytes_per_step() == 8 * 12
    for variable in ("tas",):
        np.testing.assert_array_equal(np.concatenate([part[variable].values for part in parts]), whole[variable])
    np.testing.assert_array_equal(parts[0]["lat"], whole["lat"])


def test_steps_may_be_left_out(tmp_path, make_field, opened):
    make_field(days=7).to_netcdf(tmp_path / "a.nc")
    with opened("a.nc") as blocks:
        part = blocks.read(np.array([1, 2, 5]))
    assert part["time"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2001-01-02",
        "2001-01-03",
        "2001-01-06",
    ]


def test_a_level_counts_once(tmp_path, make_field, opened):
    levels = make_field()["tas"].expand_dims(plev=[85000.0, 50000.0], axis=1)
    levels.attrs = {"units": "K"}
    levels.to_dataset(name="ta").to_netcdf(tmp_path / "a.nc")
    specs = {"ta850": {"units": "K", "from": "ta", "select": {"plev": 85000}}}
    with opened("a.nc", specs=specs) as blocks:
        assert blocks.bytes_per_step() == 8 * 12
        assert blocks.read(np.arange(2))["ta850"].shape == (2, 3, 4)


def test_times_out_of_order_are_refused(tmp_path, make_field, opened):
    make_field(days=4).isel(time=[0, 2, 1, 3]).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(
        DataError, match=r"set: expected times in order to be read block by block, got 2001-01-02 after"
    ):
        opened("a.nc")


def test_fields_without_times_are_refused(tmp_path, make_field, opened):
    make_field().isel(time=0, drop=True).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match=r"set: expected a dim of times to read along, got dims \('lat', 'lon'\)"):
        opened("a.nc")


def test_a_block_of_wrong_values_is_refused(tmp_path, make_field, opened):
    field = make_field(days=4)
    field["tas"][2] = 9999.0
    field.to_netcdf(tmp_path / "a.nc")
    with opened("a.nc") as blocks:
        assert blocks.read(np.arange(2)).sizes["time"] == 2
        with pytest.raises(DataError, match=r"set: not fit for a run: tas has values"):
            blocks.read(np.arange(2, 4))


def test_a_block_without_any_value_is_refused_unless_it_may_be(tmp_path, make_field, opened):
    field = make_field(days=4)
    field["tas"][2:] = np.nan
    field.to_netcdf(tmp_path / "a.nc")
    with opened("a.nc") as blocks:
        with pytest.raises(DataError, match=r"set: not fit for a run: tas has no value at all"):
            blocks.read(np.arange(2, 4))
        assert not np.isfinite(blocks.read(np.arange(2, 4), empty=True)["tas"]).any()


def test_rounding_at_the_first_step_is_not_judged_by_that_step_alone(tmp_path, make_field, opened):
    """A dry first day has no range by which rounding could be told."""
    field = make_field("pr", units="mm d-1")
    field["pr"][0], field["pr"][0, 1, 1] = 0.0, -1e-9
    field.to_netcdf(tmp_path / "a.nc")
    with opened("a.nc", specs={"pr": {"units": "mm d-1", "minimum": 0}}) as blocks:
        head = blocks.head()["pr"].values
        lows = Lows()
        blocks.mended(np.arange(1), lows=lows)
        with pytest.raises(DataError, match="expected values of 0 or more but for rounding, got -1e-09"):
            blocks.judge(lows)
        blocks.mended(np.arange(1, 5), lows=lows)
        blocks.judge(lows)
    assert head.shape == (1, 3, 4)
    assert (head == 0.0).all()


def test_a_block_without_any_value_has_no_least():
    lows = Lows()
    assert np.isnan(lows.note("pr", np.empty((0, 3))))
    assert lows.note("pr", np.array([np.nan, 2.0])) == 2.0
