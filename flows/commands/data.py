"""``finescale data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.run import CatalogOption, DataOption, DebugOption

app = typer.Typer(no_args_is_help=True, help="The data catalog.")
NameArgument = Annotated[str, typer.Argument(metavar="DATASET", help="Name of an entry of the catalog.")]


@app.command("list")
def list_(catalog: CatalogOption = None, data: DataOption = None) -> None:
    """List the datasets of the catalog and where their files are."""
    from flows.data import listed
    from flows.sources import open_sources

    typer.echo(listed(open_sources(catalog, data)))


@app.command()
def show(name: NameArgument, catalog: CatalogOption = None, data: DataOption = None) -> None:
    """Show an entry: variables, files and where they are, licence, citation."""
    from flows.data import shown
    from flows.sources import open_sources

    typer.echo(shown(open_sources(catalog, data), name))


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="DATASET...", help="Names of entries of the catalog.")],
    catalog: CatalogOption = None,
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Download what is not here yet, with retries, and check every file's sha256."""
    from flows.data import fetched
    from flows.sources import open_sources

    sources = open_sources(catalog, data)
    for name in names:
        typer.echo(fetched(sources, name))


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(metavar="DATASET...", help="Names of entries of the catalog.")],
    catalog: CatalogOption = None,
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Print what every variable holds; fail on what a run would trip over."""
    from flows.data import checked
    from flows.sources import open_sources

    result = checked(open_sources(catalog, data), names)
    typer.echo(result.text)
    if result.faults:
        for fault in result.faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(2)


@app.command()
def add(
    path: Annotated[str, typer.Argument(help="A file, a folder (Zarr) or a glob in quotes.")],
    name: Annotated[str | None, typer.Option("--name", help="The entry's name; the file's name by default.")] = None,
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog to append to; made if it is not there.")] = Path(
        "data_catalog.yaml"
    ),
    print_only: Annotated[bool, typer.Option("--print", help="Print the entry and change nothing.")] = False,
    debug: DebugOption = False,
) -> None:
    """Write a catalog entry by looking at a file."""
    from flows.data import added, drafted

    text = drafted(path, name)
    if print_only:
        typer.echo(text, nl=False)
    else:
        typer.echo(added(text, catalog))
