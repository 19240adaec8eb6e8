"""``finescale bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.commands import complete
from flows.commands.run import DataOption, DebugOption
from pipeline.errors import ConfigError


def bench(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a benchmark; without it they are listed.", autocompletion=complete.benches),
    ] = None,
    size: Annotated[
        Literal["tiny", "small", "full"],
        typer.Option("--size", help="full: for a GPU. tiny: of speed alone, to see that it works."),
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
    backend: Annotated[
        str, typer.Option("--backend", help="auto, cpu or gpu.", autocompletion=complete.backends)
    ] = "auto",
    data: DataOption = None,
    debug: DebugOption = False,
) -> None:
    """Measure speed beside other libraries and a limit, or methods against a truth that is known.

    Writes a table and a JSON file, of methods figures too. `all` stands for all benchmarks of speed,
    `rapids` for cuML and cuDF beside scikit-learn and pandas, on a GPU.
    For `attribution`, fetch its data first: finescale data fetch sst-anomaly-covariance
    """
    from flows.bench import Request, listed, start

    if name is None:
        typer.echo(listed())
        return
    from flows import speed

    if speed.knows(name):
        refused = {"--samples": samples, "--steps": steps, "--method": method}
        for option, value in refused.items():
            if value:
                raise ConfigError(f"{option} is an option of the benchmarks attribution and attribution-shapes alone.")
        found = speed.start(name, size, backend, out, echo=typer.echo)
        typer.echo(found.table)
        for path in found.files:
            typer.echo(str(path))
        return
    if size == "tiny":
        raise ConfigError(f"--size tiny: expected small or full for {name}; tiny is a size of the benchmarks of speed.")
    from pipeline.attribution.known.settings import Settings

    written = start(Request(name, Settings(size, samples, steps, seed, tuple(method or ())), backend, data, out))
    typer.echo(written.result.markdown())
    for path in written.files:
        typer.echo(str(path))
