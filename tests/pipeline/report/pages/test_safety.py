"""Nothing that a catalog, an experiment or a plug-in says becomes markup or script, and everybody can read the page."""

import itertools
import json
import re
from importlib import resources
from urllib.parse import unquote

import pandas as pd
import pytest

from pipeline.report import palette
from pipeline.report.render import render

BAD = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`<!-- $x$ [a](javascript:alert(3)) &amp;"
NAME = "<svg onload=alert(4)>\"'&"  # what may be a file's name
TAGS = {
    "html", "head", "meta", "title", "style", "script", "body", "a", "span", "nav", "p", "ol", "ul", "li", "button", "main",
    "section", "h1", "h2", "h3", "strong", "b", "div", "details", "summary", "picture", "source", "img", "figure",
    "figcaption", "table", "thead", "tbody", "tr", "th", "td", "small", "pre", "svg", "circle", "path", "polygon", "footer",
    "dialog",
}  # fmt: skip
SMALL = {"years": 1, "members": 2, "intervals": True}


@pytest.fixture(scope="module")
def hostile(make_run):
    models = ("climatology", "ridge", NAME, f"{NAME}+deep_ensemble")
    run = make_run(
        **SMALL, models=models, baselines=("climatology", "ridge"), channels=(BAD, "b", NAME), units="K",
        experiment={"question": BAD, "name": BAD},
        provenance={
            "warnings": [BAD], "fallbacks": [{"what": BAD, "why": BAD}], "command": BAD, "device": {"cpu": BAD},
            "data": [{"dataset": BAD, "path": BAD, "how": BAD, "sha256": BAD, "licence": BAD, "citation": BAD}],
        },
    )  # fmt: skip
    scores = pd.read_csv(run / "scores.csv", keep_default_na=False)
    own = scores[scores["metric"] == "mae"].assign(metric=NAME, units=BAD)
    seasons = scores[scores["metric"] == "rmse"].assign(group=f"season={NAME.replace('=', ' ')}")
    pd.concat([scores, own, seasons]).to_csv(run / "scores.csv", index=False)
    ingest = json.loads((run / "work/ingest/summary.json").read_text())
    facts = next(iter(ingest["datasets"].values()))
    facts |= {
        "description": BAD,
        "licence": BAD,
        "citation": f"{BAD} https://doi.org/10.1/<b>",
        "repairs": [{"text": BAD}],
    }
    facts["variables"][0] |= {"name": BAD, "units": BAD, "step": BAD}
    ingest["datasets"] = {BAD: facts}
    (run / "work/ingest/summary.json").write_text(json.dumps(ingest))
    summary = run / f"models/{models[2]}/member-00/summary.json"
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.write_text(json.dumps({BAD: BAD, f"alpha [{BAD}]": [BAD], "seconds": 1.0}))
    return run


@pytest.fixture(scope="module")
def source(hostile):
    return render(hostile).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(whole_run, read_page):
    return read_page(render(whole_run).read_text(encoding="utf-8"))


def test_what_others_wrote_stays_text(source, read_page):
    page = read_page(source)
    assert page.faults == page.open == []
    assert {tag for tag, _ in page.tags} <= TAGS
    assert [attrs.get("type", "script") for attrs in page.all("script")] == ["application/json", *["script"] * 4]
    for tag, attrs in page.tags:
        assert not [key for key in attrs if key.startswith("on") or key == "style"], (tag, attrs)
        for key in ("src", "srcset", "href"):
            assert attrs.get(key, "#").startswith(("#", "data:image/", "data:text/csv")), (tag, key, attrs[key][:80])
    assert len({attrs["id"] for _, attrs in page.tags if "id" in attrs}) == sum("id" in a for _, a in page.tags)
    assert "".join(page.text).count(BAD) >= 8


def test_data_of_plots_stay_data(source):
    text = re.search(r'<script type="application/json" id="plots">(.*?)</script>', source, re.DOTALL)[1]
    assert "<" not in text
    names = {line["n"] for spec in json.loads(text).values() for line in spec["lines"]}
    assert any("<svg onload=alert(4)>" in name for name in names)


def test_downloads_hold_the_names_as_they_are_and_end_no_attribute(source):
    links = re.findall(r'href="(data:text/csv[^"]*)"', source)
    assert len(links) > 10
    plain = [unquote(link.partition(",")[2]) for link in links if "base64" not in link]
    assert any(NAME.replace('"', '""') in text for text in plain)
    assert not any(set("<>'` ") & set(link) for link in links)


def test_markdown_holds_no_markup_of_others(hostile):
    text = render(hostile, "md").read_text(encoding="utf-8")
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"<[a-zA-Z/!]", outside)
    targets = re.findall(r"(?<!\\)\]\(([^)]*)\)", outside)
    assert targets
    assert all(re.fullmatch(r"figures/[a-z0-9.-]+", target) for target in targets)


def test_every_figure_has_a_caption_alt_text_and_numbers(whole, whole_run):
    source = render(whole_run).read_text(encoding="utf-8")
    figures = re.findall(r'<figure id="([^"]+)"[^>]*>(.*?)</figure>', source, re.DOTALL)
    pictures = [(name, text) for name, text in figures if "<img" in text]
    assert len(pictures) >= 12
    for name, text in pictures:
        caption = re.search(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)[1]
        assert len(re.sub(r"<[^>]*>", "", caption)) > 30, name
        assert 'class="download"' in caption or "in the run folder" in caption, name
        assert all(len(alt) > 20 for alt in re.findall(r'alt="([^"]*)"', text)), name


def test_headings_do_not_jump(whole):
    levels = [int(tag[1]) for tag, _ in whole.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_a_caption_and_heads_say_what_they_are_of(whole):
    ids = {attrs["id"] for _, attrs in whole.tags if "id" in attrs}
    tables = whole.all("table")
    assert len(tables) > 8
    assert all(attrs["aria-labelledby"] in ids for attrs in tables)
    assert {attrs.get("scope") for attrs in whole.all("th")} == {"col", "row"}


def test_nobody_is_sent_round_by_the_tab_key(whole):
    assert {attrs["tabindex"] for _, attrs in whole.tags if "tabindex" in attrs} <= {"0"}


def _themes():
    css = (resources.files("pipeline.report") / "templates/report.css").read_text(encoding="utf-8")
    blocks = re.findall(r"\{\s*color-scheme: (light|dark);(.*?)\}", css, re.DOTALL)
    assert [name for name, _ in blocks] == ["light", "dark", "dark"]
    return [(name, dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text))) for name, text in blocks]


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_words_and_marks_can_be_told_from_the_page(theme):
    _, colours = _themes()[theme]
    for words in ("text", "muted", "link", "stop"):
        for ground in ("page", "soft"):
            assert palette.contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    assert palette.contrast(colours["text"], colours["warn-back"]) >= 4.5
    for mark in ("win", "lose", "tie", "warn-line"):
        assert palette.contrast(colours[mark], colours["page"]) >= 3, mark


def test_both_ways_into_the_dark_are_the_same():
    (_, first), (_, second) = _themes()[1:]
    assert first == second


@pytest.mark.parametrize("side", [0, 1])
def test_lines_of_plots_can_be_told_from_the_page(side):
    surface = (palette.LIGHT, palette.DARK)[side].surface
    for pair in (*palette.STRONG, *palette.QUIET):
        assert palette.contrast(pair[side], surface) >= 3, pair
