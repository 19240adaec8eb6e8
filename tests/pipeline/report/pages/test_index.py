"""The page over all runs, from small files that the stages write."""

import io
import json
import re
import time

import pytest

from pipeline.report.index import index_html, write_index
from pipeline.report.load import load_run
from pipeline.report.result import ModelScore, Result, thumbnail
from pipeline.report.study import study

RESULT = Result(
    question="which?", verdict="unet wins.", trust="", tone="win", score="RMSE", units="K", better="lower",
    variable="tas", split="test", model="unet", baseline="ridge",
    models=(ModelScore("unet", 0.86, 0.83, 0.9, 730, False), ModelScore("ridge", 1.53, None, None, 730, True)),
    warnings=("a", "b", "c"),
).plain  # fmt: skip


def make(parent, name, *, summary=None, report=True, stages=("ingest", "report"), experiment="quickstart", **parts):
    run = parent / name
    (run / "stages").mkdir(parents=True)
    for stage in stages:
        said = (summary or {"headline": "unet wins.", "result": RESULT}) if stage == "report" else {}
        (run / f"stages/{stage}.json").write_text(json.dumps({"stage": stage, "seconds": 40.0, "summary": said}))
    (run / "experiment.yaml").write_text(f"name: {experiment}\nquestion: which?\ntask: downscaling\n")
    (run / "provenance.json").write_text(json.dumps({"warnings": ["a", "b"], "fallbacks": [{}], **parts}))
    (run / "scores.csv").write_text("model\n")
    if report:
        (run / "report.html").write_text("<p>")
    return run


@pytest.fixture
def runs(tmp_path):
    make(tmp_path, "quickstart-20260101T000000Z-aaaaaa")
    make(tmp_path, "nino34-20260301T120000Z-bbbbbb", experiment="nino34", report=False, stages=("ingest",))
    broken = make(tmp_path, "storms-20260201T000000Z-cccccc", report=False, stages=("ingest",))
    (broken / "stages/fit.unfinished").write_text(json.dumps({"error": "no memory"}))
    return tmp_path


def test_runs_stand_the_newest_first_with_what_they_say(runs, read_page):
    source = index_html(runs)
    page = read_page(source)
    assert page.faults == page.open == []
    names = re.findall(r'<th scope="row" data-key="([^"]+)"', source)
    assert [name.partition("-")[0] for name in names] == ["nino34", "storms", "quickstart"]
    assert "3 runs, the newest first" in page.words
    row = source[source.index('<tr data-state="finished"') :]
    for part in (
        "unet wins.",
        "0.860",
        "0.830 to 0.900",
        "RMSE [K]",
        "ridge",
        "1.53",
        "1 min 20 s",
        ">3</td>",
        "downscaling",
    ):
        assert part in row, part
    assert "2026-01-01 00:00" in row


def test_a_run_links_to_what_it_has_and_says_why_there_is_no_report(runs, read_page):
    page = read_page(index_html(runs))
    links = [attrs["href"] for attrs in page.all("a") if not attrs["href"].startswith("#")]
    assert all(link.startswith("./") and (runs / link).is_file() for link in links)
    assert "./quickstart-20260101T000000Z-aaaaaa/report.html" in links
    assert len([link for link in links if link.endswith("report.html")]) == 1
    assert "no report: it is at work, or was stopped" in page.words
    assert "no report: it failed before its report" in page.words
    assert "fit: no memory" in page.words
    (runs / "quickstart-20260101T000000Z-aaaaaa/report.html").unlink()
    assert "no report: its report was deleted" in read_page(index_html(runs)).words


def test_old_and_damaged_runs_do_not_hide_the_others(runs, read_page):
    make(runs, "old-20250101T000000Z-dddddd", summary={"headline": "ridge wins."})
    bad = make(runs, "bad-20250101T000000Z-eeeeee")
    (bad / "stages/report.json").write_text("{")
    (bad / "provenance.json").write_text("[1]")
    (bad / "experiment.yaml").write_text("name: [\ntask: {\n")
    odd = make(runs, "odd-20250101T000000Z-ffffff", summary={"headline": 5, "result": [3]}, warnings=3)
    (odd / "stages/ingest.json").write_text("[]")
    page = read_page(index_html(runs))
    assert "6 runs" in page.words
    assert "ridge wins." in page.words
    assert "damaged: " in page.words


def test_names_and_sentences_stay_text(runs, read_page):
    bad = '"><script>alert(1)</script>&'
    models = [{**one, "model": bad} for one in RESULT["models"]]
    hostile = {**RESULT, "model": bad, "score": bad, "units": bad, "baseline": bad, "models": models}
    make(
        runs, "odd '<b>#?%2e\"", experiment=json.dumps(bad),
        summary={"headline": bad, "result": hostile},
    )  # fmt: skip
    source = index_html(runs)
    page = read_page(source)
    assert page.faults == page.open == []
    assert len(page.all("script")) == 2
    assert not page.all("b")
    assert bad in "".join(page.text)
    link = next(attrs["href"] for attrs in page.all("a") if "odd" in attrs["href"])
    assert link == "./odd%20%27%3Cb%3E%23%3F%252e%22/report.html"


def test_page_asks_for_nothing_and_lets_in_its_own_script_alone(runs, read_page):
    source = index_html(runs)
    policy = next(attrs["content"] for attrs in read_page(source).all("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    assert policy.count("'sha256-") == 3
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"http-equiv", "", source)


def test_no_runs_is_said(tmp_path):
    path = write_index(tmp_path / "runs")
    assert path == tmp_path / "runs/index.html"
    assert "There are no runs here yet" in path.read_text(encoding="utf-8")


def test_the_folder_may_hold_its_own_page_and_other_files(runs, read_page):
    first = write_index(runs).read_text(encoding="utf-8")
    (runs / "notes.txt").write_text("x")
    assert write_index(runs).read_text(encoding="utf-8") == first


def test_a_thousand_runs_take_seconds(tmp_path):
    for number in range(1000):
        make(tmp_path, f"quickstart-20260101T{number // 60 % 24:02d}{number % 60:02d}00Z-{number:06x}")
    begun = time.perf_counter()
    source = index_html(tmp_path)
    assert source.count("<tr data-state") == 1000
    assert time.perf_counter() - begun < 20


def test_the_result_of_a_run_says_what_the_page_shows(whole_run):
    found = Result.of_run(whole_run)
    assert found.verdict.startswith("unet + deep ensemble")
    assert (found.model, found.score, found.units) == ("unet+deep_ensemble", "RMSE", "K")
    own, base = found.of_model(found.model), found.of_model(found.baseline)
    assert own.low < own.value < own.high < base.value
    assert (own.baseline, base.baseline) == (False, True)
    assert [one.value for one in found.models] == sorted(one.value for one in found.models)
    assert Result.from_plain(json.loads(json.dumps(found.plain))) == found


def test_scores_without_an_interval_have_none(make_run):
    found = Result.of_run(make_run(intervals=False, attributions=False, predictions=False, history=False))
    assert {(one.low, one.high) for one in found.models} == {(None, None)}
    assert {row[2] for row in found.table()[1]} == {"–"}


def test_thumbnails_stand_on_white(whole_run):
    from PIL import Image

    picture = thumbnail(study(load_run(whole_run)))
    image = Image.open(io.BytesIO(picture.light)).convert("RGBA")
    assert image.getpixel((0, 0)) == (255, 255, 255, 255)
    assert len(picture.light) < 60_000
