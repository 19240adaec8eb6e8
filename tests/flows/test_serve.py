"""What `finescale serve` sets, refuses and puts in order; that it serves is seen in tests/end_to_end/test_serve.py."""

from __future__ import annotations

import configparser
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
import yaml

from flows import deployments, serve
from flows.serve import Serving, check, settings
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def serving(tmp_path, **asked):
    words = {
        "experiments": (),
        "out": tmp_path / "runs",
        "data": None,
        "catalog": None,
        "with_server": True,
        "home": tmp_path / "home",
    }
    return Serving(**(words | asked))


def test_nothing_is_told_to_others_and_nothing_listens_to_the_network(tmp_path):
    found = settings(serving(tmp_path), "http://127.0.0.1:4200/api")
    assert found["DO_NOT_TRACK"] == "1"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["PREFECT_SERVER_UI_V2_ENABLED"] == "false"
    assert found["PREFECT_API_URL"].startswith("http://127.0.0.1:")
    assert found["FINESCALE_REPORTS_URL"] == "http://127.0.0.1:4201"
    assert Path(found["FINESCALE_RUNS"]).is_absolute()
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in found


def test_postgres_and_the_password_are_one_setting_each(tmp_path):
    url = "postgresql+asyncpg://user:secret@host/name"
    found = settings(serving(tmp_path, database=url, auth="lab:secret"), "http://127.0.0.1:4200/api")
    assert found["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == url
    assert found["PREFECT_SERVER_API_AUTH_STRING"] == found["PREFECT_API_AUTH_STRING"] == "lab:secret"


def test_a_server_of_others_keeps_its_own_settings(tmp_path):
    found = settings(serving(tmp_path, with_server=False, data=tmp_path), "http://host:4200/api")
    assert not {"PREFECT_HOME", "PREFECT_SERVER_UI_V2_ENABLED"} & set(found)
    assert found["FINESCALE_DATA"] == str(tmp_path)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"auth": "secret"}, "expected user:password in FINESCALE_AUTH"),
        ({"auth": ":secret"}, "expected user:password in FINESCALE_AUTH"),
        (
            {"database": "postgres://user:secret@host/name"},
            r"expected a database such as postgresql\+asyncpg:.* got one that begins with 'postgres'",
        ),
        ({"reports_port": 4200}, "expected two ports, got 4200 for both"),
        ({"experiments": ("quikstart",)}, "Did you mean 'quickstart'?"),
    ],
)
def test_settings_that_could_not_work_are_refused(tmp_path, asked, words):
    with pytest.raises(ConfigError, match=words) as caught:
        check(serving(tmp_path, **asked))
    assert "secret@" not in str(caught.value)


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"expected the port {port} for the reports to be free"):
            serve.serve(serving(tmp_path, reports_port=port), lambda text: None)


def test_without_a_server_what_to_do_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConfigError, match="finescale serve --with-server"):
        serve.serve(serving(tmp_path, with_server=False, reports_port=port), lambda text: None)


class Client:
    """What of a Prefect client is asked: deployments, their runs by state, and a state that is set."""

    def __init__(self, runs):
        self.deployment = SimpleNamespace(id=uuid4(), name="nightly")
        self.runs, self.set = runs, {}

    def __enter__(self):
        return self

    def __exit__(self, *caught):
        pass

    def read_deployments(self, deployment_filter):
        assert deployment_filter.name.any_ == ["nightly"]
        return [self.deployment]

    def read_flow_runs(self, flow_run_filter):
        assert flow_run_filter.deployment_id.any_ == [self.deployment.id]
        wanted = {kind.value for kind in flow_run_filter.state.type.any_}
        return [run for run in self.runs if run.kind in wanted]

    def set_flow_run_state(self, number, state, force):
        self.set[number] = state


def run(name, kind, *, hours=0.0, auto=True, pid=None):
    due = datetime.now(UTC) - timedelta(hours=hours)
    return SimpleNamespace(
        id=name, name=name, kind=kind, expected_start_time=due, auto_scheduled=auto, infrastructure_pid=pid
    )


@pytest.fixture
def nightly(tmp_path, monkeypatch):
    words = yaml.safe_load((ROOT / "flows/experiments/tiny.yaml").read_text())
    (tmp_path / "nightly.yaml").write_text(
        yaml.safe_dump(words | {"name": "nightly", "schedule": {"cron": "0 3 * * *", "late": "2h"}})
    )
    monkeypatch.chdir(tmp_path)


def put_in_order(monkeypatch, runs):
    client, said = Client(runs), []
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda sync_client: client)
    deployments.put_in_order([SimpleNamespace(name="nightly")], said.append)
    return client.set, said


def test_what_was_due_while_nothing_was_served_is_skipped_and_said(nightly, monkeypatch):
    runs = [
        run("two days ago", "SCHEDULED", hours=48), run("last night", "SCHEDULED", hours=5), run("just now", "SCHEDULED", hours=1),
        run("tonight", "SCHEDULED", hours=-12), run("by hand", "SCHEDULED", hours=48, auto=False),
    ]  # fmt: skip
    states, said = put_in_order(monkeypatch, runs)
    assert set(states) == {"two days ago", "last night"}
    assert {state.name for state in states.values()} == {"Skipped"}
    assert states["last night"].type.value == "CANCELLED"
    assert " UTC, 5:00:" in states["last night"].message
    assert said == ["2 scheduled runs were skipped: due while nothing was served, longer ago than schedule.late"]


def test_a_run_whose_process_is_gone_no_longer_counts_as_at_work(nightly, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = socket.gethostname()
    runs = [
        run("dead", "RUNNING", pid=f"{here}:{ended.pid}"), run("alive", "RUNNING", pid=f"{here}:{os.getpid()}"),
        run("elsewhere", "RUNNING", pid="another-host:1"), run("unknown", "PENDING"),
    ]  # fmt: skip
    states, said = put_in_order(monkeypatch, runs)
    assert list(states) == ["dead"]
    assert states["dead"].type.value == "CRASHED"
    assert "finescale run --resume" in states["dead"].message
    assert len(said) == 1


def test_intervals_are_counted_from_a_fixed_day(nightly):
    from pipeline.schedule_config import ScheduleConfig

    first, second = (deployments._schedule(ScheduleConfig(every="6h")) for _ in range(2))
    assert first.anchor_date == second.anchor_date
    cron = deployments._schedule(ScheduleConfig(cron="0 3 * * *", timezone="Europe/Madrid", active=False))
    assert (cron.cron, cron.timezone, cron.active) == ("0 3 * * *", "Europe/Madrid", False)


def test_the_unit_starts_a_command_that_there_is():
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(ROOT / "deploy/finescale.service")
    words = unit["Service"]["ExecStart"].split()
    assert words[0].endswith("/finescale")
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words[1:], "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert unit["Service"]["WorkingDirectory"]


def test_what_work_pools_are_told_of_are_experiments():
    from flows.deployed import deployed

    words = yaml.safe_load((ROOT / "deploy/prefect.yaml").read_text())
    for one in words["deployments"]:
        assert one["entrypoint"] == f"flows.deployed.{one['name']}"
        assert deployed(one["name"]).name == "finescale"
        assert one["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"


def test_what_a_module_cannot_name_is_not_served(tmp_path, monkeypatch):
    import importlib

    from flows.deployments import deployment

    monkeypatch.chdir(tmp_path)
    text = (ROOT / "flows/experiments/tiny.yaml").read_text()
    for name in ("v1.2", "My-Own run"):
        Path(f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"expected a name of letters, digits, .* got 'v1\.2'\. Rename its file"):
        deployment("v1.2")
    module, _, name = deployment("My-Own run").entrypoint.rpartition(".")
    assert getattr(importlib.import_module(module), name).name == "finescale"


def test_a_module_has_no_flow_of_an_unknown_name():
    from flows import deployed

    assert deployed.quickstart.name == "finescale"
    assert not hasattr(deployed, "pytest_plugins")
    with pytest.raises(AttributeError, match=r"unknown experiment 'quikstart'\. Did you mean 'quickstart'"):
        _ = deployed.quikstart
