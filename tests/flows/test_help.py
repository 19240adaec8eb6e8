"""Every command has examples, and every example can be typed."""

import shlex

import pytest
import typer.main

from flows.cli import app

ROOT = typer.main.get_command(app)


def walk(command, words=()):
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*words, name))


COMMANDS = dict(walk(ROOT))


def lines_of(command):
    text = command.epilog or ""
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def parse(line):
    """Parse a line as the shell and the command line would, and run nothing."""
    words = shlex.split(line.partition("#")[0].partition(">")[0])
    assert words.pop(0) == "finescale"
    command, context = ROOT, None
    while hasattr(command, "commands") and words:
        name = words.pop(0)
        assert name in command.commands, f"{line}: no command {name!r}"
        command = command.commands[name]
    with command.make_context(command.name, words, parent=context):
        pass


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_an_example_of_its_own(words):
    command = COMMANDS[words]
    assert len(command.help.strip()) > 20
    examples = lines_of(command)
    assert examples
    assert command.epilog.startswith("\b\nExamples:\n")
    own = " ".join(["finescale", *words])
    assert all(line.startswith(own) for line in examples)


@pytest.mark.parametrize("line", [line for command in COMMANDS.values() for line in lines_of(command)])
def test_every_example_can_be_typed(line):
    parse(line)


@pytest.mark.parametrize(
    "line", ["finescale rnu tiny", "finescale run tiny --sett a=b", "finescale runs compare", "tiny"]
)
def test_what_cannot_be_typed_is_seen(line):
    with pytest.raises(Exception):  # noqa: B017, PT011  (typer's own copies of click's types)
        parse(line)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_told_of(words):
    for parameter in COMMANDS[words].params:
        assert parameter.help, parameter.name


def test_help_reads_well_without_a_terminal(finescale):
    code, out, _ = finescale("runs", "delete", "-h")
    assert code == 0
    assert out.startswith("Usage: finescale runs delete [OPTIONS]")
    assert max(map(len, out.splitlines())) <= 100
    assert "  Examples:\n    finescale runs delete tiny-" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["rnu", "tiny"], "No such command 'rnu'. Did you mean 'run'?"),
        (["runs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["experiments", "nw", "mine"], "No such command 'nw'. Did you mean 'new'?"),
        (["run", "quikstart"], "unknown experiment 'quikstart'. Did you mean 'quickstart'?"),
        (["run", "tiny", "--dryrun"], "No such option: --dryrun (Possible options: --dry-run)"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(words, near, finescale):
    code, _, err = finescale(*words)
    assert code == 2
    assert near in " ".join(err.split())
