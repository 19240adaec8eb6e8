"""Figures of the section on drivers: which there are, what is on them, what is left out."""

import dataclasses
import io
import re

import numpy as np
import pandas as pd
import pytest

from pipeline.grid import Grid
from pipeline.report.explained import explanations
from pipeline.report.figures import daily, lagged, maps, shares
from pipeline.report.render import render
from pipeline.report.sections import Folded, Words, driver_parts, drivers
from pipeline.report.tables import Table

PAINTED = True  # tests look at maps

STATION = Grid(np.array([[44.0]]), np.array([[-115.0]]), ("row", "station"), ("salmon",))
STATIONS = Grid(np.array([[44.0, 42.0, 39.0]]), np.array([[-5.0, 0.0, -7.0]]), ("row", "station"), ("a", "b", "c"))
MANY = tuple(f"v{k}" for k in range(15))


def _lagged(count, variables=("rain", "tmax")):
    channels = tuple(f"{v}@-{k}" if k else v for k in range(count - 1, -1, -1) for v in variables)
    return channels, tuple(2.0 if channel.startswith(variables[0]) else 1.0 for channel in channels)


@pytest.fixture
def figures(explained, made):
    """Return a function: one explanation, to its figures by the first word of their names."""

    def make(one, **run):
        section = drivers.build(explained({"unet": [one]}, **run))
        return {
            name.replace("-unet-" + one.name.replace("_", "-"), ""): f
            for name, f in made.figures(section.blocks).items()
        }

    return make


@pytest.fixture
def drawn(monkeypatch):
    """Return what maps are asked to draw: panel, scale and width of each."""
    found = []
    real = maps.draw_map

    def spy(panel, grid, scale, **how):
        found.append((panel, scale))
        return real(panel, grid, scale, **how)

    monkeypatch.setattr(maps, "draw_map", spy)
    return found


def test_nine_maps_on_one_symmetric_scale_the_most_important_first(figures, made, drawn):
    one = made.joined(MANY, tuple(range(15, 0, -1)))
    figure = figures(one, channels=MANY)["attribution"]
    assert [panel.title for panel, _ in drawn] == list(MANY[:9])
    scale = drawn[0][1]
    assert all(other == scale for _, other in drawn)
    assert (scale.low, scale.kind) == (-scale.high, "field")
    assert figure.caption == (
        "Mean attribution of each input cell over days; integrated gradients of the mean tas over 48 cells, from the "
        "train climatology. Same scale: blue is below zero, red above. One member: whether others agree is not known. "
        "The 9 most important of 15 channels."
    )


def test_dots_where_members_differ_by_more_than_their_mean(figures, made, drawn):
    one = made.joined(members=3)
    caption = figures(one)["attribution"].caption
    np.testing.assert_array_equal(drawn[0][0].unsure, np.abs(one.group_maps[0, 0]) < one.spread[0])
    assert drawn[0][0].unsure.any()
    assert "Dots: the 3 members differ by more than their mean (standard deviation above its size)." in caption
    assert "over days and members" in caption


def test_strengths_are_one_sequential_map_over_all_channels(figures, made, drawn):
    one = made.joined(kind="strength", name="grad_cam", title="Grad-CAM", same=True, kinds=("season",))
    found = figures(one)
    assert set(found) == {"attribution", "attribution-season"}
    panel, scale = drawn[0]
    np.testing.assert_allclose(panel.field, np.abs(one.group_maps[0]).sum(axis=0), rtol=1e-6)
    assert (scale.kind, scale.low, panel.title) == ("sequential", 0.0, "all channels")
    assert found["attribution"].caption.startswith("Mean strength of each input cell, summed over channels, over days;")
    assert "zero" not in found["attribution"].caption


def test_groups_of_days_have_maps_of_the_leading_variable(figures, made, drawn):
    one = made.joined(kinds=("season", "third"))
    found = figures(one)
    own = [(panel, scale) for panel, scale in drawn if "days)" in panel.title]
    assert [panel.title for panel, _ in own] == [
        "DJF (6 days)", "JJA (6 days)", "lowest third (4 days)", "middle third (4 days)", "highest third (4 days)",
    ]  # fmt: skip
    np.testing.assert_allclose(own[0][0].field, one.group_maps[1, 0], rtol=1e-6)
    assert len({scale for _, scale in own}) == 1
    season = found["attribution-season"]
    assert season.caption.startswith("tas in groups of days; one scale.")


def test_maps_of_groups_are_those_of_the_first_explanation(explained, made):
    several = [made.joined(kinds=("season",), name=name) for name in ("one", "two", "three")]
    several = [dataclasses.replace(one, name=name) for one, name in zip(several, ("one", "two", "three"), strict=True)]
    found = made.figures(drivers.build(explained({"unet": several})).blocks)
    assert [name for name in found if name.startswith("attribution-season")] == ["attribution-season-unet-one"]


def test_later_explanations_have_fewer_maps_and_the_page_stays_small(explained, made):
    names = ("a", "b", "c", "d", "e", "f", "g", "h")
    one = made.joined(MANY, tuple(range(15, 0, -1)), members=3, kinds=("season", "third"))
    study = explained({"unet": [dataclasses.replace(one, name=name) for name in names]}, channels=MANY)
    section = drivers.build(study)
    found = made.figures(section.blocks)
    assert [len(found[f"attribution-unet-{name}"].pictures) for name in names[:6]] == [9, 6, 4, 4, 4, 4]
    assert not [name for name in found if re.fullmatch("attribution-unet-[gh]|(daily|shares-third)-unet-[c-h]", name)]
    assert {"daily-unet-b", "shares-third-unet-b", "importance-unet-h"} <= set(found)
    where = "Its maps are not drawn, as the page would grow too large: attributions/unet.nc has them."
    assert [block for block in section.blocks if isinstance(block, Words)] == [Words((where,))] * 2
    assert [b.summary for b in section.blocks if isinstance(b, Folded)][1:3] == [
        "More: groups of days and single days", "More: groups of days",
    ]  # fmt: skip
    assert render(study.run.path).stat().st_size < 5e6


def test_a_single_station_is_on_no_map(figures, made):
    channels, weights = _lagged(8)
    found = figures(made.joined(channels, weights, grid=STATION), channels=channels, grid=STATION)
    assert set(found) == {"importance", "lags", "daily"}
    plain = figures(made.joined(grid=STATION), grid=STATION)
    assert set(plain) == {"importance", "daily"}


def test_lags_run_from_the_oldest_to_the_newest(figures, made, monkeypatch):
    asked = {}
    real = lagged.lagged
    monkeypatch.setattr(
        lagged,
        "lagged",
        lambda *parts: asked.update(zip(("values", "rows", "columns", "scale"), parts, strict=False)) or real(*parts),
    )
    channels, weights = _lagged(5)
    one = made.joined(channels, weights, grid=STATIONS)
    caption = figures(one, channels=channels, grid=STATIONS)["lags"].caption
    assert (asked["rows"], asked["columns"]) == (["rain", "tmax"], ("4", "3", "2", "1", "0"))
    sums = one.group_maps[0].sum(axis=(1, 2))
    np.testing.assert_allclose(asked["values"][0], sums[0::2], rtol=1e-5)
    np.testing.assert_allclose(asked["values"][1], sums[1::2], rtol=1e-5)
    assert asked["scale"].low == -asked["scale"].high
    assert caption == (
        "Attribution by variable and lag, the mean over the explained days, added up over cells; integrated gradients "
        "of the mean tas over 48 cells, from the train climatology. Blue is below zero, red above; lag 0 is the newest "
        "input. Positive and negative parts cancel in these sums."
    )


def test_a_year_of_lags_is_put_in_weeks(figures, made):
    channels, weights = _lagged(365)
    found = figures(made.joined(channels, weights, grid=STATION, days=4), channels=channels, grid=STATION)
    assert found["lags"].caption.endswith("Each column adds up 7 days, the first maybe fewer.")
    assert found["lags"].pictures[0].width == 1060
    assert found["importance"].caption.startswith(
        "Integrated gradients of the mean tas over 48 cells: share of each variable, all its lags together, in the "
    )


def test_many_lags_are_summed_on_maps(figures, made, drawn):
    channels, weights = _lagged(14)
    one = made.joined(channels, weights, members=2, days=4)
    caption = figures(one, channels=channels)["attribution"].caption
    assert [panel.title for panel, _ in drawn] == ["rain", "tmax"]
    np.testing.assert_allclose(drawn[0][0].field, one.group_maps[0, 0::2].sum(axis=0), rtol=1e-4, atol=1e-6)
    assert caption.startswith("Mean attribution of each input cell, summed over lags, over days and members;")
    assert "Dots" not in caption


def test_two_lags_are_no_table(figures, made):
    channels, weights = _lagged(2)
    assert "lags" not in figures(made.joined(channels, weights), channels=channels)


def test_shares_have_the_interval_and_the_range_of_members(explained, made):
    study = explained({"unet": [made.joined(members=3)]})
    one = explanations(study, "unet")[0]
    first = driver_parts.all_bars(one)[0]
    expected = made.joined(members=3).shares
    ends = [
        100 * float(part[0, 0]) for part in (expected.share, expected.low, expected.high, expected.least, expected.most)
    ]
    assert [first.value, first.low, first.high, first.least, first.most] == pytest.approx(ends, rel=1e-5)
    figure = driver_parts.importance(study, one)
    assert made.plain(figure.caption).endswith(
        "Thick line: 95 % interval over days. Thin line below it: lowest to highest of 3 members."
    )
    alone = driver_parts.all_bars(explanations(explained({"unet": [made.joined()]}), "unet")[0])[0]
    assert np.isnan([alone.least, alone.most]).all()


def test_groups_share_their_scale_and_say_how_many_days_they_have(figures, made, monkeypatch):
    asked = []
    real = shares.bar_rows
    monkeypatch.setattr(
        shares, "bar_rows", lambda bars, *names, **how: asked.append((names, how)) or real(bars, *names, **how)
    )
    found = figures(made.joined(kinds=("season", "third")))
    panels = [(names[-1], how["limits"]) for names, how in asked if how.get("limits")]
    assert [title for title, _ in panels][:3] == ["DJF (6 days)", "JJA (6 days)", "lowest third (4 days)"]
    assert len({limits for _, limits in panels}) == 1
    caption = found["shares-season"].caption
    assert caption.startswith("The same shares by seasons, one scale. Thick line: ")
    assert "members" not in caption


def test_table_of_shares_has_everything_in_its_csv(explained, made):
    section = drivers.build(explained({"unet": [made.joined(kinds=("season",), members=2)]}))
    folded = next(block for block in section.blocks if isinstance(block, Folded))
    table = next(block for block in folded.blocks if isinstance(block, Table))
    frame = pd.read_csv(io.StringIO(table.csv))
    assert list(frame.columns) == ["group", "kind", "days", "variable", "share", "low", "high", "least", "most"]
    assert frame.groupby("group")["share"].sum().to_numpy() == pytest.approx(1.0)
    assert [row[0].text for row in table.rows] == ["tas", "psl", "pr"]


def test_single_days_add_up_to_the_departure(explained, made, monkeypatch):
    asked = {}
    real = daily.stacked
    monkeypatch.setattr(
        daily, "stacked", lambda *p: asked.update(parts=p[0], names=p[1], whole=p[2], dates=p[3]) or real(*p)
    )
    one = made.joined(MANY, tuple(range(15, 0, -1)))
    study = explained({"unet": [one]}, channels=MANY)
    figure = driver_parts.each_day(study, explanations(study, "unet")[0])
    assert asked["names"] == ["v0", "v1", "v2", "v3", "11 others"]
    np.testing.assert_allclose(asked["parts"].sum(axis=0), one.numbers, rtol=1e-5)
    np.testing.assert_allclose(asked["whole"], one.numbers, rtol=1e-6)
    assert asked["dates"][0] == "1998-01-01"
    assert "11 others" in figure.pictures[0].light.decode()


@pytest.mark.parametrize("kind", ["sensitivity", "strength"])
def test_parts_that_do_not_add_up_are_not_stacked(figures, made, kind):
    assert "daily" not in figures(made.joined(kind=kind))


def test_curves_of_effects_have_units_on_their_axes(figures, made):
    curves = (made.effect("psl", "hPa"), made.effect("tas"), made.effect("pr", "standard deviations", points=3))
    found = figures(made.scored(importance=(0.5, 0.9, 0.1), name="ale", curves=curves))
    assert set(found) == {"effects"}
    pictures = found["effects"].pictures
    assert [picture.title for picture in pictures] == ["psl", "tas", "pr"]
    texts = [re.findall(r">([^<>]+)</text>", picture.light.decode()) for picture in pictures]
    for text, unit in zip(texts, ("hPa", "°C", "standard deviations"), strict=True):
        assert f"mean over cells [{unit}]" in text
        assert "effect [K]" in text
    assert made.plain(pictures[0].alt) == "psl: the curve spans 4.00 K."
    assert "Band: 95\u00a0% interval over days; same vertical scale." in found["effects"].caption


def test_curves_of_a_channel_that_never_varies_are_drawn(figures, made):
    flat = dataclasses.replace(made.effect("tas"), **{key: np.zeros(1) for key in ("at", "effect", "low", "high")})
    assert len(figures(made.scored(importance=(0.5, 0.1, 0.1), name="ale", curves=(flat,)))["effects"].pictures) == 1


def test_importance_is_hollow_where_the_interval_includes_zero(figures, made):
    found = figures(made.scored(importance=(3.0, 1.0, 0.1)))
    assert "hollow: it includes zero" in found["importance"].caption
    assert "fill: none; stroke" in found["importance"].pictures[0].light.decode()
    assert "hollow" not in figures(made.scored(importance=(3.0, 1.0, 0.5)))["importance"].caption


def test_files_without_what_may_be_missing_are_read(explained, made):
    one = dataclasses.replace(
        made.joined(), group_maps=None, daily=None, shares=None, spread=None, numbers=None, low=None, high=None
    )
    study = explained({"unet": [one]})
    found = explanations(study, "unet")[0]
    assert (found.maps, found.shares, found.daily, found.numbers) == (None, None, None, None)
    assert np.isnan(found.low).all()
    section = drivers.build(study)
    assert set(made.figures(section.blocks)) == {"importance-unet-integrated-gradients"}
    assert "No interval is known." in made.figures(section.blocks)["importance-unet-integrated-gradients"].caption


def test_channels_of_other_models_stand_in_one_order(explained, made, monkeypatch):
    asked = []
    monkeypatch.setattr(
        shares, "bar_rows", lambda bars, *_, **how: asked.append(([b.name for b in bars], how["limits"]))
    )
    models = {"unet": (3.0, 1.0, 0.0), "ridge": (1.0, 3.0, 0.4), "random_forest": (2.0, 0.5, 0.0)}
    study = explained({model: [made.scored(importance=values)] for model, values in models.items()})
    drivers._panels(study, [explanations(study, model)[0] for model in ("ridge", "random_forest")])
    assert asked == [(["psl", "tas", "pr"], pytest.approx((-0.2, 3.2)))] * 2


def test_shared_caption_holds_no_number_of_a_single_model(explained, made):
    note = "RMSE over 9 cells ({} K as it is). The interval is that of the shuffling. All together: +{} K."
    models = {
        "unet": (made.scored(), (1.11, 5)), "climatology": (made.scored(importance=(0.0, 0.0, 0.0)), (3.88, 0)),
        "ridge": (made.scored(), (1.5, 8)), "random_forest": (made.scored(), (2.4, 7)),
    }  # fmt: skip
    several = {model: [dataclasses.replace(one, note=note.format(*said))] for model, (one, said) in models.items()}
    caption = made.figures(drivers.build(explained(several)).blocks)["importance-others-permutation"].caption
    assert caption.endswith("Climatology: zero for all channels. The interval is that of the shuffling.")
    for number in ("3.88", "1.5", "2.4", "+0", "+8", "1.11"):
        assert number not in caption


def test_models_that_hear_nothing_have_no_panel(explained, made):
    silent = made.scored(importance=(0.0, 0.0, 0.0))
    blocks = drivers.build(explained({"unet": [made.scored()], "climatology": [silent]})).blocks
    assert "importance-others-permutation" not in made.figures(blocks)
    start = "Permutation importance of the mean tas over 48 cells, increase of the RMSE when permuted: "
    assert Words((f"{start}climatology: zero for all channels.",)) in blocks


def test_axes_of_bars_hold_zero():
    assert shares.bounds([shares.Bar("a", -1.0, -2.0, np.nan, np.nan, np.nan)]) == (-2.0, 0.0)
