"""``finescale experiments``."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The experiments that can be run by name.")


@app.command("list")
def list_() -> None:
    """List the shipped experiments and those of the working folder."""
    from flows.load import load_experiment, shipped

    found = shipped()
    width = max(map(len, found))
    for name in found:
        typer.echo(f"{name:<{width}}  {load_experiment(name).experiment.question}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of an experiment, or a YAML file.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="Write every default out.")] = False,
) -> None:
    """Print an experiment's YAML."""
    from flows.load import dump, find_experiment, load_experiment

    if resolved:
        typer.echo(dump(load_experiment(name).experiment), nl=False)
    else:
        typer.echo(find_experiment(name).read_text(encoding="utf-8"), nl=False)


@app.command()
def keys() -> None:
    """Print every key of an experiment and of a catalog entry, with defaults, as Markdown."""
    from flows.reference import reference

    typer.echo(reference(), nl=False)
