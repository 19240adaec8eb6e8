"""``finescale runs open``."""

import pytest

from pipeline.run_folder import RunFolder


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
