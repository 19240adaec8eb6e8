"""Traffic lights beside explanations: shape, word and colour, the checks, marks in captions."""

import io
import math
import re

import pandas as pd
import pytest

from pipeline.report.explained import explanations
from pipeline.report.sections import Folded, Signal, driver_checks, drivers
from pipeline.report.tables import Table

SHAPES = {
    "green": '<circle cx="8" cy="8" r="7.5"',
    "amber": '<polygon points="8,0.6',
    "red": '<polygon points="4.8,0.5',
    "grey": '<circle class="ring"',
}
CASES = {
    "green": ("complete", "open"),
    "amber": ("complete", "sensitive"),
    "red": ("missed", "sensitive", "open"),
    "grey": ("open",),
}
SAID = {
    "green": "Green: 1 check passed, 1 not decided.",
    "amber": "Amber: to be read with care; max sensitivity failed.",
    "red": "Red: this must not be relied on; completeness and max sensitivity failed.",
    "grey": "Grey: no check decided.",
}
MARKS = {
    "green": "Green light.",
    "amber": "Amber light: read with care.",
    "red": "Red light: not to be relied on.",
    "grey": "Grey light: nothing decided.",
}


@pytest.fixture
def lit(explained, made):
    """Return a function: a light, to the study of a run whose explanation has it."""

    def make(light, **parts):
        return explained({"unet": [made.joined(findings=[getattr(made, name) for name in CASES[light]], **parts)]})

    return make


def _table(section, start):
    return next(block for block in section.blocks if isinstance(block, Table) and block.name.startswith(start))


@pytest.fixture
def four(explained, made):
    """A study of four explanations, one a light."""
    parts = {"kinds": ("season", "third"), "members": 2}
    several = [
        made.joined(name=light, findings=[getattr(made, name) for name in CASES[light]], **parts) for light in CASES
    ]
    return explained({"unet": several})


def test_every_light_has_a_word_and_a_shape_of_its_own(four, page):
    signals = [block for block in drivers.build(four).blocks if isinstance(block, Signal)]
    assert {signal.flag.light: signal.flag.words for signal in signals} == SAID
    text = page(four)
    for light, words in SAID.items():
        shown = re.search(rf'<p class="signal {light}">.*?</p>', text, re.DOTALL)[0]
        assert f"<strong>{words}</strong>" in shown
        assert [name for name, shape in SHAPES.items() if shape in shown] == [light]
        caption = re.search(rf'<figure id="attribution-unet-{light}">.*?</figure>', text, re.DOTALL)[0]
        assert f"<strong>{MARKS[light]}</strong></span> Mean attribution" in caption
        assert SHAPES[light] in caption


def test_every_caption_carries_the_mark(four, made):
    figures = made.figures(drivers.build(four).blocks)
    for light, words in MARKS.items():
        own = [figure for name, figure in figures.items() if name.endswith(f"unet-{light}")]
        assert len(own) >= 2
        assert {figure.flag.words for figure in own} == {words}


def test_unchecked_is_not_called_undecided(explained, made):
    section = drivers.build(explained({"unet": [made.joined(findings=())]}))
    assert next(block for block in section.blocks if isinstance(block, Signal)).flag.words == "Grey: not checked."
    assert not [block for block in section.blocks if isinstance(block, Table)]


def test_table_of_checks_has_number_limit_result_and_words(lit):
    table = _table(drivers.build(lit("red")), "checks-")
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows == [
        ["completeness", "0.300", "0.01", "failed", "The parts miss the departure by 30 %."],
        ["max sensitivity", "1.20", "1", "failed", "Noise changes the map by 120 % at most."],
        ["agreement", "–", "0.5", "not decided", "One member only."],
    ]
    assert [row[3].mark for row in table.rows] == ["red", "amber", "grey"]
    assert [row[3].note for row in table.rows] == ["essential", "", ""]
    assert [row[3].mark for row in _table(drivers.build(lit("green")), "checks-").rows] == ["green", "grey"]


def test_csv_of_the_checks_holds_the_numbers_in_full(lit):
    frame = pd.read_csv(io.StringIO(_table(drivers.build(lit("red")), "checks-").csv))
    assert list(frame.columns) == ["check", "value", "limit", "result", "essential", "words", "light"]
    assert frame["value"].tolist()[:2] == [0.3, 1.2]
    assert math.isnan(frame["value"][2])
    assert set(frame["light"]) == {"red"}
    assert frame["essential"].tolist() == [True, False, False]


def test_the_light_is_explained_once(explained, made):
    section = drivers.build(explained({"unet": [made.joined(), made.joined(name="occlusion", title="Occlusion")]}))
    captions = [block.caption for block in section.blocks if isinstance(block, Table)]
    assert captions[0].startswith("Checks of integrated gradients. The light is red where an essential check failed")
    assert captions[1] == "Checks of occlusion."


def test_curves_of_checks_are_folded_and_read_back(explained, made):
    study = explained({"unet": [made.joined(findings=(made.removal(), made.shuffling()))]})
    one = explanations(study, "unet")[0]
    assert set(one.checks[0].curves) == {"x", "deletion", "insertion", "random_deletion", "random_low", "random_high"}
    assert one.checks[1].curves["rho"].tolist() == [1.0, 0.6, 0.3, 0.05]
    section = drivers.build(study)
    assert "check-curves-unet-integrated-gradients" not in [getattr(block, "name", "") for block in section.blocks]
    folded = next(block for block in section.blocks if isinstance(block, Folded))
    assert folded.summary == "More: all shares, single days and curves of the checks"
    figure = made.figures([folded])["check-curves-unet-integrated-gradients"]
    assert [picture.title for picture in figure.pictures] == ["Deletion", "Insertion", "Randomisation"]
    assert "grey: random orders, the mean and the middle 95\u00a0% of them" in figure.caption
    assert made.plain(figure.pictures[0].alt) == "Deletion curve of integrated gradients, from 2.00 to 0 K."
    assert figure.pictures[2].alt == "The rank correlation with the trained network's map ends at 0.05."


def test_random_orders_of_insertion_run_the_other_way(explained, made, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        driver_checks.lines, "lines", lambda drawn_, axis, alt, title, **_: drawn.setdefault(title, drawn_)
    )
    study = explained({"unet": [made.joined(findings=(made.removal(),))]})
    driver_checks.curves(explanations(study, "unet")[0])
    chance, own = drawn["Insertion"]
    assert (chance.y[0], chance.y[-1], chance.low[-1], chance.high[0]) == (0.0, 2.0, 1.8, pytest.approx(0.2))
    assert own.y[0] == 0.0
    chance, own = drawn["Deletion"]
    assert (chance.y[0], chance.y[-1], own.y[0]) == (2.0, 0.0, 2.0)


@pytest.mark.parametrize(
    ("kind", "axis"), [("departure", "explained number [K]"), ("sensitivity", "absolute change [K]")]
)
def test_axis_of_deletion_is_what_the_check_followed(explained, made, kind, axis):
    study = explained({"unet": [made.joined(findings=(made.removal(),), kind=kind)]})
    figure = driver_checks.curves(explanations(study, "unet")[0])
    assert all(f">{axis}<" in picture.light.decode() for picture in figure.pictures)


def test_curves_of_an_unknown_check_are_drawn(explained, made):
    finding = type(made.complete)("other", 1.0, 2.0, True, False, "Well.", {"x": [0.0, 1.0, 2.0], "y": [1.0, 0.0, 2.0]})
    study = explained({"unet": [made.joined(findings=(finding,))]})
    figure = driver_checks.curves(explanations(study, "unet")[0])
    assert figure.pictures[0].title == "Other"
    assert ">x<" in figure.pictures[0].light.decode()


def test_lights_of_other_models_stand_in_one_table(explained, made):
    red = made.scored(findings=(made.missed,))
    section = drivers.build(explained({"unet": [made.scored()], "ridge": [red], "random_forest": [made.scored()]}))
    table = next(block for block in section.blocks if getattr(block, "name", "") == "checks")
    by_model = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    explained_number = "Permutation importance of the mean tas over 48 cells"
    assert by_model == {
        "ridge": [explained_number, "red", "The parts miss the departure by 30 %."],
        "random forest": [explained_number, "grey", "–"],
    }
    assert {row[2].mark for row in table.rows} == {"red", "grey"}
    figure = made.figures(section.blocks)["importance-others-permutation"]
    assert "Red, not to be relied on: ridge." in figure.caption
    assert {picture.title for picture in figure.pictures} == {"ridge (red: not to be relied on)", "random forest"}


def test_markup_in_words_of_checks_stays_text(explained, made, page):
    bad = "<script>alert(1)</script>"
    finding = type(made.complete)(bad, 0.3, 0.01, False, True, bad)
    text = page(explained({"unet": [made.scored(findings=(finding,))]}))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; failed." in text
