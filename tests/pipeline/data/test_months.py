"""Tables of a row a year and a column a month."""

import numpy as np
import pytest

from pipeline.errors import CatalogError, DataError

NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
OPTIONS = {
    "separator": "blank",
    "header": False,
    "columns": ["year", *NAMES, "annual"],
    "time": "year",
    "months": {"soi": NAMES},
}


@pytest.fixture
def load_months(tmp_path, entry_of, load_entry):
    def run(rows, **changes):
        lines = [" ".join(f"{value:7.2f}" for value in row) for row in rows]
        (tmp_path / "soi.dat").write_text("\n".join(lines))
        spec = {"soi": {"units": "1", "source_units": "1", "missing": [-99.99]}}
        return load_entry(entry_of("csv", ["soi.dat"], spec, **OPTIONS | changes)).data

    return run


def rows(years=(1999, 2000, 2001)):
    return [[year, *(year - 1999 + 0.01 * np.arange(1, 13)), -7.0] for year in years]


def test_months_follow_one_another(load_months):
    data = load_months(rows())
    assert dict(data.sizes) == {"time": 36}
    assert [str(time)[:10] for time in data["time"].values[[0, 1, 35]]] == ["1999-01-01", "1999-02-01", "2001-12-01"]
    expected = np.concatenate([year + 0.01 * np.arange(1, 13) for year in range(3)])
    np.testing.assert_allclose(data["soi"], expected, rtol=1e-6)


def test_markers_are_missing_and_years_are_sorted(load_months):
    table = rows((2000, 1999))
    table[0][12] = -99.99
    data = load_months(table)
    assert np.flatnonzero(np.isnan(data["soi"])).tolist() == [23]
    assert bool((np.diff(data["time"].values) > np.timedelta64(0)).all())


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        (rows((1999, 1999)), {}, "expected one row a year, got 1999 twice"),
        (rows(), {"time": "jan"}, "expected years in the column of the time, got 0.01"),
        (rows(), {"time": "yaer"}, r"no column 'yaer'\. Did you mean 'year'\?"),
    ],
)
def test_what_are_no_years_is_refused(load_months, table, changes, message):
    with pytest.raises(DataError, match=message):
        load_months(table, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"months": {"soi": NAMES[:11]}}, "expected 12 columns under months for 'soi', got 11"),
        ({"station": "annual"}, "expected months with time, the year's column, and without wide, station or start"),
        ({"time": ["year", "jan"]}, "expected months with time, the year's column"),
    ],
)
def test_options_that_contradict_each_other_are_refused(load_months, changes, message):
    with pytest.raises(CatalogError, match=message):
        load_months(rows(), **changes)
