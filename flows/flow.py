"""The Prefect flow: one task a stage, each a call of the same function as without Prefect."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.server import quiet_prefect

quiet_prefect()  # Prefect reads its settings when it is imported.

from prefect import flow, task  # noqa: E402
from prefect.client.schemas.objects import State  # noqa: E402
from prefect.states import Failed  # noqa: E402

from flows.deployments import note_process  # noqa: E402
from flows.engine import Request, Result, create_or_find, do_stage, execute, result_of  # noqa: E402
from flows.published import live_progress, publish, too_late  # noqa: E402
from flows.slots import turn  # noqa: E402
from pipeline.errors import FinescaleError  # noqa: E402
from pipeline.run_folder import RunFolder  # noqa: E402
from pipeline.run_log import OURS  # noqa: E402
from pipeline.stage import StageRecord  # noqa: E402

log = logging.getLogger(__name__)


@task(task_run_name="{name}", persist_result=False)
def stage_task(path: str, name: str) -> dict[str, object]:
    """Do one stage of the run at ``path``; only its path and record pass through Prefect."""
    with live_progress(Path(path), name):
        record = do_stage(path, name)
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
    return str(_done(request).report)


def served_flow(function: Callable[..., Any]) -> Any:
    """Return ``function`` as a flow that a server starts: a run of the flow ``finescale``, named by its experiment."""
    return flow(name="finescale", persist_result=False, validate_parameters=True)(function)


def run_deployed(experiment: str, overrides: tuple[str, ...], resume: str | None) -> str | State[Any]:
    """Run an experiment as a server asks for it; where and on which data stands in the environment.

    Returns
    -------
    str or State
        The report's path; or the state that the flow run ends in, with one line that says why and what to do.
    """
    for name in OURS:  # before a run's own log is open, too
        logging.getLogger(name).setLevel(logging.INFO)
    note_process()
    with turn():
        skipped = too_late(experiment)
        return skipped if skipped is not None else _run_deployed(experiment, overrides, resume)


def _run_deployed(experiment: str, overrides: tuple[str, ...], resume: str | None) -> str | State[Any]:
    request = Request(
        experiment=None if resume else experiment,
        resume=resume,
        overrides=overrides,
        data=_folder("FINESCALE_DATA"),
        catalog=_folder("FINESCALE_CATALOG"),
        out=_folder("FINESCALE_RUNS") or Path("runs"),
    )
    run: RunFolder | None = None
    try:
        run = create_or_find(request)
        log.info("run folder: %s", run.path)
        return str(_finish(run).report)
    except (FinescaleError, OSError, MemoryError) as error:
        why = str(error) if isinstance(error, FinescaleError) else f"{type(error).__name__}: {error}"
        there = run is not None and run.path.is_dir()
        go_on = f" Then go on where it was: finescale run --resume {run.name}" if there and run is not None else ""
        line = " ".join(why.split()) + go_on
        log.error("%s", line)
        # What it would add is a traceback of the line, in the log that people read.
        logging.getLogger("prefect.flow_runs").addFilter(lambda record: "Engine execution exited" not in record.msg)
        return Failed(message=line)


def _done(request: Request) -> Result:
    return _finish(create_or_find(request))


def _finish(run: RunFolder) -> Result:
    result = execute(run, _as_task)
    publish(run)
    return result


def _folder(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


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
