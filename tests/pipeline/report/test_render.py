"""The whole page: what it may load, how large it is, what it says of odd runs."""

import base64
import hashlib
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pandas as pd
import pytest
import xarray as xr

from pipeline.errors import ConfigError, RunFolderError
from pipeline.report import palette
from pipeline.report.render import render
from pipeline.report.result import Result

PAINTED = True  # tests look at maps

VOID = {"meta", "img", "source", "br", "link", "input"}


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


@pytest.fixture(scope="module")
def source(whole_run):
    return render(whole_run, "html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_page_is_well_formed(page):
    assert page.faults == []
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_page_is_small(whole_run, source):
    assert len(source.encode()) < 5e6
    assert not [path for path in whole_run.iterdir() if path.name.startswith(".tmp-")]


def test_page_asks_the_network_for_nothing(page, source):
    policy = next(
        attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, attrs in page.tags:
        for key in ("src", "srcset", "href", "action", "data", "poster"):
            if key in attrs:
                assert attrs[key].startswith(("data:", "#")), (tag, key, attrs[key][:80])
    outside = re.sub(r'(?:src|srcset|href)="data:[^"]*"', "", source)
    assert "url(" not in outside
    assert "@import" not in outside
    assert not page.all("link")
    assert not any(key.startswith("on") or key == "style" for _, attrs in page.tags for key in attrs)


@pytest.mark.parametrize(("tag", "directive"), [("style", "style-src"), ("script", "script-src")])
def test_policy_lets_in_exactly_the_own_style_and_script(source, page, tag, directive):
    inside = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    assert len(inside) == {"style": 2, "script": 4}[tag]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
    own = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = next(
        attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert f"{directive} {own};" in policy


def test_every_picture_has_both_themes_a_size_and_words(page):
    pictures, sources = page.all("img"), page.all("source")
    assert len(pictures) == len(sources) >= 20
    for picture in pictures:
        assert len(picture["alt"]) > 25, picture["alt"]
        assert picture["alt"].rstrip().endswith(".")
        assert int(picture["width"]) > 200
    assert {attrs["media"] for attrs in sources} == {"screen and (prefers-color-scheme: dark)"}


def test_links_and_controls_resolve(page):
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    anchors = [attrs["href"][1:] for attrs in page.all("a") if attrs["href"].startswith("#")]
    assert len(anchors) >= 9
    assert set(anchors) <= ids
    assert {attrs["data-copy"] for attrs in page.all("button") if "data-copy" in attrs} <= ids


def test_sections_stand_in_their_order(page):
    ids = [attrs["id"] for attrs in page.all("section")]
    assert ids == ["verdict", "skill", "where", "trust", "drivers", "learned", "limits", "provenance"]


def test_line_figures_are_xml_and_dark_ones_hold_no_light_colour(page):
    light = {colour for colour, _ in (*palette.STRONG, *palette.QUIET)} | {palette.LIGHT.text, palette.LIGHT.grid}
    count = 0
    for attrs in page.all("source"):
        kind, _, content = attrs["srcset"].partition(";base64,")
        if kind.endswith("svg+xml"):
            text = base64.b64decode(content).decode()
            ET.fromstring(text)
            assert not light & set(re.findall(r"#[0-9a-f]{6}", text))
            # Black is matplotlib's own: something was left without a colour.
            assert "#000000" not in text
            count += 1
    assert count >= 8


def test_csv_downloads_hold_the_scores_in_full(page, whole_run):
    links = {attrs["download"]: attrs["href"] for attrs in page.all("a") if "download" in attrs}
    text = base64.b64decode(links["scores-tas-test.csv"].partition("base64,")[2]).decode()
    scores = pd.read_csv(whole_run / "scores.csv")
    value = scores.query("model == 'unet' and metric == 'rmse' and split == 'test'")["value"].item()
    assert f"{value}" in text


def test_skill_table_marks_best_and_ties(source):
    row = re.search(r'<tr><th scope="row" data-key="unet\+deep_ensemble".*?</tr>', source, re.DOTALL)[0]
    assert '<td data-key="' in row
    assert re.search(r'class="num best"><b>1\.\d\d</b><small>1\.\d\d to 1\.\d\d</small>', row)
    assert 'class="num tie"' in source


def test_same_run_gives_the_same_bytes(whole_run, source):
    assert render(whole_run).read_text(encoding="utf-8") == source


def test_unknown_format_is_refused(whole_run):
    with pytest.raises(ConfigError, match=r"expected a format of html or md, got 'pdf'\."):
        render(whole_run, "pdf")


def test_headline_is_the_verdict(whole_run, page):
    assert Result.of_run(whole_run).verdict.replace("\u00a0", " ") in page.words


LONG = "a_model_with_a_name_that_somebody_thought_should_say_everything_about_it"
FEW = {"models": ("ridge", "unet"), "baselines": ("ridge",), "years": 1}
NO_MAPS = {"predictions": False, "diagnostics": False, "attributions": False, "years": 1}
ODD = {
    "one model": {"models": ("unet",), "baselines": (), "years": 1, "attributions": False},
    "one baseline": {**NO_MAPS, "models": ("climatology",), "baselines": ("climatology",)},
    "no baseline": {**NO_MAPS, "models": ("unet", "random_forest"), "baselines": (), "diagnostics": True},
    "one member": {
        "members": 1,
        "models": ("climatology", "unet", "unet+deep_ensemble"),
        "years": 1,
        "attributions": False,
    },
    "30 models": {**NO_MAPS, "models": ("ridge", *(f"unet_v{i}" for i in range(29))), "baselines": ("ridge",)},
    "40 channels": {
        **FEW,
        "channels": tuple(f"v{i}@-{i % 3}" for i in range(40)),
        "predictions": False,
        "diagnostics": False,
    },
    "all seasons": {**FEW, **NO_MAPS, "months": tuple(range(1, 13)), "seasons": True},
    "long names": {
        **FEW,
        "models": ("ridge", LONG),
        "channels": (LONG, LONG + "2"),
        "predictions": False,
        "diagnostics": False,
    },
    "no land mask": {**FEW, "mask": False, "attributions": False},
    "scores alone": {**FEW, **NO_MAPS, "history": False},
    "no intervals": {**FEW, **NO_MAPS, "intervals": False, "diagnostics": True},
}


@pytest.mark.parametrize("parts", ODD.values(), ids=ODD)
def test_odd_runs_have_a_whole_report(make_run, parts):
    path = render(make_run(**parts))
    page = Page(path.read_text(encoding="utf-8"))
    assert page.faults == []
    assert page.open == []
    assert path.stat().st_size < 5e6
    assert not re.search(r"\bnan\b|\bNone\b|\bNaT\b|−0\.0+\b(?! to)", page.words)
    for _, attrs in page.tags:
        assert not re.search(r"\bnan\b|\bNone\b", attrs.get("alt", ""))


def test_sections_without_content_are_left_out(make_run):
    page = Page(render(make_run(**ODD["scores alone"])).read_text(encoding="utf-8"))
    ids = [attrs["id"] for attrs in page.all("section")]
    assert ids == ["verdict", "skill", "trust", "learned", "provenance"]
    assert not [attrs for attrs in page.all("a") if attrs["href"] in ("#where", "#drivers", "#limits")]


def test_hostile_names_stay_text(make_run):
    bad = '</script><script>alert(1)</script><img src=x onerror=alert(1)>" $x_1$ & co'
    run = make_run(
        **{**FEW, **NO_MAPS, "attributions": True},
        experiment={"question": bad},
        provenance={"warnings": [bad]},
        channels=(bad, "b"),
    )
    source = render(run).read_text(encoding="utf-8")
    page = Page(source)
    kinds = [attrs.get("type", "script") for attrs in page.all("script")]
    assert kinds == ["application/json", *["script"] * 4]
    assert all("onerror" not in attrs for attrs in page.all("img"))
    assert page.faults == []
    assert bad in "".join(page.text)
    markdown = render(run, "md").read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"```.*?```", "", markdown, flags=re.DOTALL)


def test_markdown_says_the_same(whole_run, page):
    path = render(whole_run, "md")
    text = path.read_text(encoding="utf-8")
    assert path.name == "report.md"
    assert Result.of_run(whole_run).verdict.split(", on ")[0] in text
    assert [line for line in text.splitlines() if line.startswith("## ")][:2] == ["## Skill", "## Where and when"]
    files = re.findall(r"\]\((figures/[^)]+)\)", text)
    pictures = [file for file in files if not file.endswith(".csv")]
    assert len(pictures) == len(page.all("img"))
    assert all((whole_run / file).stat().st_size > 500 for file in pictures)
    tables = [whole_run / file for file in files if file.endswith(".csv")]
    assert len(tables) >= 8
    assert all(len(table.read_text(encoding="utf-8").splitlines()) > 1 for table in tables)


def test_two_variables_and_a_second_test_set(make_run):
    run = make_run(**FEW, attributions=False)
    scores = pd.read_csv(run / "scores.csv")
    more = [
        scores,
        scores.assign(variable="pr", units="mm d-1"),
        scores[scores["split"] == "test"].assign(split="warm"),
    ]
    pd.concat(more).to_csv(run / "scores.csv", index=False)
    comparisons = pd.read_csv(run / "comparisons.csv")
    pd.concat([comparisons, comparisons.assign(variable="pr")]).to_csv(run / "comparisons.csv", index=False)
    for folder in ("diagnostics", "predictions"):
        for path in (run / folder).iterdir():
            data = xr.load_dataset(path)
            other = data.rename({name: "pr" + name[3:] for name in data.data_vars})
            if folder == "predictions":
                other["pr"].attrs["units"] = "mm d-1"
            shutil.move(path, path.with_suffix(".old"))
            xr.merge([data, other]).to_netcdf(path)
    page = Page(render(run).read_text(encoding="utf-8"))
    assert page.faults == []
    ids = {attrs["id"] for attrs in page.all("figure") if "id" in attrs}
    assert {"maps-tas", "maps-pr", "series-pr", "scores-pr-test", "scores-tas-warm", "calibration-pr"} <= ids
    assert "[mm d⁻¹]" in page.words


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"expected a run folder, got '.*nowhere', which is not there\."):
        render(tmp_path / "nowhere")
    with pytest.raises(
        RunFolderError,
        match=r"expected experiment\.yaml in the run folder '.*', and it is not there\. Finish the run first",
    ):
        render(tmp_path)
