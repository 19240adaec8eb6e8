"""Tables, numbers, colours, coastlines and limits on their own."""

import numpy as np
import pytest

from pipeline.grid import Grid
from pipeline.report import coast, numbers, palette, tables
from pipeline.report.data_facts import datasets
from pipeline.report.figures import bars, maps
from pipeline.report.figures.canvas import apart, wrapped
from pipeline.report.load import load_run
from pipeline.report.metric_words import metric_words
from pipeline.report.sections import limits
from pipeline.report.study import study

PAINTED = True  # tests look at maps


@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_text_has_contrast_aa(theme):
    assert palette.contrast(theme.text, theme.surface) >= 7
    assert palette.contrast(theme.muted, theme.surface) >= 4.5


def test_marks_have_contrast_in_both_themes():
    for light, dark in (*palette.STRONG, *palette.QUIET):
        assert palette.contrast(light, palette.LIGHT.surface) >= 3
        assert palette.contrast(dark, palette.DARK.surface) >= 3


def test_style_sheet_has_contrast_aa():
    import re
    from importlib import resources

    css = (resources.files("pipeline.report") / "templates/report.css").read_text()
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r"\{[^{}]*--page:[^{}]*\}", css)
    ]
    assert len(blocks) == 3
    assert blocks[1] == blocks[2]
    for colours in blocks:
        for ink in ("text", "muted", "link"):
            for paper in ("page", "soft", "warn-back"):
                assert palette.contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        for mark in ("win", "lose", "tie", "warn-line"):
            assert palette.contrast(colours[mark], colours["page"]) >= 3
    assert blocks[0]["page"] == palette.LIGHT.surface
    assert blocks[1]["page"] == palette.DARK.surface


def test_each_light_colour_has_one_dark_partner():
    lights = [light for light, _ in (*palette.STRONG, *palette.QUIET)]
    lights += [getattr(palette.LIGHT, key) for key in ("surface", "text", "muted", "grid", "truth")]
    assert len(set(lights)) == len(lights)
    # Swapping twice must change nothing: no dark colour is some other light one.
    once = palette.to_dark(" ".join(lights))
    assert palette.to_dark(once) == once


@pytest.mark.parametrize("kind", ["field", "skill"])
@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_signed_maps_are_the_page_at_zero_and_balanced(kind, theme):
    colours = palette.signed_map(kind, theme)
    rgb = [int(theme.surface[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    assert np.allclose(colours(0.5)[:3], rgb, atol=0.01)

    def light(x):
        return palette.luminance("#" + "".join(f"{round(255 * c):02x}" for c in colours(x)[:3]))

    for away in (0.15, 0.3, 0.5):
        below, above = light(0.5 - away), light(0.5 + away)
        assert abs(below - above) < 0.17
    assert abs(light(0.5) - light(0.0)) > abs(light(0.5) - light(0.35))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
        (-1234.4, "−1,234"),
        (0.00012, "0.000120"),
        (3e-12, "3.00×10⁻¹²"),
    ],
)
def test_numbers(value, text):
    assert numbers.number(value) == text


def test_rounding_leaves_no_minus_zero():
    assert numbers.number(-0.0004, 2) == "0.00"
    assert numbers.interval(-0.0004, 0.3, 2) == "0.00 to 0.30"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("K", "K"),
        ("m3 s-1", "m³ s⁻¹"),
        ("W m-2", "W m⁻²"),
        ("degC d-1", "°C d⁻¹"),
        ("%", "%"),
        ("kg kg-1", "kg kg⁻¹"),
        ("(mm d-1)2 km2", "(mm d⁻¹)² km²"),
    ],
)
def test_units(raw, shown):
    assert numbers.units(raw) == shown


def test_table_columns_keep_their_decimals(whole_run):
    found = study(load_run(whole_run))
    table = tables.skill_table(found, "tas", "test", tables.ACCURACY, "t", "")
    column = [column.title for column in table.columns].index(metric_words("rmse").label)
    shown = [row[column].text for row in table.rows]
    assert {len(text.partition(".")[2]) for text in shown} == {2}
    assert [row[column].key for row in table.rows] == sorted(row[column].key for row in table.rows)
    assert sum(row[column].mark == "best" for row in table.rows) == 1


def test_csv_quotes_what_csv_must():
    table = tables.Table("t", "", (tables.Column("a", "K", numeric=False),), ((tables.text('x,"y"'),),))
    assert table.csv == 'a [K]\n"x,""y"""\n'


def test_unknown_scores_are_shown_but_never_best():
    words = metric_words("made_up_score")
    assert (words.label, words.better) == ("made up score", "?")
    import pandas as pd

    assert words.best(pd.Series([1.0, 2.0])) is None
    assert metric_words("bias").best(pd.Series([-0.3, 0.2])) == 0.2
    assert metric_words("pearson_r").best(pd.Series([0.3, 0.9])) == 0.9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (12, "12"),
        (123456, "123,456"),
        (300.0, "300"),
        (-20.0, "−20"),
        (98000.0, "98,000"),
        ({"a": 1}, "a: 1"),
        ([1, 2], "1, 2"),
    ],
)
def test_plain(value, text):
    assert tables.plain(value) == text


def test_coastlines_cover_the_globe():
    for kind, least in (("coast", 1000), ("border", 200)):
        lines = coast.lines(kind)
        assert len(lines) > least
        points = np.concatenate(lines)
        assert np.abs(points[:, 0]).max() <= 180
        assert np.abs(points[:, 1]).max() <= 90
    # Gibraltar, Cape Agulhas and John o' Groats lie on a shore.
    shore = np.concatenate(coast.lines("coast"))
    for lon, lat in ((-5.6, 36.0), (20.0, -34.8), (-3.1, 58.6)):
        assert np.hypot(*(shore - [lon, lat]).T).min() < 0.15


def test_no_line_runs_along_the_edge_of_the_map():
    for line in coast.lines("coast"):
        edge = (np.abs(line[:, 0]) > 179.98) | (line[:, 1] < -89.9)
        assert not (edge[1:] & edge[:-1]).any()


def test_clipping_follows_the_longitudes_of_the_map():
    west, east = coast.clipped("coast", coast.Box(-10, 5, 35, 45)), coast.clipped("coast", coast.Box(350, 365, 35, 45))
    assert len(west) == len(east) > 3
    assert all(np.allclose(np.add(a, [360, 0]), b) for a, b in zip(west, east, strict=True))
    assert coast.clipped("coast", coast.Box(-40, -35, 20, 25)) == ()


def test_scales_are_symmetric_robust_and_say_where_they_clip():
    field = np.r_[np.linspace(-1, 1, 1000), 50.0]
    scale = maps.Scale.of("field", "K", field)
    assert scale.low == -scale.high
    assert scale.high < 1.1
    assert scale.clips == (True, True)
    assert maps.Scale.of("spread", "K", np.full(5, 2.0)).clips == (False, False)
    assert maps.Scale.of("field", "K", np.full(5, np.nan)).high == 1.0
    assert maps.Scale.of("field", "K", np.zeros(5)).high == 1.0


@pytest.mark.parametrize(
    "grid",
    [
        Grid(np.arange(40.0, 30, -2), np.arange(0.0, 12, 2)),
        Grid(np.arange(30.0, 40, 2), np.r_[350.0, 354, 358, 2, 6]),
        Grid(np.add.outer(np.arange(4.0), np.zeros(5)) + 40, np.add.outer(np.zeros(4), np.arange(5.0)), ("y", "x")),
        Grid(np.array([45.0]), np.array([7.0])),
        Grid(np.arange(-88.75, 90, 10.0), np.arange(0.0, 360, 10)),
    ],
    ids=["north first", "across zero", "projected", "one cell", "globe"],
)
def test_maps_of_any_grid(grid):
    field = np.arange(np.prod(grid.shape), dtype=float).reshape(grid.shape)
    panel = maps.MapPanel(field, "A field", "It rises.", field > 3, (0.0, 40.0))
    picture = maps.draw_map(panel, grid, maps.Scale.of("sequential", "K", field))
    assert picture.title == "A field [K]"
    assert picture.light[8:12] == picture.dark[8:12] == b"WEBP"
    assert picture.light != picture.dark
    assert 90 < picture.height <= 340


def test_flipped_rows_make_the_same_picture():
    lat, lon = np.arange(30.0, 40, 2), np.arange(0.0, 10, 2)
    field = np.arange(25.0).reshape(5, 5)
    scale = maps.Scale.of("sequential", "K", field)
    up = maps.draw_map(maps.MapPanel(field, "", "."), Grid(lat, lon), scale)
    down = maps.draw_map(maps.MapPanel(field[::-1], "", "."), Grid(lat[::-1], lon), scale)
    assert up.light == down.light


def test_shortened_keeps_what_must_stay():
    rows = [bars.Row(f"m{i}", i, i, i, "") for i in range(30)]
    kept = [row.name for row in bars.shortened(rows, ("m29", "m3"), 8)]
    assert kept == ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m29"]


def test_labels_do_not_touch():
    places = apart([1.0, 1.0, 1.0, 9.0], 2.0)
    assert np.diff(sorted(places)).min() >= 2.0 - 1e-9
    assert sorted(places) == places


def test_wrapped_keeps_both_ends():
    one, other = wrapped("x" * 40 + "_a"), wrapped("x" * 40 + "_b")
    assert one != other
    assert max(len(line) for line in one.split("\n")) <= 20


def test_data_facts_read_the_ingest_summary(whole_run):
    ncep, eobs = datasets(load_run(whole_run).ingest)
    assert eobs.variables[0].gaps == "19, longest 275 steps"
    assert eobs.variables[0].missing == 0.401
    assert ncep.repairs == ("pr: kg m-2 s-1 to mm d-1",)


def test_limits_come_from_the_data(make_run):
    run = make_run(models=("ridge", "unet"), years=2, attributions=False, diagnostics=False, effective=20)
    found = limits.build(study(load_run(run)))
    text = " ".join(found.blocks[0].items)
    assert found.lead.startswith(
        "This evaluation rests on 180 days of 2 years in one region, 35.25° N, 9.75° W to 44.25° N, 4.25° E"
    )
    for words in (
        "too short for slow changes",
        "Only December to February was tested",
        "about 20 independent samples",
        "of 551 are predicted",
    ):
        assert words in text
    assert "lies within the train years" in text


def test_a_warmer_test_period_is_said(make_run):
    import xarray as xr

    run = make_run(models=("ridge", "unet"), years=2, attributions=False, diagnostics=False)
    path = run / "work/ingest/iberia-eobs.nc"
    data = xr.load_dataset(path)
    path.unlink()
    data["tas"] = data["tas"] + 4 * (data["time"] > np.datetime64("1997-06-01"))
    data.to_netcdf(path)
    climate = limits.climate_of(study(load_run(run)))
    train = data["tas"].sel(time=slice("1982-06-01", "1995-05-31"))
    weights = np.cos(np.deg2rad(data["lat"]))
    assert len(climate.train) == 13
    assert climate.train.mean() == pytest.approx(float(train.weighted(weights).mean(("lat", "lon")).mean()), abs=0.02)
    assert climate.outside
    text = " ".join(limits.build(study(load_run(run))).blocks[0].items)
    assert "is unlike the train split" in text
    assert "+4." in text or "+3." in text


def test_a_made_region_has_no_coastlines():
    lat, lon = np.linspace(36.0, 44.0, 9), np.linspace(-9.0, 3.0, 13)
    panel = maps.MapPanel(np.zeros((9, 13)), "", ".")
    scale = maps.Scale.of("sequential", "K", np.arange(4.0))
    real = maps.draw_map(panel, Grid(lat, lon), scale)
    made = maps.draw_map(panel, Grid(lat, lon), scale, earth=False)
    assert len(made.light) < len(real.light)
