"""Benchmarks of speed: each runs at a tiny size, agrees with the others, and says what it could not do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Peer, Scale, Took, Wanted, on_host
from benchmarks.speed._measure import CPU, OURS, Row, measure
from benchmarks.speed._rapids import CASES
from benchmarks.speed._table import HEAD, line, markdown, tree
from pipeline.backend import get_backend, why_no_gpu

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = {"cold-start-help", "cold-start-import", "cold-start-prediction", "whole-run"}
TINY = Scale("tiny")


@pytest.fixture
def cpu():
    return get_backend("cpu")


def case(**changes):
    """A case that squares numbers; the other way takes a known time."""
    values = np.arange(4.0)
    given = {
        "words": "squares",
        "count": 4.0,
        "unit": "values",
        "ours": lambda backend: lambda: Took(1.0, values**2),
        "limit": Limit("a copy", lambda backend: lambda: Took(0.25)),
        "peers": (Peer("slow", on_host(lambda: lambda: Took(3.0, values * values)), share=2.0),),
        "grows": False,
    }
    return Case(**given | changes)


def row(cpu, **changes):
    return measure("squares", lambda scale: case(**changes), TINY, cpu, 0.0)


@pytest.mark.parametrize("name", [name for name in SPEED.names() if name not in PROCESSES])
def test_a_benchmark_agrees_with_the_others_and_has_every_field(name, cpu):
    found = measure(name, SPEED.get(name), TINY, cpu, 0.0)
    assert found.difference is not None
    assert found.difference <= found.tolerance
    assert all(len(seconds) >= 3 and min(seconds) > 0.0 for seconds in found.seconds.values())
    assert found.limit in found.seconds or found.why_no_limit
    assert found.peers or found.missing
    assert list(found.growth) == ["1", "4", "16"]
    assert found.growing > 0.0
    json.dumps(tree([found], cpu, "tiny"), allow_nan=False)
    assert line(found, cpu).count("|") == len(HEAD) + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_benchmark_of_processes_takes_longer_than_its_limit(name, cpu):
    found = measure(name, SPEED.get(name), TINY, cpu, 0.0)
    assert 0.0 < found.ratio(found.limit) < 1.0
    assert found.growing is None


def test_ratios_are_those_of_the_rounds(cpu):
    found = row(cpu)
    assert found.ratio("slow") == 6.0  # its share counts
    assert found.ratio("a copy") == 0.25
    assert found.rate == 4.0
    assert found.spread == 0.0
    assert found.difference == 0.0


def test_what_is_wanted_and_not_found_is_said(cpu):
    assert row(cpu, wanted=Wanted(peer=6.0, cpu=0.5)).reached() == {"peer": True, "limit": False}
    said = line(row(cpu, wanted=Wanted(peer=6.0, cpu=0.5)), cpu)
    assert "6.0 x slow: yes; 0.50 of the limit: NO" in said


def test_a_library_that_is_missing_is_said(cpu):
    peer = Peer("other", on_host(lambda: lambda: None), "no_such_library", "no-such-library")
    found = row(cpu, peers=(peer,), wanted=Wanted(peer=2.0))
    assert found.missing == ["other: not installed (pip install no-such-library)"]
    assert "Left out: other: not installed (pip install no-such-library)." in markdown([found], cpu, "tiny")
    assert found.reached() == {}


def test_an_answer_that_is_none_is_refused(cpu):
    wrong = Peer("wrong", on_host(lambda: lambda: np.array([0.0, np.nan, 4.0, 9.0])))
    with pytest.raises(ValueError, match="expected finite answers of ours and of wrong"):
        row(cpu, peers=(wrong,))
    other = Peer("other", on_host(lambda: lambda: np.zeros(3)))
    with pytest.raises(ValueError, match=r"expected answers of one shape, got \(4,\) of ours and \(3,\) of other"):
        row(cpu, peers=(other,))


def test_growth_in_proportion_is_one():
    found = Row("x", "", "", 1.0, {OURS: [1.0]}, None, "", [], None, 0.0, {"1": 0.5, "4": 2.0, "16": 8.0})
    assert found.growing == 1.0


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*CASES, *(name for name in SPEED.names() if name not in PROCESSES)])
def test_a_gpu_agrees_with_its_cpu(name):
    if (reason := why_no_gpu()) is not None:
        pytest.skip(f"no gpu backend: {reason}")
    make = CASES[name] if name in CASES else SPEED.get(name)
    found = measure(name, make, TINY, get_backend("gpu"), 0.0, grow=False)
    assert CPU in found.peers
    assert found.difference is None or found.difference <= max(found.tolerance, 1e-3)


def test_the_page_has_a_row_for_every_benchmark():
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    table = text[text.index("| benchmark |") :].splitlines()[2:]
    rows = [each.split("|")[1].strip() for each in table[: table.index("")]]
    assert rows == list(SPEED.names())


def test_rapids_speaks_of_every_estimator_and_verb_that_is_compared(cpu):
    for name, make in CASES.items():
        one = make(TINY)
        assert name in one.words
        assert one.ours(cpu)() is not None
