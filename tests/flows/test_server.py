"""That no Prefect server answers is said to those alone who asked for one."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows import engine
from flows.server import asked_for_server, lets_us_in, server_that_answers
from pipeline.run_folder import RunFolder

DEAD = "http://127.0.0.1:9/api"


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Returns a function that starts a run without its stages, and what it said of how they are called."""
    monkeypatch.setattr(engine, "create_or_find", lambda request: RunFolder(tmp_path))
    monkeypatch.setattr(engine, "execute", lambda run, call, *, debug: "result")

    def start(use_server=True):
        lines = []
        assert engine.start(engine.Request(experiment="tiny", use_server=use_server), lines.append) == "result"
        return lines

    return start


@pytest.mark.parametrize(
    ("address", "use_server", "lines"),
    [
        (None, True, []),
        ("", True, []),
        (DEAD, False, []),
        (DEAD, True, [f"stages are called directly: no Prefect server answers at {DEAD}"]),
    ],
)
def test_a_server_that_does_not_answer_is_named_where_one_was_asked_for(monkeypatch, said, address, use_server, lines):
    monkeypatch.setattr("flows.server.DEFAULT", DEAD)
    if address is None:
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
    else:
        monkeypatch.setenv("PREFECT_API_URL", address)
    assert asked_for_server() == bool(address)
    assert said(use_server) == lines


class Healthy(BaseHTTPRequestHandler):
    """Says that it is there to everybody, and its version to who knows the password."""

    def do_GET(self):
        known = self.headers.get("Authorization") == "Basic bGFiOnNlY3JldA=="  # lab:secret
        there = {"/api/health": 200, "/api/admin/version": 200 if known else 401}
        self.send_response(there.get(self.path, 404))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(monkeypatch):
    for name in ("PREFECT_API_AUTH_STRING", "FINESCALE_AUTH"):
        monkeypatch.delenv(name, raising=False)
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_server_that_answers_is_told_from_one_that_does_not(monkeypatch, address):
    monkeypatch.setenv("PREFECT_API_URL", f"{address}/api/")
    assert server_that_answers() == f"{address}/api"
    monkeypatch.setenv("PREFECT_API_URL", f"{address}/other")
    assert server_that_answers() is None
    monkeypatch.setenv("PREFECT_API_URL", "file:///etc/hosts")
    assert server_that_answers() is None


def test_a_server_that_asks_for_a_password_is_used_by_those_who_have_it(monkeypatch, address, said):
    monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
    assert not lets_us_in(f"{address}/api")
    assert said() == [
        f"stages are called directly: the Prefect server at {address}/api asks for a user name and a password; "
        "FINESCALE_AUTH=user:password gives them, and --no-server keeps from asking"
    ]
    monkeypatch.setenv("FINESCALE_AUTH", "lab:secret")
    assert lets_us_in(f"{address}/api")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lab:wrong")
    assert not lets_us_in(f"{address}/api")
