"""Everything that one machine needs to run experiments on schedules and from a browser: `finescale serve`.

A Prefect server (a process of its own, if it is asked for), a runner that starts flow runs when the server says so
(each a process of its own), and the server of the reports (a thread).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from flows import reports, slots
from flows.load import load_experiment
from flows.server import QUIET, lets_us_in, server_that_answers
from pipeline.errors import ConfigError, FinescaleError

Say = Callable[[str], None]

START = 180.0  # seconds that a first start may take: the database is made
_OTHERS = ("PREFECT_API_KEY", "PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_API_DATABASE_CONNECTION_URL")


@dataclass(frozen=True)
class Serving:
    """What is served, and where.

    Parameters
    ----------
    experiments : tuple of str
        Names; empty for all.
    out, data, catalog : Path
        Folder of the runs, local mirror, catalog file, as `finescale run` takes them.
    with_server : bool
        Whether the Prefect server is started too; else one must answer.
    home : Path
        Where the server keeps its database and its log.
    port, reports_port : int
        Of the Prefect server, and of the reports.
    database : str, optional
        ``postgresql+asyncpg://user:password@host/name`` in place of a SQLite file.
    auth : str, optional
        ``user:password`` that server and reports ask for.
    at_once : int
        How many runs are done at a time; others wait.
    reports_url : str, optional
        Where readers find the reports, if not on this machine at ``reports_port``.
    """

    experiments: tuple[str, ...]
    out: Path
    data: Path | None
    catalog: Path | None
    with_server: bool
    home: Path
    port: int = 4200
    reports_port: int = 4201
    database: str | None = None
    auth: str | None = None
    at_once: int = 1
    reports_url: str | None = None

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def reports(self) -> str:
        """Address of the reports."""
        return (self.reports_url or f"http://127.0.0.1:{self.reports_port}").rstrip("/")


def settings(serving: Serving, api: str) -> dict[str, str]:
    """Return the environment of the runner, of the runs that it starts, and of a server of our own."""
    found = {
        **QUIET,
        "FINESCALE_RUNS": str(serving.out.resolve()),
        "FINESCALE_REPORTS_URL": serving.reports,
        slots.FOLDER: str((serving.home / "turns").resolve()),
        slots.COUNT: str(serving.at_once),
        "PREFECT_API_URL": api,
    }
    if serving.data is not None:
        found["FINESCALE_DATA"] = str(serving.data.resolve())
    if serving.catalog is not None:
        found["FINESCALE_CATALOG"] = str(serving.catalog.resolve())
    if serving.auth is not None:
        found |= {"PREFECT_API_AUTH_STRING": serving.auth}
    if serving.with_server:
        found |= {
            "PREFECT_HOME": str(serving.home.resolve()),
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            # The newer of its two pages asks a host outside for its settings whenever it is opened.
            "PREFECT_SERVER_UI_V2_ENABLED": "false",
        }
        if serving.database is not None:
            found["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = serving.database
        if serving.auth is not None:
            found["PREFECT_SERVER_API_AUTH_STRING"] = serving.auth
    return found


def serve(serving: Serving, say: Say) -> None:
    """Serve until a signal comes.

    Raises
    ------
    ConfigError
        If a setting is at fault, a port is taken, or no server answers where none is to be started.
    FinescaleError
        If the server does not start, or ends.
    """
    check(serving)
    with ExitStack() as open_:
        stop = open_.enter_context(signals())
        open_.callback(_reports(serving).shutdown)
        api = serving.api
        if serving.with_server:
            for name in _OTHERS:
                os.environ.pop(name, None)
            os.environ.update(settings(serving, api))
            process = open_.enter_context(server(serving, say))
        else:
            found = server_that_answers()
            if found is None:
                raise ConfigError(
                    "serve: expected a Prefect server that answers at PREFECT_API_URL or http://127.0.0.1:4200/api, "
                    "got none. Start everything at once with `finescale serve --with-server`, or that server first."
                )
            if not lets_us_in(found):
                raise ConfigError(
                    f"serve: expected the Prefect server at {found} to let us in, got a question for a user name and a "
                    "password. Give them in FINESCALE_AUTH=user:password."
                )
            api, process = found, None
            os.environ.update(settings(serving, api))
        from flows.deployments import deploy, put_in_order

        deployments = deploy(serving, say)
        put_in_order(deployments, say)
        runner = _runner(deployments)
        # The page of the runs is on the address of the API, whichever server it is.
        page = urlsplit(api)
        served = "1 experiment is" if len(deployments) == 1 else f"{len(deployments)} experiments are"
        say(
            f"{served} served; runs and schedules stay as they are when this ends (Ctrl-C).\n"
            f"  runs and schedules: {page.scheme}://{page.netloc}\n"
            f"  reports:            {serving.reports}"
        )
        _until(stop, runner, process, say)


def check(serving: Serving) -> None:
    """Refuse settings that could not work.

    Raises
    ------
    ConfigError
        If they could not, or an experiment that is named cannot be run.
    """
    if serving.auth is not None and not all(serving.auth.partition(":")[::2]):
        raise ConfigError("serve: expected user:password in FINESCALE_AUTH, got something without a colon inside.")
    if serving.database is not None and not serving.database.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite:")):
        raise ConfigError(
            "serve: expected a database such as postgresql+asyncpg://user:password@host/name, got one that begins with "
            f"{serving.database.partition(':')[0]!r}."
        )
    for name in serving.experiments:
        load_experiment(name)
    if serving.port == serving.reports_port:
        raise ConfigError(f"serve: expected two ports, got {serving.port} for both; set --reports-port.")


@contextmanager
def signals() -> Iterator[threading.Event]:
    """Yield what is set by the first SIGINT or SIGTERM; a second one ends the process where it stands."""
    stop = threading.Event()

    def told(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reports(serving: Serving) -> ThreadingHTTPServer:
    from pipeline.report.index import index_html

    serving.out.mkdir(parents=True, exist_ok=True)
    site = reports.Site(serving.out, lambda: index_html(serving.out), serving.auth)
    try:
        return reports.start(site, "127.0.0.1", serving.reports_port)
    except OSError as error:
        raise ConfigError(
            f"serve: expected the port {serving.reports_port} for the reports to be free, got: {error.strerror}. "
            "Choose another with --reports-port."
        ) from None


@contextmanager
def server(serving: Serving, say: Say) -> Iterator[subprocess.Popen[bytes]]:
    """Start the Prefect server, wait until it answers, end it with the block.

    Raises
    ------
    ConfigError
        If something else answers at its port.
    FinescaleError
        If it does not start; the message has the end of its log.
    """
    if server_that_answers() is not None:
        raise ConfigError(
            f"serve: a Prefect server answers at {serving.api} already. Leave out --with-server to use it, or choose "
            "another port with --port."
        )
    serving.home.mkdir(parents=True, exist_ok=True)
    log = serving.home / "server.log"
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(serving.port)]
    say(f"starting the Prefect server; its log is {log}")
    with log.open("wb") as file:
        # A session of its own: Ctrl-C is for us, who end it when the runs have been told to stop.
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, *words],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_with_us if sys.platform == "linux" else None,
        )
    try:
        _wait(serving, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _with_us() -> None:
    """Ask Linux to end the server if we are killed and cannot."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _wait(serving: Serving, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        if server_that_answers() is not None:
            return
        time.sleep(0.3)
    told = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    end = "\n".join(told[-12:])
    raise FinescaleError(f"the Prefect server did not start on port {serving.port}. The end of {log}:\n{end}")


def _runner(deployments: Sequence[Any]) -> Any:
    """Tell the server of all deployments; return what starts their runs."""
    from prefect.runner import Runner

    # Without a limit of its own: a second run of an experiment is to be refused, not kept waiting; see flows.slots.
    runner = Runner(pause_on_shutdown=False, limit=None)
    for deployment in deployments:
        runner.add_deployment(deployment)
    return runner


def _until(stop: threading.Event, runner: Any, process: subprocess.Popen[bytes] | None, say: Say) -> None:
    """Start runs as the server asks for them, until ``stop`` is set or the server is gone."""
    ended: list[BaseException] = []
    loop = asyncio.new_event_loop()

    def work() -> None:
        try:
            loop.run_until_complete(runner.start())
        except BaseException as error:  # told below, in the thread that people hear of
            ended.append(error)
        finally:
            stop.set()

    # In a thread, for in the main one the runner takes the signals for itself.
    thread = threading.Thread(target=work, name="runner", daemon=True)
    thread.start()
    while not stop.wait(1.0):
        if process is not None and process.poll() is not None:
            stop.set()
            ended.append(FinescaleError("the Prefect server ended; its log says why."))
    if thread.is_alive():
        say("ending; runs at work are stopped, and can be gone on with `finescale run --resume RUN`")
        asyncio.run_coroutine_threadsafe(runner.astop(), loop).result(60)
        thread.join(60)
    if ended:
        raise FinescaleError(f"serving ended: {ended[0]}") from ended[0]
