"""The stages of a run, one file each, in this order: each takes a workspace and writes into its run folder.

A stage reads what the stages before it wrote and nothing else, so any of them can be done again,
on another machine, from the folder alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from flows.workspace import Workspace
from pipeline.run_folder import STAGES
from pipeline.stage import StageOutput


@dataclass(frozen=True)
class Stage:
    """A stage: its name and what in the run folder is its own to write and to remove."""

    name: str
    owns: tuple[str, ...]

    @property
    def function(self) -> Callable[[Workspace], StageOutput]:
        """What does the work; imported when it is needed, for some stages need heavy libraries."""
        function: Callable[[Workspace], StageOutput] = getattr(import_module(f"flows.stages.{self.name}"), self.name)
        return function


_OWNS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("work/ingest",),
    "prepare": ("work/prepare", "work/rows"),
    "fit": (
        "models",
        "work/checkpoints",
        "work/warnings",
        "work/fallbacks",
        "work/failed_members.json",
        "work/together.json",
    ),
    "predict": ("predictions", "work/validation", "work/blocks"),
    "score": ("scores.csv", "comparisons.csv", "changes.csv", "diagnostics"),
    "explain": ("attributions",),
    "report": ("report.html", "provenance.json", "figures/thumbnail.svg", "figures/thumbnail.webp"),
}
ALL = tuple(Stage(name, _OWNS[name]) for name in STAGES)
