"""The result of a run, as the end of a command and a Prefect server show it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flows.outcome import Thumbnail, markdown, outcome, text, thumbnail
from pipeline.report.result import ModelScore, Result
from pipeline.run_folder import RunFolder
from pipeline.stage import StageOutput, run_stage

RESULT = Result(
    "How warm?", "unet beats ridge by 0.1\u00a0K.", "The error bars hold.", "win", "RMSE", "K", "lower", "tas", "test", "unet", "ridge",
    (ModelScore("unet", 0.861, 0.83, 0.9, 730, False), ModelScore("ridge", 1.5, None, None, 730, True), ModelScore("clim", 3.0, 2.9, 3.125, 730, True)),
    ("a <b>warning</b>",),
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    made = RunFolder.create(tmp_path, "tiny")
    picture = made / "figures/thumbnail.svg"

    def report():
        picture.parent.mkdir()
        picture.write_text("<svg/>")
        return StageOutput(
            (picture,),
            {
                "result": RESULT.plain,
                "thumbnail": {
                    "path": "figures/thumbnail.svg",
                    "mime": "image/svg+xml",
                    "title": "Skill",
                    "alt": "a map",
                },
            },
        )

    run_stage(made, "report", "digest", report)
    return made


def test_what_the_report_stage_kept_comes_back(run):
    assert outcome(run) == RESULT
    assert thumbnail(run) == Thumbnail("data:image/svg+xml;base64,PHN2Zy8+", "Skill", "a map")


def test_a_run_without_a_report_or_of_another_version_has_none(run, tmp_path):
    assert outcome(RunFolder.create(tmp_path, "other")) is None
    assert thumbnail(RunFolder.create(tmp_path, "other")) is None
    file = run / "stages/report.json"
    kept = json.loads(file.read_text())
    del kept["summary"]["result"]["tone"]
    file.write_text(json.dumps(kept))
    assert outcome(run) is None


def test_text_has_the_verdict_and_every_model_with_its_interval():
    lines = text(RESULT).splitlines()
    assert lines[0] == "unet beats ridge by 0.1 K."
    assert lines[3:] == [
        "  model  RMSE [K]  95 % interval",
        "  unet       0.86   0.83 to 0.90",
        "  ridge      1.50              –  best baseline",
        "  clim       3.00   2.90 to 3.12  baseline",
        "  of tas on test; lower is better",
        "",
        "before you rely on this:",
        "- a <b>warning</b>",
    ]


def test_text_says_why_no_model_has_an_interval():
    models = tuple(replace(one, low=None, high=None) for one in RESULT.models)
    lines = text(replace(RESULT, models=models, warnings=())).splitlines()
    assert lines[-1].startswith("  no intervals: the truth has too few independent blocks for one")


def test_markdown_lets_nothing_of_a_name_through_as_markup():
    page = markdown(replace(RESULT, verdict="a | b <script>", model="unet"))
    assert page.startswith("**a \\| b &lt;script&gt;**")
    assert "| **unet** | 0.86 | 0.83 to 0.90 |  |" in page
    assert "> a &lt;b&gt;warning&lt;/b&gt;" in page
