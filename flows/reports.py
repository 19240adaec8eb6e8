"""A small server of reports: the index of all runs and what a reader opens from it, and nothing else of the disk."""

from __future__ import annotations

import base64
import hmac
import mimetypes
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.run_folder import is_run

SHOWN = (".html", ".csv", ".md", ".json", ".yaml", ".svg", ".webp", ".png", ".nc")
"""What of a run folder is handed out: what people open or load."""
_HIDDEN = ("work", "models")


@dataclass(frozen=True)
class Site:
    """What is served.

    Parameters
    ----------
    runs : Path
        The folder of the runs.
    index : callable
        Returns the page of all runs.
    auth : str, optional
        ``user:password`` that is asked for; by default nothing is.
    """

    runs: Path
    index: Callable[[], str]
    auth: str | None = None

    def allowed(self, header: str | None) -> bool:
        """Whether a request with that ``Authorization`` may see anything."""
        if self.auth is None:
            return True
        kind, _, given = (header or "").partition(" ")
        expected = base64.b64encode(self.auth.encode()).decode()
        # In a time that does not depend on how much of it is right.
        return kind.lower() == "basic" and hmac.compare_digest(given.strip().encode(), expected.encode())

    def file(self, address: str) -> Path | None:
        """Return the file that an address means; None where there is none that may be seen.

        Links out of the folder of runs are not followed, nor is anything hidden or half written.
        """
        parts = [part for part in unquote(urlsplit(address).path).split("/") if part]
        if len(parts) < 2 or any(part.startswith(".") or "\x00" in part or "\\" in part for part in parts):
            return None
        root = self.runs.resolve()
        path = root.joinpath(*parts)
        try:
            if not is_run(root / parts[0]) or parts[1] in _HIDDEN or path.suffix not in SHOWN:
                return None
            whole = path.resolve()
            return whole if whole.is_relative_to(root) and whole.is_file() else None
        except OSError:  # a name that is longer than a file's may be, or a folder that nobody may look into
            return None


class _Handler(BaseHTTPRequestHandler):
    site: Site
    server_version, sys_version = "Finescale", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if not self.site.allowed(self.headers.get("Authorization")):
            self._say(HTTPStatus.UNAUTHORIZED, "expected a user name and a password", body=body)
            return
        if urlsplit(self.path).path in ("", "/", "/index.html"):
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.site.index().encode(), body=body)
            return
        path = self.site.file(self.path)
        if path is None:
            self._say(HTTPStatus.NOT_FOUND, "there is no such report; / lists all runs", body=body)
            return
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        kind = "text/plain" if path.suffix in (".yaml", ".md") else kind
        kind = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        with path.open("rb") as file:  # predictions are larger than memory at times
            self._head(HTTPStatus.OK, kind, os.fstat(file.fileno()).st_size)
            if body:
                shutil.copyfileobj(file, self.wfile)

    def _say(self, status: HTTPStatus, words: str, *, body: bool) -> None:
        self._send(status, "text/plain; charset=utf-8", f"{status.value}: {words}\n".encode(), body=body)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, *, body: bool) -> None:
        self._head(status, kind, len(content))
        if body:
            self.wfile.write(content)

    def _head(self, status: HTTPStatus, kind: str, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="Finescale", charset="UTF-8"')
        if not kind.startswith("text/html"):  # pages bring a stricter one of their own
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: who read which report is nobody's business."""


def start(site: Site, host: str, port: int) -> ThreadingHTTPServer:
    """Serve in a thread until ``shutdown()`` of what is returned.

    Raises
    ------
    OSError
        If the port is taken.
    """
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="reports", daemon=True).start()
    return server
