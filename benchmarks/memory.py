"""What a run takes of memory beside what a dry run tells, `python -m benchmarks.memory`.

Runs on made files of several sizes, each in a process of its own; by stage what was told over the peak of the process
and its workers. The table of docs/memory.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._large import VARIABLES, write_world
from flows.extent import extent_of
from flows.footprint import footprint
from flows.sources import sources_of
from flows.workspace import Workspace
from pipeline.backend.memory import said
from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord

MIB = 2**20
NETWORKS: dict[str, dict[str, Any]] = {
    "deepesd": {"kind": "deepesd", "epochs": 1, "batch_size": 64},
    "unet": {"kind": "unet", "epochs": 1, "width": 8, "depth": 1},
}


@dataclass(frozen=True)
class Case:
    """Times and cells a side of predictors and target, the models that are fitted, and ``compute``."""

    times: int
    side: int
    cells: int
    models: tuple[str, ...]
    workers: int = 1
    memory: str | None = None

    @property
    def sizes(self) -> str:
        """The data in memory, and what else is asked."""
        each = (len(VARIABLES) * self.side**2, self.cells**2)
        predictors, target = (4 * self.times * cells / MIB for cells in each)
        more = f", `workers: {self.workers}`" if self.workers > 1 else ""
        more += f", `memory: {self.memory}`" if self.memory else ""
        return f"{predictors:.1f} + {target:.1f} MiB{more}"


CASES = (
    Case(1460, 16, 4, ("climatology",)),
    *(Case(14_600, 48, 4, (name,)) for name in ("climatology", "ridge", "deepesd")),
    *(Case(4000, 16, 48, (name,)) for name in ("ridge", "analogs", "random_forest", "deepesd", "unet")),
    Case(4000, 16, 48, ("ridge", "analogs", "deepesd", "unet"), workers=2),
    Case(29_200, 48, 4, ("deepesd",), memory="64MiB"),
)


def told_over_taken(run: Path) -> dict[str, float]:
    """Return by stage of a finished run what a dry run tells of its memory over what it took."""
    told, peaks = footprint_of(run), taken(run)
    return {name: told[name] / MIB / peaks[name] for name in STAGES}


def footprint_of(run: Path) -> dict[str, int]:
    """Return by stage the bytes that a dry run of a finished run tells, from the files that it was made of."""
    space = Workspace.open(run)
    extent = extent_of(space.plan.experiment, sources_of(space.run), space.backend)
    return dict(footprint(space.plan, extent, space.budget).stages)


def taken(run: Path) -> dict[str, float]:
    """Return by stage the most MiB that a run's processes held together."""
    return {name: StageRecord.read(RunFolder(run), name).peak_memory_mib for name in STAGES}


def measure(case: Case, folder: Path) -> Path:
    """Write the files of a case into an empty folder and run it in a process of its own; return the run."""
    compute = {"threads": 1, "workers": case.workers} | ({"memory": case.memory} if case.memory else {})
    networks = [name for name in case.models if name in NETWORKS]
    models = {name: NETWORKS.get(name, {"kind": name}) for name in case.models}
    experiment = write_world(folder, case.times, case.side, case.cells, models, networks[:1], **compute)
    command = [sys.executable, "-m", "flows.cli", "run", str(experiment), "--data", str(folder)]
    command += ["--catalog", str(folder / "data_catalog.yaml"), "--out", str(folder / "runs"), "--no-server"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the run of {', '.join(case.models)} ended with {done.returncode}:\n{done.stderr}")
    (run,) = (folder / "runs").iterdir()
    return run


def main() -> None:
    """Measure and print a row of Markdown a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="cases that have one of these models alone")
    parser.add_argument("--workers", type=int, help="cases of so many workers alone")
    parser.add_argument("--run", type=Path, help="a finished run in place of the cases")
    asked = parser.parse_args()
    print(f"| data, predictors + target | models | {' | '.join(STAGES)} | most of the run | it took |")
    print("|---" * (len(STAGES) + 4) + "|", flush=True)
    if asked.run is not None:
        print(_row(asked.run.name, "its own", asked.run))
        return
    for case in CASES:
        if (asked.models and not set(case.models) & set(asked.models)) or asked.workers not in (None, case.workers):
            continue
        with tempfile.TemporaryDirectory() as folder:
            print(_row(case.sizes, ", ".join(case.models), measure(case, Path(folder))), flush=True)


def _row(data: str, models: str, run: Path) -> str:
    told, peaks = footprint_of(run), taken(run)
    shares = " | ".join(f"{told[name] / MIB / peaks[name]:.2f}" for name in STAGES)
    most = max(peaks.values())
    return f"| {data} | {models} | {shares} | {max(told.values()) / MIB / most:.2f} | {said(MIB * most)} |"


if __name__ == "__main__":
    main()
