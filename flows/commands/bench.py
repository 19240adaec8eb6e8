"""``finescale bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands.run import DataOption, DebugOption


def bench(
    name: Annotated[str | None, typer.Argument(help="Name of a benchmark; without it they are listed.")] = None,
    size: Annotated[
        Literal["small", "full"], typer.Option("--size", help="full: as in the papers, for a GPU.")
    ] = "small",
    samples: Annotated[
        int | None, typer.Option("--samples", min=4, help="Samples that are explained; by default as suits the size.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=10, help="Most steps of training; by default as suits the size.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of world, network and draws.")] = 0,
    method: Annotated[
        list[str] | None, typer.Option("--method", metavar="NAME", help="Only this method; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that the results are written into.")] = Path(
        "bench"
    ),
    backend: Annotated[str, typer.Option("--backend", help="auto, cpu or gpu.")] = "auto",
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Measure methods against a truth that is known, and write table, JSON and figures.

    \b
    Example:
      finescale data fetch sst-anomaly-covariance
      finescale bench attribution --size small --samples 200
    """  # noqa: D301  (Click's mark for lines that stay as they are)
    from flows.bench import Request, listed, start

    if name is None:
        typer.echo(listed())
        return
    from pipeline.attribution.known.settings import Settings

    written = start(Request(name, Settings(size, samples, steps, seed, tuple(method or ())), backend, data, out))
    typer.echo(written.result.markdown())
    for path in written.files:
        typer.echo(str(path))
