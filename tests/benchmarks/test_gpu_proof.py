"""The proof on a GPU host, with made parts and a made host: what it runs, writes and says."""

from __future__ import annotations

import json
import sys
import time

import pytest

from benchmarks import gpu_proof
from benchmarks._proof_host import Host, version_of
from benchmarks._proof_page import BEGIN, END, Page
from benchmarks._proof_results import Outcome
from benchmarks.gpu_proof import Part, main, parts, prove, suite, unproved_first
from flows.bench import BENCHMARKS

HOST = Host("H100", "580.1", "13.0", (("torch", "2.13.0"), ("cudf", "26.10.2")))
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="one"><properties><property name="parity metric rmse" value="0.25"/></properties></testcase>
<testcase classname="tests.a" name="two"><failure message="no"/></testcase>
<testcase classname="tests.a" name="three"><skipped message="no"/></testcase>
</testsuite></testsuites>"""


STARTED = 6.0  # seconds after which a process has begun its work, whatever else the machine does


def part(name: str, code: str, seconds: float = 20.0) -> Part:
    return Part(name, f"that {name} works", ("{python}", "-c", code, "{out}"), seconds)


def writes(name: str, text: str, code: int = 0) -> str:
    return f"import pathlib, sys; pathlib.Path(sys.argv[1], {name!r}).write_text({text!r}); sys.exit({code})"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "status.md"
    path.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    return path


def run(chosen, page, **options):
    said: list[str] = []
    found = prove(chosen, HOST, page, page.parent / "parts", say=said.append, date="2026-11-22", **options)
    return found, said


def test_a_part_that_passes_is_a_row_with_its_figures(page):
    result = json.dumps({"ratios": {"regrid": 12.5, "crps": {"gpu": 3.0}}, "numbers": {"unused": 1}})
    _, said = run([part("bench", writes("result.json", result))], page)
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\n\nAfter.\n")
    assert "old" not in text
    row = next(line for line in text.splitlines() if "| bench |" in line)
    for words in (
        "2026-11-22",
        "H100",
        "580.1, 13.0",
        "torch 2.13.0, cudf 26.10.2",
        "passed",
        "regrid 12.5, crps gpu 3",
    ):
        assert words in row
    assert said[0].startswith("bench: passed")
    kept = json.loads(page.with_suffix(".json").read_text())["rows"][0]
    assert kept["figures"] == {"regrid": 12.5, "crps gpu": 3.0}
    assert kept["proves"] == "that bench works"
    assert kept["command"].startswith("python -c")


def test_ratios_of_rows_and_their_share_of_the_limit_are_figures(page):
    rows = [{"name": "crps", "ratios": {"scores": 8.0, "none": None}, "share_of_limit": 0.5}]
    (found,), _ = run([part("bench crps", writes("result.json", json.dumps({"rows": rows})))], page)
    assert found.figures == {"crps scores": 8.0, "crps of the limit": 0.5}


def test_seconds_of_stages_and_printed_ratios_are_figures(page):
    code = (
        "import pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[1], 'tiny-1', 'stages'); folder.mkdir(parents=True)\n"
        "(folder / 'fit.json').write_text('{\"seconds\": 2.5}')\n"
        "print('8 members; ratio: seconds one by one\\nmlp: 900 weights a member, ratio 1.25')"
    )
    (found,), _ = run([part("both", code)], page)
    assert found.figures == {"fit s": 2.5, "mlp": 1.25}


def test_a_part_that_fails_does_not_stop_the_rest(page):
    chosen = [part("first", "print('what went wrong'); raise SystemExit(3)"), part("second", "pass")]
    found, _ = run(chosen, page)
    assert [one.state for one in found] == ["failed", "passed"]
    assert found[0].notes == ("exit status 3", "what went wrong")
    rows = json.loads(page.with_suffix(".json").read_text())["rows"]
    assert [(row["part"], row["state"]) for row in rows] == [("first", "failed"), ("second", "passed")]
    assert "what went wrong" in page.read_text()


def test_tests_are_counted_and_failures_named_by_the_junit_file(page):
    (found,), said = run([part("tests", writes("junit.xml", JUNIT, 1))], page)
    assert found.counts == (1, 1, 1)
    assert found.notes == ("tests.a::two",)
    assert found.differences == {"metric rmse": 0.25}
    assert said == [f"tests: failed, 1 passed, 1 failed, 1 skipped ({found.seconds:.0f} s)"]
    assert "1 records; largest differences as a share of the tolerance: metric rmse 0.25" in page.read_text()


def test_a_part_of_which_all_was_skipped_has_not_passed(page):
    skipped = '<testsuite><testcase classname="a" name="b"><skipped/></testcase></testsuite>'
    (found,), _ = run([part("tests", writes("junit.xml", skipped))], page)
    assert (found.state, found.notes) == ("failed", ("nothing was tested",))


def test_a_part_ends_at_its_limit_and_keeps_what_it_has_written(page):
    code = (
        "import pathlib, sys, time\n"
        "try:\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path(sys.argv[1], 'junit.xml').write_text({JUNIT!r})"
    )
    begin = time.monotonic()
    (slow, fast), _ = run([part("slow", code, seconds=STARTED), part("fast", "pass")], page)
    assert time.monotonic() - begin < 50
    assert (slow.state, slow.counts) == ("out of time", (1, 1, 1))
    assert slow.notes[0].startswith("ended after")
    assert fast.state == "passed"


def test_a_part_that_does_not_listen_is_ended_with_what_it_started(page, monkeypatch):
    monkeypatch.setattr(gpu_proof, "GRACE", 0.3)
    mark = page.parent / "alive"
    child = f"import time, pathlib\nfor _ in range(300): pathlib.Path({str(mark)!r}).write_text(str(time.time())); time.sleep(0.1)"
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)"
    )
    (found,), _ = run([part("deaf", code, seconds=STARTED)], page)
    assert found.state == "out of time"
    seen = mark.read_text()
    time.sleep(0.4)
    assert mark.read_text() == seen


def test_the_budget_holds_and_what_was_not_run_is_said(page, monkeypatch):
    monkeypatch.setattr(gpu_proof, "LEAST", 0.5)
    begin = time.monotonic()
    found, said = run([part("long", "import time; time.sleep(60)"), part("later", "pass")], page, budget=1.5)
    assert time.monotonic() - begin < 50
    assert [one.state for one in found] == ["out of time", "not run"]
    assert said[1] == "later: not run: no time left of 1.5 s"
    assert "not run: no time left of 1.5 s" in page.read_text()


def test_a_new_outcome_replaces_the_old_one_and_not_run_replaces_none(page):
    table = Page(page)
    other = Host("A100", "1", "13", ())
    table.add("2026-01-01", HOST, Outcome("parity", "failed", seconds=1.0))
    table.add("2026-01-01", other, Outcome("parity", "passed"))
    table.add("2026-02-02", HOST, Outcome("parity", "passed", seconds=2.0))
    table.add("2026-03-03", HOST, Outcome.not_run("parity", "no time"))
    table.add("2026-03-03", HOST, Outcome.not_run("models", "no time"))
    assert [(row["date"], row["gpu"], row["part"], row["state"]) for row in table.rows()] == [
        ("2026-02-02", "H100", "parity", "passed"),
        ("2026-01-01", "A100", "parity", "passed"),
        ("2026-03-03", "H100", "models", "not run"),
    ]
    assert page.read_text().count("| parity |") == 2


def test_what_has_passed_on_this_gpu_with_these_versions_comes_last(page):
    table = Page(page)
    table.add("2026-01-01", HOST, Outcome("parity", "passed"))
    table.add("2026-01-01", HOST, Outcome("models", "failed"))
    table.add("2026-01-01", Host("A100", "1", "13", HOST.versions), Outcome("backend", "passed"))
    chosen = [part(name, "pass") for name in ("parity", "models", "backend")]
    assert [one.name for one in unproved_first(chosen, HOST, page)] == ["models", "backend", "parity"]
    newer = Host(HOST.gpu, HOST.driver, HOST.cuda, (("torch", "9.9"),))
    assert unproved_first(chosen, newer, page) == chosen


def test_a_suite_of_this_project_is_run_counted_and_its_properties_kept(page, tmp_path):
    """With pytest itself; a GPU host asks for tests marked gpu, and runs them in several processes."""
    file = tmp_path / "test_made.py"
    file.write_text(
        "import pytest\n"
        "def test_one(record_property): record_property('parity table lag float32', 0.5)\n"
        "def test_two(): pytest.skip('no')\n"
    )
    asked = suite("made", "that it works", 60, str(file))
    several = {"-n", "--dist", "worksteal", str(gpu_proof.TEST_PROCESSES)}
    words = tuple("not gpu" if word == "gpu" else word for word in asked.command if word not in several)
    (found,), _ = run([Part("made", "that it works", (*words, "--rootdir", str(tmp_path)), 60)], page)
    assert (found.state, found.counts, found.differences) == ("passed", (1, 0, 1), {"table lag float32": 0.5})


def test_a_page_without_its_marks_is_refused(tmp_path):
    path = tmp_path / "status.md"
    path.write_text("no marks")
    with pytest.raises(ValueError, match=r"expected the marks .* once each, in this order\. Put them back\."):
        Page(path).add("2026-01-01", HOST, Outcome("parity", "passed"))


def test_the_page_of_the_documents_has_its_marks_and_its_json_agrees():
    from benchmarks._proof_page import table

    path = gpu_proof.ROOT / "docs/gpu_status.md"
    between = path.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert [line for line in between.splitlines() if line] == table(Page(path).rows())


def test_every_benchmark_of_the_registry_is_a_part_and_every_path_is_there():
    known = parts()
    names = [one.name for one in known]
    assert len(set(names)) == len(names)
    assert {f"bench {name}" for name in BENCHMARKS} <= set(names)
    assert "bench all" not in names
    paths = [word for one in known for word in one.command if word.startswith("tests/")]
    assert paths
    assert all((gpu_proof.ROOT / path).exists() for path in paths)
    assert all(one.proves and one.seconds > 0 for one in known)


def test_without_a_gpu_nothing_is_run_and_it_says_why(page, capsys, monkeypatch):
    import pipeline.backend

    monkeypatch.setattr(pipeline.backend, "why_no_gpu", lambda: "torch sees no CUDA device")
    before = page.read_text()
    assert main(["--page", str(page)]) == 2
    assert "got none: torch sees no CUDA device. Nothing was run." in capsys.readouterr().err
    assert page.read_text() == before


def test_an_unknown_part_is_refused_and_parts_are_listed(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "parrity"])
    assert "unknown part 'parrity'; known: RAPIDS contract, parity" in capsys.readouterr().err
    assert main(["--list", "--only", "parity"]) == 0
    assert "pytest" in capsys.readouterr().out


def test_versions_are_found_without_a_distribution_too(tmp_path, monkeypatch):
    (tmp_path / "unpacked_library.py").write_text("__version__ = '1.2.3'\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert version_of("unpacked_library") == "1.2.3"
    assert version_of("no_such_library") == "none"
