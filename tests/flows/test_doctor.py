"""``finescale doctor``: text that reads, JSON for reports, the exit code."""

import json

import pytest

from flows import doctor
from flows.health import Finding

WELL = Finding("software", "numpy", "2.4.6")
NOTE = Finding("gpu", "torch", "a CPU build", "note", "the driver sees a GPU", "pip install torch")
FAULT = Finding(
    "data", "runs", "runs, 3 GiB free " + "word " * 40, "fault", "read-only", "export FINESCALE_RUNS=/tmp/" + "x" * 90
)


def test_what_is_wrong_and_what_mends_it_stand_below_what_was_found():
    text = doctor.as_text([WELL, NOTE])
    assert text.splitlines() == [
        "software",
        "  ok     numpy  2.4.6",
        "",
        "gpu",
        "  note   torch  a CPU build",
        "                wrong: the driver sees a GPU",
        "                mend:  pip install torch",
        "",
        "Runs work here. To look at: torch.",
    ]


def test_words_are_wrapped_and_commands_are_not():
    lines = doctor.as_text([FAULT]).splitlines()
    assert [line for line in lines if len(line) > 100] == [line for line in lines if "mend:" in line]
    assert FAULT.mend in "\n".join(lines)
    assert lines[-1] == "1 to mend before runs work: runs."


@pytest.mark.parametrize(("findings", "code"), [((WELL, NOTE), 0), ((WELL, FAULT), 1)])
def test_a_fault_ends_with_1(findings, code, finescale, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda deep: findings)
    assert finescale("doctor")[0] == code
    ended, out, _ = finescale("doctor", "--json")
    told = json.loads(out)["findings"]
    assert ended == code
    assert told[1]["mend"] == findings[1].mend
    assert told[1]["state"] == findings[1].state


def test_this_machine_is_examined(finescale):
    code, out, _ = finescale("doctor", "--json")
    told = json.loads(out)["findings"]
    assert code == 0, out
    assert {one["subject"] for one in told} == {"software", "gpu", "machine", "data", "prefect"}
    assert all(one["mend"] for one in told if one["state"] != "ok")
