"""CAMELS-US in miniature: forcing, streamflow and attributes as the real files write them."""

import numpy as np
import pandas as pd
import pytest

from pipeline.data.camels_us import CUBIC_FOOT
from pipeline.errors import CatalogError, DataError
from pipeline.units import quantity

AREA = {"01000001": 5.0e8, "02000002": 1.0e7}
SERIES = {"prcp": {"units": "mm d-1"}, "tmax": {"units": "degC"}, "streamflow": {"units": "mm d-1"}}
STATIC = {"elev": {"units": "m", "source_units": "m"}, "aridity": {"units": "1", "source_units": "1"}}


def write_basin(folder, basin, days, start="2000-02-27", flow_days=None):
    """Forcing prcp = 0.5, 1.5, ... and flow 10, 20, ... cfs from ``start``."""
    dates = pd.date_range(start, periods=days)
    head = ["  44.82", " 133.00", f" {AREA[basin]:.0f}", "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) tmax(C)"]
    rows = [f"{d.year} {d.month:02} {d.day:02} 12\t31185.97\t{n + 0.5:.2f}\t189.56\t-2.36" for n, d in enumerate(dates)]
    (folder / f"{basin}_lump_cida_forcing_leap.txt").write_text("\n".join(head + rows) + "\n")
    rows = [
        f"{basin} {d.year} {d.month:02} {d.day:02} {10.0 * (n + 1) if n != 1 else -999.0:8.2f} A:e"
        for n, d in enumerate(dates[: flow_days or days])
    ]
    (folder / f"{basin}_streamflow_qc.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture
def folder(tmp_path):
    write_basin(tmp_path, "01000001", 6, flow_days=4)
    write_basin(tmp_path, "02000002", 3, start="2000-03-01")
    topo = ["gauge_id;gauge_lat;gauge_lon;elev", "02000002;41.5;-77.5;300.5", "01000001;44.5;-67.5;NA"]
    (tmp_path / "camels_topo.txt").write_text("\n".join(topo))
    climate = ["gauge_id;aridity;high_prec_timing", "01000001;0.5;son", "02000002;0.75;jja", "03000003;1.5;mam"]
    (tmp_path / "camels_clim.txt").write_text("\n".join(climate))
    return tmp_path


@pytest.fixture
def load_camels(folder, entry_of, load_entry):
    def run(specs=SERIES, files=(".",), **options):
        return load_entry(entry_of("camels_us", list(files), specs, **{"part": "series"} | options))

    return run


def test_series_keep_ids_days_and_places(load_camels):
    data = load_camels().data
    assert data["station"].values.tolist() == ["01000001", "02000002"]
    assert [str(time)[:10] for time in data["time"].values[[0, 2, -1]]] == ["2000-02-27", "2000-02-29", "2000-03-03"]
    assert data["lat"].values.tolist() == [44.5, 41.5]
    np.testing.assert_array_equal(data["prcp"][:, 0], np.arange(6) + 0.5)
    np.testing.assert_array_equal(data["prcp"][:, 1], [np.nan] * 3 + [0.5, 1.5, 2.5])


def test_flow_is_depth_over_the_area_of_the_forcing_file(load_camels):
    depth = load_camels().data["streamflow"].values
    # 10 cubic feet a second on 500 km2: 10 * 0.028316846592 m3 s-1 * 86400 s / 5e8 m2 in mm.
    np.testing.assert_allclose(depth[0, 0], 10 * 0.028316846592 * 86400 / 5e8 * 1000, rtol=1e-6)
    assert np.isnan(depth[:, 0]).tolist() == [False, True, False, False, True, True]
    volume = load_camels({"streamflow": {"units": "m3 s-1"}}, flow="volume").data["streamflow"].values
    area = np.array(list(AREA.values()))
    np.testing.assert_allclose(volume * 86400 * 1000 / area, depth, rtol=1e-6)
    assert volume[0, 0] == pytest.approx(10 * CUBIC_FOOT)


def test_the_forcing_alone_needs_no_streamflow(load_camels, folder):
    both = load_camels().data["prcp"]
    for path in folder.glob("*_streamflow_qc.txt"):
        path.unlink()
    alone = load_camels({"prcp": {"units": "mm d-1"}}).data
    np.testing.assert_array_equal(alone["prcp"], both)
    with pytest.raises(DataError, match="basin 01000001: expected a file of its streamflow, got none"):
        load_camels()


@pytest.mark.parametrize("flow", ["depth", "volume"])
def test_flow_is_known_as_flow_and_rain_as_rain_though_both_are_in_mm_a_day(load_camels, flow):
    units = {"depth": "mm d-1", "volume": "m3 s-1"}[flow]
    data = load_camels({"prcp": {"units": "mm d-1"}, "streamflow": {"units": units}}, flow=flow).data
    kinds = {
        name: quantity(data[name].attrs["units"], data[name].attrs["standard_name"]) for name in ("prcp", "streamflow")
    }
    assert data["streamflow"].attrs["units"] == units
    assert kinds == {"prcp": "precipitation", "streamflow": "flow"}


def test_basins_may_be_chosen(load_camels):
    assert load_camels(basins=["02000002"]).data["station"].values.tolist() == ["02000002"]


def test_without_the_table_of_places_there_are_none(load_camels, folder):
    (folder / "camels_topo.txt").unlink()
    data = load_camels().data
    assert bool(np.isnan(data["lat"]).all())
    assert bool(np.isnan(data["lon"]).all())


def test_attributes_are_joined_by_id_and_text_is_left_out(load_camels):
    loaded = load_camels(STATIC, part="attributes", basins=["02000002", "01000001"])
    assert loaded.data["station"].values.tolist() == ["02000002", "01000001"]
    np.testing.assert_array_equal(loaded.data["elev"], np.float32([300.5, np.nan]))
    np.testing.assert_array_equal(loaded.data["aridity"], np.float32([0.75, 0.5]))
    assert loaded.data["lat"].values.tolist() == [41.5, 44.5]
    assert any("text are left out: high_prec_timing" in repair.text for repair in loaded.repairs)


def test_a_basin_without_attributes_is_named(load_camels):
    with pytest.raises(DataError, match="no attributes of basin 09999999; the tables have 3 basins, such as 01000001"):
        load_camels(STATIC, part="attributes", basins=["01000001", "09999999"])


def test_a_basin_that_only_some_tables_have_has_no_place(load_camels):
    with pytest.raises(DataError, match="expected a place of every basin, got none for basin 03000003"):
        load_camels(STATIC, part="attributes")


def test_text_is_no_attribute(load_camels):
    spec = {"high_prec_timing": {"units": "1", "source_units": "1"}}
    with pytest.raises(DataError, match="attribute 'high_prec_timing' is text and cannot be used as a number"):
        load_camels(spec, part="attributes", basins=["01000001"])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("01000001_streamflow_qc.txt", None, "basin 01000001: expected a file of its streamflow, got none"),
        ("02000002_lump_cida_forcing_leap.txt", None, "basin 02000002: expected a file of its forcing, got none"),
        ("01000001_streamflow_qc.txt", ("01000001", "01000009"), "expected rows of basin 01000001, got 01000009"),
        ("01000001_streamflow_qc.txt", ("2000 02 28", "2000 02 27"), "expected every day once, got 2000-02-27 twice"),
        ("01000001_streamflow_qc.txt", ("2000 02 28", "2000 02 31"), "expected rows of basin, year, month, day, flow"),
        ("01000001_lump_cida_forcing_leap.txt", ("500000000", "0"), "expected the basin's area in m2 .* got 0"),
        ("01000001_lump_cida_forcing_leap.txt", ("Mnth", "Month"), "three lines with latitude, elevation and area"),
        ("camels_topo.txt", ("01000001", "01000009"), "expected a place of every basin, got none for basin 01000001"),
        ("camels_topo.txt", ("gauge_lat", "gage_lat"), "got none for columns gauge_lat and gauge_lon"),
        ("camels_topo.txt", ("02000002", "01000001"), "expected one row a gauge_id, got 01000001 twice"),
        ("camels_topo.txt", ("gauge_id;", "id;"), "separated by semicolons with one row a gauge_id, got KeyError"),
    ],
)
def test_damaged_files_are_named(load_camels, folder, name, change, message):
    path = folder / name
    if change is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataError, match=message):
        load_camels()


def test_two_files_of_one_basin_are_refused(load_camels, folder):
    (folder / "again").mkdir()
    (folder / "01000001_streamflow_qc.txt").rename(folder / "again/01000001_streamflow_qc.txt")
    write_basin(folder, "01000001", 3)
    with pytest.raises(DataError, match="basin 01000001: expected one file, got "):
        load_camels()


def test_an_attribute_that_stands_in_two_tables_is_refused(load_camels, folder):
    (folder / "camels_more.txt").write_text("gauge_id;aridity\n01000001;0.5\n")
    with pytest.raises(DataError, match="expected attributes that no other table has, got 'aridity' again"):
        load_camels(STATIC, part="attributes", basins=["01000001"])


def test_a_folder_without_any_is_refused(load_camels, folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected files camels_\*\.txt in .*empty, got none"):
        load_camels(STATIC, ["empty"], part="attributes")
    with pytest.raises(DataError, match=r"expected forcing files such as 01022500_lump_cida.*, got camels_topo.txt"):
        load_camels(SERIES, ["camels_topo.txt"])


def test_the_part_must_be_said(load_camels):
    with pytest.raises(CatalogError, match=r"options.part: .* 'series' or 'attributes', got 'flow'"):
        load_camels(part="flow")
