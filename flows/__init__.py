"""Wiring only: experiments, stages, the Prefect flow and the command line; no arithmetic.

In Python: ``from flows import run_experiment, load_run, load_bundle``; see :mod:`flows.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.api import Run, load_bundle, load_run, run_experiment
    from flows.predictor import Predictor

__all__ = ["Predictor", "Run", "load_bundle", "load_run", "run_experiment"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before."""
    if name in __all__:
        from flows import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
