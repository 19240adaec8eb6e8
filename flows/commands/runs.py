"""``finescale runs`` and ``finescale report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.commands import complete
from flows.commands.examples import examples
from flows.commands.run import DebugOption, OutOption

if TYPE_CHECKING:
    from pipeline.run_folder import RunFolder

app = typer.Typer(
    no_args_is_help=True,
    help="Look at runs, compare them, delete them.",
    epilog=examples("finescale runs list", "finescale runs compare tiny-20261123 tiny-20261124"),
)
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Path, name or unique prefix of a run.", autocompletion=complete.runs),
]

NewestArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="Path, name or unique prefix of a run; by default the newest that finished.",
        autocompletion=complete.runs,
    ),
]


def find_or_newest(out: Path, text: str | None) -> RunFolder:
    """Return the run that ``text`` means; without it the newest that finished."""
    from pipeline.errors import RunFolderError
    from pipeline.run_folder import list_runs

    if text is not None:
        return find_run(out, text)
    newest = next((record.run for record in list_runs(out) if record.state == "finished"), None)
    if newest is None:
        raise RunFolderError(
            f"expected a run that finished in {out}, got none. `finescale runs list` shows what is there."
        )
    return newest


def find_run(out: Path, text: str) -> RunFolder:
    """Return the run that ``text`` means, the finished one where only one of several is; that is said."""
    from pipeline.run_folder import RunFolder

    return RunFolder.find(out, text, lambda said: typer.echo(said, err=True))


@app.command(
    "list",
    epilog=examples("finescale runs list", "finescale runs list --experiment tiny", "finescale runs list --json"),
)
def list_(
    out: OutOption = Path("runs"),
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            metavar="NAME",
            help="Only runs of this experiment.",
            autocompletion=complete.run_experiments,
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List runs, the newest first: state, age, time taken, size on disk, result in a sentence.

    The state is `finished`, `failed` (its last stage ended in an error), `at work`, or `unfinished` (it was stopped;
    `finescale run --resume RUN` goes on). Results are cut to the width of the terminal, and whole in a file or pipe.
    """
    import shutil
    import sys

    from flows.run_table import as_json, lines
    from pipeline.errors import ConfigError
    from pipeline.registry import suggest
    from pipeline.run_folder import list_runs

    records = list_runs(out)
    if experiment is not None:
        known = sorted({record.experiment for record in records})
        if records and experiment not in known:
            near = suggest(experiment, known)
            raise ConfigError(f"no run of an experiment {experiment!r} in {out}.{near} Known: {', '.join(known)}.")
        records = tuple(record for record in records if record.experiment == experiment)
    if json_:
        typer.echo(as_json(records))
        return
    if not records:
        typer.echo(f"no runs in {out}")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(records, width):
        typer.echo(line)


@app.command(epilog=examples("finescale runs index", "finescale runs index --out /data/runs"))
def index(out: OutOption = Path("runs")) -> None:
    """Write a page over all runs into their folder, and print where it is."""
    from pipeline.report.index import write_index

    typer.echo(str(write_index(out)))


@app.command(epilog=examples("finescale runs show", "finescale runs show runs/tiny-20261123T070855Z-d2a4bc"))
def show(run: NewestArgument = None, out: OutOption = Path("runs")) -> None:
    """Show a run: stages with time and memory, scores of every model on the test sets, the report's path."""
    from flows.show import describe_run

    typer.echo(describe_run(find_or_newest(out, run)))


@app.command(
    epilog=examples(
        "finescale runs compare tiny-20261123 tiny-20261124",
        "finescale runs compare A B C --score rmse --score crps",
        "finescale runs compare A B --html compared.html",
    )
)
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN", help="Two runs or more; differences are to the first.", autocompletion=complete.runs
        ),
    ],
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--score",
            metavar="NAME",
            help="Show this score beside the main one; may be repeated.",
            autocompletion=complete.scores,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page with figures and links to the reports instead."),
    ] = None,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Put runs of one task side by side: scores with intervals, differences, and what else is not the same.

    Shown are the scores of every model on every test set, what differs in the experiments, and what differs in code,
    libraries, machine and data. Where runs were tested on other dates or another truth, that is said first.
    """
    from flows.compare import as_text, compared
    from pipeline.files import require_no_folder

    if html is not None:
        require_no_folder(html, "--html")
    found = compared([find_run(out, run).path for run in runs], scores or ())
    if html is None:
        typer.echo(as_text(found))
        return
    from pipeline.report.comparison import write

    typer.echo(f"page: {write(found, html)}")


@app.command(
    epilog=examples(
        "finescale runs delete tiny-20261123T070855Z-d2a4bc",
        "finescale runs delete --failed --older-than 7d",
        "finescale runs delete --unfinished --yes",
    )
)
def delete(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Path, name or unique prefix of each run.", autocompletion=complete.runs),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All runs whose last stage ended in an error.")] = False,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="All that stopped and nobody works on.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="All begun longer ago: 30d; or m, h, w.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Delete runs, named or selected, after showing which; never one that somebody works on.

    `--failed` and `--unfinished` add up; `--older-than` narrows them down, or selects by age alone. A folder that is
    no run's, or holds files that no run writes, is left alone.
    """
    import sys

    from flows.remove import Selection, chosen, span, sweep
    from flows.remove import delete as delete_run
    from flows.remove import lines as told
    from flows.run_table import size
    from pipeline.errors import ConfigError

    selection = Selection(failed, unfinished, None if older_than is None else span(older_than))
    records, busy = chosen(out, runs or (), selection)
    for line in told(records, busy):
        typer.echo(line)
    if not records:
        typer.echo("nothing to delete")
        return
    count = f"{len(records)} run{'s' if len(records) > 1 else ''}"
    total = size(sum(record.size for record in records))
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"runs delete: expected --yes to delete {count}, since there is no terminal to ask on.")
        if not typer.confirm(f"Delete {count}, {total}?"):
            typer.echo("nothing deleted")
            return
    freed = sum(delete_run(record) for record in records)
    sweep(out)
    typer.echo(f"deleted {count}, {size(freed)} freed")


@app.command("open", epilog=examples("finescale runs open", "finescale runs open quickstart --print"))
def open_(
    run: NewestArgument = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print the path of the report and open nothing.")] = False,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Open the report of a run in the browser; where there is no display, say how else to look at it."""
    from flows.browser import how_else, report_of, show

    path = report_of(find_or_newest(out, run))
    if print_only:
        typer.echo(str(path))
    elif show(path):
        typer.echo(f"opened {path}")
    else:
        typer.echo(str(path))
        typer.echo(how_else(path), err=True)


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
