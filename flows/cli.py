"""The command ``finescale``."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from flows.commands import apply, bench, cordex, data, experiments, run, runs, serve, tools
from flows.commands.examples import examples
from pipeline import __version__
from pipeline.errors import FinescaleError

app = typer.Typer(
    name="finescale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
    help="From climate archives to trained, explained, uncertainty-aware models and one report.",
    epilog=examples(
        "finescale run quickstart",
        "finescale experiments new my-question",
        "finescale runs list",
        "finescale doctor",
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"finescale {__version__}")
        raise typer.Exit


def _add(name: str, command: Callable[..., None], *lines: str) -> None:
    """Add a command with examples below its help."""
    app.command(name, epilog=examples(*lines))(command)


_add(
    "run",
    run.run,
    "finescale run quickstart",
    "finescale run my.yaml --set models.unet.lr=1e-4 --set seed=2",
    "finescale run iberia-tas --data /mirror --dry-run",
    "finescale run --resume iberia-tas-20261123",
)
_add("report", runs.report, "finescale report quickstart", "finescale report quickstart --format md")
_add(
    "predict",
    apply.predict,
    "finescale predict quickstart --input 'gcm/*.nc' --to out.nc",
    "finescale predict bundle --input my-gcm=gcm.nc --period 2071-01-01 2100-12-31 --members 20",
)
_add("bundle", apply.bundle, "finescale bundle quickstart --model unet --to bundle")
_add(
    "serve",
    serve.serve,
    "finescale serve --with-server",
    "finescale serve quickstart nino34 --with-server --data /mirror --out /data/runs",
    "finescale serve --with-server --database postgresql+asyncpg://user:password@host/finescale",
)
_add("doctor", tools.doctor, "finescale doctor", "finescale doctor --deep", "finescale doctor --json > doctor.json")
_add(
    "bench",
    bench.bench,
    "finescale bench",
    "finescale bench all --size small",
    "finescale bench anomalies --backend gpu",
    "finescale bench attribution --size small --samples 200",
)
_add(
    "check-leakage", tools.check_leakage, "finescale check-leakage my.yaml", "finescale check-leakage tiny --set seed=2"
)
app.add_typer(experiments.app, name="experiments")
app.add_typer(data.app, name="data")
app.add_typer(cordex.app, name="cordex")
app.add_typer(runs.app, name="runs")


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """From climate archives to trained, explained, uncertainty-aware models and one report."""


class Stopped(BaseException):
    """A signal came; not an Exception, so that nothing on the way up takes it for a fault.

    Nor a KeyboardInterrupt: where one passes through an ``exec`` of text, as libraries do on import,
    CPython ends by the signal itself, whatever exit code was asked for.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def quiet() -> None:
    """Silence what xarray says of dates that numpy's nanoseconds cannot hold: they are read as cftime, as meant."""
    warnings.filterwarnings("ignore", message="Unable to decode time axis into full numpy.datetime64")


def main() -> None:
    """Run the command line and exit: 0 success, 2 the user's input, 1 anything else, 130 and 143 signals."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    quiet()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the shell wants it ignored
        signal.signal(signal.SIGINT, _stop)
    sys.exit(run_command())


def run_command() -> int:
    """Run the command line on ``sys.argv``; return the exit code."""
    debug = "--debug" in sys.argv
    try:
        result = app(standalone_mode=False, prog_name="finescale")
    except FinescaleError as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, Stopped) as signalled:
        _say("stopped.")
        return signalled.exit_code if isinstance(signalled, Stopped) else 130
    except (OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {type(error).__name__}: {error}")
        return 1
    except Exception as error:
        return _click_or_bug(error, debug)
    return result if isinstance(result, int) else 0


def _click_or_bug(error: Exception, debug: bool) -> int:
    """Show a usage error as Click does; anything else is a bug of ours, and says so."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if code is not None:
        if show is not None:
            show()
        return int(code)
    if debug:
        traceback.print_exc()
    _say(
        f"error: a bug in Finescale: {type(error).__name__}: {error}\n"
        "Please report it with what `--debug` prints in addition."
    )
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
