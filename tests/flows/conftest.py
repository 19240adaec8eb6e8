"""What the tests of commands share."""

import sys

import pytest


@pytest.fixture
def finescale(capsys):
    """Runs a command as the shell would; returns the exit code and what was printed to either stream."""
    from flows.cli import run_command

    def run(*words: str) -> tuple[int, str, str]:
        before, sys.argv = sys.argv, ["finescale", *words]
        try:
            code = run_command()
        finally:
            sys.argv = before
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
