"""``finescale cordex``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import complete
from flows.commands.examples import examples
from flows.commands.run import DebugOption, OutOption
from flows.commands.runs import RunArgument, find_run

app = typer.Typer(
    no_args_is_help=True,
    help="The benchmark CORDEX ML-Bench.",
    epilog=examples("finescale cordex example cordex-ml-bench --domain NZ"),
)
TemplatesOption = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="Folder of the official templates pr_NZ.nc and so on.")
]


@app.command(
    epilog=examples("finescale cordex submit cordex-nz --model noise_unet --to submission --templates templates")
)
def submit(
    run: RunArgument,
    model: Annotated[
        str, typer.Option("--model", help="A model of the run, such as noise_unet.", autocompletion=complete.models)
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder that the submission is written into.")],
    name: Annotated[str, typer.Option("--name", help="Name of the submission, its top folder.")] = "finescale",
    templates: TemplatesOption = None,
    content: Annotated[
        Literal["auto", "mean", "members"],
        typer.Option("--content", help="One field a day, or ten members; auto: members of a distribution."),
    ] = "auto",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Local mirror, where it is another than the run's.")
    ] = None,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Write a run's predictions of the test sets as files of a submission, and check them."""
    from flows.cordex import Request
    from flows.cordex import submit as write

    files = write(find_run(out, run), Request(model, to, name, templates, content, data))
    for file in files:
        typer.echo(str(file.path))
        if file.negative:
            typer.echo(f"  {file.negative} values of pr below 0 are set to 0")
    if templates is not None:
        compared = "their templates"
    else:
        compared = (
            "the training target in coordinates, types and attributes; no official template was given, "
            "see --templates DIR"
        )
    _tell({file.path: file.differences for file in files}, to, compared)


@app.command(epilog=examples("finescale cordex check submission --templates templates"))
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A submission, or a part of one.")],
    templates: Annotated[Path, typer.Option("--templates", metavar="DIR", help="Folder of the official templates.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The benchmark's folder; days are compared with it.")
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Say every difference between the files of a submission and the official templates."""
    from flows.cordex import checked

    found = checked(folder, templates, data)
    for path in found:
        typer.echo(_below(path, folder))
    _tell(found, folder, "their templates")


@app.command(epilog=examples("finescale cordex indices cordex-nz --model noise_unet --season DJF"))
def indices(
    run: RunArgument,
    model: Annotated[str, typer.Option("--model", help="A model of the run.", autocompletion=complete.models)],
    season: Annotated[
        Literal["DJF", "MAM", "JJA", "SON"] | None,
        typer.Option("--season", help="One season; all the year by default."),
    ] = None,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Print the benchmark's own diagnostics of a model on the test sets with truth, as CSV."""
    from flows.cordex_scores import diagnosed

    typer.echo(diagnosed(find_run(out, run), model, season).to_csv(index=False, float_format="%.5g"), nl=False)


@app.command(epilog=examples("finescale cordex example cordex-ml-bench --domain ALPS --days 400"))
def example(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder that the tree is written into: cordex-ml-bench is where runs look."),
    ],
    domain: Annotated[Literal["NZ", "SA", "ALPS"], typer.Option("--domain", help="Whose layout.")] = "NZ",
    days: Annotated[int, typer.Option("--days", min=30, help="Days in each period.")] = 400,
) -> None:
    """Write a small tree of made data in the benchmark's layout, and how to try an experiment on it."""
    from flows.cordex import FOLDER, trial
    from pipeline.data.synthetic.cordex_tree import write_cordex_tree

    typer.echo(str(write_cordex_tree(folder, domain, days=days)))
    if folder.name == FOLDER:
        typer.echo(f"Try it: finescale run {' '.join(trial(folder, domain, days))}", err=True)
    else:
        typer.echo(f"The shipped experiments look for the benchmark in a folder {FOLDER}: rename it so.", err=True)


def _tell(found: dict[Path, tuple[str, ...]], folder: Path, compared: str) -> None:
    """Print what is wrong with each file; end with 2 if anything is."""
    for path, differences in found.items():
        for text in differences:
            typer.echo(f"error: {_below(path, folder)}: {text}", err=True)
    if any(found.values()):
        raise typer.Exit(2)
    typer.echo(f"{len(found)} {'file matches' if len(found) == 1 else 'files match'} {compared}")


def _below(path: Path, folder: Path) -> str:
    """Return a file's path in the folder that was given: names alone are the same for several test sets."""
    return path.resolve().relative_to(folder.resolve()).as_posix()
