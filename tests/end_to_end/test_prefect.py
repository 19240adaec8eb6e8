"""The Prefect flow: one task a stage, the same results as without Prefect."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(scope="module")
def server():
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.timeout(600)
def test_the_flow_runs_every_stage_as_a_task_and_gives_the_same_scores(server, world):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    from flows.flow import finescale_flow

    world.write()
    assert world.run() == 0
    direct = next((world.folder / "runs").iterdir())
    logging.getLogger("prefect").setLevel("ERROR")
    state = finescale_flow("small.yaml", out=world.folder / "again", return_state=True)
    assert state.is_completed(), state
    again = next((world.folder / "again").iterdir())
    assert (again / "scores.csv").read_bytes() == (direct / "scores.csv").read_bytes()
    flow_run = state.state_details.flow_run_id
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
    assert sorted(run.name for run in found) == sorted(
        ["ingest", "prepare", "fit", "predict", "score", "explain", "report"]
    )
    assert all(run.state.is_completed() for run in found)


@pytest.mark.timeout(600)
def test_a_schedule_makes_runs(server):
    """With SQLAlchemy 2.1 everything else works and no schedule ever fires; this is what would show it."""
    import datetime

    from prefect import serve  # noqa: F401 - the import path that users take
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    from flows.flow import finescale_flow

    deployment = finescale_flow.to_deployment(
        "scheduled", interval=datetime.timedelta(hours=1), parameters={"experiment": "tiny"}
    )
    number = deployment.apply()
    import time

    with get_client(sync_client=True) as client:
        deadline = time.monotonic() + 90
        runs = []
        while not runs and time.monotonic() < deadline:
            runs = client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[number])))
            time.sleep(1)
    assert runs, "no run was scheduled"
    assert runs[0].parameters == {"experiment": "tiny"}
