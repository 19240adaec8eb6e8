"""The experiments that the documents show are whole: they are checked as they stand there."""

from __future__ import annotations

import re
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
