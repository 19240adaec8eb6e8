"""The Prefect flow: one task a stage, each a call of the same function as without Prefect."""

from __future__ import annotations

import logging
import os
from pathlib import Path

# Prefect reads its settings when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from prefect import flow, task

from flows.engine import Request, Result, create_or_find, do_stage, execute, result_of
from pipeline.run_folder import RunFolder
from pipeline.stage import StageRecord


@task(task_run_name="{name}", persist_result=False)
def stage_task(path: str, name: str) -> dict[str, object]:
    """Do one stage of the run at ``path``; only its path and record pass through Prefect."""
    record = do_stage(path, name)
    logging.getLogger(__name__).info("%s: %.1f s, at most %.0f MiB", name, record.seconds, record.peak_memory_mib)
    return {"stage": record.stage, "digest": record.digest, "seconds": record.seconds}


@flow(name="finescale", persist_result=False, validate_parameters=True)
def finescale_flow(
    experiment: str = "quickstart",
    overrides: list[str] | None = None,
    data: Path | None = None,
    catalog: Path | None = None,
    out: Path = Path("runs"),
    resume: str | None = None,
) -> str:
    """Run an experiment from raw files to its report; return the report's path.

    Parameters
    ----------
    experiment : str
        Name of an experiment, or a YAML file.
    overrides : list of str, optional
        Changes such as ``models.unet.lr=1e-4``.
    data, catalog : Path, optional
        Local mirror of the catalog's files; catalog file.
    out : Path
        Folder that holds the runs.
    resume : str, optional
        A run to go on with, in place of ``experiment``.
    """
    request = Request(
        experiment=None if resume else experiment,
        resume=resume,
        overrides=tuple(overrides or ()),
        data=data,
        catalog=catalog,
        out=out,
    )
    return str(execute(create_or_find(request), _as_task).report)


def _as_task(path: str, name: str) -> StageRecord:
    """Call a stage as a Prefect task and read its record from the run folder, which is the truth."""
    stage_task(path, name)
    return StageRecord.read(RunFolder(Path(path)), name)


def run_on_server(run: RunFolder, server: str) -> Result:
    """Run every stage of ``run`` as tasks of a flow run on the Prefect server at ``server``."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server}):
        finescale_flow(resume=str(run.path), out=run.path.parent)
    return result_of(run)
