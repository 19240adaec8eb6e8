"""``finescale doctor`` and ``finescale check-leakage``."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands import complete
from flows.commands.run import CatalogOption, DataOption, DebugOption, SetOption


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also start a worker, and check the bytes of all data files that are here.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, to add to a bug report.")] = False,
) -> None:
    """Say what this machine has and lacks, what is wrong with it, and the command that mends it.

    Looked at are Python and the libraries, GPUs, memory, workers, data folders and Prefect. A FAULT keeps runs from
    working, and the exit code is 1; a note does not.
    """
    from flows.doctor import as_json, as_text, examine

    findings = examine(deep)
    typer.echo(as_json(findings) if json_ else as_text(findings))
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(1)


def check_leakage(
    experiment: Annotated[
        str, typer.Argument(help="Name of an experiment, or a YAML file.", autocompletion=complete.experiments)
    ],
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
