"""Coverage by region and season: the sentence, the field of numbers and the table, made from scores that are known."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pipeline.metrics import Case
from pipeline.metrics.evaluate import evaluate
from pipeline.metrics.regions import CellRegions
from pipeline.prediction import Prediction
from pipeline.report import error_bars, regional
from pipeline.report.load import load_run
from pipeline.report.sections import Figure, regions, trust
from pipeline.report.sections.skill import groups as skill_groups
from pipeline.report.study import study
from pipeline.report.tables import Table

NAN = float("nan")
LANDS = ("low land", "middle heights", "mountains")
SEASONS = ("DJF", "MAM", "JJA", "SON")
RIGHT = {f"region={land};season={season}": 0.9 for land in LANDS for season in SEASONS}


def plain(text):
    return text.replace("\u00a0", " ")


@pytest.fixture
def asked(make_run):
    """Return a function: coverages by group, as a value, or value, low and high, to the study."""

    def make(coverages, half=0.01, how="height", whole=(0.9, 0.89, 0.91), models=("ridge", "unet"), **target):
        parts = {"models": models, "baselines": ("ridge",), "noise": {"unet": 0.5}, "years": 1}
        run = make_run(**parts, attributions=False, diagnostics=False, **target)
        scores = pd.read_csv(run / "scores.csv")
        hit = (scores["metric"] == "coverage_90") & (scores["model"] == "unet") & (scores["split"] == "test")
        scores.loc[hit, ["value", "low", "high"]] = whole
        rows = []
        for model in models:
            for group, said in coverages.items():
                value, low, high = said if isinstance(said, tuple) else (said, said - half, said + half)
                first = (model, "test", target.get("variable", "tas"), group)
                rows += [(*first, "coverage_90", value, "1", low, high, 90), (*first, "rmse", 1.2, "K", 1.1, 1.3, 90)]
                rows += [
                    (*first, "interval_score_90", 5.1, "K", 5.0, 5.2, 90),
                    (*first, "crps", 0.7, "K", NAN, NAN, 90),
                ]
        scores = pd.concat([scores, pd.DataFrame(rows, columns=scores.columns)])
        scores["units"] = scores["units"].replace("K", target.get("units", "K"))
        scores.to_csv(run / "scores.csv", index=False)
        record = json.loads((run / "stages/prepare.json").read_text())
        record["summary"]["regions"] = {"how": how}
        (run / "stages/prepare.json").write_text(json.dumps(record))
        return study(load_run(run))

    return make


def said(found):
    return plain(regional.sentence(found, "tas"))


def test_the_one_that_stands_out_is_named(asked):
    found = asked(RIGHT | {"region=mountains;season=DJF": (0.81, 0.76, 0.86)})
    expected = (
        "By region and season they are too narrow in 1 of 12: in DJF over the mountains (81.0 %, 76.0 to 86.0 %)."
    )
    assert said(found) == expected
    trusted = plain(error_bars.trust(found))
    assert trusted.startswith("The error bars of unet")
    assert trusted.endswith(expected)


def test_three_are_named_the_worst_first(asked):
    bad = {
        "mountains;season=DJF": 0.7,
        "low land;season=MAM": 0.8,
        "mountains;season=SON": 0.75,
        "low land;season=SON": 0.84,
    }
    text = said(asked(RIGHT | {f"region={group}": value for group, value in bad.items()}))
    assert text.startswith(
        "By region and season they are too narrow in 4 of 12: most in DJF over the mountains (70.0 %, "
    )
    order = ["in DJF over the mountains", "in SON over the mountains", "in MAM over low land"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "in SON over low land" not in text


def test_both_sides_are_told_apart(asked):
    text = said(asked(RIGHT | {"region=mountains;season=DJF": 0.8, "region=low land;season=JJA": 0.99}, half=0.005))
    assert text == (
        "By region and season they are too narrow in 1 of 12 and too wide in 1: too narrow in DJF over the mountains "
        "(80.0 %, 79.5 to 80.5 %) and too wide in JJA over low land (99.0 %, 98.5 to 99.5 %)."
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "out"),
    [
        (0.86, 0.845, 0.8699, True),
        (0.86, 0.845, 0.8701, False),  # more than a little from 90 %, and beyond doubt not right, but maybe by a little
        (0.7, 0.5, 0.91, False),
        (0.94, 0.9301, 0.95, True),
        (0.94, 0.9299, 0.95, False),
    ],
)
def test_an_interval_has_to_leave_the_room_around_90(asked, value, low, high, out):
    text = said(asked(RIGHT | {"region=mountains;season=DJF": (value, low, high)}))
    assert ("in 1 of 12" in text) == out
    assert ("none stands out" in text) != out


def test_where_none_stands_out_their_span_is_told(asked):
    text = said(asked(RIGHT | {"region=mountains;season=DJF": 0.88, "region=low land;season=JJA": 0.925}))
    assert text == ("By region and season, in all 12, they hold the truth 88.0 to 92.5 % of the time: none stands out.")


def test_those_without_an_interval_are_not_counted(asked):
    text = said(asked(RIGHT | {"region=mountains;season=DJF": (0.5, NAN, NAN), "region=mountains;season=MAM": 0.8}))
    assert text.startswith(
        "By region and season they are too narrow in 1 of 11 with an interval: in MAM over the mount"
    )


def test_without_intervals_of_seasons_regions_and_seasons_are_told_of_apart(asked):
    unknown = {group: (0.9, NAN, NAN) for group in RIGHT}
    single = {f"region={land}": 0.9 for land in LANDS} | {f"season={season}": 0.91 for season in SEASONS}
    text = said(asked(unknown | single | {"region=mountains": 0.8}))
    assert text == (
        "By region, and by season they are too narrow in 1 of 7: over the mountains (80.0 %, 79.0 to 81.0 %)."
    )


def test_without_any_interval_the_ends_are_told(asked):
    text = said(asked({**dict.fromkeys(RIGHT, (0.9, NAN, NAN)), "region=mountains;season=SON": (0.8, NAN, NAN)}))
    assert text == (
        "By region and season they hold the truth from 80.0 % of the time (in SON over the mountains) to 90.0 % "
        "(in DJF over low land); no interval is known of so few samples."
    )


@pytest.mark.parametrize(
    ("coverages", "how", "start"),
    [
        ({"region=Bilbao": 0.8, "region=Oviedo": 0.9}, "stations", "By region they are too narrow in 1 of 2: at Bilbao ("),
        ({"region=north-west": 0.8, "region=south-east": 0.9}, "quarters", "By region they are too narrow in 1 of 2: in the north-west ("),
        ({"region=Alps": 0.8, "region=Po": 0.9}, "named", "By region they are too narrow in 1 of 2: in Alps ("),
        ({"season=DJF": 0.8, "season=JJA": 0.9}, "none", "By season they are too narrow in 1 of 2: in DJF ("),
        ({"season=DJF": 0.8}, "none", ""),
        ({"region=Alps": 0.8}, "named", ""),
        ({}, "none", ""),
    ],
)  # fmt: skip
def test_places_have_their_own_words(asked, coverages, how, start):
    text = said(asked(coverages, how=how))
    assert text.startswith(start)
    assert bool(text) == bool(start)


def test_the_first_screen_names_the_worst_only_where_it_is_bad(asked):
    def first(value, half=0.01, whole=(0.88, 0.87, 0.89)):
        found = asked(RIGHT | {"region=mountains;season=DJF": value}, half=half, whole=whole)
        text = plain(regional.worst(found, "tas"))
        trusted = plain(error_bars.trust(found, brief=True))
        assert trusted.endswith(text)
        assert "By region" not in trusted
        return text

    assert first(0.71) == "They are worst in DJF over the mountains (71.0 %, 70.0 to 72.0 %)."
    assert first(0.82) == ""
    assert first(0.79, half=0.1) == ""  # 69 to 89 %: it may be right
    assert first(0.71, whole=(0.72, 0.7, 0.74)) == ""  # as bad everywhere: the sentence before says so


def test_precipitation_is_not_judged_by_its_coverage(asked):
    found = asked(RIGHT | {"region=mountains;season=DJF": 0.5}, variable="pr", units="mm d-1")
    assert error_bars.dry_days(found, "pr")
    for brief in (True, False):
        assert "By region" not in error_bars.trust(found, brief=brief)
        assert "They are worst" not in error_bars.trust(found, brief=brief)
    blocks = regions.blocks(found, "pr")
    assert [type(block) for block in blocks] == [Table]
    assert "coverage" not in " ".join(column.title for column in blocks[0].columns)


def test_a_spread_that_is_halved_in_one_region_is_named_and_no_other(asked):
    time = np.arange("1990-12-01", "2000-12-01", dtype="datetime64[D]")[::5]
    rng, shape = np.random.default_rng(0), (len(time), 60)
    of_cell, sd = np.repeat([0, 1, 2], 20), np.full((len(time), 60), 2.0)
    truth, mean = sd * rng.standard_normal(shape), np.zeros(shape)
    usual = Prediction("normal", {"mean": mean, "sd": sd})
    forecast = Prediction("normal", {"mean": mean, "sd": np.where(of_cell == 2, 0.5, 1.0) * sd})
    made = evaluate(
        {"unet": {"tas": Case(forecast, truth, usual)}}, split="test", time=time, weights=np.ones(60), units={"tas": "K"},
        seed=1, metrics=("coverage_90",), regions=CellRegions(LANDS, of_cell),
    )  # fmt: skip
    rows = {row.group: (row.value, row.low, row.high) for row in made.scores if row.group != "all"}
    text = said(asked(rows))
    assert text.startswith("By region and season they are too narrow in 4 of 12: most in ")
    assert text.count("over the mountains") == 3
    assert "low land" not in text
    assert "middle" not in text
    halved = 2 * norm.cdf(norm.ppf(0.95) / 2) - 1
    assert rows["region=mountains"][0] == pytest.approx(halved, abs=0.02)


def test_the_trust_section_shows_a_field_and_a_table(asked):
    seasons = {f"season={season}": 0.9 for season in SEASONS}
    lands = {f"region={land}": 0.89 for land in LANDS}
    found = asked(RIGHT | seasons | lands | {"region=mountains;season=DJF": 0.7, "region=low land;season=JJA": 0.93})
    figure, table = regions.blocks(found, "tas")
    assert isinstance(figure, Figure)
    caption = plain(figure.caption)
    assert "Bold: the 95 % interval lies wholly below 87 or above 93 %." in caption
    assert caption.endswith("runs from 70.0 % in DJF over the mountains to 93.0 % in JJA over low land.")
    assert [column.title for column in table.columns][:3] == ["Region", "Season", "coverage of the 90 % interval"]
    assert len(table.rows) == 15
    head = next(row for row in table.rows if (row[0].text, row[1].text) == ("mountains", "DJF"))
    assert plain(head[2].text) == "70.0 %"
    assert plain(head[2].note) == "69.0 to 71.0 %"
    assert set(table.source["model"]) == {"ridge", "unet"}
    section = trust.build(found)
    names = [block.name for block in section.blocks if isinstance(block, (Figure, Table))]
    assert "coverage-season-tas" in names
    assert "coverage-region-tas" in names
    assert names.count("coverage-region-tas") == 1  # no panels of regions beside the field


def test_regions_without_seasons_have_panels(asked):
    found = asked({f"region={land}": 0.9 for land in LANDS})
    assert [type(block) for block in regions.blocks(found, "tas")] == [Table]
    section = trust.build(found)
    figure = next(
        block for block in section.blocks if isinstance(block, Figure) and block.name == "coverage-region-tas"
    )
    assert [picture.title for picture in figure.pictures] == list(LANDS)


def test_scores_by_region_are_panels_of_skill(asked):
    found = asked(RIGHT | {f"region={land}": 0.9 for land in LANDS})
    figure = next(block for block in skill_groups(found, "tas", "test") if block.name == "by-region-tas-test")
    assert [picture.title for picture in figure.pictures] == list(LANDS)


def test_a_model_without_regions_has_no_blocks(asked):
    assert regions.blocks(asked({}), "tas") == []
