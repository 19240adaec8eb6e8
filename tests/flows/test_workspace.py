"""Runs of another version, and runs that are meant by the start of their names."""

import json

import pytest

from flows.engine import Request, create_or_find
from flows.workspace import FORMAT, Workspace
from pipeline.errors import FormatError
from pipeline.run_folder import RunFolder


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINESCALE_DATA", raising=False)
    monkeypatch.setenv("FINESCALE_CACHE", str(tmp_path / "cache"))
    return create_or_find(Request(experiment="tiny", out=tmp_path / "runs", use_server=False))


def set_format(run, number):
    settings = run.read_json("work/settings.json")
    settings.pop("format")
    (run / "work/settings.json").write_text(json.dumps(settings | ({} if number is None else {"format": number})))


def test_a_run_says_its_format_and_opens(run):
    assert run.read_json("work/settings.json")["format"] == FORMAT
    assert Workspace.open(run.path).run.path == run.path


@pytest.mark.parametrize(
    ("number", "said"), [(None, "no format"), (0, "format 0"), (FORMAT + 1, f"format {FORMAT + 1}")]
)
def test_a_run_of_another_version_is_refused_and_gets_no_report(run, finescale, number, said):
    set_format(run, number)
    ending = f"({said}, this one reads {FORMAT}); run the experiment again."
    with pytest.raises(FormatError, match="was made by another version of Finescale") as caught:
        Workspace.open(run.path)
    assert str(caught.value).endswith(ending)
    for words in (["report", run.name], ["run", "--resume", run.name, "--no-server"]):
        code, _, err = finescale(*words)
        assert code == 2
        assert ending in " ".join(err.split())


def test_the_run_that_finished_is_shown_and_said(run, tmp_path, finescale):
    other = create_or_find(Request(experiment="tiny", out=tmp_path / "runs", use_server=False))
    code, _, err = finescale("runs", "show", "tiny")
    assert code == 2
    assert "which fits 2 in" in err
    stage = {"stage": "report", "seconds": 1.0, "started": "2026-01-01T00:00:00Z"}
    (other / "stages").mkdir(exist_ok=True)
    (other / "stages/report.json").write_text(json.dumps(stage))
    _, _, err = finescale("runs", "show", "tiny")
    assert f"of 2 runs that 'tiny' fits, {other.name} is the one that finished" in err
    code, _, err = finescale("run", "--resume", "tiny", "--no-server")
    assert code == 2
    assert "which fits 2 in" in err


def test_sentences_of_several_processes_about_one_model_are_all_kept(run, monkeypatch):
    """Two that read, add and write one list would each lose what the other wrote in between."""
    one, other = Workspace.open(run.path), Workspace.open(run.path)
    known = RunFolder.write_json

    def interrupted(self, relative, data):
        monkeypatch.setattr(RunFolder, "write_json", known)
        other.warn("unet", "member 10 is slow")
        other.warn("unet", "of all")
        known(self, relative, data)

    monkeypatch.setattr(RunFolder, "write_json", interrupted)
    one.warn("unet", "member 9 is slow")
    one.warn("unet", "of all")
    one.warn("ridge", "of all")
    expected = ["of all", "member 9 is slow", "member 10 is slow", "of all"]
    assert one.said("warnings") == other.said("warnings") == expected
    assert one.said("fallbacks") == []


def test_a_sentence_is_kept_and_logged_once(run, caplog):
    space = Workspace.open(run.path)
    for _ in range(2):
        space.warn("unet", "short of memory")
        Workspace.open(run.path).warn("unet", "short of memory")
    assert caplog.messages == ["short of memory"]
    run.write_json("work/warnings/ridge.json", ["as kept by an older version"])
    assert space.said("warnings") == ["as kept by an older version", "short of memory"]


def test_where_nothing_is_kept_sentences_go_to_the_log_alone(run, caplog):
    before = sorted(run.path.rglob("*"))
    space = Workspace.open(run.path, keeps=False)
    for tell in (space.context("unet").warn, space.context("unet").fall_back):
        tell("short of memory")
        tell("short of memory")
    assert caplog.messages == ["short of memory"]
    assert sorted(run.path.rglob("*")) == before
