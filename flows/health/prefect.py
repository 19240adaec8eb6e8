"""Prefect: which settings are in force, and whether a server answers; without importing it, which takes seconds."""

from __future__ import annotations

import json
import os
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.health import Finding
from flows.health.software import version
from flows.server import DEFAULT, server_that_answers

SUBJECT = "prefect"
_LOCAL = {"127.0.0.1", "localhost", "::1"}
_ADDRESS, _KEY = "PREFECT_API_URL", "PREFECT_API_KEY"


def settings(environment: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    """Return Prefect's settings that point to a server, each with where it comes from; the environment wins."""
    folder = Path(environment.get("PREFECT_HOME") or home / ".prefect")
    profiles = Path(environment.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    found: dict[str, tuple[str, str]] = {}
    told = _toml(profiles)
    active = str(environment.get("PREFECT_PROFILE") or told.get("active"))
    for key, value in (told.get("profiles", {}).get(active) or {}).items():
        if key in (_ADDRESS, _KEY):
            found[key] = (str(value), f"the profile {active!r} in {profiles}")
    for key in (_ADDRESS, _KEY):
        if environment.get(key):
            found[key] = (environment[key], "the environment")
    return found


def settings_finding(environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Finding:
    """Say whether settings send Prefect elsewhere than to this machine; a key is never shown."""
    found = settings(environment, home or Path.home())
    if not found:
        return Finding(SUBJECT, "settings", "none in force that point elsewhere")
    shown = {key: ("(not shown)" if key == _KEY else _without_user(value)) for key, (value, _) in found.items()}
    told = ", ".join(f"{key}={shown[key]} from {where}" for key, (_, where) in found.items())
    address, _ = found.get(_ADDRESS, ("", ""))
    elsewhere = bool(address) and urlsplit(address).hostname not in _LOCAL
    if not elsewhere and _KEY not in found:
        return Finding(SUBJECT, "settings", told)
    wrong = (
        "commands of Prefect itself, and schedules, go to that server and not to this machine"
        if elsewhere
        else "a key of Prefect Cloud is in force without the address of a server it is for"
    )
    names = " ".join(key for key, (_, place) in found.items() if place == "the environment")
    mend = f"unset {names}" if names else "prefect profile use ephemeral"
    return Finding(SUBJECT, "settings", told, "note", f"{wrong}; mend it where that is not meant", mend)


def server_finding(environment: Mapping[str, str] = os.environ) -> Finding:
    """Say whether a server answers that runs would go through, and whether it is of our version."""
    server = server_that_answers()
    asked = environment.get(_ADDRESS, "")
    if server is None:
        if asked:
            wrong = f"nothing answers at {_without_user(asked)}, which {_ADDRESS} names; stages are called directly"
            return Finding(SUBJECT, "server", "does not answer", "note", wrong, f"unset {_ADDRESS}")
        return Finding(SUBJECT, "server", f"none answers at {DEFAULT}; runs call their stages directly")
    own, theirs = version("prefect") or "", _version_of(server)
    told = f"{_without_user(server)}{f', version {theirs}' if theirs else ''}"
    if theirs and own.split(".")[:2] != theirs.split(".")[:2]:
        wrong = f"the server is Prefect {theirs} and this is Prefect {own}: flows may fail to report to it"
        return Finding(SUBJECT, "server", told, "note", wrong, f"pip install 'prefect=={theirs}'")
    return Finding(SUBJECT, "server", told)


def _version_of(server: str) -> str:
    try:
        with urllib.request.urlopen(f"{server}/admin/version", timeout=2) as answer:  # noqa: S310  (it answered before)
            return str(json.loads(answer.read().decode()))
    except (urllib.error.URLError, OSError, ValueError):
        return ""


def _without_user(address: str) -> str:
    """Return an address without a user name and password in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def findings() -> list[Finding]:
    """Return everything about Prefect."""
    return [settings_finding(), server_finding()]
