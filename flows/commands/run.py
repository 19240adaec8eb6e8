"""``finescale run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands import complete
from pipeline.errors import ConfigError

DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="FINESCALE_DATA", help="Local mirror: files are looked for here before their URL."),
]
CatalogOption = Annotated[
    Path | None,
    typer.Option("--catalog", help="Data catalog; by default ./data_catalog.yaml, with the shipped one below it."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, as models.unet.lr=1e-4.")
]
OutOption = Annotated[Path, typer.Option("--out", envvar="FINESCALE_RUNS", help="Folder that holds the runs.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")]


def run(
    experiment: Annotated[
        str | None,
        typer.Argument(help="Name of an experiment, or a YAML file.", autocompletion=complete.experiments),
    ] = None,
    set_: SetOption = None,
    backend: Annotated[
        str | None, typer.Option("--backend", help="auto, cpu or gpu.", autocompletion=complete.backends)
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes on cpu, GPUs on gpu.")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="Address of a Dask scheduler.")] = None,
    data: DataOption = None,
    catalog: CatalogOption = None,
    out: OutOption = Path("runs"),
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run that stopped.", autocompletion=complete.runs),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan, what is already there, and the memory it takes.")
    ] = False,
    no_server: Annotated[bool, typer.Option("--no-server", help="Do not use a Prefect server that answers.")] = False,
    debug: DebugOption = False,
) -> None:
    """Run an experiment: ingest, prepare, fit, predict, score, explain, report."""
    if (experiment is None) == (resume is None):
        raise ConfigError("run: expected either an EXPERIMENT or --resume RUN; see `finescale run --help`.")
    from flows.engine import Request, dry_run_text, start
    from flows.outcome import text

    overrides = [*(set_ or [])]
    for key, value in (("backend", backend), ("workers", workers), ("scheduler", scheduler)):
        if value is not None:
            overrides.append(f"compute.{key}={value}")
    request = Request(
        experiment=experiment,
        resume=resume,
        overrides=tuple(overrides),
        data=data,
        catalog=catalog,
        out=out,
        use_server=not no_server,
        debug=debug,
    )
    if dry_run:
        typer.echo(dry_run_text(request))
        return
    result = start(request, lambda text: typer.echo(text, err=True))
    for warning in result.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if result.outcome is not None:
        typer.echo(f"{text(result.outcome)}\n")
    typer.echo(f"run:    {result.folder}")
    typer.echo(f"report: {result.report}")
