"""Downloads from a server of this process: retried, checked, whole or not there."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.data.catalog import make_entry
from pipeline.data.fetch import ATTEMPTS, download
from pipeline.data.files import Places, resolve
from pipeline.errors import ChecksumError, NetworkError

BODY = bytes(range(256)) * 2048
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server():
    """A server that answers with the codes in `script`, then with the file; 'cut' stops half-way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            code = self.server.script.pop(0) if self.server.script else 200
            if isinstance(code, int) and code != 200:
                self.send_error(code)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[: len(BODY) // 2] if code == "cut" else BODY)

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.script, running.asked = [], 0
    running.url = f"http://127.0.0.1:{running.server_port}/a.nc"
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def test_a_file_is_fetched_whole(server, tmp_path):
    download(server.url, tmp_path / "in" / "a.nc", DIGEST)
    assert (tmp_path / "in" / "a.nc").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.nc"]


@pytest.mark.parametrize("script", [[503], ["cut"], [429, "cut", 500]])
def test_what_passes_is_tried_again(server, tmp_path, script):
    server.script = list(script)
    download(server.url, tmp_path / "a.nc", DIGEST, wait=0.0)
    assert (tmp_path / "a.nc").read_bytes() == BODY
    assert server.asked == len(script) + 1


def test_after_the_retries_it_is_a_network_error(server, tmp_path):
    server.script = [500] * ATTEMPTS
    message = rf"a.nc: no download after {ATTEMPTS} attempts: the server answered 500 .* put the file at .*a.nc, or pass --data"
    with pytest.raises(NetworkError, match=message) as caught:
        download(server.url, tmp_path / "a.nc", DIGEST, wait=0.0)
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir())


def test_no_server_is_a_network_error(tmp_path):
    with pytest.raises(NetworkError, match=rf"no download after {ATTEMPTS} attempts"):
        download("http://127.0.0.1:9/a.nc", tmp_path / "a.nc", DIGEST, wait=0.0)


def test_a_file_that_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.script = [404]
    with pytest.raises(NetworkError, match=r"the server answered 404 .*correct the url in the catalog"):
        download(server.url, tmp_path / "a.nc", DIGEST, wait=0.0)
    assert server.asked == 1


def test_a_changed_file_is_not_kept(server, tmp_path):
    with pytest.raises(
        ChecksumError, match=rf"expected sha256 {'0' * 64}, got {DIGEST}. The file behind the URL has changed"
    ):
        download(server.url, tmp_path / "a.nc", "0" * 64)
    assert not list(tmp_path.iterdir())


def test_an_entry_is_fetched_once_to_the_cache(server, tmp_path):
    file = {"path": "x/a.nc", "url": server.url, "sha256": DIGEST}
    raw = {"format": "netcdf", "files": [file], "variables": {"a": {"units": "K"}}, "licence": "x"}
    entry = make_entry("set", raw, "c.yaml")
    places = Places(None, tmp_path / "cache", tmp_path)
    (first,) = resolve(entry, places)
    (second,) = resolve(entry, places)
    assert (first.place, second.place) == ("download", "cache")
    assert first.path == second.path == tmp_path / "cache" / "x" / "a.nc"
    assert server.asked == 1
    assert first.url == server.url
