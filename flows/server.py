"""Whether a Prefect server answers, found out without importing Prefect (which takes over a second)."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

DEFAULT = "http://127.0.0.1:4200/api"


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
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=timeout) as answer:  # noqa: S310 - scheme is checked
            return address if answer.status == 200 else None
    except (urllib.error.URLError, OSError, ValueError):
        return None
