"""Report: where the numbers come from, then one HTML file from the run folder alone."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.stages._workers import cluster_of
from flows.workspace import Workspace
from pipeline.files import remove, write_atomic
from pipeline.provenance import collect
from pipeline.report.load import load_run
from pipeline.report.render import render
from pipeline.report.result import Result, thumbnail
from pipeline.report.study import study
from pipeline.stage import StageOutput, StageRecord

THUMBNAIL = "figures/thumbnail"
LARGE = 5_000_000  # bytes of a report that opens at once and that mail servers take


def report(space: Workspace) -> StageOutput:
    """Write ``provenance.json``, ``report.html`` and a small picture for pages that list runs."""
    run = space.run
    for name in ("report", "report.json"):
        remove(run / "work/warnings" / name)  # of a report that is made anew
    run.write_json("provenance.json", provenance(space))
    with space.progress("report"):
        path = render(run.path, "html")
    if (size := path.stat().st_size) > LARGE:
        space.warn(
            "report",
            f"report.html has {size / 1e6:.1f} MB, more than {LARGE / 1e6:g} MB, most of it maps: explain fewer "
            "models, or ask for fewer groups of days.",
        )
    found = study(load_run(run.path))
    result, picture = Result.of(found), thumbnail(found)
    small = run / f"{THUMBNAIL}{picture.suffix}"
    with write_atomic(small) as temporary:
        temporary.write_bytes(picture.light)
    kept = {"path": f"{THUMBNAIL}{picture.suffix}", "mime": picture.mime, "title": picture.title, "alt": picture.alt}
    summary = {"headline": result.verdict, "result": result.plain, "thumbnail": kept}
    return StageOutput((path, run / "provenance.json", small), summary)


def provenance(space: Workspace) -> dict[str, object]:
    """Return what ``provenance.json`` holds: versions, device, digests, seeds, what went otherwise than asked."""
    run, plan = space.run, space.plan
    settings = run.read_json("work/settings.json")
    return {
        **collect(
            space.backend,
            seed=plan.experiment.seed,
            started=datetime.fromisoformat(StageRecord.read(run, "ingest").started),
            finished=datetime.now(UTC),
            data=run.read_json("work/ingest/summary.json")["data"],
            warnings=space.said("warnings"),
            fallbacks=space.said("fallbacks"),
            failed_members=space.failed_members(),
            plugins=plan.plugins,
            command=settings["command"],
            cluster=cluster_of(space),
        ),
        "baselines": sorted(name for name, model in plan.models.items() if "baseline" in model.type.traits),
        "n_effective": StageRecord.read(run, "score").summary.get("n_effective"),
    }
