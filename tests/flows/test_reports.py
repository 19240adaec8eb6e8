"""The server of reports: what it hands out, what it does not, and the password."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from flows import reports
from flows.reports import Site


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    run = folder / "tiny-20260101T000000Z-abcdef"
    for inner in ("stages", "work", "models/unet", "figures"):
        (run / inner).mkdir(parents=True)
    (run / "report.html").write_text("<h1>report é</h1>", encoding="utf-8")
    (run / "scores.csv").write_text("model,value\n")
    (run / "figures/map.svg").write_text("<svg/>")
    (run / "work/settings.json").write_text("{}")
    (run / "models/unet/config.json").write_text("{}")
    (run / ".lock").write_text("1")
    (run / "log.jsonl").write_text("{}")
    (run / "away.html").symlink_to(tmp_path / "secret.html")
    (tmp_path / "secret.html").write_text("secret")
    (folder / "notes.html").write_text("of no run")
    return folder


@pytest.fixture
def ask(runs):
    opened = []

    def start(auth=None):
        server = reports.start(Site(runs, lambda: "<h1>all runs</h1>", auth), "127.0.0.1", 0)
        opened.append(server)

        def get(path, method="GET", **headers):
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}{path}", headers=headers, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.headers, error.read()

        return get

    yield start
    for server in opened:
        server.shutdown()
        server.server_close()


RUN = "/tiny-20260101T000000Z-abcdef"


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<h1>all runs</h1>"),
        ("/index.html", "text/html; charset=utf-8", b"<h1>all runs</h1>"),
        (f"{RUN}/report.html", "text/html; charset=utf-8", "<h1>report é</h1>".encode()),
        (f"{RUN}/report.html?x#skill", "text/html; charset=utf-8", "<h1>report é</h1>".encode()),
        (f"{RUN}/scores.csv", "text/csv; charset=utf-8", b"model,value\n"),
        (f"{RUN}/figures/map.svg", "image/svg+xml", b"<svg/>"),
    ],
)
def test_what_readers_open_is_handed_out(ask, path, kind, content):
    status, headers, body = ask()(path)
    assert (status, headers["Content-Type"], body) == (200, kind, content)
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        f"{RUN}", f"{RUN}/", f"{RUN}/work/settings.json", f"{RUN}/models/unet/config.json", f"{RUN}/.lock",
        f"{RUN}/log.jsonl", f"{RUN}/away.html", "/notes.html", "/../secret.html", f"{RUN}/../../secret.html",
        f"{RUN}/%2e%2e/%2e%2e/secret.html", f"{RUN}/..%5c..%5csecret.html", f"{RUN}/report.html%00", "/none/report.html",
        f"/{'a' * 300}/report.html", f"{RUN}/{'a' * 300}.html",
    ],
)  # fmt: skip
def test_nothing_else_of_the_disk_is(ask, path):
    status, _, body = ask()(path)
    assert status == 404
    assert b"secret" not in body


def test_pictures_run_no_script(ask):
    assert "sandbox" in ask()(f"{RUN}/figures/map.svg")[1]["Content-Security-Policy"]


def test_the_password_is_asked_for_everywhere(ask):
    get = ask("lab:gehéim")
    for path in ("/", f"{RUN}/report.html", "/none"):
        status, headers, body = get(path)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic realm=")
        assert b"report" not in body
    assert get("/", Authorization="Basic bGFiOndyb25n")[0] == 401
    assert get("/", Authorization="Bearer x")[0] == 401
    assert get("/", Authorization="Basic bGFiOmdlaMOpaW0=")[0] == 200


def test_a_head_has_no_body_and_other_verbs_are_refused(ask):
    get = ask()
    status, headers, body = get(f"{RUN}/scores.csv", method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "12", b"")
    assert get(f"{RUN}/scores.csv", method="POST")[0] == 501
