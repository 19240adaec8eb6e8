"""Global attributes of the files that a run writes: where they come from, and the terms of the data behind them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flows.workspace import Workspace
from pipeline import __version__

_BEGAN = re.compile(r"-(\d{8}T\d{6}Z)-")
_SIDE = (
    "Of each variable NAME the files have the mean NAME and, as far as the model gives them, the truth NAME_truth, the "
    "variances NAME_aleatoric and NAME_epistemic, the quantiles NAME_q05 to NAME_q95, the members NAME_member and the "
    "parameters NAME_param_... of the predictive distribution; the attribute parameters of NAME says which is which."
)


def of_stage(space: Workspace, stage: str, name: str) -> dict[str, str]:
    """Return the attributes of what a stage of a run writes of the model ``name``.

    They are the same however often the stage is done again.
    """
    run = space.run.path.resolve().name
    settings = space.run.read_json("work/settings.json")
    found = _BEGAN.search(run)
    began = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ") if found else None
    when = "" if began is None else f"{began:%Y-%m-%dT%H:%M:%SZ} "
    command = shlex.join(settings.get("command") or ["finescale", "run"])
    return {
        "source": f"{name} of the run {run}, Finescale {__version__}",
        "history": f"{when}{command}: {stage} of {name}",
        **({"comment": _SIDE} if stage == "predict" else {}),
        **terms(settings),
    }


def of_command(name: str, origin: str, settings: Mapping[str, Any], command: str = "predict") -> dict[str, str]:
    """Return the attributes of what a command, such as ``finescale predict``, writes with a model of a run."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "source": f"{name} of the run {origin}, Finescale {__version__}",
        "history": f"{now} finescale {command} with {name} of {origin}",
        **({"comment": _SIDE} if command == "predict" else {}),
        **terms(settings),
    }


def terms(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return licences and citations of the data that a model was trained on, each once.

    Parameters
    ----------
    settings : mapping
        ``work/settings.json`` of a run.

    Examples
    --------
    >>> terms({"entries": {"a": {"licence": "CC0", "citation": "Doe 2020"}, "b": {"licence": "CC0"}}})
    {'license': 'trained on a, b: CC0', 'references': 'Doe 2020'}
    """
    entries = settings.get("entries") or {}
    datasets: dict[str, list[str]] = {}
    for dataset, entry in entries.items():
        datasets.setdefault(str(entry.get("licence") or "unknown"), []).append(dataset)
    said = "; ".join(f"{', '.join(names)}: {licence}" for licence, names in datasets.items())
    cited = dict.fromkeys(
        " ".join(str(entry["citation"]).split()) for entry in entries.values() if entry.get("citation")
    )
    return {
        **({"license": f"trained on {said}"} if said else {}),
        **({"references": "; ".join(cited)} if cited else {}),
    }
