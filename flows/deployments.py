"""Experiments as deployments of a Prefect server, and its runs put in order after a pause."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.deployed import NAME, deployed
from flows.load import load_experiment, shipped
from flows.published import skipped_line
from pipeline import __version__
from pipeline.errors import ConfigError, UserError
from pipeline.schedule_config import ScheduleConfig

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

    from flows.serve import Say, Serving


_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def deploy(serving: Serving, say: Say) -> list[RunnerDeployment]:
    """Return a deployment of every experiment; one of the working folder that cannot be run is said and left out.

    Raises
    ------
    UserError
        If an experiment that was named cannot be run.
    """
    found = []
    for name in serving.experiments or tuple(shipped()):
        try:
            found.append(deployment(name))
        except UserError as error:
            if serving.experiments:
                raise
            say(f"not served: {name}: {error}")
    return found


def deployment(name: str) -> RunnerDeployment:
    """Return the deployment of one experiment: its form, its schedule, one run of it at a time.

    Raises
    ------
    UserError
        If it cannot be run, or has a name that cannot be served.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"expected a name of letters, digits, '-', '_' and blanks to serve an experiment by, got {name!r}. "
            "Rename its file."
        )
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import EntrypointType  # type: ignore[attr-defined]

    experiment = load_experiment(name).experiment
    schedule = experiment.schedule
    made: RunnerDeployment = deployed(name).to_deployment(
        name,
        schedules=[] if schedule is None else [_schedule(schedule)],
        description=experiment.question,
        tags=[experiment.task],
        version=__version__,
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )  # type: ignore[assignment]
    return made


def _schedule(asked: ScheduleConfig) -> Any:
    from prefect.schedules import Cron, Interval

    if asked.interval is not None:
        # Counted from a fixed day, so that a start anew does not shift the times.
        return Interval(asked.interval, anchor_date=_FIRST, timezone=asked.timezone, active=asked.active)
    return Cron(asked.cron or "", timezone=asked.timezone, active=asked.active)


def put_in_order(deployments: Sequence[RunnerDeployment], say: Say) -> None:
    """Skip scheduled runs that were due while nothing was served, and end those whose process is gone.

    Without this, all that were missed would be run at once, and one that died with its machine would look as if it
    were at work for ever, and keep others from beginning.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelled, Crashed

    names = [each.name for each in deployments]
    patience = {
        name: schedule.patience for name in names if (schedule := load_experiment(name).experiment.schedule) is not None
    }
    late = {name: load_experiment(name).experiment.schedule for name in patience}
    now, skipped = datetime.now(UTC), 0
    with get_client(sync_client=True) as client:
        known = client.read_deployments(deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=names)))
        for one in known:
            for run in _runs(client, one.id, StateType.SCHEDULED):
                due = run.expected_start_time
                if not run.auto_scheduled or due is None or one.name not in patience:
                    continue
                if now - due > patience[one.name]:
                    line = skipped_line(due, now, late[one.name].late)  # type: ignore[union-attr]
                    client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=line), force=True)
                    skipped += 1
            for run in _runs(client, one.id, StateType.RUNNING, StateType.PENDING, StateType.CANCELLING):
                if _gone(run.infrastructure_pid):
                    line = "its process is gone, with its machine or by a signal; `finescale run --resume` goes on"
                    client.set_flow_run_state(run.id, Crashed(message=line), force=True)
                    say(f"{run.name} of {one.name}: {line}")
    if skipped:
        were = "run was" if skipped == 1 else "runs were"
        say(f"{skipped} scheduled {were} skipped: due while nothing was served, longer ago than schedule.late")


def note_process() -> None:
    """Tell the server which process does this flow run, so that a later start can see whether it lives."""
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, infrastructure_pid=f"{socket.gethostname()}:{os.getpid()}")


def _runs(client: Any, deployment: Any, *states: Any) -> list[Any]:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterDeploymentId,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )

    asked = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
    )
    return list(client.read_flow_runs(flow_run_filter=asked))


def _gone(process: str | None) -> bool:
    """Whether a process of this host is no more; one of another host nobody here can tell of."""
    host, _, number = (process or "").rpartition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
