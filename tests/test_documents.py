"""The experiments that the documents show are whole: they are checked as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.load import load_experiment
from flows.plan import make_plan
from flows.sources import open_sources, used_entries

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.name: blocks
    for path in sorted((ROOT / "docs").glob("*.md"))
    if (blocks := re.findall(r"```yaml\n(name:.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL))
}


def test_both_tasks_show_one():
    assert {"series.md", "segmentation.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_an_experiment_that_is_shown_is_accepted(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in PAGES[page]:
        path = tmp_path / "shown.yaml"
        path.write_text(text, encoding="utf-8")
        loaded = load_experiment(str(path))
        assert make_plan(loaded.experiment, where=str(path)).models
        used_entries(loaded.experiment, open_sources().catalog)  # refuses names that the catalog lacks


@pytest.fixture
def site(tmp_path):
    """Return a copy of the pages, and what builds them."""
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    for name in ("docs", "deploy", "pipeline/report/templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)

    def build():
        words = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)

    return tmp_path, build


def test_the_pages_are_built_and_a_link_that_leads_nowhere_ends_it(site):
    folder, build = site
    done = build()
    assert done.returncode == 0, done.stderr
    assert (folder / "site/tutorial.html").is_file()
    page = folder / "docs/why_calibration.md"
    for wrong in ("[x](nowhere.md)", "[x](calibration.md#nowhere)", "[x](../deploy/nowhere.service)"):
        text = (ROOT / "docs/why_calibration.md").read_text(encoding="utf-8")
        page.write_text(f"{text}\n{wrong}\n", encoding="utf-8")
        done = build()
        assert done.returncode != 0, wrong
        assert "nowhere" in done.stdout + done.stderr
