"""Downloads: retried, checked, and whole or not there."""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ChecksumError, NetworkError
from pipeline.files import write_atomic
from pipeline.progress import Progress, silent

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

ATTEMPTS = 4
TIMEOUT = (10.0, 60.0)
"""Seconds to connect and between two pieces."""
_CHUNK = 1 << 18


class _RetryableError(Exception):
    """The server may answer the next time."""


def download(url: str, target: Path, sha256: str, progress: Progress = silent, *, wait: float = 1.0) -> None:
    """Fetch ``url`` to ``target``, under a temporary name until it is whole and checked.

    Parameters
    ----------
    url : str
        Where from.
    target : Path
        Where to; its folder is made.
    sha256 : str
        Expected digest.
    progress : Progress
        Shows bytes.
    wait : float
        Seconds before the second attempt; doubled for each further one.

    Raises
    ------
    NetworkError
        If the server does not answer, or answers with an error, after the retries.
    ChecksumError
        If it answers with another file.
    """
    with write_atomic(target) as part:
        got = _fetch(url, part, target, progress, wait)
        if got != sha256:
            raise ChecksumError(
                f"{url}: expected sha256 {sha256}, got {got}. The file behind the URL has changed; nothing was kept. "
                "If the new one is right, change the sha256 in the catalog."
            )


def _fetch(url: str, part: Path, target: Path, progress: Progress, wait: float) -> str:
    """Write what the server sends to ``part``, trying again, and return its sha256."""
    import requests  # slow to import

    passing = (_RetryableError, requests.RequestException)
    for attempt in range(1, ATTEMPTS):
        try:
            return _fetch_once(url, part, progress)
        except passing as error:
            log.warning("%s: attempt %d of %d failed: %s", url, attempt, ATTEMPTS, error)
            time.sleep(wait * 2 ** (attempt - 1))
    try:
        return _fetch_once(url, part, progress)
    except passing as error:
        raise NetworkError(
            f"{url}: no download after {ATTEMPTS} attempts: {error}. Check the network, put the file at {target}, or "
            "pass --data DIR with a copy."
        ) from error


def _fetch_once(url: str, part: Path, progress: Progress) -> str:
    import requests

    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=TIMEOUT) as answer:
        _check_status(answer, url)
        said = answer.headers.get("content-length")
        # A compressed transfer says the length of what is sent, not of the file.
        expected = int(said) if said and "content-encoding" not in answer.headers else None
        with part.open("wb") as file, progress(f"fetch {url.rsplit('/', 1)[-1]}", expected) as step:
            for piece in answer.iter_content(_CHUNK):
                file.write(piece)
                digest.update(piece)
                step.advance(len(piece))
            length = file.tell()
    if expected is not None and length != expected:
        raise _RetryableError(f"the connection ended after {length} of {expected} bytes")
    return digest.hexdigest()


def _check_status(answer: requests.Response, url: str) -> None:
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _RetryableError(f"the server answered {answer.status_code} {answer.reason}")
    if answer.status_code >= 400:
        raise NetworkError(
            f"{url}: the server answered {answer.status_code} {answer.reason}. The file may have moved: correct the "
            "url in the catalog, or pass --data DIR with a copy."
        )
