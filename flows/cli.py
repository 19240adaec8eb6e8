"""The command ``finescale``."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

import typer

from flows.commands import data, experiments, run, runs, tools
from pipeline.errors import FinescaleError

app = typer.Typer(
    name="finescale",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From climate archives to trained, explained, uncertainty-aware models and one report.",
)
app.command("run")(run.run)
app.command("report")(runs.report)
app.command("doctor")(tools.doctor)
app.command("check-leakage")(tools.check_leakage)
app.add_typer(experiments.app, name="experiments")
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")


class Terminated(BaseException):
    """SIGTERM came; not an Exception, so that nothing on the way up takes it for a fault."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def main() -> None:
    """Run the command line and exit: 0 success, 2 the user's input, 1 anything else, 130 and 143 signals."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run_command())


def run_command() -> int:
    """Run the command line on ``sys.argv``; return the exit code."""
    debug = "--debug" in sys.argv
    try:
        result = app(standalone_mode=False)
    except FinescaleError as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {error}")
        return error.exit_code
    except (KeyboardInterrupt, Terminated) as signalled:
        return _stopped(143 if isinstance(signalled, Terminated) else 130)
    except (OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {type(error).__name__}: {error}")
        return 1
    except Exception as error:
        return _click_or_bug(error, debug)
    # Typer makes 130 of a KeyboardInterrupt by itself.
    return _stopped(130) if result == 130 else result if isinstance(result, int) else 0


def _stopped(code: int) -> int:
    _say("stopped; `finescale run --resume RUN` goes on where it was.")
    return code


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
