"""Verbs of tables, each against a loop over rows."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.backend import tables
from pipeline.errors import ConfigError, DataError


@pytest.fixture
def rows():
    """Rows of three sites, out of order, a site without any value, and gaps."""
    rng = np.random.default_rng(0)
    made = []
    for site in ("c", "a", "b"):
        for day in range(20):
            rain = np.nan if site == "b" or rng.random() < 0.2 else float(np.round(rng.gamma(1.0, 4.0), 3))
            stamp = np.datetime64("2001-01-22T06", "ns") + day * np.timedelta64(18, "h")
            made.append({"site": site, "time": stamp, "day": day, "rain": rain, "tas": float(rng.normal())})
    return [made[place] for place in rng.permutation(len(made))]


@pytest.fixture
def frame(backend, rows):
    return backend.xdf.DataFrame({name: [row[name] for row in rows] for name in rows[0]})


@pytest.fixture
def host(backend):
    return lambda made, name: backend.to_host_frame(made)[name].to_numpy()


def by_site(rows):
    ordered = sorted(rows, key=lambda row: (row["site"], row["day"]))
    return {site: [row for row in ordered if row["site"] == site] for site in ("a", "b", "c")}


def of_numbers(how, values):
    known = [value for value in values if not np.isnan(value)]
    if how == "count":
        return len(known)
    if not known or (how == "std" and len(known) < 2):
        return np.nan
    return {"mean": np.mean, "sum": np.sum, "min": np.min, "max": np.max, "std": lambda v: np.std(v, ddof=1)}[how](
        known
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_is_read_by_its_suffix(backend, rows, suffix, tmp_path):
    import pandas as pd

    written = pd.DataFrame(rows)[["site", "day", "rain"]]
    path = tmp_path / f"table{suffix}"
    written.to_parquet(path) if suffix == ".parquet" else written.to_csv(path, index=False)
    found = backend.to_host_frame(tables.read(path, backend))
    assert found["site"].tolist() == written["site"].tolist()
    np.testing.assert_allclose(found["rain"].to_numpy(float), written["rain"])


def test_a_join_keeps_the_order_of_rows_and_leaves_gaps(backend, frame, rows, host):
    places = backend.xdf.DataFrame({"site": ["c", "a"], "height": [30.0, 10.0]})
    height = {"a": 10.0, "b": np.nan, "c": 30.0}
    found = tables.join(frame, places, ["site"])
    assert host(found, "day").tolist() == [row["day"] for row in rows]
    np.testing.assert_array_equal(host(found, "height").astype(float), [height[row["site"]] for row in rows])
    inner = tables.join(frame, places, ["site"], how="inner")
    assert host(inner, "day").tolist() == [row["day"] for row in rows if row["site"] != "b"]


def test_a_join_with_two_rows_for_one_is_refused(backend, frame):
    twice = backend.xdf.DataFrame({"site": ["a", "a"], "height": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"expected one row for every site in the table that is joined, got some twice"):
        tables.join(frame, twice, ["site"])


@pytest.mark.parametrize("how", tables.GROUPED)
def test_groups_are_those_of_a_loop_and_a_group_of_gaps_is_a_gap(frame, rows, host, how):
    found = tables.group(frame, ["site"], {"rain": how, "tas": "mean"})
    assert host(found, "site").tolist() == ["a", "b", "c"]
    expected = [of_numbers(how, [row["rain"] for row in part]) for part in by_site(rows).values()]
    np.testing.assert_allclose(host(found, "rain").astype(float), expected, rtol=1e-12)
    means = [np.mean([row["tas"] for row in part]) for part in by_site(rows).values()]
    np.testing.assert_allclose(host(found, "tas"), means, rtol=1e-12)


@pytest.mark.parametrize("least", [None, 1])
@pytest.mark.parametrize("how", tables.ROLLED)
def test_windows_stay_in_their_group_and_count_values(frame, rows, host, how, least):
    found = tables.rolling(frame, ["rain"], 4, how, time="day", by=["site"], least=least)
    expected = []
    for part in by_site(rows).values():
        for place in range(len(part)):
            values = [row["rain"] for row in part[max(0, place - 3) : place + 1]]
            enough = sum(not np.isnan(value) for value in values) >= (4 if least is None else least)
            expected.append(of_numbers(how, values) if enough else np.nan)
    assert host(found, "site").tolist() == ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    assert host(found, "day").tolist() == [*range(20)] * 3
    np.testing.assert_allclose(host(found, f"rain:{how}4").astype(float), expected, rtol=1e-9, atol=1e-9)


def test_without_groups_a_window_is_over_the_whole_table(backend, host):
    made = backend.xdf.DataFrame({"day": [3, 1, 2], "x": [5.0, 1.0, 2.0]})
    found = tables.rolling(made, ["x"], 2, "mean", time="day")
    np.testing.assert_allclose(host(found, "x:mean2").astype(float), [np.nan, 1.5, 3.5])
    np.testing.assert_allclose(host(tables.lag(made, ["x"], [1], time="day"), "x@-1").astype(float), [np.nan, 1.0, 2.0])


def test_lags_look_back_within_their_group(frame, rows, host):
    found = tables.lag(frame, ["rain", "tas"], [1, 3, -1], time="day", by=["site"])
    for name in ("rain", "tas"):
        for back, label in ((1, "-1"), (3, "-3"), (-1, "+1")):
            expected = [
                part[place - back][name] if 0 <= place - back < 20 else np.nan
                for part in by_site(rows).values()
                for place in range(20)
            ]
            np.testing.assert_allclose(host(found, f"{name}@{label}").astype(float), expected)


@pytest.mark.parametrize(("step", "unit"), [("h", "h"), ("D", "D"), ("MS", "M"), ("YS", "Y")])
def test_periods_are_those_of_a_loop(backend, frame, rows, host, step, unit):
    found = tables.resample(frame, step, {"rain": "sum", "tas": "max"}, backend, time="time", by=["site"])
    keys = sorted({(row["site"], row["time"].astype(f"datetime64[{unit}]")) for row in rows})
    chosen = [[row for row in rows if (row["site"], row["time"].astype(f"datetime64[{unit}]")) == key] for key in keys]
    assert host(found, "site").tolist() == [site for site, _ in keys]
    np.testing.assert_array_equal(
        host(found, "time").astype("datetime64[ns]"), [np.datetime64(t, "ns") for _, t in keys]
    )
    expected = [of_numbers("sum", [row["rain"] for row in part]) for part in chosen]
    np.testing.assert_allclose(host(found, "rain").astype(float), expected, rtol=1e-12)
    np.testing.assert_allclose(host(found, "tas"), [max(row["tas"] for row in part) for part in chosen])


def test_the_table_itself_is_left_as_it_was(backend, frame, rows, host):
    tables.rolling(frame, ["rain"], 3, time="day", by=["site"])
    tables.resample(frame, "D", {"rain": "sum"}, backend, time="time")
    assert list(backend.to_host_frame(frame).columns) == list(rows[0])
    assert host(frame, "day").tolist() == [row["day"] for row in rows]


def test_two_rows_for_one_group_and_time_are_refused(backend):
    made = backend.xdf.DataFrame({"day": [1, 1], "x": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"expected one row for every day, got some twice\. Group them first\."):
        tables.lag(made, ["x"], [1], time="day")


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda f, b: tables.join(f, f, ["day"], how="outer"), r"expected how of left, inner, got 'outer'"),
        (lambda f, b: tables.group(f, ["day"], {"x": "meen"}), r"got 'meen'\. Did you mean 'mean'\?"),
        (lambda f, b: tables.rolling(f, ["x"], 2, "count", time="day"), r"expected how of mean, sum, min, max, std"),
        (
            lambda f, b: tables.resample(f, "7D", {"x": "sum"}, b, time="day"),
            r"expected step of h, D, MS, YS, got '7D'",
        ),
    ],
)
def test_what_both_sides_do_not_have_is_refused(backend, verb, message):
    with pytest.raises(ConfigError, match=message):
        verb(backend.xdf.DataFrame({"day": [1, 2], "x": [1.0, 2.0]}), backend)
