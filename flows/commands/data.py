"""``finescale data``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands import complete
from flows.commands.examples import examples
from flows.commands.run import CatalogOption, DataOption, DebugOption

if TYPE_CHECKING:
    from flows.sources import Sources

app = typer.Typer(
    no_args_is_help=True,
    help="The data catalog: what is in it, and where its files are.",
    epilog=examples("finescale data list", "finescale data add 'mine/*.nc' --name mine"),
)
NameArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name of an entry of the catalog.", autocompletion=complete.datasets)
]
NamesArgument = Annotated[
    list[str],
    typer.Argument(metavar="DATASET", help="Names of entries of the catalog.", autocompletion=complete.datasets),
]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Python file with a reader; may be repeated.")
]


def _open(catalog: Path | None, data: Path | None, plugins: list[Path] | None) -> Sources:
    from flows.sources import open_sources
    from pipeline.registry import load_plugins

    load_plugins(plugins or ())
    return open_sources(catalog, data)


@app.command("list", epilog=examples("finescale data list", "finescale data list --data /mirror"))
def list_(catalog: CatalogOption = None, data: DataOption = None, plugin: PluginOption = None) -> None:
    """List the datasets of the catalog and where their files are."""
    from flows.data import listed

    typer.echo(listed(_open(catalog, data, plugin)))


@app.command(epilog=examples("finescale data show iberia-eobs-tas"))
def show(
    name: NameArgument, catalog: CatalogOption = None, data: DataOption = None, plugin: PluginOption = None
) -> None:
    """Show an entry: variables, files and where they are, licence, citation."""
    from flows.data import shown

    typer.echo(shown(_open(catalog, data, plugin), name))


@app.command(epilog=examples("finescale data fetch iberia-eobs-tas iberia-eobs-pr"))
def fetch(
    names: NamesArgument,
    catalog: CatalogOption = None,
    data: DataOption = None,
    plugin: PluginOption = None,
    debug: DebugOption = False,
) -> None:
    """Download what is not here yet, with retries, and check every file's sha256."""
    from flows.data import fetched

    sources = _open(catalog, data, plugin)
    for name in names:
        typer.echo(fetched(sources, name))


@app.command(
    epilog=examples("finescale data check synthetic-fine", "finescale data check mine --catalog data_catalog.yaml")
)
def check(
    names: NamesArgument,
    catalog: CatalogOption = None,
    data: DataOption = None,
    plugin: PluginOption = None,
    debug: DebugOption = False,
) -> None:
    """Print what every variable holds; fail on what a run would trip over."""
    from flows.data import checked

    result = checked(_open(catalog, data, plugin), names)
    typer.echo(result.text)
    if result.faults:
        for fault in result.faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(2)


@app.command(
    epilog=examples("finescale data add 'era5/t2m_*.nc' --name my-era5", "finescale data add stations.csv --print")
)
def add(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Files or Zarr folders of one dataset, or a glob in quotes."),
    ],
    name: Annotated[str | None, typer.Option("--name", help="The entry's name; the file's name by default.")] = None,
    catalog: Annotated[Path, typer.Option("--catalog", help="Catalog to append to; made if it is not there.")] = Path(
        "data_catalog.yaml"
    ),
    print_only: Annotated[bool, typer.Option("--print", help="Print the entry and change nothing.")] = False,
    debug: DebugOption = False,
) -> None:
    """Write a catalog entry by looking at the files of a dataset."""
    from flows.data import added, drafted

    text = drafted(paths, name)
    if print_only:
        typer.echo(text, nl=False)
    else:
        typer.echo(added(text, catalog))
