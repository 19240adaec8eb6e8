"""`finescale serve --with-server`: the whole stack on one machine, its pages in a browser, schedules, and its end."""

from __future__ import annotations

import base64
import copy
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.browser import FLAGS, chromium
from tests.end_to_end.conftest import EXPERIMENT, World

ROOT = Path(__file__).resolve().parents[2]
AUTH = "lab:secret"
pytestmark = pytest.mark.timeout(900)


@dataclass
class Stack:
    """What `finescale serve` started, and how to ask it."""

    folder: Path
    process: subprocess.Popen
    port: int
    reports: int

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text()

    def get(self, address: str, *, auth: str | None = AUTH, body: dict | None = None):
        headers = {"Content-Type": "application/json"}
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=20) as answer:
            return answer.read()

    def ask(self, what: str, body: dict | None = None):
        return json.loads(self.get(f"http://127.0.0.1:{self.port}/api/{what}", body=body or {}))

    def wait(self, what, seconds: float = 300):
        """Return what ``what()`` returns as soon as it is something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := what():
                return found
            assert self.process.poll() is None, self.log
            time.sleep(1)
        pytest.fail(f"waited {seconds} s in vain.\n{self.log[-4000:]}")

    def deployment(self, name: str) -> str:
        return next(one["id"] for one in self.ask("deployments/filter") if one["name"] == name)

    def run_of(self, deployment: str, **asked):
        """Return the newest run of a deployment that looks as asked."""
        asked_of = {"deployments": {"id": {"any_": [self.deployment(deployment)]}}, "sort": "START_TIME_DESC"}
        runs = self.ask("flow_runs/filter", asked_of)
        return next((run for run in runs if all(run[key] == value for key, value in asked.items())), None)

    def start(self, deployment: str, parameters: dict):
        return self.ask(f"deployments/{self.deployment(deployment)}/create_flow_run", {"parameters": parameters})["id"]

    def state(self, run: str) -> dict:
        return json.loads(self.get(f"http://127.0.0.1:{self.port}/api/flow_runs/{run}"))["state"]

    def ended(self, run: str) -> dict:
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return self.wait(lambda: state if (state := self.state(run))["type"] in final else None)

    def logs(self, run: str) -> list[str]:
        """Return what a run has logged so far; lines come some seconds late."""
        return [line["message"] for line in self.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})]

    def artifacts(self, run: str) -> dict[str, dict]:
        found = self.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {one["key"]: one for one in found}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    world = World(folder)
    world.experiment |= {"models": {"climatology": {"kind": "climatology"}, "ridge": {"kind": "ridge"}}}
    world.write()
    often = copy.deepcopy(EXPERIMENT) | {"name": "often", "schedule": {"every": "1min", "late": "5min"}}
    (folder / "often.yaml").write_text(yaml.safe_dump(often))
    (folder / "broken.yaml").write_text(yaml.safe_dump(EXPERIMENT | {"name": "broken", "sede": 1}))
    ports = [_free_port() for _ in range(2)]
    words = ["serve", "--with-server", "--home", "home", "--at-once", "2", "--port", str(ports[0])]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "FINESCALE_"))}
    # A Prefect Cloud of the user's is none of ours.
    env |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FINESCALE_AUTH": AUTH, "PREFECT_API_KEY": "of somewhere"}
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *words, "--reports-port", str(ports[1])],
            cwd=folder, env=env, stdout=log, stderr=log,
        )  # fmt: skip
    made = Stack(folder, process, *ports)
    try:
        made.wait(lambda: "experiments are served" in made.log)
        yield made
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_both_addresses_are_told_and_what_is_not_served_is_said(stack):
    assert f"  runs and schedules: http://127.0.0.1:{stack.port}\n" in stack.log
    assert f"  reports:            http://127.0.0.1:{stack.reports}\n" in stack.log
    assert "not served: broken: " in stack.log
    assert "unknown key. Did you mean 'seed'?" in stack.log


def test_all_experiments_are_deployments_one_run_of_each_at_a_time(stack):
    from flows.load import shipped

    found = {one["name"]: one for one in stack.ask("deployments/filter")}
    assert set(found) == {*shipped(), "small", "often"}
    assert found["often"]["schedules"][0]["schedule"]["interval"] == 60
    assert found["small"]["schedules"] == []
    for one in found.values():
        assert one["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert one["global_concurrency_limit"]["limit"] == 1
    assert found["quickstart"]["parameter_openapi_schema"]["definitions"]["Unet"]["properties"]["lr"]["default"] == 5e-3


def test_a_scheduled_run_comes_into_being_and_completes(stack):
    run = stack.wait(lambda: stack.run_of("often", auto_scheduled=True, state_type="COMPLETED"))
    folder = next((stack.folder / "runs").glob("often-*"))
    assert (folder / "report.html").is_file()
    kept = stack.artifacts(run["id"])
    assert {"verdict", "skill"} <= set(kept)
    assert "| model | RMSE" in kept["verdict"]["data"]
    assert "](data:image/svg+xml;base64," in kept["verdict"]["data"]
    assert {row["model"] for row in json.loads(kept["skill"]["data"])} == {"climatology", "ridge"}
    stack.wait(lambda: any("report: http://" in line for line in stack.logs(run["id"])))
    logs = stack.logs(run["id"])
    assert any(line.startswith("fit: done in ") for line in logs)
    assert any(line.startswith("Only baselines were tried: ridge") for line in logs)


def test_server_and_reports_ask_for_the_password(stack):
    for address in (f"http://127.0.0.1:{stack.port}/api/admin/version", f"http://127.0.0.1:{stack.reports}/"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            stack.get(address, auth=None)
        assert stack.get(address)


def test_a_run_that_fails_says_in_one_line_what_to_do(stack):
    run = stack.start("small", {"further": ["models.ridge.alhpa=2"]})
    state = stack.ended(run)
    assert (state["type"], state["name"]) == ("FAILED", "Failed")
    assert "models.ridge.alhpa: unknown key. Did you mean 'alphas'?" in state["message"]
    assert "\n" not in state["message"]


def test_a_second_run_of_the_same_experiment_is_refused_while_one_is_at_work(stack):
    first = stack.start("tiny", {})
    stack.wait(lambda: stack.state(first)["type"] == "RUNNING")
    second = stack.start("tiny", {})
    assert stack.ended(second)["message"] == "Deployment concurrency limit reached."
    assert stack.ended(first)["type"] == "COMPLETED"
    kept = stack.artifacts(first)
    assert kept["progress-score"]["data"] == 100.0


def test_from_the_form_to_the_report_in_a_browser(stack, tmp_path):
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        context = started.new_context(http_credentials={"username": "lab", "password": "secret"})
        page, outside = context.new_page(), []
        page.on("request", lambda asked: outside.append(asked.url))
        page.goto(f"http://127.0.0.1:{stack.port}/deployments")
        page.locator("input[type=password]").fill(AUTH)
        page.get_by_role("button", name="Login").click()
        page.get_by_text("Deployments", exact=True).first.wait_for()
        page.goto(f"http://127.0.0.1:{stack.port}/deployments/deployment/{stack.deployment('small')}")
        page.get_by_role("button", name="Run", exact=True).first.click()
        page.get_by_text("Custom run").first.click()
        page.get_by_text("Sines and cosines of the day-of-year climatology.").wait_for()
        seed = page.locator("input[type=number]").last
        seed.fill("11")
        before = set((stack.folder / "runs").glob("small-*"))
        page.get_by_role("button", name="Submit").click()
        run = stack.wait(lambda: stack.run_of("small", state_type="COMPLETED"))
        assert run["parameters"]["seed"] == 11
        made = (set((stack.folder / "runs").glob("small-*")) - before).pop()
        assert yaml.safe_load((made / "experiment.yaml").read_text())["seed"] == 11

        page.goto(f"http://127.0.0.1:{stack.port}/artifacts/artifact/{stack.artifacts(run['id'])['verdict']['id']}")
        link = page.get_by_role("link", name="Open the report")
        with context.expect_page() as opened:
            link.click()
        report = opened.value
        report.get_by_role("heading", name="Does it run?").wait_for()
        assert report.url == f"http://127.0.0.1:{stack.reports}/{made.name}/report.html"
        report.goto(f"http://127.0.0.1:{stack.reports}/")
        report.get_by_text(made.name).first.wait_for()
        others = [url for url in outside if not url.startswith((f"http://127.0.0.1:{stack.port}/", "data:"))]
        assert others == []


def test_it_ends_cleanly_and_a_run_at_work_can_be_gone_on_with(stack):
    """The last test of the module: it ends what the others use."""
    before = set(_unfinished(stack))
    run = stack.start("tiny", {"seed": 5})
    stack.wait(lambda: any(one.endswith("fit.unfinished") for one in _unfinished(stack)))
    children = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(children) >= 2
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(90) == 0, stack.log
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert "ending; runs at work are stopped" in stack.log
    assert "Traceback" not in stack.log.split("ending; runs at work")[1]
    # In the fit, or in a stage behind it: it goes on until its process has heard of the end.
    (stopped,) = {Path(one).parents[1] for one in set(_unfinished(stack)) - before}
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "--resume", str(stopped), "--no-server"],
        cwd=stack.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert run


def _unfinished(stack: Stack) -> list[str]:
    return [str(path) for path in (stack.folder / "runs").glob("tiny-*/stages/*.unfinished")]
