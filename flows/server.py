"""Whether a Prefect server answers, found out without importing Prefect (which takes over a second)."""

from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request

DEFAULT = "http://127.0.0.1:4200/api"
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # What our own modules log is what a reader of a run's log on the server wants to see.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline,models,flows",
}
"""Settings of Prefect, as environment variables: nothing is told to anybody else."""


AUTH = "FINESCALE_AUTH"
"""``user:password`` of a server that asks for them, of the reports too."""


def quiet_prefect() -> None:
    """Set what Prefect reads as it is imported, where the user has not said otherwise."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if os.environ.get(AUTH):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", os.environ[AUTH])


def asked_for_server() -> bool:
    """Return whether ``PREFECT_API_URL`` names one; most runs are not meant for a server."""
    return bool(os.environ.get("PREFECT_API_URL", ""))


def server_that_answers(timeout: float = 1.0) -> str | None:
    """Return the address of the Prefect server that answers, None if none does.

    Asked is ``PREFECT_API_URL``, else the address of ``prefect server start`` on this machine.
    """
    address = os.environ.get("PREFECT_API_URL", "").rstrip("/") or DEFAULT
    if not address.startswith(("http://", "https://")):
        return None
    return address if _status(f"{address}/health", timeout) == 200 else None


def lets_us_in(address: str, timeout: float = 5.0) -> bool:
    """Whether the server at ``address`` answers more than that it is there: it asks for no password, or has ours."""
    return _status(f"{address}/admin/version", timeout) == 200


def _status(address: str, timeout: float) -> int | None:
    """Return the status that an address answers with, None where nothing does."""
    request = urllib.request.Request(address)  # noqa: S310 - the scheme is checked
    given = os.environ.get("PREFECT_API_AUTH_STRING") or os.environ.get(AUTH)
    if given:
        request.add_header("Authorization", "Basic " + base64.b64encode(given.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, OSError, ValueError):
        return None
