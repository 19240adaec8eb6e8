"""What only a GPU can show, in one command: `make gpu-proof`, or `python -m benchmarks.gpu_proof` without a venv.

It runs a list of parts one after the other (parity of both backends, contracts, tests, experiments, benchmarks), each
in a process of its own and within its own limit, and goes on after one that fails. After every part the table of
`docs/gpu_status.md` and the JSON beside it are written anew, so that nothing is lost if the machine goes away. A part
for which no time is left is not run, and it is said; parts that passed on this GPU before come last, so that a second
call goes on where the first one ended. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks._proof_host import Host, this_host
from benchmarks._proof_page import Page
from benchmarks._proof_results import Outcome, read_results

ROOT = Path(__file__).resolve().parents[1]
BUDGET = 570.0  # seconds of all parts together: under ten minutes with what is done between them
LEAST = 5.0  # seconds below which no part is begun
GRACE = 15.0  # seconds that a part is given to write down what it has when its time is over
TEST_PROCESSES = 4  # each holds some hundred MB of the device for its libraries

PYTEST = ("{python}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "{out}/junit.xml")


@dataclass(frozen=True)
class Part:
    """One thing to be shown.

    Parameters
    ----------
    name : str
        As the table has it.
    proves : str
        What is known once it has passed.
    command : tuple of str
        Words; ``{python}`` and ``{out}``, a folder for what it finds, are filled in.
    seconds : float
        Its limit.
    environment : tuple of (str, str)
        Variables that it sees beside those of this process; filled in likewise.
    """

    name: str
    proves: str
    command: tuple[str, ...]
    seconds: float
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> str:
        """The command as one would type it."""
        return " ".join(filled(word, python="python", out="OUT") for word in self.command)


def filled(word: str, **values: str) -> str:
    """Return a word with ``{name}`` replaced for each of ``values``; other braces stay."""
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def suite(name: str, proves: str, seconds: float, *paths: str) -> Part:
    """Return a part that runs the tests marked gpu below some paths, in several processes by pytest-xdist."""
    several = importlib.util.find_spec("xdist") is not None
    spread = ("-n", str(TEST_PROCESSES), "--dist", "worksteal") if several else ()
    return Part(name, proves, (*PYTEST, "-m", "gpu", *spread, *paths), seconds)


def experiment(name: str, seconds: float) -> Part:
    """Return a part that runs a shipped experiment of made data."""
    words = ("{python}", "-m", "flows.cli", "run", name, "--backend", "gpu", "--out", "{out}", "--no-server")
    return Part(f"experiment {name}", "the whole path, ingest to report, runs on the device", words, seconds)


def benchmark(name: str, seconds: float) -> Part:
    """Return a part that runs a benchmark of ``finescale bench``."""
    words = ("{python}", "-m", "flows.cli", "bench", name, "--backend", "gpu", "--out", "{out}")
    return Part(f"bench {name}", "its figures on this device", words, seconds)


def module(name: str) -> tuple[str, ...]:
    """Return the command of a benchmark that is a module of its own."""
    return ("{python}", "-m", f"benchmarks.{name}", "--backend", "gpu")


def parts() -> tuple[Part, ...]:
    """Return everything that is still to be proved, the most telling first; benchmarks come from their registry.

    ``all`` among them is all of them once more.
    """
    from flows.bench import listed

    contract = Part(
        "RAPIDS contract",
        "every call of ours is one that RAPIDS has",
        (*PYTEST, "tests/rapids"),
        60,
        (("FINESCALE_RAPIDS", "1"),),
    )
    stacked = module("stacked")
    suites = (
        suite("parity", "both backends answer the same, within a tolerance by dtype", 120, "tests/parity"),
        suite("backend", "arrays, tables, estimators, memory and cluster", 90, "tests/pipeline/backend"),
        suite("models", "every model, with the oracles of the CPU", 120, "tests/models"),
        suite("attribution", "every method on every kind of model", 100, "tests/contracts/test_attribution.py"),
        suite("uncertainty", "every method on every model that it suits", 100, "tests/contracts/test_uncertainty.py"),
    )
    ignored = [word for part in suites for word in ("--ignore", part.command[-1])]
    names = [line.split()[0] for line in listed().splitlines()]
    return (
        contract,
        *suites[:2],
        experiment("tiny", 60),
        experiment("quickstart", 90),
        *(benchmark(name, 40) for name in names if name != "all"),
        Part("members as one", "how many times as fast as one by one they train", stacked, 40),
        Part("loader", "what reading costs beside a step on one constant batch", module("loader"), 30),
        Part("training step", "bf16, TF32, channels last, compiled, CUDA graphs", module("training_step"), 60),
        *suites[2:],
        suite("all other tests", "scores, families, training, tables of stations", 90, "tests", *ignored),
    )


def unproved_first(chosen: Sequence[Part], host: Host, page: Path) -> list[Part]:
    """Return parts in their order, but last those that have passed on this GPU with these versions."""
    versions = dict(host.versions)
    done = {
        row["part"]
        for row in Page(page).rows()
        if (row["gpu"], row["versions"], row["state"]) == (host.gpu, versions, "passed")
    }
    return sorted(chosen, key=lambda part: part.name in done)


def prove(
    chosen: Sequence[Part],
    host: Host,
    page: Path,
    folder: Path,
    *,
    budget: float = BUDGET,
    say: Callable[[str], None] = print,
    date: str | None = None,
) -> list[Outcome]:
    """Run parts within a budget of time and write each into the page as it ends.

    Parameters
    ----------
    chosen : sequence of Part
        In their order.
    host : Host
        What stands in every row.
    page : Path
        Markdown with the marks of :class:`Page`; its JSON has the same name.
    folder : Path
        Each part finds a folder of its own in it.
    budget : float
        Seconds of all parts together.
    say : callable
        Told a line a part.
    date : str, optional
        Today by default.
    """
    date = date or datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    end, found = time.monotonic() + budget, []
    for part in chosen:
        left = end - time.monotonic()
        if left < LEAST:
            outcome = Outcome.not_run(part.name, f"no time left of {budget:g} s")
        else:
            outcome = run(part, folder / part.name.replace(" ", "-"), min(part.seconds, left))
        outcome = replace(outcome, proves=part.proves, command=part.words)
        found.append(outcome)
        Page(page).add(date, host, outcome)
        say(f"{part.name}: {outcome.summary}")
    return found


def run(part: Part, out: Path, seconds: float) -> Outcome:
    """Run one part; when its time is over it is interrupted, then ended, with all that it has started."""
    out.mkdir(parents=True, exist_ok=True)
    fill = {"python": sys.executable, "out": str(out)}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    extra = {name: filled(value, **fill) for name, value in part.environment}
    begin = time.monotonic()
    late = False
    with (out / "output.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [filled(word, **fill) for word in part.command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, **extra},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
            _end(process)
        except BaseException:
            _end(process)
            raise
    taken = time.monotonic() - begin
    return read_results(part.name, out, process.returncode, taken, limit=seconds if late else None)


def _end(process: subprocess.Popen) -> None:
    """Interrupt a process, so that pytest still writes its results, and end its whole group if that does not help."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(words: Sequence[str] | None = None) -> int:
    """Prove what was asked for; 0 where all of it passed, 1 where not, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this part alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=BUDGET, help="of all parts together")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/gpu_status.md", help="the page that is written")
    parser.add_argument("--keep", type=Path, help="folder for what the parts leave; else it is thrown away")
    parser.add_argument("--list", action="store_true", help="name the parts and end")
    asked = parser.parse_args(words)
    known = parts()
    if unknown := sorted(set(asked.only) - {part.name for part in known}):
        parser.error(f"unknown part {unknown[0]!r}; known: {', '.join(part.name for part in known)}")
    chosen = [part for part in known if not asked.only or part.name in asked.only]
    if asked.list:
        for part in chosen:
            print(f"{part.name} ({part.seconds:g} s): {part.proves}\n    {part.words}")
        return 0
    from pipeline.backend import why_no_gpu

    if (reason := why_no_gpu()) is not None:
        print(f"expected a GPU with RAPIDS, got none: {reason}. Nothing was run.", file=sys.stderr)
        return 2
    host = this_host()
    chosen = unproved_first(chosen, host, asked.page)
    with tempfile.TemporaryDirectory(prefix="gpu-proof-") as scratch:
        found = prove(chosen, host, asked.page, asked.keep or Path(scratch), budget=asked.seconds)
    print(f"{sum(one.passed_whole for one in found)} of {len(found)} parts passed; written: {asked.page}")
    return 0 if all(one.passed_whole for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
