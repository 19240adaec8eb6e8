"""The Prefect flow: one task a stage, the same results as without Prefect, and schedules that fire."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prefect server of its own; schedules are made by a service that only a whole server runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("prefect")
    env = {**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = (home / "server.log").open("w")
    process = subprocess.Popen([sys.executable, *words], env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/api"
    try:
        _wait(address, process, home / "server.log")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def _wait(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"the Prefect server did not start: {log.read_text()[-2000:]}")


def call(server: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PREFECT_API_URL": server, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True)


def ask(server: str, what: str, body: dict) -> list[dict]:
    import json

    request = urllib.request.Request(
        f"{server}/{what}/filter", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return json.loads(urllib.request.urlopen(request, timeout=10).read())


def test_a_run_goes_through_the_server_that_answers_one_task_a_stage(server, world):
    world.write()
    assert world.run() == 0
    direct = next((world.folder / "runs").iterdir())
    done = call(server, "-m", "flows.cli", "run", "small.yaml", "--out", "again", cwd=world.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("report.html")
    again = next((world.folder / "again").iterdir())
    assert (again / "scores.csv").read_bytes() == (direct / "scores.csv").read_bytes()
    assert f"stages are tasks of a flow run on the Prefect server at {server}" in done.stderr
    tasks = ask(server, "task_runs", {})
    assert sorted(task["name"] for task in tasks) == sorted(
        ["ingest", "prepare", "fit", "predict", "score", "explain", "report"]
    )
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}


def test_a_fault_of_the_input_is_one_message_through_the_server_too(server, world):
    world.catalog["coarse"]["variables"]["psl"]["units"] = "degC"
    world.write()
    done = call(server, "-m", "flows.cli", "run", "small.yaml", "--out", "again", cwd=world.folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.count("error: ") == 1


SCHEDULE = """
import datetime
from flows.flow import finescale_flow
deployment = finescale_flow.to_deployment(
    "hourly", interval=datetime.timedelta(hours=1), parameters={"experiment": "tiny"}
)
print(deployment.apply())
"""


def test_a_schedule_makes_runs(server, tmp_path):
    """With SQLAlchemy 2.1 all else works and no schedule ever fires; this is what would show it."""
    done = call(server, "-c", SCHEDULE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    number = done.stdout.split()[-1]
    deadline = time.monotonic() + 120
    runs: list[dict] = []
    while not runs and time.monotonic() < deadline:
        runs = ask(server, "flow_runs", {"deployments": {"id": {"any_": [number]}}})
        time.sleep(1)
    assert runs, "no run was scheduled"
    assert runs[0]["state"]["type"] == "SCHEDULED"
    assert runs[0]["parameters"] == {"experiment": "tiny"}
