"""Every figure brings its numbers and every line figure a plot, and no page grows too large by them."""

import csv
import io
import json
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.grid import Grid
from pipeline.report import page_size
from pipeline.report.figures import Picture
from pipeline.report.figures.behind import MOST, Data, below, combined, link, of_map
from pipeline.report.figures.plot import Plot, Trace
from pipeline.report.load import load_run
from pipeline.report.render import html, render
from pipeline.report.sections import Figure, Folded, Heading, Section, Words, contents, verdict
from pipeline.report.study import study


@pytest.fixture(scope="module")
def found(whole_run):
    return study(load_run(whole_run))


@pytest.fixture(scope="module")
def figures(found):
    return [figure for section in contents.sections(found) for figure in page_size.figures(section.blocks)]


@pytest.fixture(scope="module")
def source(whole_run):
    return render(whole_run, "html").read_text(encoding="utf-8")


def test_every_figure_brings_its_numbers_with_a_head(figures):
    assert len(figures) >= 12
    for figure in figures:
        assert all(picture.data is not None for picture in figure.pictures), figure.name
        rows = list(csv.reader(io.StringIO(figure.csv)))
        assert len(rows) > 1, figure.name
        assert len({len(row) for row in rows}) == 1, figure.name
        assert len(set(rows[0])) == len(rows[0]), figure.name


def test_numbers_of_a_map_are_those_of_the_run_folder(figures, whole_run):
    table = pd.read_csv(io.StringIO(next(figure for figure in figures if figure.name == "maps-tas").csv))
    data = xr.open_dataset(whole_run / "diagnostics" / "unet+deep_ensemble.nc")["tas_rmse"]
    assert list(table.columns[:2]) == ["lat [degrees_north]", "lon [degrees_east]"]
    shown = table.dropna(subset=["RMSE [K]"])
    assert len(shown) == int(np.isfinite(data.values).sum())
    at = data.sel(
        lat=xr.DataArray(shown.iloc[:, 0].to_numpy(), dims="row"),
        lon=xr.DataArray(shown.iloc[:, 1].to_numpy(), dims="row"),
    )
    np.testing.assert_allclose(shown["RMSE [K]"], at.values, rtol=1e-6)


def test_figures_link_to_their_numbers(source, figures):
    links = dict(re.findall(r'href="(data:text/csv;charset=utf-8,[^"]*)" download="([\w-]+)\.csv"', source))
    by_name = {name: unquote(href.partition(",")[2]) for href, name in links.items()}
    for figure in figures:
        assert by_name[figure.name] == figure.csv


def test_a_map_of_many_cells_says_where_its_numbers_are():
    rng = np.random.default_rng(0)
    grid = Grid(np.linspace(-90, 90, 90), np.linspace(0, 358, 180))
    data = of_map(grid, {"RMSE [K]": rng.normal(size=grid.shape)}, "diagnostics/ridge.nc, tas_rmse")
    assert len(data.csv) > MOST
    picture = _picture(data)
    figure = Figure("maps-tas", (picture,), "RMSE.")
    assert figure.csv == ""
    assert figure.elsewhere == (
        "Its numbers are too many for this page: tas_rmse of diagnostics/ridge.nc in the run folder."
    )


def test_cells_without_a_value_are_left_out_and_stations_are_named():
    grid = Grid(np.array([[40.0, 41.0]]), np.array([[5.0, 6.0]]), ("row", "station"), ("a, b", "c"))
    figure = Figure("maps", (_picture(of_map(grid, {"RMSE [K]": np.array([[0.5, np.nan]])})),), "RMSE.")
    assert figure.csv == 'station,lat [degrees_north],lon [degrees_east],RMSE [K]\n"a, b",40,5,0.5\n'


def test_times_are_iso_dates():
    hours = np.array(["2001-01-01T06", "2001-01-01T12"], "datetime64[h]")
    assert Data({"time": hours}).csv == "time\n2001-01-01T06:00:00\n2001-01-01T12:00:00\n"
    assert Data({"time": hours.astype("datetime64[D]")}).csv == "time\n2001-01-01\n2001-01-01\n"


def test_links_hold_no_letter_that_ends_an_attribute():
    text = "a\"b,<c>&'d\n1,2 3\n"
    assert not set("\"<>&'\n ") & set(link(text))
    assert unquote(link(text).partition(",")[2]) == text


def test_panels_of_other_places_stand_below_each_other():
    frame = combined([("one", below([{"line": "a", "x": [1], "y": [2]}])), ("", Data({"x": [3]}))])
    assert frame["panel"].tolist() == ["one", "panel 2"]


@pytest.mark.parametrize("name", ["verdict-2", "learning-1", "calibration-tas-2", "series-tas-1"])
def test_line_figures_can_be_explored(source, name):
    if name == "verdict-2":
        name = next(key for key in _plots(source) if key.startswith("verdict"))
    spec = _plots(source)[name]
    assert f'data-plot="{name}"' in source
    assert spec["yl"]
    for line in spec["lines"]:
        values = [line[key] for key in ("y", "lo", "hi") if key in line]
        assert values
        assert {len(part) for part in values} == {len(spec["at"][line["x"]])}
        assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in line["c"])
        assert line["c"][0] != line["c"][1]


def test_a_series_is_drawn_in_seconds_of_utc(source):
    spec = _plots(source)["series-tas-1"]
    assert spec["time"] == 1
    assert all(isinstance(value, int) and value % 86400 == 0 for value in spec["at"][0])
    assert {"truth", "prediction"} <= {line["n"] for line in spec["lines"]}


def test_plots_are_rounded_to_what_can_be_seen():
    x = np.arange(3.0)
    spec = Plot([Trace("a", "#0072b2", x, np.array([0.123456789, 1.0, 3.0]))], "x", "y").spec()
    assert spec["lines"][0]["y"] == [0.1235, 1, 3]
    spec = Plot([Trace("a", "#0072b2", x, np.array([123456.789, 0.0, 1e6]))], "x", "y", log=True).spec()
    assert spec["lines"][0]["y"] == [123500.0, None, 1000000.0]


def test_plot_data_cannot_end_their_element(found):
    picture = verdict.build(found).pictures[-1]
    bad = replace(picture, plot=Plot([Trace("</script><b>", "#0072b2", np.arange(2.0), np.ones(2))], "x", "<!--"))
    text = page_size.plots([("verdict", [bad])])
    assert "<" not in text
    assert json.loads(text)["verdict-1"]["lines"][0]["n"] == "</script><b>"


def test_pages_without_lines_carry_no_plots(make_run):
    source = render(
        make_run(
            models=("climatology", "ridge"), diagnostics=False, predictions=False, attributions=False, history=False
        )
    ).read_text(encoding="utf-8")
    assert "uPlot" not in source
    assert source.count("<script") == 2


def test_a_page_too_large_drops_the_numbers_of_the_largest_figures(found):
    sections, page = contents.sections(found), html(found)

    def write(parts):
        return "".join(
            figure.link if figure.csv else figure.elsewhere
            for part in parts
            for figure in page_size.figures(part.blocks)
        )

    whole = write(sections)
    limit = len(whole) * 2 // 3
    small = page_size.fitting(sections, write, limit)
    assert len(small) <= limit
    assert "in the run folder" in small
    assert "in the run folder." not in whole
    assert len(page) < page_size.LIMIT


def test_figures_that_are_folded_are_dropped_too(figures):
    section = Section("drivers", "Drivers", "Lead.", (Folded("more", (figures[0],)),))

    def write(sections):
        return "".join(figure.csv or "-" for figure in page_size.figures(sections[0].blocks))

    assert write([section]) == figures[0].csv
    assert page_size.fitting([section], write, 10) == "-"


def _picture(data):
    from pipeline.report.figures import Picture

    return Picture(b"", b"", "image/webp", 344, 300, "What is seen.", "RMSE", data)


def _plots(source):
    return json.loads(re.search(r'<script type="application/json" id="plots">(.*?)</script>', source, re.DOTALL)[1])


def _large(section, count, size):
    """Return a section of figures whose pictures have that many bytes, in both themes together."""
    blocks = []
    for number in range(count):
        picture = Picture(b"x" * (size // 2), b"x" * (size // 2), "image/webp", 10, 10, "a map")
        blocks += [
            Heading(f"target {number}"),
            Figure(f"{section}-{number}", (picture,), f"Map {number} of {section}."),
        ]
    return Section(section, section, "Lead.", (*blocks[:-2], Folded("more", tuple(blocks[-2:]))))


def test_a_page_of_very_many_figures_keeps_the_first_of_each_section_and_tells_the_others():
    sections = [_large("where", 40, 60_000), _large("trust", 3, 60_000)]

    def write(parts):
        words = [block.items[0] for part in parts for block in part.blocks if isinstance(block, Words)]
        size = sum(page_size._bytes(figure) for part in parts for figure in page_size.figures(part.blocks))
        kept.append([[figure.name for figure in page_size.figures(part.blocks)] for part in parts])
        return "\n".join(words) + "x" * size

    kept = []
    page = page_size.fitting(sections, write, limit=1_000_000)
    assert len(page) <= 1_000_000
    where, trust = kept[-1]
    assert where == [f"where-{number}" for number in range(len(where))]
    assert len(trust) == 3, "a short section keeps all of its figures"
    assert 7 <= len(where) <= 9
    assert f"{page_size.LEFT_OUT} Map 20 of where." in page
    nothing = page_size.fitting(sections, write, limit=10)
    assert kept[-1] == [[], []]
    assert "Map 0 of trust." in nothing
