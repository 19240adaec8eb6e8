"""``finescale doctor``."""

from __future__ import annotations

import typer


def doctor() -> None:
    """Say what this machine has: versions, backends and why not, memory, caches, a server that answers."""
    from flows.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{finding.mark} {finding.what:<22} {finding.answer}")
    if any(finding.fault for finding in findings):
        raise typer.Exit(1)
