"""``finescale runs open``."""

import json

import pytest

from pipeline.run_folder import STAGES, RunFolder


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path / "runs", "tiny")
    (made / "report.html").write_text("page")
    return made


def opened(monkeypatch, answer=True):
    seen = []
    monkeypatch.setattr("flows.browser.webbrowser.open", lambda url: seen.append(url) or answer)
    return seen


def test_the_report_opens_where_there_is_a_display(run, finescale, monkeypatch):
    seen = opened(monkeypatch)
    monkeypatch.setattr("flows.browser.has_display", lambda: True)
    code, out, _ = finescale("runs", "open", "tiny", "--out", str(run.path.parent))
    assert (code, out) == (0, f"opened {run / 'report.html'}\n")
    assert seen == [(run / "report.html").as_uri()]


@pytest.mark.parametrize("display", [True, False])
def test_without_a_display_or_browser_the_path_and_how_else(run, finescale, monkeypatch, display):
    opened(monkeypatch, answer=False)
    monkeypatch.setattr("flows.browser.has_display", lambda: display)
    code, out, err = finescale("runs", "open", "tiny", "--out", str(run.path.parent))
    assert (code, out) == (0, f"{run / 'report.html'}\n")
    assert "copy it to your own computer" in err


def test_print_opens_nothing(run, finescale, monkeypatch):
    seen = opened(monkeypatch)
    code, out, _ = finescale("runs", "open", "tiny", "--print", "--out", str(run.path.parent))
    assert (code, out, seen) == (0, f"{run / 'report.html'}\n", [])


@pytest.mark.parametrize(("scored", "mend"), [(True, "finescale report "), (False, "finescale run --resume ")])
def test_a_run_without_a_report_says_what_makes_it(run, finescale, scored, mend):
    (run / "report.html").unlink()
    if scored:
        (run / "scores.csv").write_text("x")
    code, _, err = finescale("runs", "open", "tiny", "--out", str(run.path.parent))
    assert code == 2
    assert f"To make it: {mend}{run.path}" in err


def test_without_a_name_it_is_the_newest_that_finished(tmp_path, finescale):
    made = {}
    for name, when, stages in (("old", 1, STAGES), ("new", 2, STAGES), ("cut", 3, STAGES[:2])):
        folder = tmp_path / f"{name}-2026010{when}T000000Z-abcdef"
        (folder / "stages").mkdir(parents=True)
        for stage in stages:
            (folder / f"stages/{stage}.json").write_text(json.dumps({"summary": {}}))
        (folder / "report.html").write_text("<p>")
        made[name] = folder
    code, out, err = finescale("runs", "open", "--print", "--out", str(tmp_path))
    assert (code, out) == (0, f"{made['new'] / 'report.html'}\n"), err
    code, _, err = finescale("runs", "open", "--print", "--out", str(tmp_path / "none"))
    assert code == 2
    assert "expected a run that finished" in err
