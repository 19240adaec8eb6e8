"""What the shell offers at the Tab key: fast, from the names of files alone, and never an error."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from pipeline.errors import FinescaleError

FLOWS = Path(__file__).resolve().parents[1]
CATALOG = "data_catalog.yaml"
BENCHES = ("all", "rapids", "attribution", "attribution-shapes")
BACKENDS = ("auto", "cpu", "gpu")
_ENTRY = re.compile(r"^([A-Za-z0-9][\w.-]*):", re.MULTILINE)
_BENCH = re.compile(r"""register\(\s*["']([\w-]+)["']""")
_MOST = 500  # more runs than a shell shows

Offer = Callable[[typer.Context, str], list[str]]


def quietly(offer: Offer) -> Offer:
    """Return ``offer`` with its answers narrowed to what begins as typed; an error offers nothing.

    A message in the middle of a line that somebody types helps nobody.
    """

    @functools.wraps(offer)
    def offered(ctx: typer.Context, incomplete: str) -> list[str]:
        try:
            return sorted({name for name in offer(ctx, incomplete) if name.startswith(incomplete)})[:_MOST]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, FinescaleError):
            return []

    return offered


@quietly
def experiments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the shipped experiments by name, and the YAML files here and in a folder that is being typed."""
    names = [path.stem for path in (FLOWS / "experiments").glob("*.yaml")]
    folder, _, _ = incomplete.rpartition("/")
    files = [path.as_posix() for path in Path(folder).glob("*.y*ml") if path.name != CATALOG]
    return [*names, *files]


@quietly
def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the runs in ``--out``, ``FINESCALE_RUNS`` or ``./runs``."""
    return [path.name for path in _runs(_out(ctx))]


@quietly
def run_experiments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the experiments that there are runs of."""
    return [re.sub(r"-\d{8}T\d{6}Z-[0-9a-f]{6}$", "", path.name) for path in _runs(_out(ctx))]


@quietly
def datasets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the entries of the catalog, found by the look of their lines."""
    asked = ctx.params.get("catalog")
    root = FLOWS.parent
    files = [Path(str(asked))] if asked else [Path(CATALOG), root / "pipeline/data" / CATALOG, root / CATALOG]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    return [name for name in _ENTRY.findall(text) if name != "schema_version"]


@quietly
def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the models of the run that stands before on the line."""
    named = str(ctx.params.get("run") or ctx.params.get("bundle") or "")
    folders = [Path(named), *(path for path in _runs(_out(ctx)) if path.name.startswith(named))] if named else []
    found = next((path / "models" for path in folders if (path / "models").is_dir()), None)
    return [] if found is None else [path.name for path in found.iterdir() if not path.name.startswith(".")]


@quietly
def scores(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the scores of the first run on the line."""
    named = str(next(iter(ctx.params.get("runs") or ()), ""))
    folders = [Path(named), *(path for path in _runs(_out(ctx)) if path.name.startswith(named))] if named else []
    found = next((path / "scores.csv" for path in folders if (path / "scores.csv").is_file()), None)
    if found is None:
        return []
    with found.open(encoding="utf-8") as lines:
        return [parts[4] for line in lines if len(parts := line.split(",")) > 4 and parts[4] != "metric"]


@quietly
def benches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the benchmarks: those of speed by the look of the lines that register them."""
    files = (FLOWS.parent / "benchmarks" / "speed").glob("[a-z]*.py")
    return [*BENCHES, *(name for path in files for name in _BENCH.findall(path.read_text(encoding="utf-8")))]


@quietly
def backends(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer where to compute."""
    return list(BACKENDS)


def _out(ctx: typer.Context) -> Path:
    return Path(str(ctx.params.get("out") or os.environ.get("FINESCALE_RUNS") or "runs"))


def _runs(out: Path) -> Iterable[Path]:
    return [path for path in out.iterdir() if not path.name.startswith(".") and (path / "stages").is_dir()]
