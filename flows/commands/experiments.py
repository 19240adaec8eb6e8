"""``finescale experiments``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import complete
from flows.commands.examples import examples
from flows.commands.run import CatalogOption, DataOption, DebugOption

app = typer.Typer(
    no_args_is_help=True,
    help="The experiments that can be run by name, and a new one to begin with.",
    epilog=examples("finescale experiments list", "finescale experiments new my-question"),
)


@app.command("list", epilog=examples("finescale experiments list"))
def list_() -> None:
    """List the shipped experiments and those of the working folder."""
    from flows.load import load_experiment, shipped
    from pipeline.errors import UserError

    found = shipped()
    width = max(map(len, found))
    for name in found:
        try:
            said = load_experiment(name).experiment.question
        except UserError as error:  # one of the working folder's must not hide those behind it
            said = f"not valid: {str(error).splitlines()[0]}"
        typer.echo(f"{name:<{width}}  {said}")


@app.command(
    epilog=examples(
        "finescale experiments show quickstart > mine.yaml", "finescale experiments show quickstart --resolved"
    )
)
def show(
    name: Annotated[
        str, typer.Argument(help="Name of an experiment, or a YAML file.", autocompletion=complete.experiments)
    ],
    resolved: Annotated[bool, typer.Option("--resolved", help="Write every default out.")] = False,
) -> None:
    """Print an experiment's YAML."""
    from flows.load import dump, find_experiment, load_experiment

    if resolved:
        typer.echo(dump(load_experiment(name).experiment), nl=False)
    else:
        typer.echo(find_experiment(name).read_text(encoding="utf-8"), nl=False)


@app.command(epilog=examples("finescale experiments keys > keys.md"))
def keys() -> None:
    """Print every key of an experiment and of a catalog entry, with defaults, as Markdown."""
    from flows.reference import reference

    typer.echo(reference(), nl=False)


@app.command(
    epilog=examples(
        "finescale experiments new my-question",
        "finescale experiments new rivers --task series",
        "finescale experiments new iberia --dataset iberia-ncep-pressure --dataset iberia-eobs-tas",
    )
)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the experiment; starts the names of its runs.")],
    task: Annotated[
        Literal["downscaling", "series", "segmentation"],
        typer.Option("--task", help="Fields from coarser fields, series, or which class each cell is of."),
    ] = "downscaling",
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="DATASET",
            help="Entry of the catalog, may be repeated: predictors, the last one the target; one alone is both. "
            "Made data by default.",
            autocompletion=complete.datasets,
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where it is written; ./NAME.yaml.")] = None,
    data: DataOption = None,
    catalog: CatalogOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a commented experiment to begin with, valid as it stands; a file that is there is never overwritten."""
    from flows.sources import open_sources
    from flows.template import common_dates, write

    opened, why = None, ""
    dates: tuple[str, ...] = ()
    if dataset:
        sources = open_sources(catalog, data)
        opened = sources.catalog
        dates, why = common_dates(dataset, sources)
    path = write(name, task, to or Path(f"{name}.yaml"), dataset or (), opened, dates)
    typer.echo(f"written: {path}")
    if dates:
        typer.echo(f"dates:   split by those that the data have in common, {dates[0]} to {dates[-1]}")
    elif dataset:
        typer.echo(f"dates:   put those of your data into it ({why})")
    typer.echo(f"next:    finescale run {path} --dry-run")


@app.command(epilog=examples("finescale experiments names", "finescale experiments names > names.md"))
def names() -> None:
    """Print every model, score and method by name, with what it is and where it comes from, as Markdown."""
    from flows.registries import registries

    typer.echo(registries(), nl=False)
