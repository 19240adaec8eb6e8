"""``finescale serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.run import CatalogOption, DataOption, DebugOption, OutOption


def serve(
    experiments: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERIMENT]...", help="Names of experiments; all by default.")
    ] = None,
    with_server: Annotated[
        bool, typer.Option("--with-server", help="Start the Prefect server too; else one must answer.")
    ] = False,
    data: DataOption = None,
    catalog: CatalogOption = None,
    out: OutOption = Path("runs"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Of the Prefect server.")] = 4200,
    reports_port: Annotated[int, typer.Option("--reports-port", min=1, max=65535, help="Of the reports.")] = 4201,
    home: Annotated[
        Path | None,
        typer.Option("--home", envvar="FINESCALE_HOME", help="Folder of the server's database and log."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            envvar="FINESCALE_DATABASE",
            show_envvar=True,
            help="postgresql+asyncpg://user:password@host/name in place of a SQLite file in the home.",
        ),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            "--auth",
            envvar="FINESCALE_AUTH",
            show_envvar=True,
            help="user:password that server and reports ask for; others can see it here, so set it there.",
        ),
    ] = None,
    at_once: Annotated[int, typer.Option("--at-once", min=1, help="Runs at a time; others wait.")] = 1,
    reports_url: Annotated[
        str | None,
        typer.Option("--reports-url", help="Where readers find the reports, if not on this machine's own port."),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Run experiments on their schedules and from a browser, and show their reports, on this machine alone."""
    import platformdirs

    from flows.serve import Serving, serve

    serve(
        Serving(
            experiments=tuple(experiments or ()),
            out=out,
            data=data,
            catalog=catalog,
            with_server=with_server,
            home=home or Path(platformdirs.user_data_dir("finescale")) / "server",
            port=port,
            reports_port=reports_port,
            database=database,
            auth=auth,
            at_once=at_once,
            reports_url=reports_url,
        ),
        typer.echo,
    )
