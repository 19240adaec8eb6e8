"""Text and Parquet tables, long, wide and of one series, on every backend."""

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import CatalogError, DataError

TAS = {"tas": {"units": "degC", "source_units": "degC"}}


@pytest.fixture
def load_table(tmp_path, entry_of, load_entry, backend):
    """Writes texts (or frames, as Parquet) to files and loads them as one entry."""

    def run(contents, variables=TAS, **options):
        kinds = set()
        for name, content in contents.items():
            if isinstance(content, str):
                (tmp_path / name).write_text(content)
            else:
                content.to_parquet(tmp_path / name)
            kinds.add("csv" if isinstance(content, str) else "parquet")
        entry = entry_of(kinds.pop(), list(contents), variables, **options)
        return load_entry(entry, backend=backend).data

    return run


WIDE = "date,000212,0214\n2001-01-01,1.5,2\n2001-01-02,,3\n"
PLACES = "station_id,lat,lon,altitude_m\n0214,41.0,-3.0,7\n000212,40.0,350.0,690\n"
LONG = "time,gauge,tas,flag\n2001-01-02,007,3,A\n2001-01-01,007,1,A\n2001-01-01,012,2,B\n"


def test_a_wide_table_has_a_column_a_station(load_table):
    data = load_table({"t.csv": WIDE}, time="date", wide={"tas": "t.csv"})
    assert data["station"].values.tolist() == ["000212", "0214"]
    np.testing.assert_array_equal(data["tas"], [[1.5, 2.0], [np.nan, 3.0]])
    assert str(data["time"].values[1])[:10] == "2001-01-02"


def test_stations_get_their_places_by_id(load_table):
    stations = {"file": "places.csv", "altitude": "altitude_m"}
    data = load_table({"t.csv": WIDE, "places.csv": PLACES}, time="date", wide={"tas": "t*.csv"}, stations=stations)
    np.testing.assert_allclose(data["lat"], [40.0, 41.0])
    np.testing.assert_allclose(data["lon"], [-10.0, -3.0])
    np.testing.assert_allclose(data["altitude"], [690.0, 7.0])


def test_wide_tables_of_several_variables_stand_side_by_side(load_table):
    both = {name: {"units": "degC", "source_units": "degC"} for name in ("tas", "tasmax")}
    contents = {"t.csv": WIDE, "x.csv": WIDE.replace("1.5", "9")}
    data = load_table(contents, both, time="date", wide={"tas": "t.csv", "tasmax": "x.csv"})
    assert float(data["tasmax"][0, 0]) == 9.0
    assert float(data["tas"][0, 0]) == 1.5


def test_a_matrix_without_header_takes_ids_and_times_from_elsewhere(load_table):
    stations = {"file": "p.dat", "separator": "blank", "header": False, "columns": ["n", "la", "lo"], "id": "n"}
    stations |= {"lat": "la", "lon": "lo"}
    contents = {"m.dat": " 35 -9999\n  36\t40\n", "p.dat": " 3.804e+03  39.3 -81.4\n 3.809e+03 36.0 -89.4\n"}
    spec = {"tmax": {"units": "degC", "source_units": "degF", "missing": [-9999]}}
    common = {"separator": "blank", "header": False, "start": "1990-01-01", "wide": {"tmax": "m.dat"}}
    data = load_table(contents, spec, stations=stations, **common)
    assert data["station"].values.tolist() == ["3804", "3809"]
    np.testing.assert_allclose(data["tmax"], [[(35 - 32) / 1.8, np.nan], [(36 - 32) / 1.8, (40 - 32) / 1.8]], rtol=1e-6)
    assert str(data["time"].values[1])[:10] == "1990-01-02"
    with pytest.raises(DataError, match=r"m.dat: expected a column for each of 2 stations, got 1"):
        load_table(contents | {"m.dat": "35\n36\n"}, spec, stations=stations, **common)


def test_a_long_table_has_a_row_a_station_and_time(load_table):
    data = load_table({"t.csv": LONG}, station="gauge")
    assert data["station"].values.tolist() == ["007", "012"]
    np.testing.assert_array_equal(data["tas"], [[1.0, 2.0], [3.0, np.nan]])


def test_long_tables_in_several_files_are_one(load_table):
    more = LONG.replace("007", "100").replace("012", "101")
    data = load_table({"a.csv": LONG, "b.csv": more}, station="gauge")
    assert data["station"].values.tolist() == ["007", "012", "100", "101"]


def test_places_may_stand_in_the_table_itself(load_table):
    text = "id;elev;la;lo\n0100;5;47.2;-68\n0200;6;44.6;-67\n"
    spec = {"elev": {"units": "m", "source_units": "m"}}
    stations = {"lat": "la", "lon": "lo"}
    data = load_table({"t.txt": text}, spec, separator=";", time=None, station="id", stations=stations)
    assert data["elev"].dims == ("station",)
    assert data["station"].values.tolist() == ["0100", "0200"]
    np.testing.assert_allclose(data["lat"], [47.2, 44.6])


def test_times_may_stand_in_columns_of_their_own(load_table):
    text = "Year Mnth Day Hr  tas\n2001 01 02 12\t3\n2001 01 03 12  4\n"
    data = load_table({"t.txt": "skip\n" + text}, separator="blank", skip_rows=1, time=["Year", "Mnth", "Day", "Hr"])
    assert [str(time)[:13] for time in data["time"].values] == ["2001-01-02T12", "2001-01-03T12"]
    years = load_table({"y.csv": "y,tas\n1990,1\n1991,2\n"}, time=["y"])
    assert str(years["time"].values[1])[:10] == "1991-01-01"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("time,tas\n20010101,1\n20010102,2\n", {"time_format": "%Y%m%d"}),
        ("# a comment\ntime,tas\n2001-01-01,1\n2001-01-02,2\n", {"comment": "#"}),
        ("time,tas\n2001-01-01T02:00+02:00,1\n2001-01-02T02:00+02:00,2\n", {}),
        ("2001-01-01;1\n2001-01-02;2\n", {"separator": ";", "header": False, "columns": ["time", "tas"]}),
        ("tas\n1\n2\n", {"start": "2001-01-01"}),
    ],
)
def test_ways_to_write_a_series(load_table, text, options):
    data = load_table({"t.csv": text}, **options)
    assert [str(time)[:16] for time in data["time"].values] == ["2001-01-01T00:00", "2001-01-02T00:00"]
    np.testing.assert_array_equal(data["tas"], [1.0, 2.0])


def test_text_that_stands_for_none_is_missing(load_table):
    text = "time,tas\n2001-01-01,1\n2001-01-02,n/d\n"
    assert np.isnan(load_table({"t.csv": text}, missing=["n/d"])["tas"][1])
    with pytest.raises(
        DataError, match=r"t.csv: column 'tas': expected numbers, got 'n/d' in row 2. .*missing: \['n/d'\]"
    ):
        load_table({"t.csv": text})


def test_parquet_tables_have_the_same_layouts(load_table):
    frame = pd.DataFrame(
        {"time": pd.to_datetime(["2001-01-01", "2001-01-02"]), "gauge": ["01", "01"], "tas": [1.0, 2.0]}
    )
    data = load_table({"t.parquet": frame}, station="gauge")
    assert data["station"].values.tolist() == ["01"]
    np.testing.assert_array_equal(data["tas"], [[1.0], [2.0]])
    indexed = load_table({"i.parquet": frame.set_index("time")[["tas"]]})
    np.testing.assert_array_equal(indexed["tas"], [1.0, 2.0])


def test_what_is_no_parquet_is_refused(tmp_path, load_table, entry_of, load_entry):
    (tmp_path / "t.parquet").write_text("time,tas\n")
    with pytest.raises(DataError, match=r"t.parquet: expected a Parquet file, got: "):
        load_entry(entry_of("parquet", ["t.parquet"], TAS))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (LONG, {"time": "tine"}, r"t.csv: no column 'tine'. Did you mean 'time'\? Known: time, gauge, tas, flag"),
        (LONG, {"station": "gaug"}, r"t.csv: no column 'gaug'. Did you mean 'gauge'\?"),
        (
            LONG + "2001-01-01,012,9,A\n",
            {"station": "gauge"},
            r"one row for every time and station, got 2001-01-01 .*012 twice",
        ),
        ("time,tas\nmonday,1\n", {}, r"t.csv: column 'time': expected times: .*monday.* Set time_format"),
        ("time,tas\n5,1\n", {}, r"t.csv: column 'time': expected dates, got numbers such as 5. Set time_format"),
        ("tas\n5\n", {"time": None}, r"t.csv: expected a time or a station column in the options, got neither"),
        (WIDE, {"time": None, "wide": {"tas": "*"}}, r"t.csv: expected a time column or a start for a wide table"),
        (
            WIDE,
            {"time": "date", "wide": {"tas": "x.csv"}},
            r"t.csv: expected one variable of wide for this file, got \[\]",
        ),
        (WIDE, {"time": "date", "wide": {"tas": "*"}, "stations": {}}, r"t.csv: expected a file under stations: file"),
        ("a,b\n1,2,3,4\n1\n", {"time": "a"}, r"t.csv: expected a table separated by ',', got: Length of header"),
        ("", {}, r"t.csv: expected a table separated by ',', got: "),
    ],
)
def test_what_does_not_fit_the_options_is_refused(load_table, text, options, message):
    with pytest.raises(DataError, match=message):
        load_table({"t.csv": text}, **options)


def test_stations_without_a_place_are_named(load_table):
    options = {"time": "date", "wide": {"tas": "t.csv"}, "stations": {"file": "p.csv", "altitude": "altitude_m"}}
    with pytest.raises(
        DataError, match=r"no place for 1 stations, first '0214'. Did you mean '0215'\? Known: 0215, 000212"
    ):
        load_table({"t.csv": WIDE, "p.csv": PLACES.replace("0214", "0215")}, **options)
    with pytest.raises(
        DataError, match=r"options: stations: expected the file 'p.csv' among the entry's files, got t.csv"
    ):
        load_table({"t.csv": WIDE}, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "2001-01-01", "time": "date"}, r"expected either start or a time column, got both \(time: 'date'\)"),
        ({"wide": {"a": "*"}, "station": "id"}, "expected either wide or station, got both"),
        ({"columns": ["a"]}, "expected columns only with header: false"),
        ({"stations": {"fil": "a"}}, r"options.stations.fil: unknown key. Did you mean 'file'\?"),
    ],
)
def test_options_that_contradict_each_other_are_refused(load_table, options, message):
    with pytest.raises(CatalogError, match=message):
        load_table({"t.csv": LONG}, **options)


def test_text_in_another_encoding_is_refused(tmp_path, entry_of, load_entry):
    (tmp_path / "t.csv").write_bytes("time,tas\n2001-01-01,é\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"t.csv: expected text in UTF-8, got another encoding"):
        load_entry(entry_of("csv", ["t.csv"], TAS))


PLACED = (
    "time,station,lat,lon,elevation,tas\n"
    "2001-01-01,A,47.0,350.0,400,1\n2001-01-01,B,46.5,7.0,900,2\n"
    "2001-01-02,A,47.0,350.0,400,3\n2001-01-03,A,47.0,350.0,400,4\n"
)


def test_a_long_table_with_latitudes_keeps_time_and_stations(load_table):
    data = load_table({"t.csv": PLACED}, station="station")
    assert data["tas"].dims == ("time", "station")
    assert data.sizes == {"time": 3, "station": 2}
    np.testing.assert_array_equal(data["tas"], [[1, 2], [3, np.nan], [4, np.nan]])
    assert data["lat"].dims == data["lon"].dims == ("station",)
    np.testing.assert_allclose(data["lat"], [47.0, 46.5])
    np.testing.assert_allclose(data["lon"], [-10.0, 7.0])
    spec = {"id": "station", "altitude": "elevation"}
    np.testing.assert_allclose(load_table({"t.csv": PLACED}, station="station", stations=spec)["altitude"], [400, 900])


@pytest.mark.parametrize("options", [{}, {"stations": {"id": "station"}}])
def test_stations_that_move_are_refused(load_table, options):
    text = PLACED.replace("2001-01-03,A,47.0", "2001-01-03,A,47.5")
    with pytest.raises(
        DataError, match=r"t.csv: column 'lat': expected one value a station, got 47.0 and 47.5 for station 'A'. Give"
    ):
        load_table({"t.csv": text}, station="station", **options)


def test_one_station_without_an_id_keeps_its_time(load_table):
    text = "time,lat,lon,tas\n2001-01-01,47,7,1\n2001-01-02,47,7,2\n"
    data = load_table({"t.csv": text})
    assert data["tas"].dims == ("time",)
    assert (float(data["lat"]), float(data["lon"])) == (47.0, 7.0)
    with pytest.raises(DataError, match=r"expected lat to stay the same at all times, got 47 to 48: data of moving"):
        load_table({"t.csv": text.replace("02,47", "02,48")})
