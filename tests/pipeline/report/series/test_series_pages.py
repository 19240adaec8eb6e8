"""The whole page of a series: nothing breaks where there is no place, one lead, one basin or thirty models."""

import base64
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from pipeline.report import palette
from pipeline.report.load import load_run
from pipeline.report.render import html, render
from pipeline.report.sections import Heading, contents, verdict
from pipeline.report.study import study

VOID = {"meta", "img", "source", "br", "link", "input"}
LONG = "a_model_with_a_name_that_somebody_thought_should_say_everything_about_it"
RIVER = {"variable": "qobs", "units": "m3 s-1", "leads": (0,), "step": "D", "parts": "season"}
DAILY = {"variable": "tmax", "units": "K", "leads": (1, 2, 3), "step": "D", "times": 420, "parts": "season"}
MARKUP = "</script><img src=x onerror=alert({})>\"'"
ORDER = ("skill", "where", "extremes", "changes", "trust", "drivers", "learned", "limits", "provenance")
KINDS = {
    "one series, several leads": {},
    "no intervals": {"intervals": False},
    "one river": {**RIVER, "times": 900, "bands": False},
    "basins at no place": {**RIVER, "times": 800, "stations": 3},
    "many basins": {**RIVER, "times": 500, "stations": 14, "placed": True},
    "stations": {**DAILY, "stations": 12, "placed": True},
    "one lead": {**DAILY, "leads": (3,)},
    "one model": {"models": ("lstm",), "baselines": ()},
    "long names": {"models": ("ridge", LONG)},
    "30 models": {"models": ("ridge", "climatology", *(f"lstm_v{i}" for i in range(28))), "leads": (1, 2)},
    "scores alone": {"predictions": False, "leads": (1, 2)},
    "names like markup": {**DAILY, "stations": 3, "placed": True, "name": MARKUP},
    "basins like markup": {**RIVER, "times": 800, "stations": 3, "name": MARKUP},
}


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag was closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open, self.faults = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self):
        return re.sub(r"\s+", " ", "".join(self.text))

    @property
    def figures(self):
        return {attrs["id"] for attrs in self.all("figure") if "id" in attrs}


@pytest.fixture(scope="module")
def page(series_run):
    built = {}

    def make(kind):
        if kind not in built:
            built[kind] = Page(html(study(load_run(series_run(**KINDS[kind])))))
        return built[kind]

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_whole(page, kind):
    found = page(kind)
    assert found.faults == []
    assert found.open == []
    assert not [key for _, attrs in found.tags for key in attrs if key.startswith("on")]
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\bnan\b|\bNone\b|\bNaT\b|\binf\b|,,|\(\)", found.words)
    for picture in found.all("img"):
        assert len(picture["alt"]) > 25, picture["alt"]
        assert picture["alt"].rstrip().endswith(".")
        assert not re.search(r"\bnan\b|\bNone\b", picture["alt"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "markup" in kind])
def test_a_name_like_markup_is_told_as_it_is(page, kind):
    assert MARKUP.format(0)[:40] in "".join(page(kind).text)


@pytest.mark.parametrize("kind", KINDS)
def test_no_section_is_empty(series_run, kind):
    found = contents.sections(study(load_run(series_run(**KINDS[kind]))))
    keys = [section.key for section in found]
    assert keys == [key for key in ORDER if key in keys]
    for section in found:
        assert section.lead.endswith("."), section.lead
        assert section.blocks
        assert not isinstance(section.blocks[-1], Heading)


def test_dark_pictures_hold_no_light_colour(page):
    light = {colour for colour, _ in (*palette.STRONG, *palette.QUIET)} | {palette.LIGHT.text, palette.LIGHT.grid}
    count = 0
    for attrs in page("one river").all("source"):
        kind, _, content = attrs["srcset"].partition(";base64,")
        if kind.endswith("svg+xml"):
            text = base64.b64decode(content).decode()
            ET.fromstring(text)
            assert not light & set(re.findall(r"#[0-9a-f]{6}", text))
            assert "#000000" not in text
            count += 1
    assert count >= 6


def test_a_series_at_no_place_has_curves_in_place_of_maps(page):
    found = page("one series, several leads")
    assert {"leads-nino34-test", "by-lead-nino34-test", "leads-by-month-nino34-test", "series-nino34"} <= found.figures
    assert {"cases-nino34", "coverage-lead-nino34"} <= found.figures
    assert not [name for name in found.figures if name.startswith(("maps-", "best-", "variances-", "by-lead-lead"))]
    assert "by-lead-nino34" not in found.figures  # a panel a lead would be six of them
    assert found.words.count("RMSE reduction against ridge") >= 1


def test_a_river_has_its_hydrograph_and_duration_curve(page):
    found = page("one river")
    assert {"series-qobs", "cases-qobs", "duration-qobs", "flow-qobs-test", "flow-qobs-test-2"} <= found.figures
    assert not [name for name in found.figures if name.startswith(("maps-", "leads-", "basins-", "by-basin-"))]
    assert "m³ s⁻¹" in found.words


def test_stations_with_places_have_maps_of_one_lead_that_is_said(page):
    found = page("stations")
    assert {"maps-tmax", "leads-by-season-tmax-test", "series-tmax", "best-day-tmax"} <= found.figures
    assert "RMSE reduction against ridge, 2 days ahead" in found.words
    assert "tmax, 2 days ahead, mean over all times of each station" in found.words
    assert "of the stations" in found.words


def test_one_lead_has_no_curve_of_leads(page):
    found = page("one lead")
    assert not [name for name in found.figures if "lead" in name]
    assert "By lead" not in found.words


def test_many_basins_have_a_curve_and_a_table(page):
    found = page("many basins")
    assert {"basins-qobs", "by-basin-qobs", "maps-qobs"} <= found.figures
    few = page("basins at no place")
    assert "by-basin-qobs" in few.figures
    assert not {"basins-qobs", "maps-qobs"} & few.figures


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_series_has_no_cells(page, kind):
    assert not re.search(r"\bcells?\b", page(kind).words)


def test_first_screen_has_the_skill_by_lead_or_the_hydrograph(series_run):
    leads = verdict.build(study(load_run(series_run())))
    assert leads.pictures[1].title == "RMSE reduction against ridge"
    assert leads.pictures[1].alt.startswith("lstm has a lower RMSE than ridge at every lead")
    river = verdict.build(study(load_run(series_run(**KINDS["one river"]))))
    # Hyphens that do not break.
    assert re.match("qobs, \\d{4}\u2011\\d\\d\u2011\\d\\d to ", river.pictures[1].title)
    assert "at the highest flow" in river.pictures[1].alt
    alone = verdict.build(study(load_run(series_run(**KINDS["one model"]))))
    assert alone.pictures[1].title == "RMSE by lead, lower is better"


def test_markdown_holds_the_same_figures(series_run, tmp_path, painted):
    run = shutil.copytree(series_run(), tmp_path / "run")
    text = render(run, "md").read_text(encoding="utf-8")
    assert "Where and when" in text
    assert "6 months ahead" in text
