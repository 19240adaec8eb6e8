"""``finescale runs`` and ``finescale report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.commands.run import DebugOption, OutOption

if TYPE_CHECKING:
    from pipeline.run_folder import RunFolder

app = typer.Typer(no_args_is_help=True, help="The runs of a folder.")
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Path, name or unique prefix of a run.")]


def find_run(out: Path, text: str) -> RunFolder:
    """Return the run that ``text`` means, the finished one where only one of several is; that is said."""
    from pipeline.run_folder import RunFolder

    return RunFolder.find(out, text, lambda said: typer.echo(said, err=True))


@app.command("list")
def list_(out: OutOption = Path("runs")) -> None:
    """List runs, the newest first: state, size, result."""
    from pipeline.run_folder import list_runs

    records = list_runs(out)
    if not records:
        typer.echo(f"no runs in {out}")
        return
    width = max(len(record.name) for record in records)
    for record in records:
        typer.echo(f"{record.name:<{width}}  {record.state:<10}  {record.size / 2**20:7.1f} MiB  {record.headline}")


@app.command()
def index(out: OutOption = Path("runs")) -> None:
    """Write a page over all runs into their folder, and print where it is."""
    from pipeline.report.index import write_index

    typer.echo(str(write_index(out)))


@app.command()
def show(run: RunArgument, out: OutOption = Path("runs")) -> None:
    """Show a run: stages with time and memory, scores of every model on the test sets, warnings."""
    from flows.show import describe_run

    typer.echo(describe_run(find_run(out, run)))


def report(
    run: RunArgument,
    format_: Annotated[Literal["html", "md"], typer.Option("--format", help="What is written.")] = "html",
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Write a run's report anew from its folder, and print where it is."""
    from flows.workspace import FORMAT
    from pipeline.errors import require_format
    from pipeline.report.render import render

    found = find_run(out, run)
    require_format(found.path, found.read_json("work/settings.json").get("format"), FORMAT)
    typer.echo(str(render(found.path, format_)))
