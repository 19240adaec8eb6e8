"""A whole run of a shipped experiment, and what of it are the fits."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.speed import SPEED
from benchmarks.speed._case import Case, Limit, Scale, Took, Work
from benchmarks.speed._processes import python
from pipeline.backend import Backend
from pipeline.run_folder import STAGES, RunFolder
from pipeline.stage import StageRecord


@SPEED.register("whole-run")
def whole_run(scale: Scale) -> Case:
    """Run `tiny`, or `quickstart` at full size, in a process of its own; the seconds of its stages are kept.

    The limit is what the fits alone took in the same run.
    """
    name = "quickstart" if scale.size == "full" else "tiny"
    stages: dict[str, float] = {}

    def ours(backend: Backend) -> Work:
        def work() -> dict[str, float]:
            with tempfile.TemporaryDirectory() as folder:
                words = ("run", name, "--out", folder, "--no-server", "--backend", backend.name)
                python("-m", "flows.cli", *words)
                run = RunFolder(next(Path(folder).glob(f"{name}-*")))
                stages.update({stage: StageRecord.read(run, stage).seconds for stage in STAGES})
            return dict(stages)

        return work

    def fits(backend: Backend) -> Work:
        return lambda: Took(stages["fit"])

    return Case(
        f"`finescale run {name}`, from an empty folder to the report",
        1.0,
        "runs",
        ours,
        Limit("the fit stage alone", fits),
        grows=False,
        comparable=False,
        notes=stages,
    )
