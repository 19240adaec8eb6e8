"""``finescale doctor`` and ``finescale check-leakage``."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.run import CatalogOption, DataOption, DebugOption, SetOption


def doctor() -> None:
    """Say what this machine has: versions, backends and why not, memory, caches, a server that answers."""
    from flows.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(f"{finding.mark} {finding.what:<22} {finding.answer}")
    if any(finding.fault for finding in findings):
        raise typer.Exit(1)


def check_leakage(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or a YAML file.")],
    set_: SetOption = None,
    data: DataOption = None,
    catalog: CatalogOption = None,
    debug: DebugOption = False,
) -> None:
    """Replace all values after the train span by noise and see whether anything fitted moves."""
    from flows.leakage import check

    report = check(experiment, set_ or (), catalog, data)
    if report.moved:
        typer.echo(f"error: moved by values after the train span: {', '.join(report.moved)}", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"{len(report.compared)} fitted arrays and train samples are byte for byte the same "
        "whatever comes after the train span"
    )
