"""``finescale predict`` and ``finescale bundle``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from flows.commands import complete
from flows.commands.run import DebugOption, OutOption
from flows.commands.runs import find_run

BundleArgument = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE",
        help="A bundle's folder or .zip, or a run: its path, name or unique prefix.",
        autocompletion=complete.runs,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A model or method of the run; by default the best on validation.",
        autocompletion=complete.models,
    ),
]


def predict(
    bundle: BundleArgument,
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="PATH|DATASET=PATH",
            help="File, folder or glob with the predictors; may be repeated. DATASET= says which of them it is for.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The netCDF file that is written.")] = Path(
        "prediction.nc"
    ),
    model: ModelOption = None,
    period: Annotated[
        tuple[str, str] | None, typer.Option("--period", metavar="FIRST LAST", help="Dates that are predicted; all.")
    ] = None,
    members: Annotated[
        int | None, typer.Option("--members", min=1, help="Write this many draws of the distribution as members.")
    ] = None,
    block: Annotated[
        int | None, typer.Option("--block", min=2, help="Dates in memory at a time; by default what fits in 256 MiB.")
    ] = None,
    change: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--change", metavar="FIRST/LAST FIRST/LAST", help="Two periods: the change from one to the other, too."
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", help="What answers: native, torch_export or onnx; by default the model itself if there."
        ),
    ] = None,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Apply a trained model to new predictors, block by block in time, and write a CF netCDF file."""
    from flows.apply.bundle import Bundle
    from flows.apply.change import spans_of, write_changes
    from flows.apply.exporting import unpacked
    from flows.apply.novelty import warning
    from flows.apply.predict import Request, apply
    from pipeline.progress import terminal

    periods = None if change is None else spans_of(change)
    with ExitStack() as closing:
        packed = bundle.endswith(".zip") and Path(bundle).is_file()
        folder = closing.enter_context(unpacked(Path(bundle))) if packed else find_run(out, bundle).path
        opened = Bundle.open(folder, model, terminal, engine)
        done = apply(opened, Request(tuple(inputs), to, period, members, block, periods))
    if done.other_months and done.months:
        months = ", ".join(map(str, done.months))
        typer.echo(
            f"left out: {done.other_months} dates of other months than {months}, which the models were trained on",
            err=True,
        )
    if done.left_out:
        typer.echo(f"left out: {done.left_out} dates that lack a predictor or a lag", err=True)
    if done.stations:
        stations = f"{len(done.stations)} station{'s' if len(done.stations) > 1 else ''}"
        typer.echo(f"left out: {stations} without predictors: {', '.join(done.stations)}", err=True)
    if done.without_past:
        stations = f"{len(done.without_past)} station{'s have' if len(done.without_past) > 1 else ' has'}"
        typer.echo(
            f"{stations} nothing of the target's past to go on from ({', '.join(done.without_past)}); the mean cycle "
            "stands there",
            err=True,
        )
    if done.unknown:
        typer.echo(
            f"{done.unknown} dates have nothing of the target's past to go on from; the mean cycle stands there",
            err=True,
        )
    if done.strange is not None and (told := warning(done.strange)):
        typer.echo(told, err=True)
    typer.echo(f"predicted: {done.times} dates, {done.first} to {done.last}, with {opened.name}")
    typer.echo(f"written:   {done.path}")
    if periods is not None:
        typer.echo(f"change:    {write_changes(done.path, periods)}")


def bundle(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Path, name or unique prefix of a run.", autocompletion=complete.runs)
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder that is made.")],
    model: ModelOption = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="native, torch_export or onnx; may be repeated. The last two are graphs that need no Finescale.",
        ),
    ] = None,
    zip_: Annotated[bool, typer.Option("--zip", help="Make one .zip of it.")] = False,
    out: OutOption = Path("runs"),
    debug: DebugOption = False,
) -> None:
    """Write what prediction needs of a run, one model and no training data, into a folder to carry away."""
    from flows.apply.bundle import Bundle

    opened = Bundle.open(find_run(out, run).path, model)
    typer.echo(f"bundle of {opened.name}: {opened.export(to, format_ or ('native',), zipped=zip_)}")
