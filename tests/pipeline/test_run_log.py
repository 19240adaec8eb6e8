import json
import logging
import warnings

import pytest

from pipeline.run_folder import RunFolder
from pipeline.run_log import in_stage, log_to


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path, "tiny")


def lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_line_says_when_where_and_what(run):
    log = logging.getLogger("pipeline.test")
    with log_to(run), in_stage("fit"):
        log.info("loss %.1f", 0.5, extra={"epoch": 3, "path": run.path})
    (line,) = lines(run)
    assert line["time"].endswith("+00:00")
    del line["time"]
    assert line == {
        "level": "INFO",
        "stage": "fit",
        "logger": "pipeline.test",
        "message": "loss 0.5",
        "extra": {"epoch": 3, "path": str(run.path)},
    }


def test_an_error_brings_its_traceback(run):
    with log_to(run):
        try:
            raise ValueError("not finite")
        except ValueError:
            logging.getLogger("models.test").exception("fit failed")
    (line,) = lines(run)
    assert line["level"] == "ERROR"
    assert line["stage"] is None
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: not finite")


def test_others_are_kept_from_warnings_on(run):
    foreign = logging.getLogger("foreign.library")
    foreign.setLevel("INFO")
    with log_to(run), warnings.catch_warnings():
        warnings.simplefilter("always")
        foreign.info("chatter")
        foreign.warning("odd")
        warnings.warn("a warning of Python", UserWarning, stacklevel=1)
    found = lines(run)
    assert [line["logger"] for line in found] == ["foreign.library", "py.warnings"]
    assert "a warning of Python" in found[1]["message"]


def test_level_counts_for_our_own_and_is_put_back(run):
    log = logging.getLogger("flows")
    before = log.level
    with log_to(run, level="DEBUG"):
        log.debug("detail")
    log.warning("after")
    assert [line["message"] for line in lines(run)] == ["detail"]
    assert log.level == before


def test_a_second_attempt_appends_and_half_a_line_stays_alone(run):
    with log_to(run):
        logging.getLogger("pipeline").info("first")
    with (run / "log.jsonl").open("a") as file:
        file.write('{"time": "2026')
    with log_to(run):
        logging.getLogger("pipeline").info("second")
    text = (run / "log.jsonl").read_text().splitlines()
    assert text[1] == '{"time": "2026'
    assert [json.loads(text[i])["message"] for i in (0, 2)] == ["first", "second"]
