"""That no Prefect server answers is said to those alone who asked for one."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows import engine
from flows.server import asked_for_server, server_that_answers

DEAD = "http://127.0.0.1:9/api"


@pytest.fixture
def said(monkeypatch):
    """Returns a function that starts a run without its stages, and what it said of how they are called."""
    monkeypatch.setattr(engine, "create_or_find", lambda request: "run")
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
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_the_server_that_answers_is_told_from_one_that_does_not(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api/")
        assert server_that_answers() == f"{address}/api"
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/other")
        assert server_that_answers() is None
        monkeypatch.setenv("PREFECT_API_URL", "file:///etc/hosts")
        assert server_that_answers() is None
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
